"""List files: the records of up to 1,024 segments, sealed under the hash of their content; manifests refer to them.

A list file begins with a line of JSON that says what it lists. Columns follow, without gaps: hashes (32 bytes each),
numbers (int64, little-endian), and for text segments the rows of their blank texts (int64). Columns are checked as a
whole, so a record costs microseconds less than one in JSON. What is checked is the same.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar, Generic, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from embedstore.core.exact import MOST, parts_of, whole
from embedstore.core.spec import canonical_json
from embedstore.errors import DamagedStoreError
from embedstore.storage.entries import TextSegment, VectorSegment
from embedstore.storage.gate import staged
from embedstore.storage.listed import advice_on, read_file
from embedstore.storage.places import DatasetRecord, FileRecord

__all__ = ["Columns", "CoverForm", "Form", "ListRecord", "TextForm", "VectorForm", "read_list", "write_list"]

Record = TypeVar("Record")
Numbers = npt.NDArray[np.int64]

_MOST_RECORDS = 2**20  # of one list: what a manifest claims must not decide how much memory is taken
_KEPT = 1 << 13  # lists that stay parsed
_DIGEST = 32


class ListRecord(NamedTuple):
    """A list file, and what it lists: the number of records, their texts or vectors, and the bytes of their files.

    `marked` is the number of blank texts (-1 if a segment of an earlier release is among them), or of truncated ones.
    """

    file: FileRecord
    length: int
    rows: int
    size: int
    marked: int

    def to_json(self) -> list[Any]:
        """Return `[file, length, rows, size, marked]`."""
        return [self.file.to_json(), *self[1:]]

    @classmethod
    def from_json(cls, value: list[Any], kind: str) -> "ListRecord":
        """Build the record from its JSON form."""
        file, length, rows, size, marked = parts_of(value, "a list of segments", 5)
        return cls(
            FileRecord.from_json(file, f"lists.{kind}"),
            whole(length, "the records of a list", least=1, most=_MOST_RECORDS),
            whole(rows, "the rows of a list"),
            whole(size, "the bytes of a list"),
            whole(marked, "the marked rows of a list", least=-1, most=rows),
        )


class Columns(Generic[Record]):
    """The content of a list file: its records are made when they are asked for.

    Attributes
    ----------
    names : list of str
        The name of each record, in order; see `Form.name`.
    numbers : ndarray of shape (records, numbers), int64
        The numbers of each record; the first is that of its rows.
    """

    def __init__(self, form: "Form[Record]", digests: Sequence[bytes], numbers: Numbers, more: Numbers) -> None:
        self._form, self._digests, self._more = form, digests, more
        self.numbers = numbers
        names = digests[0].hex()
        self.names = [names[at : at + 2 * _DIGEST] for at in range(0, len(names), 2 * _DIGEST)]
        self._ends = np.cumsum(np.maximum(numbers[:, -1], 0)) if len(more) else None

    def __len__(self) -> int:
        return len(self.names)

    def record(self, row: int) -> Record:
        """Return one record."""
        more: list[int] = []
        numbers: list[int] = self.numbers[row].tolist()
        if self._ends is not None and numbers[-1] > 0:
            end = int(self._ends[row])
            more = self._more[end - numbers[-1] : end].tolist()
        return self._form.record([self._digest(column, row) for column in self._digests], numbers, more)

    @staticmethod
    def _digest(column: bytes, row: int) -> str:
        return column[_DIGEST * row : _DIGEST * (row + 1)].hex()


class Form(ABC, Generic[Record]):
    """How the records of one kind stand in a list file."""

    kind: ClassVar[str]
    digests: ClassVar[int]
    numbers: ClassVar[int]

    @abstractmethod
    def name(self, record: Record) -> str:
        """Return the hash that a record is found by."""

    @abstractmethod
    def row(self, record: Record) -> tuple[Sequence[str], Sequence[int], Sequence[int]]:
        """Return the hashes of a record, its numbers (its rows first, then the bytes of its file), and what follows."""

    @abstractmethod
    def record(self, digests: Sequence[str], numbers: Sequence[int], more: Sequence[int]) -> Record:
        """Return the record of a row; see `row`."""

    @abstractmethod
    def fits(self, numbers: Numbers, more: Numbers) -> bool:
        """Return whether numbers from 0 to `MOST` (-1 too in the last column) are those of valid records."""

    def head(self) -> bytes:
        """Return the line with which a list begins."""
        return canonical_json({"kind": self.kind, **self.about()}) + b"\n"

    def about(self) -> dict[str, Any]:
        """Return what all records of a list have in common."""
        return {}

    def totals(self, records: Sequence[Record]) -> tuple[int, int, int]:
        """Return the rows of records, the bytes of their files and the number of marked rows; see `ListRecord`."""
        rows = [self.row(one)[1] for one in records]
        return _totals(np.array(rows, dtype="<i8").reshape(len(rows), self.numbers))

    def pack(self, records: Sequence[Record]) -> bytes:
        """Return the content of a list file."""
        rows = [self.row(one) for one in records]
        columns = [b"".join(bytes.fromhex(row[0][column]) for row in rows) for column in range(self.digests)]
        numbers = np.array([row[1] for row in rows], dtype="<i8")
        more = np.array([value for row in rows for value in row[2]], dtype="<i8")
        return b"".join((self.head(), *columns, numbers.tobytes(), more.tobytes()))

    def unpack(self, content: bytes, listed: ListRecord) -> Columns[Record]:
        """Return the content of a list file; raise a `ValueError` if it is not what the manifest says."""
        head, count = self.head(), listed.length
        at = len(head) + _DIGEST * self.digests * count
        least = at + 8 * self.numbers * count
        if not content.startswith(head):
            raise ValueError("it lists something else")
        if len(content) < least or (len(content) - least) % 8:
            raise ValueError("it has another length")
        width = _DIGEST * count
        digests = [content[start : start + width] for start in range(len(head), at, width)]
        numbers = np.frombuffer(content, "<i8", self.numbers * count, at).reshape(count, self.numbers)
        more = np.frombuffer(content, "<i8", offset=least)
        lowest = np.zeros(self.numbers, dtype=np.int64)
        lowest[-1:] = -1
        if (numbers < lowest).any() or (numbers > MOST).any() or not self.fits(numbers, more):
            raise ValueError("it holds a record that is none")
        # Sums of floats first: sums of whole numbers could overflow, and come out right.
        if (numbers.sum(axis=0, dtype=np.float64) > 2.0 * MOST).any() or _totals(numbers) != listed[2:]:
            raise ValueError("its records have other sums")
        return Columns(self, digests, numbers, more)


def _totals(numbers: Numbers) -> tuple[int, int, int]:
    if not numbers.size:
        return 0, 0, 0
    rows, size, *_, marked = numbers.sum(axis=0).tolist()
    return rows, size, -1 if (numbers[:, -1] < 0).any() else marked


@dataclass(frozen=True, slots=True)
class TextForm(Form[TextSegment]):
    """Text segments. Numbers: texts, bytes of the file, bytes of text, three offsets, blank texts (-1: not known)."""

    kind = "texts"
    digests, numbers = 1, 7

    def name(self, record: TextSegment) -> str:
        """Return the hash of the segment."""
        return record.file.sha256

    def row(self, record: TextSegment) -> tuple[Sequence[str], Sequence[int], Sequence[int]]:
        """Return the row of a segment; the rows of its blank texts follow."""
        blank = record.blank
        offsets = (record.text.offset, record.offset.offset, record.key.offset)
        numbers = (record.count, record.file.size, record.text.shape[0], *offsets, -1 if blank is None else len(blank))
        return [record.file.sha256], numbers, blank or ()

    def record(self, digests: Sequence[str], numbers: Sequence[int], more: Sequence[int]) -> TextSegment:
        """Return the segment of a row."""
        count, size, length, text, offset, key, blank = numbers
        return TextSegment(
            FileRecord(f"texts/{digests[0]}.h5", size, digests[0]),
            DatasetRecord(text, (length,), "|u1"),
            DatasetRecord(offset, (count + 1,), "<u8"),
            DatasetRecord(key, (count, 16), "|u1"),
            None if blank < 0 else tuple(more),
        )

    def fits(self, numbers: Numbers, more: Numbers) -> bool:
        """Return whether all datasets lie in their files, and all blank rows in their segments, ascending."""
        count, size, length, text, offset, key, blank = numbers.T
        ends = (text + length, offset + 8 * (count + 1), key + 16 * count)
        if any((end > size).any() for end in ends) or (blank > count).any() or np.maximum(blank, 0).sum() != len(more):
            return False
        owner = np.repeat(np.arange(len(numbers)), np.maximum(blank, 0))
        rises = (np.diff(more) > 0) | (np.diff(owner) > 0)
        return bool((more >= 0).all() and (more < count[owner]).all() and rises.all())


@dataclass(frozen=True, slots=True)
class VectorForm(Form[tuple[str, VectorSegment]]):
    """Vector segments of one space, each after the hash of its texts.

    Numbers: vectors, bytes of the file, offset, provenance, truncated texts.
    """

    kind = "vectors"
    digests, numbers = 2, 5

    space: str
    dimension: int
    dtype: str

    def about(self) -> dict[str, Any]:
        """Return the key of the space, and the form of its vectors."""
        return {"space": self.space, "dimension": self.dimension, "dtype": self.dtype}

    def name(self, record: tuple[str, VectorSegment]) -> str:
        """Return the hash of the text segment."""
        return record[0]

    def row(self, record: tuple[str, VectorSegment]) -> tuple[Sequence[str], Sequence[int], Sequence[int]]:
        """Return the row of a segment."""
        text, one = record
        numbers = (one.vectors.shape[0], one.file.size, one.vectors.offset, one.provenance, one.truncated)
        return [text, one.file.sha256], numbers, ()

    def record(self, digests: Sequence[str], numbers: Sequence[int], more: Sequence[int]) -> tuple[str, VectorSegment]:
        """Return the segment of a row."""
        count, size, offset, provenance, truncated = numbers
        file = FileRecord(f"vectors/{digests[1]}.h5", size, digests[1])
        dataset = DatasetRecord(offset, (count, self.dimension), self.dtype)
        return digests[0], VectorSegment(file, dataset, truncated, provenance)

    def fits(self, numbers: Numbers, more: Numbers) -> bool:
        """Return whether all vectors lie in their files."""
        count, size, offset, _, truncated = numbers.T
        width = self.dimension * np.dtype(self.dtype).itemsize
        held = (offset <= size) & (count <= (size - offset) // width)  # a product could overflow
        return bool(held.all() and ((truncated >= 0) & (truncated <= count)).all() and not len(more))


@dataclass(frozen=True, slots=True)
class CoverForm(Form[str]):
    """Hashes of the vector segments that an index covers."""

    kind = "covers"
    digests, numbers = 1, 0

    def name(self, record: str) -> str:
        """Return the hash."""
        return record

    def row(self, record: str) -> tuple[Sequence[str], Sequence[int], Sequence[int]]:
        """Return the row of a hash."""
        return [record], (), ()

    def record(self, digests: Sequence[str], numbers: Sequence[int], more: Sequence[int]) -> str:
        """Return the hash of a row."""
        return digests[0]

    def fits(self, numbers: Numbers, more: Numbers) -> bool:
        """Return whether nothing follows the hashes."""
        return not len(more)


@lru_cache(maxsize=_KEPT)
def read_list(root: Path, listed: ListRecord, form: Form[Record]) -> Columns[Record]:
    """Read a list file, once in a process.

    Raises
    ------
    DamagedStoreError
        If the file is missing or altered, or is not what the manifest says.
    """
    advice = advice_on(listed.file)
    content = read_file(root, listed.file, advice)
    try:
        return form.unpack(content, listed)
    except ValueError as error:
        raise DamagedStoreError(f"{root / listed.file.path} does not fit the manifest: {error}. {advice}") from error


def write_list(root: Path, form: Form[Record], records: Sequence[Record]) -> ListRecord:
    """Write records as a list file."""
    with staged(root, "lists", f".{form.kind}") as temp:
        temp.stream.write(form.pack(records))
        return ListRecord(temp.publish(f".{form.kind}"), len(records), *form.totals(records))
