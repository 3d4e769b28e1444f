"""A checkpoint's weights as the kernels read them.

The kernels take sizes that are multiples of 32: matrices, heads and norms are filled up with zeros, which change no
result. The scale of attention and the base of its powers, 2, are part of the query's weights.
"""

import ctypes
import math
from typing import Any

import numpy as np
import numpy.typing as npt

from embedstore.encoders.base import Described
from embedstore.encoders.families import relative_buckets
from embedstore.encoders.native import binding
from embedstore.encoders.parameters import Parameters

__all__ = ["ACTIVATIONS", "POOLINGS", "PackedModel"]

ACTIVATIONS = {"gelu": 0, "gelu_new": 0, "gelu_pytorch_tanh": 0, "relu": 1}
"""Maps each activation to its number in ``kernels.h``; the forms of GELU differ by less than bfloat16 can tell."""

POOLINGS = {"mean": 0, "cls": 1, "max": 2}
"""Maps each pooling to its number in ``kernels.h``."""

_LOG2_E = np.float32(math.log2(math.e))

Array = npt.NDArray[np.float32]


class PackedModel:
    """The weights of a checkpoint, packed.

    Parameters
    ----------
    described : Described
        A checkpoint that `is_known`.

    Attributes
    ----------
    model : binding.Model
        What the kernels take. Its addresses are valid as long as this object lives.
    dimension : int
        The length of a hidden state.
    vocabulary : int
        The number of tokens that the model knows.
    """

    def __init__(self, described: Described) -> None:
        self._parameters = parameters = Parameters(described)
        self._kept: list[Any] = []
        self.vocabulary, self.dimension = parameters.words.shape
        self._head = self.dimension // parameters.heads
        family, positions = parameters.family, parameters.weight("embeddings.position_embeddings.weight")
        if family.token_types:
            positions = positions + parameters.weight("embeddings.token_type_embeddings.weight")[0]
        inner = parameters.find(f"{family.layer}.0.{family.inner}.weight").shape[0]
        longest = _rounded(described.spec.max_seq_length)
        layers = (binding.Layer * parameters.layers)(*map(self._layer, range(parameters.layers)))
        self._kept.append(layers)
        self.model = binding.Model(
            layers=parameters.layers,
            heads=parameters.heads,
            head=_rounded(self._head),
            width=_rounded(self.dimension),
            used=self.dimension,
            inner=_rounded(inner),
            vocabulary=self.vocabulary,
            places=len(positions),
            padding=family.padding(parameters.config),
            reach=longest if family.relative_bias else 0,
            activation=ACTIVATIONS[parameters.activation],
            pooling=POOLINGS[described.spec.pooling],
            epsilon=parameters.epsilon,
            words=self._address(parameters.weight("embeddings.word_embeddings.weight")),
            positions=self._address(positions),
            norm_weight=self._vector("embeddings.LayerNorm.weight"),
            norm_bias=self._vector("embeddings.LayerNorm.bias"),
            distances=self._distances(longest) if family.relative_bias else None,
            layer=ctypes.addressof(layers),
        )

    def _layer(self, number: int) -> binding.Layer:
        family, weight = self._parameters.family, self._parameters.weight
        at = f"{family.layer}.{number}."
        query, key, value = (
            (weight(f"{at}{name}.weight"), weight(f"{at}{name}.bias"))
            for name in (family.query, family.key, family.value)
        )
        scale = _LOG2_E / np.float32(math.sqrt(self._head))
        matrices = [self._heads(query[0] * scale), self._heads(key[0]), self._heads(value[0])]
        biases = [self._heads(query[1] * scale), self._heads(key[1]), self._heads(value[1])]
        attended = self._heads(weight(f"{at}{family.attended}.weight").T).T
        return binding.Layer(
            attention=self._packed(np.concatenate(matrices)),
            attention_bias=self._address(np.concatenate(biases)),
            attended=self._packed(attended),
            attended_bias=self._vector(f"{at}{family.attended}.bias"),
            inner=self._packed(weight(f"{at}{family.inner}.weight")),
            inner_bias=self._vector(f"{at}{family.inner}.bias"),
            outer=self._packed(weight(f"{at}{family.outer}.weight")),
            outer_bias=self._vector(f"{at}{family.outer}.bias"),
            first_norm_weight=self._vector(f"{at}{family.first_norm}.weight"),
            first_norm_bias=self._vector(f"{at}{family.first_norm}.bias"),
            second_norm_weight=self._vector(f"{at}{family.second_norm}.weight"),
            second_norm_bias=self._vector(f"{at}{family.second_norm}.bias"),
        )

    def _heads(self, rows: Array) -> Array:
        """Return rows, the first axis, with each head filled up."""
        by_head = rows.reshape(self._parameters.heads, self._head, *rows.shape[1:])
        filled = _filled(by_head, (self._parameters.heads, _rounded(self._head), *rows.shape[1:]))
        return filled.reshape(-1, *rows.shape[1:])

    def _distances(self, longest: int) -> int:
        """Return the address of what each head adds for the distances -longest to longest - 1."""
        name = self._parameters.family.relative_bias or ""
        buckets = relative_buckets(longest)
        by_distance = np.concatenate([buckets[:0:-1, 0], buckets[0]])
        table = np.zeros((self._parameters.heads, 2 * longest), dtype=np.float32)
        table[:, 1:] = self._parameters.weight(name)[by_distance].T * _LOG2_E
        return self._address(table)

    def _packed(self, matrix: Array) -> int:
        shape = (_rounded(matrix.shape[0]), _rounded(matrix.shape[1]))
        packed = binding.pack(np.require(_filled(matrix, shape), np.float32, ["C", "A"]))
        self._kept.append(packed)
        return int(packed.ctypes.data)

    def _vector(self, name: str) -> int:
        vector = self._parameters.weight(name)
        return self._address(_filled(vector, (_rounded(len(vector)),)))

    def _address(self, array: Array) -> int:
        kept = np.require(array, np.float32, ["C", "A"])
        self._kept.append(kept)
        return int(kept.ctypes.data)


def _rounded(size: int) -> int:
    return -(-size // 32) * 32


def _filled(array: Array, shape: tuple[int, ...]) -> Array:
    """Return an array with zeros after its last row, column, …, up to a shape."""
    if array.shape == shape:
        return array
    return np.pad(array, [(0, wanted - size) for size, wanted in zip(array.shape, shape, strict=True)])
