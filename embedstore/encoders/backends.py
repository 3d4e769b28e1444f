"""The backends: what runs a model.

To add one: a module with a function like `load`, and a line in `BACKENDS`; one in `_CHECKS` if it has a `check`.
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

from embedstore.core.guards import Lock
from embedstore.core.registry import look_up
from embedstore.encoders.reading import refusals

if TYPE_CHECKING:
    from embedstore.encoders.base import Described, Encoder, Precision

__all__ = ["BACKENDS", "check", "load"]

BACKENDS = {
    "auto": "embedstore.encoders.choice:load",
    "native": "embedstore.encoders.native.encoder:load",
    "torch": "embedstore.encoders.pytorch:load",
    "tensorflow": "embedstore.encoders.keras:load",
}
"""Maps the name of each backend to the function that loads a model with it."""

_CHECKS = {
    "auto": "embedstore.encoders.choice:check",
    "native": "embedstore.encoders.native.encoder:check",
    "torch": "embedstore.encoders.choice:check",
    "tensorflow": "embedstore.encoders.keras:check",
}

_LOADING = Lock()  # transformers changes settings of the process while it loads a model


def check(described: "Described", *, backend: str, device: str | None, precision: "Precision") -> None:
    """Raise the error of `load` with these options, as far as it is known before weights are read."""
    if backend in _CHECKS:
        with _refusals(described, backend):
            look_up(_CHECKS, backend, "a backend")(described, device=device, precision=precision)


def load(
    described: "Described",
    *,
    backend: str = "auto",
    device: str | None = None,
    batch_size: int | None = None,
    precision: "Precision" = "auto",
    sample: Sequence[str] = (),
) -> "Encoder":
    """Load the model of a described checkpoint.

    Parameters
    ----------
    described : Described
        The description from `describe`.
    backend : {"auto", "native", "torch", "tensorflow"}
        What runs the model; the vectors are the same but for rounding. "auto" takes the native encoder where it
        can, and else torch.
    device : str, optional
        "cpu", "cuda", "cuda:1", "mps", …; by default the best available device.
    batch_size : int, optional
        Texts per forward pass; by default batches are filled by tokens, or have 32 texts (TensorFlow).
    precision : {"auto", "float32", "bfloat16"}
        The precision of the transformer. "auto" uses bfloat16 if the device computes it fast and each text of
        `sample` keeps a cosine of 0.9995 to its float32 vector.
    sample : sequence of str
        Some of the texts to encode later, for "auto"; without them "auto" uses float32.

    Raises
    ------
    CheckpointError
        If the model can't be loaded, or this backend does not support it.
    MissingExtraError
        If the backend is not installed.
    """
    with _LOADING.held():
        load_with = look_up(BACKENDS, backend, "a backend")
        options = {"device": device, "batch_size": batch_size, "precision": precision, "sample": sample}
        with _refusals(described, backend):
            encoder: Encoder = load_with(described, **options)
    return encoder


def _refusals(described: "Described", backend: str) -> AbstractContextManager[None]:
    fault = f"{described.model} can't be loaded with the backend {backend}"
    return refusals(fault, "check that its files belong together and that the device has memory for it")
