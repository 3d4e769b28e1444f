"""The records of segments, as frozen values, and their JSON form. Values are checked here; see `records`."""

from dataclasses import dataclass
from typing import Any

from embedstore.core.checks import shown
from embedstore.core.exact import exactly, list_or_value
from embedstore.errors import DamagedStoreError
from embedstore.storage.places import DatasetRecord, FileRecord

__all__ = ["TextSegment", "VectorSegment"]


@dataclass(frozen=True, slots=True)
class TextSegment:
    """A group of distinct texts: their bytes, offsets and keys.

    `blank` has the rows of the blank texts, ascending. It is None in segments that earlier releases wrote.
    """

    file: FileRecord
    text: DatasetRecord
    offset: DatasetRecord
    key: DatasetRecord
    blank: tuple[int, ...] | None = None

    @property
    def count(self) -> int:
        """The number of texts."""
        return self.key.shape[0]

    def to_json(self) -> list[Any]:
        """Return `[file, text, offset, key, blank]`, without `blank` if it is None."""
        found: list[Any] = [r.to_json() for r in (self.file, self.text, self.offset, self.key)]
        return found if self.blank is None else [*found, list(self.blank)]

    @classmethod
    def from_json(cls, value: list[Any]) -> "TextSegment":
        """Build the record from its JSON form."""
        if type(value) is not list or len(value) not in (4, 5):
            raise DamagedStoreError(f"the manifest is damaged: expected a text segment, found {list_or_value(value)}")
        file = FileRecord.from_json(value[0])
        text = DatasetRecord.from_json(value[1], file)
        offset = DatasetRecord.from_json(value[2], file)
        key = DatasetRecord.from_json(value[3], file)
        count = key.shape[0] if key.shape else 0
        fits = offset.dtype == "<u8" and text.dtype == key.dtype == "|u1" and len(text.shape) == 1
        if not fits or offset.shape != (count + 1,) or key.shape != (count, 16):
            raise DamagedStoreError(f"the manifest gives {file.path} datasets that do not fit each other")
        return cls(file, text, offset, key, _rows_in(value[4], count, file) if len(value) == 5 else None)


def _rows_in(value: list[Any], count: int, file: FileRecord) -> tuple[int, ...]:
    """Return row numbers as a tuple; refuse any that are not ascending, or not below `count`."""
    before = -1
    for row in exactly(list, value, f"the blank texts of {file.path}"):
        if type(row) is not int or not before < row < count:
            raise DamagedStoreError(f"the manifest lists the blank text {shown(row)} of {count} in {file.path}")
        before = row
    return tuple(value)


@dataclass(frozen=True, slots=True)
class VectorSegment:
    """The vectors of one text segment in one space; `provenance` is an index into the space's list."""

    file: FileRecord
    vectors: DatasetRecord
    truncated: int
    provenance: int

    def to_json(self) -> list[Any]:
        """Return `[file, vectors, truncated, provenance]`."""
        return [self.file.to_json(), self.vectors.to_json(), self.truncated, self.provenance]

    @classmethod
    def from_json(cls, value: list[Any]) -> "VectorSegment":
        """Build the record from its JSON form."""
        if type(value) is not list or len(value) != 4:
            raise DamagedStoreError(f"the manifest is damaged: expected a vector segment, found {list_or_value(value)}")
        file = FileRecord.from_json(value[0], "vectors.h5")
        vectors, truncated, provenance = DatasetRecord.from_json(value[1], file), value[2], value[3]
        count = vectors.shape[0] if len(vectors.shape) == 2 else -1
        if type(truncated) is not int or not 0 <= truncated <= count or type(provenance) is not int:
            raise DamagedStoreError(
                f"the manifest gives {file.path} the shape {vectors.shape}, the number {shown(truncated)} of truncated "
                f"texts and the provenance {shown(provenance)}"
            )
        return cls(file, vectors, truncated, provenance)
