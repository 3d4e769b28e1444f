"""BERT-like models in NumPy, for a few short texts: a search does not have to wait for the import of torch.

Weights are mapped into memory, and texts are encoded one by one, without padding. For labels and search queries,
reading the weights takes as long as the computation.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import nullcontext
from itertools import chain

import numpy as np
import numpy.typing as npt

from embedstore.core.parallel import map_in_threads, one_thread
from embedstore.encoders.activations import ACTIVATIONS
from embedstore.encoders.base import BatchEncoder, Described, finish
from embedstore.encoders.families import relative_buckets
from embedstore.encoders.fast_tokens import FirstTokens, unknown_token
from embedstore.encoders.parameters import Parameters
from embedstore.encoders.reading import refusals

__all__ = ["LightEncoder", "is_light_work"]

Array = npt.NDArray[np.float32]

_MOST_CHARACTERS = 4000  # of the texts of a question: others may follow, and torch answers them faster
_FEW_TOKENS = 32  # up to which products in small pieces are faster
_SMALL = 1 << 18  # multiplications up to which BLAS neither copies its operands first nor wakes its other threads
_MOST_OF_CORPUS = 16_000  # characters of a whole run of encoding: with more, importing torch is faster


def is_light_work(texts: Sequence[str], *, whole_run: bool = False) -> bool:
    """Return whether the texts are few and short, so that encoding them here is faster than importing torch.

    Parameters
    ----------
    texts : sequence of str
        The texts.
    whole_run : bool
        Whether no others are expected, as when a corpus is encoded.
    """
    most = _MOST_OF_CORPUS if whole_run else _MOST_CHARACTERS
    return sum(map(len, texts)) + 50 * len(texts) <= most


class LightEncoder(BatchEncoder):
    """A BERT-like transformer with a pooling, in NumPy.

    Parameters
    ----------
    described : Described
        A checkpoint that `is_known`.

    Raises
    ------
    CheckpointError
        If its tokenizer can't be read, or its weights are not those that ``config.json`` describes.
    """

    def __init__(self, described: Described) -> None:
        self.spec = described.spec
        self._described = described
        self._misfit = f"the weights, tokenizer and config.json in {described.transformer} do not fit"
        with refusals(f"the checkpoint in {described.transformer} can't be used"):
            self._parameters = Parameters(described)
            self._family = self._parameters.family
            self._activation = ACTIVATIONS[self._parameters.activation]
            self._weight = self._parameters.weight
            full = self._parameters.words.shape[1]
        self.dimension = min(full, self.spec.truncate_dim or full)
        self._tokenizer = FirstTokens(described)
        self.provenance = described.provenance(
            backend="numpy",
            device="cpu",
            precision="float32",
            batch_size=1,
            versions={"numpy": np.__version__, "tokenizers": self._tokenizer.version},
        )

    def _runs(
        self, texts: Sequence[str], prompt: str
    ) -> Iterator[tuple[npt.NDArray[np.int64], npt.NDArray[np.float32], int]]:
        with refusals(self._misfit):
            tokens = self._tokenizer.encode(texts, prompt)
        longest = max((len(of_text.ids) for of_text in tokens), default=0)

        def pooled(rows: Iterable[int]) -> list[tuple[int, Array]]:
            return [(row, self._pool(self._forward(np.array(tokens[row].ids or [0], dtype=np.int64)))) for row in rows]

        # On a busy machine the threads of BLAS wait for each other in every product; whole texts need not wait.
        with one_thread if longest > _FEW_TOKENS else nullcontext(), refusals(self._misfit):
            done = map_in_threads(range(len(texts)), pooled, longest, least=_FEW_TOKENS + 1)
        for row, vector in chain.from_iterable(done):
            yield np.array([row]), finish(vector[None], self._described), int(tokens[row].cut)

    def _pool(self, states: Array) -> Array:
        if self.spec.pooling == "cls":
            return np.asarray(states[0])
        return np.asarray(states.max(axis=0) if self.spec.pooling == "max" else states.mean(axis=0))

    def _forward(self, ids: npt.NDArray[np.int64]) -> Array:
        """Return the last hidden states of one text, shape (tokens, hidden)."""
        states = self._embed(ids)
        bias = self._bias(len(ids))
        for number in range(self._parameters.layers):
            at = f"{self._family.layer}.{number}."
            attended = self._linear(self._attend(states, at, bias), at + self._family.attended)
            states = self._norm(states + attended, at + self._family.first_norm)
            inner = self._activation(self._linear(states, at + self._family.inner))
            states = self._norm(states + self._linear(inner, at + self._family.outer), at + self._family.second_norm)
        return states

    def _embed(self, ids: npt.NDArray[np.int64]) -> Array:
        words, config = self._parameters.words, self._parameters.config
        if ids.max() >= len(words):
            raise unknown_token(int(ids.max()), len(words))
        positions = self._parameters.positions[self._family.positions(ids, config)]
        states = words[ids].astype(np.float32) + positions.astype(np.float32)
        if self._family.token_types:
            states = states + self._weight("embeddings.token_type_embeddings.weight")[0]
        return self._norm(states, "embeddings.LayerNorm")

    def _bias(self, tokens: int) -> Array:
        """Return what is added to the scores of attention, of a shape that goes with (heads, tokens, tokens)."""
        if self._family.relative_bias is None:
            return np.zeros(1, dtype=np.float32)
        return self._weight(self._family.relative_bias)[relative_buckets(tokens)].transpose(2, 0, 1)

    def _attend(self, states: Array, at: str, bias: Array) -> Array:
        def heads(name: str) -> Array:
            return self._linear(states, at + name).reshape(len(states), self._parameters.heads, -1).transpose(1, 0, 2)

        query, key, value = map(heads, (self._family.query, self._family.key, self._family.value))
        scores = query @ key.transpose(0, 2, 1) / np.float32(np.sqrt(query.shape[2])) + bias
        scores = np.exp(scores - scores.max(axis=2, keepdims=True))
        mixed = scores / scores.sum(axis=2, keepdims=True) @ value
        return np.asarray(mixed.transpose(1, 0, 2).reshape(len(states), -1))

    def _linear(self, states: Array, name: str) -> Array:
        return np.asarray(_product(states, self._weight(f"{name}.weight")) + self._weight(f"{name}.bias"))

    def _norm(self, states: Array, name: str) -> Array:
        centred = states - states.mean(axis=1, keepdims=True)
        scaled = centred / np.sqrt(np.square(centred).mean(axis=1, keepdims=True) + self._parameters.epsilon)
        return np.asarray(scaled * self._weight(f"{name}.weight") + self._weight(f"{name}.bias"))


def _product(states: Array, weight: Array) -> Array:
    """Return ``states @ weight.T``, shape (tokens, rows of the weight).

    For a few tokens, reading the weight takes the time. BLAS would copy it first, and on a busy machine its threads
    would wait for each other in every product.
    """
    if len(states) > _FEW_TOKENS:
        return np.asarray(states @ weight.T)
    out = np.empty((len(states), len(weight)), dtype=np.float32)
    rows = max(1, _SMALL // states.size)
    for first in range(0, len(weight), rows):
        np.matmul(states, weight[first : first + rows].T, out=out[:, first : first + rows])
    return out
