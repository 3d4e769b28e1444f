"""What a manifest records, as frozen values, and their JSON form.

Everything read from a manifest is checked here, once: paths stay inside the store, and datasets inside
their files.
"""

import re
from dataclasses import dataclass, field
from typing import Any, Literal

from embedstore.errors import DamagedStoreError, EmbedstoreError
from embedstore.heads import Head
from embedstore.spec import EncoderSpec, Provenance

__all__ = [
    "AnnotationPart",
    "CorpusPart",
    "CorpusRecord",
    "DatasetRecord",
    "FileRecord",
    "IndexRecord",
    "Manifest",
    "ProbeRecord",
    "SpaceRecord",
    "TextSegment",
    "VectorSegment",
]

Role = Literal["corpus", "query"]

_PATH = re.compile(r"(texts|vectors|corpora|index|probes|annotations)/([0-9a-f]{64})\.(h5|parquet|faiss|npz|json)")
_DTYPES = {"|u1": 1, "<u8": 8, "<f4": 4, "<f2": 2}


@dataclass(frozen=True, slots=True)
class FileRecord:
    """One immutable file: path relative to the store, size in bytes, SHA-256 of its content."""

    path: str
    size: int
    sha256: str

    def to_json(self) -> list[Any]:
        """Return `[path, size]`; the hash is the file's name."""
        return [self.path, self.size]

    @classmethod
    def from_json(cls, value: list[Any]) -> "FileRecord":
        """Read what `to_json` returned; refuse any path that is not `folder/hash.suffix`."""
        path, size = value
        match = _PATH.fullmatch(path)
        if match is None or type(size) is not int or size < 0:
            raise DamagedStoreError(f"the manifest lists a file {path!r} of size {size!r}")
        return cls(path, size, match[2])


@dataclass(frozen=True, slots=True)
class DatasetRecord:
    """Where an array lies in its file: byte offset, shape, NumPy dtype string."""

    offset: int
    shape: tuple[int, ...]
    dtype: str

    def to_json(self) -> list[Any]:
        """Return `[offset, shape, dtype]`."""
        return [self.offset, list(self.shape), self.dtype]

    @classmethod
    def from_json(cls, value: list[Any], file: FileRecord) -> "DatasetRecord":
        """Read what `to_json` returned; refuse an array that does not lie inside `file`."""
        offset, shape, dtype = value
        width = _DTYPES.get(dtype)
        whole = width is not None and type(offset) is int and offset >= 0
        count = 1
        for length in shape:  # a generator would take most of the time that a large manifest takes
            whole = whole and type(length) is int and length >= 0
            count *= length if whole else 1
        if not whole or width is None:
            raise DamagedStoreError(f"the manifest gives {file.path} the dataset {value!r}")
        if offset + count * width > file.size:
            raise DamagedStoreError(f"the manifest puts the dataset {value!r} outside {file.path}")
        return cls(offset, tuple(shape), dtype)


@dataclass(frozen=True, slots=True)
class TextSegment:
    """A run of distinct texts: their bytes, their offsets, their keys."""

    file: FileRecord
    text: DatasetRecord
    offset: DatasetRecord
    key: DatasetRecord

    @property
    def count(self) -> int:
        """Number of texts."""
        return self.key.shape[0]

    def to_json(self) -> list[Any]:
        """Return `[file, text, offset, key]`."""
        return [r.to_json() for r in (self.file, self.text, self.offset, self.key)]

    @classmethod
    def from_json(cls, value: list[Any]) -> "TextSegment":
        """Read what `to_json` returned."""
        file = FileRecord.from_json(value[0])
        if len(value) != 4:
            raise DamagedStoreError(f"the manifest gives {file.path} {len(value) - 1} datasets")
        text, offset, key = [DatasetRecord.from_json(v, file) for v in value[1:]]
        if len(key.shape) != 2 or key.shape[1] != 16 or offset.shape != (key.shape[0] + 1,):
            raise DamagedStoreError(f"the manifest gives {file.path} shapes that do not fit each other")
        return cls(file, text, offset, key)


@dataclass(frozen=True, slots=True)
class VectorSegment:
    """The vectors of one text segment in one space; `provenance` points into the space's list."""

    file: FileRecord
    vectors: DatasetRecord
    truncated: int
    provenance: int

    def to_json(self) -> list[Any]:
        """Return `[file, vectors, truncated, provenance]`."""
        return [self.file.to_json(), self.vectors.to_json(), self.truncated, self.provenance]

    @classmethod
    def from_json(cls, value: list[Any]) -> "VectorSegment":
        """Read what `to_json` returned."""
        file = FileRecord.from_json(value[0])
        return cls(file, DatasetRecord.from_json(value[1], file), int(value[2]), int(value[3]))


@dataclass(frozen=True, slots=True, kw_only=True)
class SpaceRecord:
    """All vectors of one encoder: its spec, how they were computed, one vector segment per text segment.

    `segments` maps a text segment's hash to its vectors. `query_prompt` is what a search in this space
    puts before its query. `model` is the name that loads the encoder again. `head` says what logits mean.
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
        """Read what `to_json` returned."""
        segments = {text: VectorSegment.from_json(v) for text, v in value["segments"].items()}
        for segment in segments.values():
            if segment.vectors.shape[1:] != (value["dimension"],):
                raise DamagedStoreError(
                    f"the manifest gives {segment.file.path} the shape {segment.vectors.shape} in a space of "
                    f"{value['dimension']} dimensions"
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
    """The rows that one source gave: a Parquet file, and what it was read from and how.

    `origin` is the source file's path, or "" for rows that came from standard input or from Python;
    `fingerprint` is the SHA-256 of the source's content and of the options that it was read with.
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
        """Read what `to_json` returned."""
        return cls(FileRecord.from_json(value[0]), int(value[1]), int(value[2]), value[3], value[4])


@dataclass(frozen=True, slots=True)
class CorpusRecord:
    """A named, ordered table: its parts, the template that makes its texts, its id column ("" for none)."""

    parts: tuple[CorpusPart, ...]
    template: str
    id_column: str

    @property
    def rows(self) -> int:
        """Number of rows."""
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
        """Read what `to_json` returned."""
        parts = tuple(CorpusPart.from_json(p) for p in value["parts"])
        return cls(parts, value["template"], value["id_column"])


@dataclass(frozen=True, slots=True)
class IndexRecord:
    """A FAISS file over one space, and the vector segments (hashes, in order) that it covers."""

    file: FileRecord
    kind: str
    covers: tuple[str, ...]
    count: int

    def to_json(self) -> list[Any]:
        """Return `[file, kind, covers, count]`."""
        return [self.file.to_json(), self.kind, list(self.covers), self.count]

    @classmethod
    def from_json(cls, value: list[Any]) -> "IndexRecord":
        """Read what `to_json` returned."""
        return cls(FileRecord.from_json(value[0]), value[1], tuple(value[2]), int(value[3]))


@dataclass(frozen=True, slots=True)
class ProbeRecord:
    """A trained probe: its arrays (npz), its description (JSON) and the space that it is bound to."""

    arrays: FileRecord
    description: FileRecord
    space: str

    def to_json(self) -> list[Any]:
        """Return `[arrays, description, space]`."""
        return [self.arrays.to_json(), self.description.to_json(), self.space]

    @classmethod
    def from_json(cls, value: list[Any]) -> "ProbeRecord":
        """Read what `to_json` returned."""
        return cls(FileRecord.from_json(value[0]), FileRecord.from_json(value[1]), value[2])


@dataclass(frozen=True, slots=True)
class AnnotationPart:
    """Answers of people that were committed together: a JSON file, and how many it holds."""

    file: FileRecord
    count: int

    def to_json(self) -> list[Any]:
        """Return `[file, count]`."""
        return [self.file.to_json(), self.count]

    @classmethod
    def from_json(cls, value: list[Any]) -> "AnnotationPart":
        """Read what `to_json` returned."""
        return cls(FileRecord.from_json(value[0]), int(value[1]))


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """Every file that is part of a store; what is not listed does not exist.

    `texts` are the segments of role corpus, in position order; `queries` those of role query. Spaces,
    indexes and probes are keyed by encoder key, encoder key and name; spaces keep their order of creation.
    `annotations` are the answers of people, in the order in which they were given.
    `lineage` has a random mark of each of the last commits: by it a writer sees that a newer manifest holds its own.
    """

    sequence: int = 0
    texts: tuple[TextSegment, ...] = ()
    queries: tuple[TextSegment, ...] = ()
    spaces: dict[str, SpaceRecord] = field(default_factory=dict)
    corpora: dict[str, CorpusRecord] = field(default_factory=dict)
    indexes: dict[str, IndexRecord] = field(default_factory=dict)
    probes: dict[str, ProbeRecord] = field(default_factory=dict)
    annotations: tuple[AnnotationPart, ...] = ()
    lineage: tuple[str, ...] = ()

    def files(self) -> list[FileRecord]:
        """Return the record of every file of the store."""
        records = [segment.file for segment in (*self.texts, *self.queries)]
        records += [segment.file for space in self.spaces.values() for segment in space.segments.values()]
        records += [part.file for corpus in self.corpora.values() for part in corpus.parts]
        records += [index.file for index in self.indexes.values()]
        for probe in self.probes.values():
            records += [probe.arrays, probe.description]
        records += [part.file for part in self.annotations]
        return records

    def to_json(self) -> dict[str, Any]:
        """Return the manifest as a JSON object; ordered maps become lists of pairs."""
        return {
            "sequence": self.sequence,
            "texts": [segment.to_json() for segment in self.texts],
            "queries": [segment.to_json() for segment in self.queries],
            "spaces": [space.to_json() for space in self.spaces.values()],
            "corpora": [[name, corpus.to_json()] for name, corpus in self.corpora.items()],
            "indexes": [[key, index.to_json()] for key, index in self.indexes.items()],
            "probes": [[name, probe.to_json()] for name, probe in self.probes.items()],
            "annotations": [part.to_json() for part in self.annotations],
            "lineage": list(self.lineage),
        }

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> "Manifest":
        """Read what `to_json` returned.

        Raises
        ------
        DamagedStoreError
            If a field is missing, of another type or out of bounds.
        """
        try:
            spaces = [SpaceRecord.from_json(v) for v in value["spaces"]]
            return cls(
                sequence=int(value["sequence"]),
                texts=tuple(TextSegment.from_json(v) for v in value["texts"]),
                queries=tuple(TextSegment.from_json(v) for v in value["queries"]),
                spaces={space.spec.key: space for space in spaces},
                corpora={name: CorpusRecord.from_json(v) for name, v in value["corpora"]},
                indexes={key: IndexRecord.from_json(v) for key, v in value["indexes"]},
                probes={name: ProbeRecord.from_json(v) for name, v in value["probes"]},
                annotations=tuple(AnnotationPart.from_json(v) for v in value.get("annotations", ())),
                lineage=tuple(map(str, value.get("lineage", ()))),
            )
        except EmbedstoreError as error:
            raise error if isinstance(error, DamagedStoreError) else DamagedStoreError(str(error)) from error
        except (KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError, RecursionError) as error:
            raise DamagedStoreError(f"the manifest holds a record of another form: {error!r}") from error
