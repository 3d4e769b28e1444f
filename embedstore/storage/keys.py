"""Sorted files of the keys of texts: the position of a text is found by a binary search, and no key stays in memory.

A file covers the texts of consecutive positions, its *run*. It has three columns, without gaps: the first eight bytes
of each key as a number, in ascending order; the other eight; and the place of the text in the run. Keys are hashes, so
the first eight bytes tell nearly all of them apart, and numbers are compared fifty times as fast as bytes.

Runs of like size are merged, as segments of logs are: a few runs cover a billion texts, and a key is written a few
times. What a store has added last is in no run; it is few, and is read from the text segments.
"""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from embedstore.core.masks import distinct
from embedstore.errors import DamagedStoreError
from embedstore.storage.derived import KeyRun
from embedstore.storage.gate import staged
from embedstore.storage.listed import advice_on, check_files, map_dataset
from embedstore.storage.places import DatasetRecord

__all__ = [
    "AT_ONCE",
    "LARGEST",
    "SortedKeys",
    "altered",
    "doubtful_in_run",
    "find_in_run",
    "halves",
    "joined",
    "joined_run",
    "merged",
    "once",
    "read_run",
    "write_run",
]

_MERGED = 4  # runs of one size that become one
LARGEST = 1 << 26
"""Number of texts of a run above which runs are not merged."""
AT_ONCE = 1 << 20
"""Number of keys that are merged at once."""
_MOST_ALIKE = 64  # keys of a run that begin with the same eight bytes: two are a rarity, more are made up
_AROUND = np.arange(-2, 2)  # the rows around the place of a key
_COLUMNS = ((8, "<u8"), (8, "<u8"), (4, "<u4"))


class SortedKeys(NamedTuple):
    """Keys in the order of their first eight bytes.

    Attributes
    ----------
    first, rest : ndarray of shape (n,), uint64
        The first eight bytes of each key as a number, and the other eight.
    position : ndarray of shape (n,), uint32 or int64
        The position of its text; in a file, the place in the run.
    """

    first: npt.NDArray[np.uint64]
    rest: npt.NDArray[np.uint64]
    position: npt.NDArray[np.int64] | npt.NDArray[np.uint32]

    @classmethod
    def of(cls, keys: npt.NDArray[np.bytes_], positions: npt.NDArray[np.int64]) -> "SortedKeys":
        """Sort keys; shapes (n,), dtypes S16 and int64."""
        return cls(*halves(keys), positions).sorted()

    def sorted(self) -> "SortedKeys":
        """Return the same keys in order."""
        order = np.argsort(self.first, kind="stable")
        return SortedKeys(self.first[order], self.rest[order], self.position[order])

    def numbered(self) -> "SortedKeys":
        """Return the same keys, each with its number among them in place of a position."""
        return SortedKeys(self.first, self.rest, np.arange(len(self.first)))

    def find(self, first: npt.NDArray[np.uint64], rest: npt.NDArray[np.uint64]) -> npt.NDArray[np.int64]:
        """Return the position of each key, -1 where it is not here: shape (m,).

        Raises
        ------
        ValueError
            If these keys are not those of texts.
        """
        found = np.full(len(first), -1, dtype=np.int64)
        rows, places = np.arange(len(first)), np.searchsorted(self.first, first)
        for _ in range(_MOST_ALIKE):
            here = np.flatnonzero(places < len(self.first))
            here = here[self.first[places[here]] == first[rows[here]]]
            rows, places = rows[here], places[here]
            if not len(rows):
                return found
            same = self.rest[places] == rest[rows]
            found[rows[same]] = self.position[places[same]]
            rows, places = rows[~same], places[~same] + 1
        raise ValueError("many keys begin with the same bytes")

    def doubtful(self, first: npt.NDArray[np.uint64], rest: npt.NDArray[np.uint64]) -> "SortedKeys":
        """Return those of these keys that may be altered forms of keys that are not found here.

        They stand at the place of such a key, and have one of its halves, or the first half of their neighbour.

        Raises
        ------
        ValueError
            If the keys there are not in order.
        """
        rows = np.clip(np.searchsorted(self.first, first)[:, None] + _AROUND, 0, len(self.first) - 1)
        near = self.first[rows]
        if (near[:, 1:] < near[:, :-1]).any():
            raise ValueError("keys are not in order")
        beside = rows[:, 1:3]  # the last key that is smaller, and the first that is not
        doubted = (near[:, 1:3] == first[:, None]) | (self.rest[beside] == rest[:, None])
        doubted |= near[:, [0, 2]] == near[:, [1, 3]]
        found = distinct(beside[doubted])
        return SortedKeys(self.first[found], self.rest[found], self.position[found])


def halves(keys: npt.NDArray[np.bytes_]) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.uint64]]:
    """Return the two halves of each key as numbers: dtype S16, then twice uint64."""
    both = np.ascontiguousarray(keys).view(">u8").reshape(-1, 2).astype("<u8")
    return both[:, 0].copy(), both[:, 1].copy()


def once(keys: npt.NDArray[np.bytes_]) -> tuple[SortedKeys, npt.NDArray[np.intp]]:
    """Return each key once, with the first row that has it; and the place of each row's key among them.

    Parameters
    ----------
    keys : ndarray of shape (n,), S16
        Keys, in any order.
    """
    first, rest = halves(keys)
    order = np.lexsort((rest, first))  # equal keys stay in the order of their rows
    new = np.ones(len(order), dtype=bool)
    new[1:] = (np.diff(first[order]) != 0) | (np.diff(rest[order]) != 0)
    places = np.empty(len(order), dtype=np.intp)
    places[order] = np.cumsum(new) - 1
    rows = order[new]
    return SortedKeys(first[rows], rest[rows], rows), places


def write_run(root: Path, keys: SortedKeys, start: int) -> KeyRun:
    """Write the keys of the texts from position `start` on, without a gap, as a run."""
    return _write(root, start, len(keys.first), [SortedKeys(keys.first, keys.rest, keys.position - start)])


def read_run(root: Path, run: KeyRun) -> SortedKeys:
    """Return the keys of a run, mapped, with the places of their texts in the run.

    Raises
    ------
    DamagedStoreError
        If the file is missing or has another size than recorded.
    """
    at, columns = 0, []
    for width, dtype in _COLUMNS:
        columns.append(map_dataset(root, run.file, DatasetRecord(at, (run.count,), dtype)))
        at += width * run.count
    return SortedKeys(*columns)


def find_in_run(
    root: Path, run: KeyRun, first: npt.NDArray[np.uint64], rest: npt.NDArray[np.uint64]
) -> npt.NDArray[np.int64]:
    """Return the position of each key whose text is in a run, -1 for others; see `read_run` for the errors."""
    try:
        found = read_run(root, run).find(first, rest)
    except ValueError as error:
        raise altered(root, run) from error
    if found.max(initial=-1) >= run.count:
        raise altered(root, run)
    found[found >= 0] += run.start
    return found


def doubtful_in_run(root: Path, run: KeyRun, first: npt.NDArray[np.uint64], rest: npt.NDArray[np.uint64]) -> SortedKeys:
    """Return the keys of a run that may be altered forms of keys that are in no run, with the positions of their texts.

    See `SortedKeys.doubtful`, and `read_run` for the errors.
    """
    try:
        found = read_run(root, run).doubtful(first, rest)
    except ValueError as error:
        raise altered(root, run) from error
    if found.position.max(initial=0) >= run.count:
        raise altered(root, run)
    return SortedKeys(found.first, found.rest, found.position.astype(np.int64) + run.start)


def altered(root: Path, run: KeyRun) -> DamagedStoreError:
    """Return the error of a run that is not as it was written."""
    return DamagedStoreError(f"{root / run.file.path} was altered. {advice_on(run.file)}")


def joined(keys: Sequence[SortedKeys]) -> SortedKeys:
    """Return several as one, in order."""
    if not keys:
        none = np.empty(0, dtype=np.uint64)
        return SortedKeys(none, none, np.empty(0, dtype=np.int64))
    return SortedKeys(*(np.concatenate(column) for column in zip(*keys, strict=True))).sorted()


def joined_run(root: Path, runs: Sequence[KeyRun]) -> KeyRun:
    """Write runs that follow each other as one."""
    return _write(root, runs[0].start, sum(run.count for run in runs), _in_order(root, runs))


def merged(root: Path, runs: Sequence[KeyRun]) -> tuple[KeyRun, ...]:
    """Return runs that cover the same texts, few of each size: new ones are written, and none is removed.

    Sizes are alike if they have the same power of four. After a run, there is none of a larger size, and at most three
    of its own, but for runs that are as large as runs get.

    Raises
    ------
    DamagedStoreError
        If a run that is merged is missing or altered: its faults would get a hash that is right.
    """
    found = list(runs)
    while found:
        sizes = [_size(run) for run in found]
        first, count = len(found) - 1, found[-1].count
        while first and sizes[first - 1] <= sizes[-1] and count + found[first - 1].count <= LARGEST:
            first -= 1
            count += found[first].count
        if len(found) - first < _MERGED and min(sizes[first:]) == sizes[-1]:
            break
        check_files(root, [run.file for run in found[first:]])
        found[first:] = [joined_run(root, found[first:])]
    return tuple(found)


def _size(run: KeyRun) -> int:
    return (run.count.bit_length() - 1) // 2


def _in_order(root: Path, runs: Sequence[KeyRun]) -> Iterator[SortedKeys]:
    """Yield the keys of consecutive runs in order, so many at once, with places in the run that they will be."""
    read = [read_run(root, run) for run in runs]
    longest = max(read, key=lambda keys: len(keys.first))
    step = max(1, AT_ONCE * len(longest.first) // sum(run.count for run in runs))
    ends = [longest.first[at] for at in range(step, len(longest.first), step)]
    before = [0] * len(read)
    for end in [*ends, None]:
        pieces = []
        for number, (run, keys) in enumerate(zip(runs, read, strict=True)):
            last = len(keys.first) if end is None else max(before[number], int(np.searchsorted(keys.first, end)))
            here = slice(before[number], last)
            place = keys.position[here].astype(np.int64) + (run.start - runs[0].start)
            pieces.append(SortedKeys(keys.first[here], keys.rest[here], place))
            before[number] = last
        yield joined(pieces)


def _write(root: Path, start: int, count: int, parts: Iterable[SortedKeys]) -> KeyRun:
    with staged(root, "keys", ".sorted") as temp:
        done = 0
        for part in parts:
            at = 0
            for column, (width, dtype) in zip(part, _COLUMNS, strict=True):
                temp.stream.seek(at + width * done)
                temp.stream.write(np.ascontiguousarray(column.astype(dtype, copy=False)).data)
                at += width * count
            done += len(part.first)
        return KeyRun(temp.publish(".sorted"), start, count)
