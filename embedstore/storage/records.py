"""The records of a manifest, as frozen values, and their JSON form.

Values read from a manifest are checked here, once: paths must be inside the store, and datasets inside
their files.
"""

import re
from dataclasses import dataclass, field
from typing import Any

from embedstore.core.counts import counted
from embedstore.core.heads import Head
from embedstore.core.spec import EncoderSpec, Provenance
from embedstore.errors import DamagedStoreError

__all__ = [
    "AnnotationPart",
    "CorpusPart",
    "CorpusRecord",
    "DatasetRecord",
    "FileRecord",
    "IndexRecord",
    "ProbeRecord",
    "SpaceRecord",
    "TextSegment",
    "VectorSegment",
]

_PATH = re.compile(r"(texts|vectors|corpora|index|probes|annotations)/([0-9a-f]{64})\.(h5|parquet|faiss|npz|json)")
_DTYPES = {"|u1": 1, "<u8": 8, "<f4": 4, "<f2": 2}


@dataclass(frozen=True, slots=True)
class FileRecord:
    """One immutable file: its path relative to the store, its size in bytes, the SHA-256 of its content."""

    path: str
    size: int
    sha256: str

    def to_json(self) -> list[Any]:
        """Return `[path, size]`; the hash is the file's name."""
        return [self.path, self.size]

    @classmethod
    def from_json(cls, value: list[Any]) -> "FileRecord":
        """Build the record from its JSON form; refuse a path that is not `folder/hash.suffix`."""
        path, size = value
        match = _PATH.fullmatch(path)
        if match is None or type(size) is not int or size < 0:
            raise DamagedStoreError(f"the manifest lists a file {path!r} of size {size!r}")
        return cls(path, size, match[2])


@dataclass(frozen=True, slots=True)
class DatasetRecord:
    """The place of an array in its file: byte offset, shape, NumPy dtype string."""

    offset: int
    shape: tuple[int, ...]
    dtype: str

    def to_json(self) -> list[Any]:
        """Return `[offset, shape, dtype]`."""
        return [self.offset, list(self.shape), self.dtype]

    @classmethod
    def from_json(cls, value: list[Any], file: FileRecord) -> "DatasetRecord":
        """Build the record from its JSON form; refuse an array that is not inside `file`."""
        offset, shape, dtype = value
        width = _DTYPES.get(dtype)
        whole = width is not None and type(offset) is int and offset >= 0
        count = 1
        for length in shape:  # a generator would take most of the reading time of a large manifest
            whole = whole and type(length) is int and length >= 0
            count *= length if whole else 1
        if not whole or width is None:
            raise DamagedStoreError(f"the manifest gives {file.path} the dataset {value!r}")
        if offset + count * width > file.size:
            raise DamagedStoreError(f"the manifest puts the dataset {value!r} outside {file.path}")
        return cls(offset, tuple(shape), dtype)


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
        file = FileRecord.from_json(value[0])
        if len(value) not in (4, 5):
            raise DamagedStoreError(f"the manifest gives {file.path} {counted(len(value) - 1, 'dataset')}")
        text, offset, key = [DatasetRecord.from_json(v, file) for v in value[1:4]]
        if len(key.shape) != 2 or key.shape[1] != 16 or offset.shape != (key.shape[0] + 1,):
            raise DamagedStoreError(f"the manifest gives {file.path} shapes that do not fit each other")
        return cls(file, text, offset, key, _rows_in(value[4], key.shape[0], file) if len(value) == 5 else None)


def _rows_in(value: list[Any], count: int, file: FileRecord) -> tuple[int, ...]:
    """Return row numbers as a tuple; refuse any that are not ascending, or not below `count`."""
    before = -1
    for row in value:
        if type(row) is not int or not before < row < count:
            raise DamagedStoreError(f"the manifest gives {file.path} the blank texts {value!r} among {count}")
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
        file = FileRecord.from_json(value[0])
        return cls(file, DatasetRecord.from_json(value[1], file), int(value[2]), int(value[3]))


@dataclass(frozen=True, slots=True, kw_only=True)
class SpaceRecord:
    """All vectors of one encoder: its spec, their provenance, one vector segment per text segment.

    `segments` maps the hash of a text segment to its vectors. A search in this space puts `query_prompt` before
    its query. `model` is the name that loads the encoder again. `head` is the meaning of logits.
    """

    spec: EncoderSpec
    dimension: int
    model: str
    revision: str = ""
    query_prompt: str = ""
    head: Head | None = None
    provenance: tuple[Provenance, ...] = ()
    segments: dict[str, VectorSegment] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return the record as a JSON object."""
        return {
            "spec": self.spec.to_json(),
            "dimension": self.dimension,
            "model": self.model,
            "revision": self.revision,
            "query_prompt": self.query_prompt,
            "head": self.head.to_json() if self.head else None,
            "provenance": [p.to_json() for p in self.provenance],
            "segments": {text: segment.to_json() for text, segment in self.segments.items()},
        }

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> "SpaceRecord":
        """Build the record from its JSON form."""
        segments = {text: VectorSegment.from_json(v) for text, v in value["segments"].items()}
        for segment in segments.values():
            if segment.vectors.shape[1:] != (value["dimension"],):
                raise DamagedStoreError(
                    f"the manifest gives {segment.file.path} the shape {segment.vectors.shape} in a space of "
                    f"{counted(value['dimension'], 'dimension')}"
                )
        return cls(
            spec=EncoderSpec.from_json(value["spec"]),
            dimension=int(value["dimension"]),
            model=value["model"],
            revision=value["revision"],
            query_prompt=value["query_prompt"],
            head=Head.from_json(value["head"]) if value.get("head") else None,
            provenance=tuple(Provenance.from_json(p) for p in value["provenance"]),
            segments=segments,
        )


@dataclass(frozen=True, slots=True)
class CorpusPart:
    """The rows of one source: a Parquet file, and where its rows came from.

    `origin` is the source file's path, or "" for rows from standard input or from Python. `fingerprint` is the
    SHA-256 of the source's content and of the options that it was read with.
    """

    file: FileRecord
    rows: int
    empty: int
    origin: str
    fingerprint: str

    def to_json(self) -> list[Any]:
        """Return `[file, rows, empty, origin, fingerprint]`."""
        return [self.file.to_json(), self.rows, self.empty, self.origin, self.fingerprint]

    @classmethod
    def from_json(cls, value: list[Any]) -> "CorpusPart":
        """Build the record from its JSON form."""
        return cls(FileRecord.from_json(value[0]), int(value[1]), int(value[2]), value[3], value[4])


@dataclass(frozen=True, slots=True)
class CorpusRecord:
    """A named, ordered table: its parts, the template of its texts, its id column ("" for none)."""

    parts: tuple[CorpusPart, ...]
    template: str
    id_column: str

    @property
    def rows(self) -> int:
        """The number of rows."""
        return sum(part.rows for part in self.parts)

    def to_json(self) -> dict[str, Any]:
        """Return the record as a JSON object."""
        return {
            "parts": [part.to_json() for part in self.parts],
            "template": self.template,
            "id_column": self.id_column,
        }

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> "CorpusRecord":
        """Build the record from its JSON form."""
        parts = tuple(CorpusPart.from_json(p) for p in value["parts"])
        return cls(parts, value["template"], value["id_column"])


@dataclass(frozen=True, slots=True)
class IndexRecord:
    """A FAISS file over one space, and the hashes of the vector segments that it covers, in order."""

    file: FileRecord
    kind: str
    covers: tuple[str, ...]
    count: int

    def to_json(self) -> list[Any]:
        """Return `[file, kind, covers, count]`."""
        return [self.file.to_json(), self.kind, list(self.covers), self.count]

    @classmethod
    def from_json(cls, value: list[Any]) -> "IndexRecord":
        """Build the record from its JSON form."""
        return cls(FileRecord.from_json(value[0]), value[1], tuple(value[2]), int(value[3]))


@dataclass(frozen=True, slots=True)
class ProbeRecord:
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
        return cls(FileRecord.from_json(value[0]), FileRecord.from_json(value[1]), value[2])


@dataclass(frozen=True, slots=True)
class AnnotationPart:
    """Annotations that were committed together: a JSON file, and the number of its answers."""

    file: FileRecord
    count: int

    def to_json(self) -> list[Any]:
        """Return `[file, count]`."""
        return [self.file.to_json(), self.count]

    @classmethod
    def from_json(cls, value: list[Any]) -> "AnnotationPart":
        """Build the record from its JSON form."""
        return cls(FileRecord.from_json(value[0]), int(value[1]))
