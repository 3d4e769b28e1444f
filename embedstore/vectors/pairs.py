"""Find pairs of nearly equal vectors, and the groups that these pairs form."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from embedstore.core.blocks import row_blocks
from embedstore.core.checks import at_least, check_fields
from embedstore.core.counts import counted
from embedstore.core.parallel import map_in_threads
from embedstore.vectors.clustering import spherical_centres

__all__ = ["PairSearch", "joined_groups", "pair_cosines"]

_PROBED = 8  # lists searched per text; very near vectors are in the same list or the next
_LEARNT = 16  # vectors for each list that the centres are learnt from
_HELD = 8192  # vectors that are held at once

Pairs = npt.NDArray[np.int64]
RowsOf = Callable[[npt.NDArray[Any]], npt.NDArray[np.float32]]


@dataclass(frozen=True, slots=True, kw_only=True)
class PairSearch:
    """Settings of the search for pairs.

    Parameters
    ----------
    exact_up_to : int
        Number of texts up to which every pair is compared (100,000 texts take 20 s on two cores). Above, a text is
        compared with those in the nearest lists of similar texts.
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
    count: int, rows_of: RowsOf, threshold: float, how: PairSearch
) -> tuple[npt.NDArray[np.int64], tuple[str, ...]]:
    """Return the group number of each vector, and a note if the search was approximate.

    A chain of pairs with a cosine similarity of at least `threshold` forms a group.

    Parameters
    ----------
    count : int
        Number of vectors.
    rows_of : callable
        Returns the unit vectors with some numbers, shape (n, dim), float32.
    threshold : float
        Lowest cosine similarity of a pair.
    how : PairSearch
        Search settings.

    Returns
    -------
    group : ndarray of shape (n,), int64
    notes : tuple of str
    """
    if count <= how.exact_up_to:
        return _components(_all(rows_of(np.arange(count)), threshold, how), count), ()
    note = (
        f"{counted(count, 'distinct text')}: each was compared with those in the {_PROBED} nearest of "
        f"{counted(_lists(count), 'list')} of similar texts, so some pairs may be missing"
    )
    return _components(_near(count, rows_of, threshold, how), count), (note,)


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


def _lists(count: int) -> int:
    """Return the number of lists: to find a vector's lists takes about as long as to compare it with theirs."""
    return max(1, int(2 * count**0.5))


def _near(count: int, rows_of: RowsOf, threshold: float, how: PairSearch) -> Pairs:
    """Return the similar pairs of vectors that share a list: shape (pairs, 2).

    A vector is a member of the list with the nearest centre, and is compared with the members of the nearest few.
    """
    lists = _lists(count)
    nearest = _nearest_lists(count, rows_of, lists, how)
    starts = [np.concatenate([[0], np.cumsum(np.bincount(of, minlength=lists))]) for of in nearest]
    for of in nearest:
        of[:] = np.argsort(of, kind="stable")
    ordered = nearest  # from here on, the vectors that ask for each list, list by list

    def compared(first: int, last: int, low: int, high: int) -> Iterator[Pairs]:
        """Compare the members from `low` to `high`, of the lists from `first` to `last`, with all that ask for them."""
        members = ordered[0][low:high]
        vectors = rows_of(members)
        for asking, start in zip(ordered, starts, strict=True):
            for held in range(start[first], start[last], _HELD):
                askers = asking[held : min(held + _HELD, start[last])]
                asked = rows_of(askers)
                for number in range(first, last):
                    here = slice(*np.clip(starts[0][number : number + 2], low, high) - low)
                    left, right = np.clip(start[number : number + 2] - held, 0, len(askers))
                    for row in range(left, right, how.block):
                        rows = slice(row, min(row + how.block, right))
                        alike = asked[rows] @ vectors[here].T >= threshold
                        hits = np.flatnonzero(alike)
                        if len(hits):
                            one, other = np.divmod(hits, alike.shape[1])
                            pairs = np.stack([askers[rows][one], members[here][other]], axis=1).astype(np.int64)
                            yield pairs[pairs[:, 0] != pairs[:, 1]]

    def work(pieces: Iterable[tuple[int, int, int, int]]) -> Pairs:
        return _joined((pairs for piece in pieces for pairs in compared(*piece)), count, how.pairs)

    return np.concatenate(map_in_threads(_pieces(starts[0]), work, count**2, least=how.threads_from))


def _nearest_lists(count: int, rows_of: RowsOf, lists: int, how: PairSearch) -> npt.NDArray[np.int32]:
    """Return the lists with the nearest centres of each vector, the nearest first: shape (at most 8, count)."""
    sample = np.sort(np.random.default_rng(0).choice(count, min(count, _LEARNT * lists), replace=False))
    centres = spherical_centres(rows_of(sample), lists, random_state=0, restarts=1)
    found = np.empty((min(lists, _PROBED), count), dtype=np.int32)

    def work(pieces: Iterable[int]) -> None:
        for start in pieces:
            vectors = rows_of(np.arange(start, min(start + _HELD, count)))
            for here in row_blocks(len(vectors), lists):
                rows = slice(start + here.start, start + here.stop)
                found[:, rows] = _largest(vectors[here] @ centres.T, len(found))

    map_in_threads(range(0, count, _HELD), work, 4 * count * lists, least=how.threads_from)
    return found


def _largest(scores: npt.NDArray[np.float32], count: int) -> npt.NDArray[np.int32]:
    """Return the columns of the largest scores of each row, shape (count, rows), and overwrite these scores.

    A few times the largest one takes a third of the time of a search with FAISS.
    """
    found, rows = np.empty((count, len(scores)), dtype=np.int32), np.arange(len(scores))
    for place in found:
        place[:] = scores.argmax(axis=1)
        scores[rows, place] = -np.inf
    return found


def _pieces(starts: npt.NDArray[np.int64]) -> list[tuple[int, int, int, int]]:
    """Return consecutive lists, or parts of a long one, with few members.

    A piece is the first list, the one after the last, the first member, and the one after the last.
    """
    found, first = [], 0
    for last in range(1, len(starts)):
        if last == len(starts) - 1 or starts[last + 1] - starts[first] > _HELD:
            ends = range(int(starts[first]), int(starts[last]), _HELD)
            found += [(first, last, low, min(low + _HELD, int(starts[last]))) for low in ends]
            first = last
    return found


def _joined(parts: Iterable[Pairs], count: int, most: int) -> Pairs:
    """Concatenate pairs, and reduce them to fewer pairs of the same components when there are too many.

    The limit is the larger of `most` and `count`.
    """
    held: list[Pairs] = [np.empty((0, 2), dtype=np.int64)]
    size = 0
    for part in parts:
        held.append(part)
        size += len(part)
        if size > max(most, count):
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
    rows_of: RowsOf, these: npt.NDArray[np.int64], those: npt.NDArray[np.int64]
) -> npt.NDArray[np.float32]:
    """Return the cosine similarity of each pair of unit vectors, at most 1; exactly 1 for a vector and itself."""
    out = np.empty(len(these), dtype=np.float32)
    for start in range(0, len(these), _HELD):
        here = slice(start, start + _HELD)
        out[here] = np.einsum("ij,ij->i", rows_of(these[here]), rows_of(those[here]))
    np.minimum(out, 1, out=out)
    out[these == those] = 1
    return out
