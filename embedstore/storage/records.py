"""The records of a manifest, as frozen values, and their JSON form.

Values read from a manifest are checked here, once: each has exactly its type, paths are inside the store, datasets
inside their files, and what one record says fits the rest of it. `Manifest.from_json` compares the records.
"""

from dataclasses import dataclass, field
from typing import Any, NamedTuple

from embedstore.core.checks import shown
from embedstore.core.counts import counted
from embedstore.core.exact import exactly, list_or_value, parts_of, text_of, whole
from embedstore.core.heads import Head
from embedstore.core.spec import EncoderSpec, Provenance
from embedstore.errors import DamagedStoreError
from embedstore.storage.places import DatasetRecord, FileRecord

__all__ = [
    "AnnotationPart",
    "CorpusPart",
    "CorpusRecord",
    "DatasetRecord",
    "FileRecord",
    "SpaceRecord",
    "TextSegment",
    "VectorSegment",
]

_STORED = {"float32": "<f4", "float16": "<f2"}
_MOST_DIMENSIONS = 2**24


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
        spec = EncoderSpec.from_json(exactly(dict, value, "a space")["spec"])
        dimension = whole(value["dimension"], "the dimension of a space", least=1, most=_MOST_DIMENSIONS)
        listed = exactly(list, value["provenance"], "the provenance of a space")
        segments = {}
        form = (_STORED[spec.dtype], dimension)
        for text, one in exactly(dict, value["segments"], "the segments of a space").items():
            segment = segments[text] = VectorSegment.from_json(one)
            if (segment.vectors.dtype, segment.vectors.shape[1]) != form:
                raise DamagedStoreError(
                    f"the manifest gives {segment.file.path} the shape {segment.vectors.shape} and the type "
                    f"{segment.vectors.dtype} in a space of {counted(dimension, 'dimension')} of {spec.dtype}"
                )
            if not 0 <= segment.provenance < len(listed):
                raise DamagedStoreError(
                    f"the manifest gives {segment.file.path} the provenance {segment.provenance} of {len(listed)}"
                )
        head = Head.from_json(value["head"]) if value.get("head") is not None else None
        if head and (spec.output != "logits" or len(head.labels) != dimension):
            raise DamagedStoreError(
                f"the manifest gives a space of {counted(dimension, 'dimension')} of {spec.output} a head of "
                f"{counted(len(head.labels), 'label')}"
            )
        return cls(
            spec=spec,
            dimension=dimension,
            model=text_of(value["model"], "the model of a space"),
            revision=text_of(value["revision"], "the revision of a space"),
            query_prompt=text_of(value["query_prompt"], "the query prompt of a space"),
            head=head,
            provenance=tuple(Provenance.from_json(p) for p in listed),
            segments=segments,
        )


class CorpusPart(NamedTuple):
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
        file, rows, empty, origin, fingerprint = parts_of(value, "a part of a corpus", 5)
        rows = whole(rows, "the rows of a part")
        return cls(
            FileRecord.from_json(file, "corpora.parquet"),
            rows,
            whole(empty, "the empty rows of a part", most=rows),
            text_of(origin, "the origin of a part"),
            text_of(fingerprint, "the fingerprint of a part"),
        )


@dataclass(frozen=True, slots=True)
class CorpusRecord:
    """A named, ordered table: its parts, the template of its texts, its id column ("" for none).

    `texts` is the number of texts in the manifest that the record was read from; None in the process that made the
    record. The positions of the rows are below it.
    """

    parts: tuple[CorpusPart, ...]
    template: str
    id_column: str
    texts: int | None = field(default=None, compare=False)

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
    def from_json(cls, value: dict[str, Any], texts: int) -> "CorpusRecord":
        """Build the record from its JSON form, in a manifest of so many texts."""
        listed = exactly(list, exactly(dict, value, "a corpus")["parts"], "the parts of a corpus")
        parts = tuple(map(CorpusPart.from_json, listed))
        whole(sum(part.rows for part in parts), "the rows of a corpus")
        return cls(
            parts,
            text_of(value["template"], "the template of a corpus"),
            text_of(value["id_column"], "the id column of a corpus"),
            texts,
        )


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
        file, count = parts_of(value, "a file of annotations", 2)
        return cls(FileRecord.from_json(file, "annotations.json"), whole(count, "the number of annotations"))
