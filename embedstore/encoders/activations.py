"""The activations of BERT-like models in NumPy, by the names that configurations have for them."""

from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt

__all__ = ["ACTIVATIONS"]

Array = npt.NDArray[np.float32]


def _gelu(x: Array) -> Array:
    # The error function after Abramowitz and Stegun, 7.1.26, with an error of at most 1.5e-7.
    z = np.abs(x) * np.float32(np.sqrt(0.5))
    t = 1 / (1 + np.float32(0.3275911) * z)
    series = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))))
    return np.asarray(0.5 * x * (1 + np.copysign(1 - series * np.exp(-z * z), x)), dtype=np.float32)


def _gelu_tanh(x: Array) -> Array:
    return np.asarray(0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3))), dtype=np.float32)


def _relu(x: Array) -> Array:
    return np.maximum(x, 0)


ACTIVATIONS: Mapping[str, Callable[[Array], Array]] = {
    "gelu": _gelu,
    "gelu_new": _gelu_tanh,
    "gelu_pytorch_tanh": _gelu_tanh,
    "relu": _relu,
}
