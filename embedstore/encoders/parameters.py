"""The settings and weights of a BERT-like checkpoint, as NumPy arrays in the memory of its files."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from embedstore.core.counts import counted
from embedstore.encoders.activations import ACTIVATIONS
from embedstore.encoders.base import Described
from embedstore.encoders.families import BUCKETS, FAMILIES
from embedstore.encoders.reading import read_json, refusals
from embedstore.encoders.weights import read_headers
from embedstore.errors import CheckpointError

__all__ = ["Parameters", "is_known"]

Array = npt.NDArray[np.float32]

_AGAIN = "download the checkpoint again"
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
    inner : int
        The length inside a feed-forward layer.
    words, positions : ndarray
        The embeddings of tokens, shape (vocabulary, hidden), and of positions, (positions, hidden); float32 or
        float16.

    Raises
    ------
    CheckpointError
        If weights of the transformer are missing, have another shape than ``config.json`` says, or are not part of
        the model that it describes.
    """

    def __init__(self, described: Described) -> None:
        self._model = described.model
        self.config = _config(described)
        self.family = FAMILIES[self.config["model_type"]]
        self._weights = _mapped(described)
        self.heads = int(self.config[self.family.heads])
        self.layers = int(self.config[self.family.layers])
        if self.layers > len(self._weights):
            raise CheckpointError(
                f"{described.model} does not fit: config.json describes {counted(self.layers, 'layer')}, its weights "
                f"are {len(self._weights):,}; {_AGAIN}"
            )
        self.activation: str = self.config.get(self.family.activation, _ACTIVATION)
        given = self.family.epsilon
        self.epsilon = np.float32(self.config.get(given, _EPSILON) if given else _EPSILON)
        self.words = self.find("embeddings.word_embeddings.weight")
        self.positions = self.find("embeddings.position_embeddings.weight")
        self.inner = len(self.find(f"{self.family.layer}.0.{self.family.inner}.weight"))
        self._check_sizes()
        self._check_weights()

    def weight(self, name: str) -> Array:
        """Return a weight in float32."""
        return self.find(name).astype(np.float32, copy=False)

    def find(self, name: str) -> npt.NDArray[Any]:
        """Return a weight in the dtype of its file, float32 or float16."""
        return self._weights[self._stored(name)]

    def _stored(self, name: str) -> str:
        """Return the name that a weight has in the file."""
        older = name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta")
        prefix = self.family.prefix
        for candidate in (name, f"{prefix}.{name}", older, f"{prefix}.{older}"):
            if candidate in self._weights:
                return candidate
        raise CheckpointError(f"{self._model} lacks the weight {name}: {_AGAIN}")

    def _check_sizes(self) -> None:
        """Check that the sizes in ``config.json`` are those of the weights."""
        sizes = {
            "vocab_size": len(self.words),
            "max_position_embeddings": len(self.positions),
            self.family.width: self.words.shape[-1],
            self.family.inner_width: self.inner,
        }
        for field, found in sizes.items():
            if (stated := self.config.get(field, found)) != found:
                raise CheckpointError(
                    f"{self._model} does not fit: its weights have another shape than config.json says ({field} "
                    f"{stated}, found {found}); {_AGAIN}"
                )
        if sizes[self.family.width] % self.heads:
            raise CheckpointError(
                f"{self._model} does not fit: its {self.heads} heads do not share its columns evenly; {_AGAIN}"
            )

    def _check_weights(self) -> None:
        """Check that the weights of the transformer are all there, in their shapes, and no others."""
        known = set()
        for name, shape in self._shapes().items():
            stored = self._stored(name)
            known.add(stored)
            found = self._weights[stored].shape
            if len(found) != len(shape) or any(
                size not in (None, other) for size, other in zip(shape, found, strict=True)
            ):
                raise CheckpointError(
                    f"{self._model} does not fit: {name} has another shape than config.json says {found}; {_AGAIN}"
                )
        prefix = f"{self.family.prefix}."
        parts = ("embeddings.", f"{self.family.layer.split('.')[0]}.")
        for name in sorted(self._weights.keys() - known):
            if name.removeprefix(prefix).startswith(parts):
                raise CheckpointError(
                    f"{self._model} does not fit: {name} is not part of the model that config.json describes; {_AGAIN}"
                )

    def _shapes(self) -> dict[str, tuple[int | None, ...]]:
        """Return the shape of each weight by its name; None is any size."""
        family, width = self.family, self.words.shape[-1]
        shapes: dict[str, tuple[int | None, ...]] = {
            "embeddings.word_embeddings.weight": (None, width),
            "embeddings.position_embeddings.weight": (None, width),
            "embeddings.LayerNorm.weight": (width,),
            "embeddings.LayerNorm.bias": (width,),
        }
        if family.token_types:
            shapes["embeddings.token_type_embeddings.weight"] = (None, width)
        if family.relative_bias:
            shapes[family.relative_bias] = (BUCKETS, self.heads)
        matrices = dict.fromkeys((family.query, family.key, family.value, family.attended), (width, width))
        matrices |= {family.inner: (self.inner, width), family.outer: (width, self.inner)}
        for number in range(self.layers):
            at = f"{family.layer}.{number}."
            for name, (rows, columns) in matrices.items():
                shapes |= {f"{at}{name}.weight": (rows, columns), f"{at}{name}.bias": (rows,)}
            for name in (family.first_norm, family.second_norm):
                shapes |= {f"{at}{name}.weight": (width,), f"{at}{name}.bias": (width,)}
        return shapes


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
