"""Find pairs of nearly equal vectors, and the groups that these pairs form."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from embedstore.core.checks import at_least, check_fields
from embedstore.core.counts import counted
from embedstore.core.parallel import map_in_threads

__all__ = ["PairSearch", "joined_groups", "pair_cosines"]

_NEIGHBOURS = 50  # per text, in the approximate search
_PROBED = 16  # lists searched per text; very near vectors are in the same list or the next
_QUERIES = 8192

Pairs = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class PairSearch:
    """Settings of the search for pairs.

    Parameters
    ----------
    exact_up_to : int
        Number of texts up to which every pair is compared (100,000 texts take 20 s on two cores). Above, FAISS searches
        approximately for the 50 nearest texts of each.
    block : int
        Rows on each side of a matrix product; 2,048 give 16 MiB of similarities.
    pairs : int
        Number of pairs that a thread holds before it reduces them.
    threads_from : int
        Bytes of work from which several threads share it.
    """

    exact_up_to: int = 100_000
    block: int = 2048
    pairs: int = 1 << 22
    threads_from: int = 1 << 25

    def __post_init__(self) -> None:
        check_fields(self)
        at_least("exact_up_to", self.exact_up_to, 0)
        at_least("block", self.block, 1)
        at_least("pairs", self.pairs, 1)
        at_least("threads_from", self.threads_from, 0)


def joined_groups(
    vectors: npt.NDArray[np.float32], threshold: float, how: PairSearch
) -> tuple[npt.NDArray[np.int64], tuple[str, ...]]:
    """Return the group number of each vector, and a note if the search was approximate.

    A chain of pairs with a cosine similarity of at least `threshold` forms a group.

    Parameters
    ----------
    vectors : ndarray of shape (n, dim), float32
        Unit vectors.
    threshold : float
        Lowest cosine similarity of a pair.
    how : PairSearch
        Search settings.

    Returns
    -------
    group : ndarray of shape (n,), int64
    notes : tuple of str
    """
    count = len(vectors)
    if count <= how.exact_up_to:
        return _components(_all(vectors, threshold, how), count), ()
    note = (
        f"{counted(count, 'distinct text')}: the {_NEIGHBOURS} nearest of each were searched approximately (FAISS), "
        "so some pairs may be missing"
    )
    return _components(_near(vectors, threshold, how), count), (note,)


def _all(vectors: npt.NDArray[np.float32], threshold: float, how: PairSearch) -> Pairs:
    """Compare every pair of vectors; return pairs that form the same groups as all similar pairs: shape (pairs, 2)."""
    starts = range(0, len(vectors), how.block)
    blocks = [(one, other) for one in starts for other in starts if one <= other]

    def work(pieces: Iterable[tuple[int, int]]) -> Pairs:
        def found() -> Iterator[Pairs]:
            for one, other in pieces:
                alike = vectors[one : one + how.block] @ vectors[other : other + how.block].T >= threshold
                hits = np.flatnonzero(alike)
                if len(hits):
                    row, column = np.divmod(hits, alike.shape[1])
                    yield np.stack([row + one, column + other], axis=1)

        return _joined(found(), len(vectors), how.pairs)

    parts = map_in_threads(blocks, work, 2 * len(vectors) ** 2, least=how.threads_from)
    return np.concatenate(parts)


def _near(vectors: npt.NDArray[np.float32], threshold: float, how: PairSearch) -> Pairs:
    """Return the similar pairs among the nearest neighbours that FAISS finds: shape (pairs, 2)."""
    import faiss

    count, dimension = vectors.shape
    # FAISS' guidelines: 4 sqrt(n) lists, trained on 39 to 256 vectors per list.
    lists = max(1, min(int(4 * count**0.5), count // 39))
    index = faiss.IndexIVFFlat(faiss.IndexFlatIP(dimension), dimension, lists, faiss.METRIC_INNER_PRODUCT)
    index.cp.seed = 0
    index.train(vectors)
    index.add(vectors)
    index.nprobe = min(lists, _PROBED)

    def found() -> Iterator[Pairs]:
        for start in range(0, count, _QUERIES):
            scores, ids = index.search(vectors[start : start + _QUERIES], min(count, _NEIGHBOURS + 1))
            query, place = np.nonzero((scores >= threshold) & (ids >= 0))
            yield np.stack([query + start, ids[query, place]], axis=1)

    return _joined(found(), count, how.pairs)


def _joined(parts: Iterable[Pairs], count: int, most: int) -> Pairs:
    """Concatenate pairs, and reduce them to fewer pairs of the same components when there are too many.

    The limit is the larger of `most` and twice `count`.
    """
    held: list[Pairs] = [np.empty((0, 2), dtype=np.int64)]
    size = 0
    for part in parts:
        held.append(part)
        size += len(part)
        if size > max(most, 2 * count):
            held = [_fewest(np.concatenate(held), count)]
            size = len(held[0])
    return np.concatenate(held)


def _fewest(pairs: Pairs, count: int) -> Pairs:
    """Return the fewest pairs of the same components: each row with the first row of its component."""
    component = _components(pairs, count)
    _, first = np.unique(component, return_index=True)
    rows = np.arange(count)
    stars = np.stack([first[component], rows], axis=1)
    return np.asarray(stars[stars[:, 0] != rows])


def _components(pairs: Pairs, count: int) -> npt.NDArray[np.int64]:
    """Return the component number of each row, shape (count,)."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    graph = coo_array((np.ones(len(pairs), dtype=bool), (pairs[:, 0], pairs[:, 1])), shape=(count, count))
    _, component = connected_components(graph, directed=False)
    return np.asarray(component, dtype=np.int64)


def pair_cosines(
    vectors: npt.NDArray[np.float32], these: npt.NDArray[np.int64], those: npt.NDArray[np.int64]
) -> npt.NDArray[np.float32]:
    """Return the cosine similarity of each pair of unit vectors, at most 1; exactly 1 for a vector and itself."""
    out = np.empty(len(these), dtype=np.float32)
    for start in range(0, len(these), _QUERIES):
        here = slice(start, start + _QUERIES)
        out[here] = np.einsum("ij,ij->i", vectors[these[here]], vectors[those[here]])
    np.minimum(out, 1, out=out)
    out[these == those] = 1
    return out
