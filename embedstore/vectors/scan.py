"""Scan mapped vectors exactly, in one pass over them: each thread takes the next piece, and memory use stays flat.

A compiled scan compares each vector with all labels while it is in the registers of the processor. Where there is none,
NumPy multiplies blocks that fit a core's cache.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from embedstore.core.parallel import map_in_threads
from embedstore.vectors.native import binding
from embedstore.vectors.space import Space

__all__ = ["Best", "best_labels", "top_positions"]

_BYTES = 3 << 19  # of vectors per product: fits the caches of two cores beside the scores
_SMALL = 1_000_000  # multiplications up to which BLAS does not pack its operands first
_FEW = 16  # labels up to which products without packing are faster
_SCORES = 1 << 16  # scores per piece of a product
_PIECE = 1 << 23  # bytes per piece of a compiled scan: small, so that no thread waits long for the last one


class _Piece(NamedTuple):
    """Mapped vectors of consecutive texts; `start` is the position of the first."""

    start: int
    vectors: npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class Best:
    """The best label of each text.

    Attributes
    ----------
    label : ndarray of shape (texts,), int32
        Number of the best label; the first of equals.
    score, margin : ndarray of shape (texts,), float32
        Its cosine similarity (or refined score), and its lead over the second best.
    scores : ndarray of shape (texts, labels), float32, or None
        Scores of all labels, if requested.
    """

    label: npt.NDArray[np.int32]
    score: npt.NDArray[np.float32]
    margin: npt.NDArray[np.float32]
    scores: npt.NDArray[np.float32] | None


def best_labels(
    space: Space, labels: npt.NDArray[np.float32], wanted: npt.NDArray[np.bool_], *, all_scores: bool = False
) -> Best:
    """Return the best label of each stored text, in one pass over the vectors.

    Parameters
    ----------
    space : Space
        The vectors; those without unit length are divided by their norms.
    labels : ndarray of shape (labels, dim), float32
        Unit vectors, at least two.
    wanted : ndarray of bool, shape (texts,)
        Segments without a wanted position are skipped; their texts get zeros.
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
        compared = _Comparison(space, labels)
        for piece in pieces:
            compared.keep_best(piece.vectors, best, slice(piece.start, piece.start + len(piece.vectors)))

    pieces = _pieces(space, wanted, len(labels))
    map_in_threads(pieces, work, _size(pieces))
    return best


def top_positions(
    space: Space,
    queries: npt.NDArray[np.float32],
    k: int,
    wanted: npt.NDArray[np.bool_],
    skip: frozenset[str] = frozenset(),
) -> list[npt.NDArray[np.int64]]:
    """Return the positions of the `k` best wanted texts of each query, and of all ties with the last.

    Parameters
    ----------
    space : Space
        The vectors.
    queries : ndarray of shape (q, dim), float32
        Unit vectors.
    k : int
        Number of texts per query.
    wanted : ndarray of bool, shape (texts,)
        Positions that can be returned.
    skip : frozenset of str
        Hashes of vector segments to skip, because an index covers them.

    Returns
    -------
    list of ndarray, int64
        Positions of each query, in no particular order.
    """

    def work(pieces: Iterable[_Piece]) -> list[_Top]:
        compared = _Comparison(space, queries)
        tops = [_Top(k) for _ in queries]
        lowest = np.full(len(queries), -np.inf, dtype=np.float32)
        for piece in pieces:
            scores = compared.scores(piece.vectors)
            here = wanted[piece.start : piece.start + len(scores)]
            if not here.all():
                scores[~here] = -np.inf
            # After the first blocks few scores are among a query's best, so only those are handled.
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
    parts = map_in_threads(pieces, work, _size(pieces))
    merged = [_Top(k) for _ in queries]
    for tops in parts:
        for whole, part in zip(merged, tops, strict=True):
            whole.add(part.positions, part.values)
    return [top.positions[top.values > -np.inf] for top in merged]


class _Top:
    """The `k` best scores seen so far, and all ties with the last."""

    def __init__(self, k: int) -> None:
        self._k = k
        self.positions = np.empty(0, dtype=np.int64)
        self.values = np.empty(0, dtype=np.float32)

    def add(self, positions: npt.NDArray[np.int64], values: npt.NDArray[np.float32]) -> float:
        """Add scores; return the score that others must reach from now on."""
        self.positions = np.concatenate([self.positions, positions])
        self.values = np.concatenate([self.values, values])
        if len(self.values) < self._k:
            return float("-inf")
        lowest = np.partition(self.values, -self._k)[-self._k]
        if len(self.values) > self._k:
            keep = self.values >= lowest
            self.positions, self.values = self.positions[keep], self.values[keep]
        return float(lowest)


class _Comparison:
    """Compares blocks of vectors with fixed labels or queries; each thread has its own.

    The compiled scan does it where there is one, and matrix products where there are many labels.
    """

    def __init__(self, space: Space, labels: npt.NDArray[np.float32]) -> None:
        self._unit = space.spec.normalized
        self._labels = np.ascontiguousarray(labels, dtype=np.float32)
        self._transposed = np.ascontiguousarray(self._labels.T)
        self._kernel = _kernel(len(labels))
        self._rows = _rows_of(space, len(labels))

    def scores(self, vectors: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        """Return cosine similarities, shape (n, labels), float32."""
        scores = np.empty((len(vectors), len(self._labels)), dtype=np.float32)
        if self._kernel:
            binding.scan(vectors, self._labels, unit=self._unit, kernel=self._kernel, scores=scores)
            return scores
        for first in range(0, len(vectors), self._rows):
            block = vectors[first : first + self._rows].astype(np.float32, copy=False)
            out = scores[first : first + self._rows]
            if len(self._labels) == 1:
                np.dot(block, self._labels[0], out=out[:, 0])
            else:
                np.matmul(block, self._transposed, out=out)
            if not self._unit:
                norms = np.sqrt(np.einsum("ij,ij->i", block, block))
                out /= np.where(norms > 0, norms, 1)[:, None]
        return scores

    def keep_best(self, vectors: npt.NDArray[Any], best: Best, here: slice) -> None:
        """Write the best label of each vector into `best`."""
        if self._kernel:
            binding.scan(
                vectors,
                self._labels,
                unit=self._unit,
                kernel=self._kernel,
                scores=None if best.scores is None else best.scores[here],
                label=best.label[here],
                score=best.score[here],
                lead=best.margin[here],
            )
            return
        scores = self.scores(vectors)
        if best.scores is not None:
            best.scores[here] = scores
        _keep_best(np.ascontiguousarray(scores.T), best, here)


def _keep_best(scores: npt.NDArray[np.float32], best: Best, here: slice) -> None:
    """Write the best labels of scores of shape (labels, n) into `best`, one label at a time.

    This works on whole rows, unlike argmax over columns.
    """
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


def _kernel(labels: int) -> int:
    """Return the number of the compiled scan for so many labels; 0 if there is none, or products are faster."""
    return binding.best_kernel() if labels <= binding.MOST_LABELS else 0


def _rows_of(space: Space, labels: int) -> int:
    """Return the number of rows per product."""
    if 1 < labels <= _FEW:
        return max(16, _SMALL // (labels * space.dimension))
    return max(16, _BYTES // (4 * space.dimension))


def _pieces(
    space: Space, wanted: npt.NDArray[np.bool_], labels: int, skip: frozenset[str] = frozenset()
) -> list[_Piece]:
    if _kernel(labels):
        rows = max(1, _PIECE // (4 * space.dimension))
    else:
        rows = _rows_of(space, labels)
        rows *= max(1, _SCORES // (rows * labels))
    return [
        _Piece(block.start + first, block.vectors[first : first + rows])
        for block in space.blocks(wanted, skip)
        for first in range(0, len(block.vectors), rows)
    ]


def _size(pieces: list[_Piece]) -> int:
    return sum(piece.vectors.nbytes for piece in pieces)
