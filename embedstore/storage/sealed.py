"""Records of segments: the newest in memory, all others in list files that are read when one of theirs is asked for.

A commit would otherwise write the records of all segments, and an opening would read them. The number of segments, of
their texts or vectors and of their bytes is known without reading a list.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from functools import cached_property
from itertools import accumulate, islice
from pathlib import Path
from typing import Any, Generic, TypeVar, overload

import numpy as np
import numpy.typing as npt

from embedstore.errors import DamagedStoreError
from embedstore.storage.entries import VectorSegment
from embedstore.storage.lists import Columns, Form, ListRecord, VectorForm, read_list, write_list
from embedstore.storage.places import FileRecord

__all__ = ["IN_LIST", "IN_MEMORY", "Records", "Vectors", "holding"]

Record = TypeVar("Record")

IN_MEMORY = 64
"""Number of records in memory from which a commit seals them."""
IN_LIST = 1024
"""Number of records of a list at most."""


class Records(Sequence[Record], Generic[Record]):
    """The records of one kind, in order; they never change.

    Parameters
    ----------
    form : Form
        The kind of records.
    newest : sequence
        The records that stand in the manifest; they come last.
    lists : sequence of ListRecord
        The lists with the other records, in order.
    root : Path
        The store that has the lists.
    """

    def __init__(
        self, form: Form[Record], newest: Iterable[Record] = (), lists: Iterable[ListRecord] = (), root: Path = Path()
    ) -> None:
        self.form = form
        self.newest = tuple(newest)
        self.lists = tuple(lists)
        self._root = root
        self._starts = list(accumulate((one.length for one in self.lists), initial=0))

    @classmethod
    def of(cls, form: Form[Record], records: Iterable[Record]) -> "Records[Record]":
        """Return records as they are, or others in memory."""
        return records if isinstance(records, Records) else cls(form, records)

    def __len__(self) -> int:
        return self._starts[-1] + len(self.newest)

    def __iter__(self) -> Iterator[Record]:
        return self.readable()

    @overload
    def __getitem__(self, at: int) -> Record: ...
    @overload
    def __getitem__(self, at: slice) -> tuple[Record, ...]: ...
    def __getitem__(self, at: int | slice) -> Record | tuple[Record, ...]:
        if isinstance(at, slice):
            return tuple(self[row] for row in range(*at.indices(len(self))))
        row = range(len(self))[at]
        if row >= self._starts[-1]:
            return self.newest[row - self._starts[-1]]
        number = bisect_right(self._starts, row) - 1
        return self._read(self.lists[number]).record(row - self._starts[number])

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, (Records, tuple)):
            return NotImplemented
        if isinstance(other, Records) and self.lists == other.lists:
            return self.newest == other.newest
        return len(self) == len(other) and tuple(self) == tuple(other)

    __hash__ = None  # type: ignore[assignment]

    @cached_property
    def totals(self) -> tuple[int, int, int]:
        """Number of texts or vectors, bytes of files, and number of truncated texts."""
        rows, size, marked = self.form.totals(self.newest)
        return (
            rows + sum(one.rows for one in self.lists),
            size + sum(one.size for one in self.lists),
            marked + sum(one.marked for one in self.lists),
        )

    @property
    def rows(self) -> int:
        """Number of texts or vectors."""
        return self.totals[0]

    @cached_property
    def counts(self) -> npt.NDArray[np.int64]:
        """The number of texts or vectors of each segment: shape (segments,).

        Raises
        ------
        DamagedStoreError
            If a list can't be read, or a segment is listed twice.
        """
        if not self._sealed.keys().isdisjoint(self._newest):
            raise _twice(self._root, self.form.kind)
        newest = np.array([self.form.row(one)[1][0] for one in self.newest], dtype=np.int64)
        return np.concatenate([*(self._read(one).numbers[:, 0] for one in self.lists), newest])

    @cached_property
    def names(self) -> list[str]:
        """The name of each record, in order; see `Form.name`."""
        sealed = [name for one in self.lists for name in self._read(one).names]
        return [*sealed, *map(self.form.name, self.newest)]

    def place(self, name: str) -> int | None:
        """Return the number of the record that has a name; None if there is none."""
        if name in self._newest:
            return self._starts[-1] + self._newest[name]
        return self._sealed.get(name)

    def readable(self, without: AbstractSet[str] = frozenset()) -> Iterator[Record]:
        """Yield all records but those of lists with the given paths."""
        for one in self.lists:
            if one.file.path not in without:
                columns = self._read(one)
                yield from map(columns.record, range(len(columns)))
        yield from self.newest

    def marked(self) -> Iterator[tuple[int, Record]]:
        """Yield each record with marked rows, or with an unknown number of them, after the number of rows before it."""
        start = 0
        for one in self.lists:
            if one.marked:
                columns = self._read(one)
                starts = start + np.cumsum(columns.numbers[:, 0]) - columns.numbers[:, 0]
                for row in np.flatnonzero(columns.numbers[:, -1]).tolist():
                    yield int(starts[row]), columns.record(row)
            start += one.rows
        for record in self.newest:
            rows, _, marked = self.form.totals([record])
            if marked:
                yield start, record
            start += rows

    def check(self, path: str) -> None:
        """Read the list with a path; raise a `DamagedStoreError` if it can't be read."""
        for one in self.lists:
            if one.file.path == path:
                self._read(one)

    def files(self) -> list[FileRecord]:
        """Return the list files."""
        return [one.file for one in self.lists]

    def plus(self, added: Iterable[Record]) -> "Records[Record]":
        """Return these records and others after them; nothing is read."""
        made = Records(self.form, (*self.newest, *added), self.lists, self._root)
        if "_sealed" in self.__dict__:
            made.__dict__["_sealed"] = self._sealed
        return made

    def kept(self, keep: Callable[[Record], bool], without: AbstractSet[str] = frozenset()) -> "Records[Record]":
        """Return the records for which `keep` is true; those of the lists with the given paths are left out.

        Lists that lose a record are given up: what is left of them comes after the other lists.
        """
        lists, moved = [], []
        for one in self.lists:
            if one.file.path in without:
                continue
            columns = self._read(one)
            left = [record for record in map(columns.record, range(len(columns))) if keep(record)]
            if len(left) == len(columns):
                lists.append(one)
            else:
                moved += left
        return Records(self.form, (*moved, *filter(keep, self.newest)), lists, self._root)

    def sealed(self, root: Path) -> "Records[Record]":
        """Return the same records with few in memory, after writing the others to list files.

        A list of similar size or less is written again with what comes after it, so there are few lists, and each
        record is written a few times at most.
        """
        if len(self.newest) < IN_MEMORY:
            return self
        lists, records = list(self.lists), list(self.newest)
        while lists and lists[-1].length <= len(records) and lists[-1].length + len(records) <= IN_LIST:
            columns = self._read(lists.pop())
            records = [*map(columns.record, range(len(columns))), *records]
        rest = iter(records)
        while len(part := list(islice(rest, IN_LIST))) >= IN_MEMORY:
            lists.append(write_list(root, self.form, part))
        return Records(self.form, part, lists, root)

    def to_json(self) -> list[Any]:
        """Return the lists as JSON."""
        return [one.to_json() for one in self.lists]

    @classmethod
    def from_json(
        cls, form: Form[Record], newest: Iterable[Record], lists: Iterable[Any], root: Path
    ) -> "Records[Record]":
        """Build the records from those of the manifest, and from the JSON form of its lists."""
        return cls(form, newest, [ListRecord.from_json(one, form.kind) for one in lists], root)

    def _read(self, listed: ListRecord) -> Columns[Record]:
        return read_list(self._root, listed, self.form)

    @cached_property
    def _newest(self) -> dict[str, int]:
        return {self.form.name(record): row for row, record in enumerate(self.newest)}

    @cached_property
    def _sealed(self) -> dict[str, int]:
        names = [name for one in self.lists for name in self._read(one).names]
        found = dict(zip(names, range(len(names)), strict=True))
        if len(found) < len(names):
            raise _twice(self._root, self.form.kind)
        return found


def holding(
    records: Records[Record], rows: npt.NDArray[np.int64]
) -> Iterator[tuple[Record, slice, npt.NDArray[np.int64]]]:
    """Yield each segment that has some of the texts, which of them, and their rows in it; few lists are read.

    Parameters
    ----------
    records : Records
        Segments of texts or vectors.
    rows : ndarray of shape (n,), int64
        Numbers of texts or vectors, ascending.
    """
    counts = [*(one.rows for one in records.lists), *(records.form.row(one)[1][0] for one in records.newest)]
    for number, here, inside in _split(counts, rows):
        if number >= len(records.lists):
            yield records.newest[number - len(records.lists)], here, inside
        else:
            columns = records._read(records.lists[number])
            for row, some, places in _split(columns.numbers[:, 0], inside):
                yield columns.record(row), slice(here.start + some.start, here.start + some.stop), places


def _split(counts: npt.ArrayLike, rows: npt.NDArray[np.int64]) -> Iterator[tuple[int, slice, npt.NDArray[np.int64]]]:
    """Yield the number of each part that has some of the rows, which these are, and their places in the part."""
    starts = np.concatenate([[0], np.cumsum(counts, dtype=np.int64)])
    bounds = np.searchsorted(rows, starts)
    for number in np.flatnonzero(np.diff(bounds)).tolist():
        here = slice(int(bounds[number]), int(bounds[number + 1]))
        yield number, here, rows[here] - starts[number]


def _twice(root: Path, kind: str) -> DamagedStoreError:
    return DamagedStoreError(
        f"the lists of {root} name a segment of {kind} twice: restore the newest manifest-*.json from a backup"
    )


class Vectors(Mapping[str, VectorSegment]):
    """The vector segments of a space, by the hash of their text segment; see `Records`.

    Parameters
    ----------
    records : Records
        Pairs of a hash and a vector segment.
    """

    def __init__(self, records: Records[tuple[str, VectorSegment]]) -> None:
        self.records = records

    @classmethod
    def of(cls, form: VectorForm, segments: Mapping[str, VectorSegment]) -> "Vectors":
        """Return segments as they are, or others in memory."""
        return segments if isinstance(segments, Vectors) else cls(Records(form, segments.items()))

    def __len__(self) -> int:
        return len(self.records)

    def __iter__(self) -> Iterator[str]:
        return iter(self.records.names)

    def __contains__(self, text: object) -> bool:
        return isinstance(text, str) and self.records.place(text) is not None

    def __getitem__(self, text: str) -> VectorSegment:
        place = self.records.place(text)
        if place is None:
            raise KeyError(text)
        return self.records[place][1]

    def __eq__(self, other: object) -> bool:
        return self.records == other.records if isinstance(other, Vectors) else dict(self) == other

    __hash__ = None  # type: ignore[assignment]

    def plus(self, added: Mapping[str, VectorSegment]) -> "Vectors":
        """Return these segments and others."""
        return Vectors(self.records.plus(added.items()))

    def kept(self, keep: Callable[[str, VectorSegment], bool], without: AbstractSet[str] = frozenset()) -> "Vectors":
        """Return the segments for which `keep` is true; see `Records.kept`."""
        return Vectors(self.records.kept(lambda pair: keep(*pair), without))

    def sealed(self, root: Path) -> "Vectors":
        """Return the same segments with few in memory; see `Records.sealed`."""
        return Vectors(self.records.sealed(root))
