"""The records of what is derived and can be made again: indexes, maps, probes, and runs of sorted keys."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from embedstore.core.checks import shown
from embedstore.core.exact import exactly, hash_of, parts_of, text_of, whole
from embedstore.errors import DamagedStoreError
from embedstore.storage.lists import CoverForm
from embedstore.storage.places import DatasetRecord, FileRecord
from embedstore.storage.sealed import Records

__all__ = ["KEY_BYTES", "IndexRecord", "KeyRun", "MapRecord", "ProbeRecord"]

KEY_BYTES = 20
"""Bytes that a key takes in a file of sorted keys."""
_KINDS = ("flat", "hnsw", "ivf")
_METHODS = ("tsne", "umap")


@dataclass(frozen=True, slots=True)
class IndexRecord:
    """A FAISS file over one space, and the hashes of the vector segments that it covers, in order."""

    file: FileRecord
    kind: str
    covers: Sequence[str]
    count: int

    def __post_init__(self) -> None:
        object.__setattr__(self, "covers", Records.of(CoverForm(), self.covers))

    @property
    def listed(self) -> Records[str]:
        """What the index covers, with the lists in which it stands."""
        return Records.of(CoverForm(), self.covers)

    def to_json(self) -> list[Any]:
        """Return `[file, kind, covers, count, lists]`; lists come before `covers`."""
        covers = self.listed
        return [self.file.to_json(), self.kind, list(covers.newest), self.count, covers.to_json()]

    @classmethod
    def from_json(cls, value: list[Any], root: Path = Path()) -> "IndexRecord":
        """Build the record from its JSON form; earlier releases had no lists."""
        file, kind, covers, count, *lists = parts_of(value, "an index", 4, 5)
        if type(kind) is not str or kind not in _KINDS:
            raise DamagedStoreError(f"the manifest lists an index of the kind {shown(kind)}")
        named = [
            hash_of(one, "a hash of what an index covers") for one in exactly(list, covers, "what an index covers")
        ]
        listed = [one for some in lists for one in exactly(list, some, "the lists of an index")]
        covered = Records.from_json(CoverForm(), named, listed, root)
        return cls(FileRecord.from_json(file, "index.faiss"), kind, covered, whole(count, "the size of an index"))


class MapRecord(NamedTuple):
    """A map of a corpus in one space: the place of each text, and the method that laid them out.

    `position` (n, uint64) has the positions of the texts, `point` (n, 2, float32) their places. The method laid out
    the first `anchors` of them; the others were placed between these.
    """

    file: FileRecord
    position: DatasetRecord
    point: DatasetRecord
    method: str
    anchors: int

    def to_json(self) -> list[Any]:
        """Return `[file, position, point, method, anchors]`."""
        return [self.file.to_json(), self.position.to_json(), self.point.to_json(), self.method, self.anchors]

    @classmethod
    def from_json(cls, value: list[Any]) -> "MapRecord":
        """Build the record from its JSON form."""
        parts = parts_of(value, "a map", 5)
        file = FileRecord.from_json(parts[0], "maps.h5")
        position, point = (DatasetRecord.from_json(one, file) for one in parts[1:3])
        if type(parts[3]) is not str or parts[3] not in _METHODS:
            raise DamagedStoreError(f"the manifest lists a map by the method {shown(parts[3])}")
        if (position.dtype, point.dtype) != ("<u8", "<f4") or point.shape != (*position.shape, 2):
            raise DamagedStoreError(f"the manifest gives {file.path} datasets that do not fit each other")
        anchors = whole(parts[4], "the anchors of a map", least=1, most=position.shape[0])
        return cls(file, position, point, parts[3], anchors)


class ProbeRecord(NamedTuple):
    """A trained probe: its arrays (npz), its description (JSON) and the key of its space."""

    arrays: FileRecord
    description: FileRecord
    space: str

    def to_json(self) -> list[Any]:
        """Return `[arrays, description, space]`."""
        return [self.arrays.to_json(), self.description.to_json(), self.space]

    @classmethod
    def from_json(cls, value: list[Any]) -> "ProbeRecord":
        """Build the record from its JSON form."""
        arrays, description, space = parts_of(value, "a probe", 3)
        return cls(
            FileRecord.from_json(arrays, "probes.npz"),
            FileRecord.from_json(description, "probes.json"),
            text_of(space, "the space of a probe"),
        )


@dataclass(frozen=True, slots=True)
class KeyRun:
    """A file of sorted keys, and the texts that it covers: `count` of them from the position `start` on.

    See `embedstore.storage.keys`.
    """

    file: FileRecord
    start: int
    count: int

    def to_json(self) -> list[Any]:
        """Return `[file, count]`: a run starts where the one before ends."""
        return [self.file.to_json(), self.count]

    @classmethod
    def all_from_json(cls, value: list[Any], texts: int) -> "tuple[KeyRun, ...]":
        """Build the records of consecutive runs from their JSON form, in a manifest of so many texts."""
        found: list[KeyRun] = []
        start = 0
        for one in value:
            file, count = parts_of(one, "a run of keys", 2)
            count = whole(count, "the keys of a run", least=1, most=texts - start)
            found.append(cls(cls.file_from_json(file, count), start, count))
            start += count
        return tuple(found)

    @staticmethod
    def file_from_json(value: list[Any], count: int) -> FileRecord:
        """Build the record of a file of so many keys from its JSON form."""
        file = FileRecord.from_json(value, "keys.sorted")
        if file.size != KEY_BYTES * count:
            raise DamagedStoreError(f"the manifest gives {file.path} {count} keys of {KEY_BYTES} bytes")
        return file
