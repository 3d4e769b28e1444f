"""Exact inner products over mapped vectors: each thread owns blocks that fit its cache, and memory stays flat."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from embedstore.parallel import spread
from embedstore.space import Space

__all__ = ["Best", "best_labels", "top_positions"]

_BYTES = 3 << 19  # of vectors per product: what two cores' caches hold beside the scores
_SMALL = 1_000_000  # multiplications up to which BLAS multiplies without packing its operands first
_FEW = 16  # queries up to which that is faster
_SCORES = 1 << 16  # scores that are looked through at once


@dataclass(frozen=True, slots=True)
class _Piece:
    """Vectors of consecutive texts, mapped; the position of the first."""

    start: int
    vectors: npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class Best:
    """The best of several labels for each text.

    Attributes
    ----------
    label : ndarray of shape (texts,), int32
        Number of the best label; of equals the first.
    score, margin : ndarray of shape (texts,), float32
        Its similarity, and its lead over the second.
    scores : ndarray of shape (texts, labels), float32, or None
        All similarities.
    """

    label: npt.NDArray[np.int32]
    score: npt.NDArray[np.float32]
    margin: npt.NDArray[np.float32]
    scores: npt.NDArray[np.float32] | None


def best_labels(
    space: Space, labels: npt.NDArray[np.float32], wanted: npt.NDArray[np.bool_], *, all_scores: bool = False
) -> Best:
    """Compare every stored text with every label, in one pass over the vectors.

    Parameters
    ----------
    space : Space
        Vectors; where they have no unit length they are divided by their norms.
    labels : ndarray of shape (labels, dim), float32
        Unit vectors, at least two.
    wanted : ndarray of bool, shape (texts,)
        Segments without a wanted position are passed over: their texts get zeros.
    all_scores : bool
        Whether to keep the similarity to every label.
    """
    texts = len(wanted)
    best = Best(
        np.zeros(texts, dtype=np.int32),
        np.zeros(texts, dtype=np.float32),
        np.zeros(texts, dtype=np.float32),
        np.zeros((texts, len(labels)), dtype=np.float32) if all_scores else None,
    )

    def work(pieces: Iterable[_Piece]) -> None:
        product = _Product(space, labels)
        for piece in pieces:
            here = slice(piece.start, piece.start + len(piece.vectors))
            scores = product.of(piece.vectors)
            if best.scores is not None:
                best.scores[here] = scores
            _keep_best(np.ascontiguousarray(scores.T), best, here)

    pieces = _pieces(space, wanted, len(labels))
    spread(pieces, work, _size(pieces))
    return best


def _keep_best(scores: npt.NDArray[np.float32], best: Best, here: slice) -> None:
    """Fold scores of shape (labels, n) label by label: whole rows at a time, which argmax over columns is not."""
    label, top = best.label[here], best.score[here]
    second, lower = np.minimum(scores[0], scores[1]), np.empty_like(top)
    np.maximum(scores[0], scores[1], out=top)
    better = scores[1] > scores[0]
    label[:] = better
    for number in range(2, len(scores)):
        row = scores[number]
        np.greater(row, top, out=better)
        np.putmask(label, better, number)
        np.maximum(second, np.minimum(top, row, out=lower), out=second)
        np.maximum(top, row, out=top)
    np.subtract(top, second, out=best.margin[here])


def top_positions(
    space: Space,
    queries: npt.NDArray[np.float32],
    k: int,
    wanted: npt.NDArray[np.bool_],
    skip: frozenset[str] = frozenset(),
) -> list[npt.NDArray[np.int64]]:
    """Return for each query the positions of its `k` best wanted texts, and of all that equal the last.

    Parameters
    ----------
    space : Space
        The vectors.
    queries : ndarray of shape (q, dim), float32
        Unit vectors.
    k : int
        How many.
    wanted : ndarray of bool, shape (texts,)
        Positions that may be returned.
    skip : frozenset of str
        Hashes of vector segments to leave out (an index covers them).

    Returns
    -------
    list of ndarray, int64
        In no particular order.
    """

    def work(pieces: Iterable[_Piece]) -> list[_Top]:
        product = _Product(space, queries)
        tops = [_Top(k) for _ in queries]
        lowest = np.full(len(queries), -np.inf, dtype=np.float32)
        for piece in pieces:
            scores = product.of(piece.vectors)
            here = wanted[piece.start : piece.start + len(scores)]
            if not here.all():
                scores[~here] = -np.inf
            # After the first few blocks hardly a score is among a query's best: look at those alone.
            hits = np.flatnonzero((scores >= lowest).ravel())
            if not len(hits):
                continue
            rows, columns = np.divmod(hits, len(queries))
            values = scores.ravel()[hits]
            order = np.argsort(columns, kind="stable")
            bounds = np.searchsorted(columns[order], np.arange(len(queries) + 1))
            for query in np.flatnonzero(np.diff(bounds)):
                chosen = order[bounds[query] : bounds[query + 1]]
                lowest[query] = tops[query].add(rows[chosen] + piece.start, values[chosen])
        return tops

    pieces = _pieces(space, wanted, len(queries), skip)
    parts = spread(pieces, work, _size(pieces))
    merged = [_Top(k) for _ in queries]
    for tops in parts:
        for whole, part in zip(merged, tops, strict=True):
            whole.add(part.positions, part.values)
    return [top.positions[top.values > -np.inf] for top in merged]


class _Top:
    """The `k` best of the scores seen, and all that equal the last of them."""

    def __init__(self, k: int) -> None:
        self._k = k
        self.positions = np.empty(0, dtype=np.int64)
        self.values = np.empty(0, dtype=np.float32)

    def add(self, positions: npt.NDArray[np.int64], values: npt.NDArray[np.float32]) -> float:
        """Take scores in; return the one that others have to reach from now on."""
        self.positions = np.concatenate([self.positions, positions])
        self.values = np.concatenate([self.values, values])
        if len(self.values) < self._k:
            return float("-inf")
        lowest = np.partition(self.values, -self._k)[-self._k]
        if len(self.values) > self._k:
            keep = self.values >= lowest
            self.positions, self.values = self.positions[keep], self.values[keep]
        return float(lowest)


class _Product:
    """Similarities of blocks of vectors to the same queries; one for each thread."""

    def __init__(self, space: Space, queries: npt.NDArray[np.float32]) -> None:
        self._normalized = space.spec.normalized
        self._transposed = np.ascontiguousarray(queries.T)
        self._rows = _rows_of(space, len(queries))

    def of(self, vectors: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        """Return cosine similarities, shape (n, q), float32."""
        scores = np.empty((len(vectors), self._transposed.shape[1]), dtype=np.float32)
        for first in range(0, len(vectors), self._rows):
            block = vectors[first : first + self._rows].astype(np.float32, copy=False)
            out = scores[first : first + self._rows]
            if len(self._transposed.T) == 1:
                np.dot(block, self._transposed[:, 0], out=out[:, 0])
            else:
                np.matmul(block, self._transposed, out=out)
            if not self._normalized:
                norms = np.sqrt(np.einsum("ij,ij->i", block, block))
                out /= np.where(norms > 0, norms, 1)[:, None]
        return scores


def _rows_of(space: Space, queries: int) -> int:
    if 1 < queries <= _FEW:
        return max(16, _SMALL // (queries * space.dimension))
    return max(16, _BYTES // (4 * space.dimension))


def _pieces(
    space: Space, wanted: npt.NDArray[np.bool_], columns: int, skip: frozenset[str] = frozenset()
) -> list[_Piece]:
    rows = _rows_of(space, columns)
    rows *= max(1, _SCORES // (rows * columns))
    return [
        _Piece(block.start + first, block.vectors[first : first + rows])
        for block in space.blocks(wanted, skip)
        for first in range(0, len(block.vectors), rows)
    ]


def _size(pieces: list[_Piece]) -> int:
    return sum(piece.vectors.nbytes for piece in pieces)
