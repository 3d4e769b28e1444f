"""The settings and weights of a BERT-like checkpoint, as NumPy arrays in the memory of its files."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from embedstore.encoders.activations import ACTIVATIONS
from embedstore.encoders.base import Described
from embedstore.encoders.families import FAMILIES
from embedstore.encoders.reading import read_json, refusals
from embedstore.encoders.weights import read_headers
from embedstore.errors import CheckpointError

__all__ = ["Parameters", "is_known"]

Array = npt.NDArray[np.float32]

_ACTIVATION = "gelu"  # of a configuration that names none
_EPSILON = 1e-12  # of layer norms, where a configuration has none
_DTYPES: dict[str, np.dtype[Any]] = {"F32": np.dtype("<f4"), "F16": np.dtype("<f2")}


def is_known(described: Described) -> bool:
    """Return whether the vectors of a checkpoint need only its `Parameters`, a pooling and ``tokenizer.json``."""
    with refusals(f"{described.model} can't be read"):
        return described.plain and _is_known(described)


def _is_known(described: Described) -> bool:
    config = _config(described)
    family = FAMILIES.get(config.get("model_type", ""))
    return (
        family is not None
        and family.fits(config)
        and described.head is None
        and described.spec.pooling in ("mean", "cls", "max")
        and config.get(family.activation, _ACTIVATION) in ACTIVATIONS
        and config.get("position_embedding_type", "absolute") == "absolute"
        and not config.get("is_decoder")
        and (described.transformer / "tokenizer.json").is_file()
        and {tensor.dtype for tensor in read_headers(described.transformer, described.model).values()}
        <= {*_DTYPES, "I64"}
    )


class Parameters:
    """The settings and weights of a checkpoint that `is_known`.

    Parameters
    ----------
    described : Described
        The checkpoint.

    Attributes
    ----------
    family : Family
        Its architecture.
    config : dict
        Its ``config.json``.
    heads, layers : int
        The number of attention heads, and of layers.
    activation : str
        The name of the activation between the two products of a feed-forward layer; see `ACTIVATIONS`.
    epsilon : float32
        Added to the variance by layer norms.
    words, positions : ndarray
        The embeddings of tokens, shape (vocabulary, hidden), and of positions, (positions, hidden); float32 or
        float16.

    Raises
    ------
    CheckpointError
        If weights are missing.
    """

    def __init__(self, described: Described) -> None:
        self._model = described.model
        self.config = _config(described)
        self.family = FAMILIES[self.config["model_type"]]
        self._weights = _mapped(described)
        self.heads = int(self.config[self.family.heads])
        self.layers = int(self.config[self.family.layers])
        self.activation: str = self.config.get(self.family.activation, _ACTIVATION)
        given = self.family.epsilon
        self.epsilon = np.float32(self.config.get(given, _EPSILON) if given else _EPSILON)
        self._found: set[str] = set()
        self.words = self.find("embeddings.word_embeddings.weight")
        self.positions = self.find("embeddings.position_embeddings.weight")
        inner = self.find(f"{self.family.layer}.0.{self.family.inner}.weight")
        sizes = {
            "vocab_size": len(self.words),
            "max_position_embeddings": len(self.positions),
            self.family.width: self.words.shape[1],
            self.family.inner_width: len(inner),
        }
        for field, found in sizes.items():
            if (stated := self.config.get(field, found)) != found:
                raise CheckpointError(
                    f"{self._model} does not fit: its weights have another shape than config.json says ({field} "
                    f"{stated}, found {found})"
                )

    def weight(self, name: str, *shape: int) -> Array:
        """Return a weight in float32.

        Parameters
        ----------
        name : str
            Its name in the newest form of checkpoints, without the prefix.
        *shape : int
            The shape that it must have; by default any.
        """
        found = self.find(name).astype(np.float32, copy=False)
        if shape and found.shape != shape:
            raise CheckpointError(
                f"{self._model}: expected the shape {shape} of the weight {name}, found {found.shape}"
            )
        return found

    def find(self, name: str) -> npt.NDArray[Any]:
        """Return a weight in the dtype of its file, float32 or float16."""
        older = name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta")
        prefix = self.family.prefix
        for candidate in (name, f"{prefix}.{name}", older, f"{prefix}.{older}"):
            if candidate in self._weights:
                self._found.add(candidate)
                return self._weights[candidate]
        raise CheckpointError(f"{self._model} lacks the weight {name}: download the checkpoint again")

    def check_all_used(self) -> None:
        """Check that nothing of the transformer itself is left that was never asked for.

        Raises
        ------
        CheckpointError
            If there is, as of a layer that the configuration lacks.
        """
        prefix = f"{self.family.prefix}."
        parts = ("embeddings.", f"{self.family.layer.split('.')[0]}.")
        left = sorted(
            name for name in self._weights.keys() - self._found if name.removeprefix(prefix).startswith(parts)
        )
        if left:
            raise CheckpointError(
                f"{self._model} does not fit: {left[0]} is not part of the model that config.json describes"
            )


def _config(described: Described) -> dict[str, Any]:
    config: dict[str, Any] = read_json(described.transformer / "config.json", {})
    return config


def _mapped(described: Described) -> dict[str, npt.NDArray[Any]]:
    """Return every float tensor as a view of its mapped file."""
    files: dict[Path, npt.NDArray[Any]] = {}
    weights: dict[str, npt.NDArray[Any]] = {}
    for name, tensor in read_headers(described.transformer, described.model).items():
        if tensor.dtype in _DTYPES:
            if tensor.path not in files:
                files[tensor.path] = np.asarray(np.memmap(tensor.path, dtype=np.uint8, mode="r"))
            content: npt.NDArray[Any] = files[tensor.path][tensor.first : tensor.last]
            weights[name] = content.view(_DTYPES[tensor.dtype]).reshape(tensor.shape)
    return weights
