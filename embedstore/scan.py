"""Exact inner products over mapped vectors, block by block: memory stays flat, however large the store."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from embedstore.space import Space

__all__ = ["best_two", "similarities", "top_positions"]

_BLOCK = 4096  # rows per product: 4096 x 384 float32 is 6 MB, which stays in the cache


def similarities(
    space: Space,
    queries: npt.NDArray[np.float32],
    wanted: npt.NDArray[np.bool_] | None = None,
    skip: frozenset[str] = frozenset(),
) -> Iterator[tuple[int, npt.NDArray[np.float32]]]:
    """Yield cosine similarities of stored vectors to unit queries.

    Parameters
    ----------
    space : Space
        Vectors; where they have no unit length they are divided by their norms.
    queries : ndarray of shape (q, dim), float32
        Unit vectors.
    wanted : ndarray of bool, shape (texts,), optional
        Segments without a wanted position are passed over.
    skip : frozenset of str
        Hashes of vector segments to pass over.

    Yields
    ------
    start : int
        Position of the block's first text.
    scores : ndarray of shape (n, q), float32
        For the n texts from there on.
    """
    transposed = np.ascontiguousarray(queries.T)
    for block in space.blocks(wanted, skip):
        for first in range(0, len(block.vectors), _BLOCK):
            vectors = block.vectors[first : first + _BLOCK].astype(np.float32, copy=False)
            scores = vectors @ transposed
            if not space.spec.normalized:
                norms = np.linalg.norm(vectors, axis=1, keepdims=True)
                scores /= np.where(norms > 0, norms, 1)
            yield block.start + first, scores


def best_two(
    scores: npt.NDArray[np.float32],
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Return for each row the best column (the first of equals), its score, and its lead over the second.

    Parameters
    ----------
    scores : ndarray of shape (n, labels), float32
        At least two columns.
    """
    best = scores.argmax(axis=1)
    rows = np.arange(len(scores))
    top = scores[rows, best]
    rest = scores.copy()
    rest[rows, best] = -np.inf
    return best, top, top - rest.max(axis=1)


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
    positions = [np.empty(0, dtype=np.int64) for _ in queries]
    scores = [np.empty(0, dtype=np.float32) for _ in queries]
    for start, block in similarities(space, queries, wanted, skip):
        eligible = np.flatnonzero(wanted[start : start + len(block)])
        for query in range(len(queries)):
            column = block[eligible, query]
            held = scores[query]
            if len(held) >= k:
                better = column >= held.min()
                if not better.any():
                    continue
                candidates, values = eligible[better], column[better]
            else:
                candidates, values = eligible, column
            values = np.concatenate([held, values])
            candidates = np.concatenate([positions[query], candidates + start])
            if len(values) > k:
                keep = values >= np.partition(values, -k)[-k]
                values, candidates = values[keep], candidates[keep]
            positions[query], scores[query] = candidates, values
    return positions
