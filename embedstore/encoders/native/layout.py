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
        self._kept: list[Any] = []
        self._parameters = Parameters(described)
        family, self._heads = self._parameters.family, self._parameters.heads
        self.vocabulary, self.dimension = self._parameters.words.shape
        self._head = self.dimension // self._heads
        width, inner = _rounded(self.dimension), _rounded(self._parameters.inner)
        attended = self._heads * _rounded(self._head)
        # All matrices lie in one array: the system gives huge pages only to large ones.
        self._matrices = binding.aligned(2 * self._parameters.layers * width * (4 * attended + 2 * inner))
        self._taken = 0
        positions = self._positions()
        longest = _rounded(described.spec.max_seq_length)
        layers = (binding.Layer * self._parameters.layers)(*map(self._layer, range(self._parameters.layers)))
        self._kept.append(layers)
        self.model = binding.Model(
            layers=self._parameters.layers,
            heads=self._heads,
            head=_rounded(self._head),
            width=width,
            used=self.dimension,
            inner=inner,
            vocabulary=self.vocabulary,
            places=len(positions),
            padding=family.padding(self._parameters.config),
            reach=longest if family.relative_bias else 0,
            activation=ACTIVATIONS[self._parameters.activation],
            pooling=POOLINGS[described.spec.pooling],
            epsilon=self._parameters.epsilon,
            words=self._address(self._parameters.weight("embeddings.word_embeddings.weight")),
            positions=self._address(positions),
            norm_weight=self._vector("embeddings.LayerNorm.weight"),
            norm_bias=self._vector("embeddings.LayerNorm.bias"),
            distances=self._distances(family.relative_bias, longest) if family.relative_bias else None,
            layer=ctypes.addressof(layers),
        )

    def _positions(self) -> Array:
        """Return the embeddings of positions; that of the token type of all tokens is added."""
        positions = self._parameters.positions.astype(np.float32)
        if self._parameters.family.token_types:
            positions += self._parameters.weight("embeddings.token_type_embeddings.weight")[0]
        return positions

    def _layer(self, number: int) -> binding.Layer:
        family, weight = self._parameters.family, self._parameters.weight
        at = f"{family.layer}.{number}."
        names = [at + name for name in (family.query, family.key, family.value)]
        matrices = [weight(f"{name}.weight") for name in names]
        biases = [weight(f"{name}.bias") for name in names]
        scale = _LOG2_E / np.float32(math.sqrt(self._head))
        matrices[0], biases[0] = matrices[0] * scale, biases[0] * scale
        return binding.Layer(
            attention=self._packed(np.concatenate([self._by_head(matrix) for matrix in matrices])),
            attention_bias=self._address(np.concatenate([self._by_head(bias) for bias in biases])),
            attended=self._packed(self._by_head(weight(f"{at}{family.attended}.weight").T).T),
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

    def _by_head(self, rows: Array) -> Array:
        """Return rows, the first axis, with each head filled up."""
        by_head = rows.reshape(self._heads, self._head, *rows.shape[1:])
        filled = _filled(by_head, (self._heads, _rounded(self._head), *rows.shape[1:]))
        return filled.reshape(-1, *rows.shape[1:])

    def _distances(self, name: str, longest: int) -> int:
        """Return the address of what each head adds for the distances -longest to longest - 1."""
        buckets = relative_buckets(longest)
        by_distance = np.concatenate([buckets[:0:-1, 0], buckets[0]])
        table = np.zeros((self._heads, 2 * longest), dtype=np.float32)
        table[:, 1:] = self._parameters.weight(name)[by_distance].T * _LOG2_E
        return self._address(table)

    def _packed(self, matrix: Array) -> int:
        """Pack a matrix into the next bytes that are free; return their address."""
        filled = _filled(matrix, (_rounded(matrix.shape[0]), _rounded(matrix.shape[1])))
        first, self._taken = self._taken, self._taken + 2 * filled.size
        packed = self._matrices[first : self._taken]
        binding.pack(np.require(filled, np.float32, ["C", "A"]), packed)
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
