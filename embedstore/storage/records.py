"""The records of a manifest, as frozen values, and their JSON form.

Values read from a manifest are checked here, once: each has exactly its type, paths are inside the store, datasets
inside their files, and what one record says fits the rest of it. `Manifest.from_json` compares the records.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from embedstore.core.counts import counted
from embedstore.core.exact import exactly, hash_of, parts_of, text_of, whole
from embedstore.core.heads import Head
from embedstore.core.spec import EncoderSpec, Provenance
from embedstore.errors import DamagedStoreError
from embedstore.storage.derived import KeyRun
from embedstore.storage.entries import TextSegment, VectorSegment
from embedstore.storage.lists import VectorForm
from embedstore.storage.places import DatasetRecord, FileRecord
from embedstore.storage.sealed import Records, Vectors

__all__ = [
    "AnnotationPart",
    "CorpusPart",
    "CorpusRecord",
    "DatasetRecord",
    "FileRecord",
    "SpaceRecord",
    "TextSegment",
    "VectorSegment",
    "check_count",
]

_STORED = {"float32": "<f4", "float16": "<f2"}
_MOST_DIMENSIONS = 2**24


@dataclass(frozen=True, slots=True, kw_only=True)
class SpaceRecord:
    """All vectors of one encoder: its spec, their provenance, one vector segment per text segment.

    `segments` maps the hash of a text segment of the corpora to its vectors, `queries` that of a query segment. A
    search in this space puts `query_prompt` before its query. `model` is the name that loads the encoder again. `head`
    is the meaning of logits.
    """

    spec: EncoderSpec
    dimension: int
    model: str
    revision: str = ""
    query_prompt: str = ""
    head: Head | None = None
    provenance: tuple[Provenance, ...] = ()
    segments: Mapping[str, VectorSegment] = field(default_factory=dict)
    queries: Mapping[str, VectorSegment] = field(default_factory=dict)

    def __post_init__(self) -> None:
        # Mappings in memory are taken too; what comes from a manifest or another record has its lists.
        form = VectorForm(self.spec.key, self.dimension, _STORED[self.spec.dtype])
        object.__setattr__(self, "segments", Vectors.of(form, self.segments))
        object.__setattr__(self, "queries", Vectors.of(form, self.queries))

    @property
    def vectors(self) -> Vectors:
        """`segments`, with their lists."""
        return cast(Vectors, self.segments)

    @property
    def query_vectors(self) -> Vectors:
        """`queries`, with their lists."""
        return cast(Vectors, self.queries)

    def of(self, text: TextSegment, *, query: bool = False) -> VectorSegment | None:
        """Return the vectors of a text segment of the corpora, or of a query segment; None if it has none here.

        Raises
        ------
        DamagedStoreError
            If there are not as many as texts, or their provenance is unknown.
        """
        found = (self.queries if query else self.segments).get(text.file.sha256)
        if found is not None:
            self.check(found)
            check_count(found, text.count)
        return found

    def check(self, segment: VectorSegment) -> None:
        """Raise a `DamagedStoreError` if vectors are of another form than those of the space."""
        if (segment.vectors.dtype, segment.vectors.shape[1]) != (_STORED[self.spec.dtype], self.dimension):
            raise DamagedStoreError(
                f"the manifest gives {segment.file.path} the shape {segment.vectors.shape} and the type "
                f"{segment.vectors.dtype} in a space of {counted(self.dimension, 'dimension')} of {self.spec.dtype}"
            )
        if not 0 <= segment.provenance < len(self.provenance):
            raise DamagedStoreError(
                f"the manifest gives {segment.file.path} the provenance {segment.provenance} of {len(self.provenance)}"
            )

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
            "segments": {text: segment.to_json() for text, segment in self.vectors.records.newest},
            "segment_lists": self.vectors.records.to_json(),
            "queries": {text: segment.to_json() for text, segment in self.query_vectors.records.newest},
            "query_lists": self.query_vectors.records.to_json(),
        }

    @classmethod
    def from_json(cls, value: dict[str, Any], root: Path = Path()) -> "SpaceRecord":
        """Build the record from its JSON form; earlier releases had `queries` among `segments`, and no lists."""
        spec = EncoderSpec.from_json(exactly(dict, value, "a space")["spec"])
        dimension = whole(value["dimension"], "the dimension of a space", least=1, most=_MOST_DIMENSIONS)
        form = VectorForm(spec.key, dimension, _STORED[spec.dtype])

        def vectors(name: str, lists: str, default: dict[str, Any] | None = None) -> Vectors:
            found = exactly(
                dict, value[name] if default is None else value.get(name, default), "the segments of a space"
            )
            listed = exactly(list, value.get(lists, []), "the lists of a space")
            newest = [
                (hash_of(text, "the hash of a text segment"), VectorSegment.from_json(one))
                for text, one in found.items()
            ]
            return Vectors(Records.from_json(form, newest, listed, root))

        head = Head.from_json(value["head"]) if value.get("head") is not None else None
        if head and (spec.output != "logits" or len(head.labels) != dimension):
            raise DamagedStoreError(
                f"the manifest gives a space of {counted(dimension, 'dimension')} of {spec.output} a head of "
                f"{counted(len(head.labels), 'label')}"
            )
        listed = exactly(list, value["provenance"], "the provenance of a space")
        made = cls(
            spec=spec,
            dimension=dimension,
            model=text_of(value["model"], "the model of a space"),
            revision=text_of(value["revision"], "the revision of a space"),
            query_prompt=text_of(value["query_prompt"], "the query prompt of a space"),
            head=head,
            provenance=tuple(Provenance.from_json(p) for p in listed),
            segments=vectors("segments", "segment_lists"),
            queries=vectors("queries", "query_lists", {}),
        )
        for _, segment in (*made.vectors.records.newest, *made.query_vectors.records.newest):
            made.check(segment)
        return made


def check_count(segment: VectorSegment, texts: int | None) -> None:
    """Raise a `DamagedStoreError` if a vector segment has not as many vectors as its text segment has texts."""
    if segment.vectors.shape[0] != texts:
        raise DamagedStoreError(
            f"the manifest lists {segment.file.path} with {counted(segment.vectors.shape[0], 'vector')} for a "
            f"text segment of {'another store' if texts is None else texts}"
        )


@dataclass(frozen=True, slots=True)
class CorpusPart:
    """The rows of one source: a Parquet file, and where its rows came from.

    `origin` is the source file's path, or "" for rows from standard input or from Python. `fingerprint` is the
    SHA-256 of the source's content and of the options that it was read with. `ids` is a run of the sorted keys of its
    ids; None if they have none. See `embedstore.corpora.ids`.
    """

    file: FileRecord
    rows: int
    empty: int
    origin: str
    fingerprint: str
    ids: FileRecord | None = None

    def to_json(self) -> list[Any]:
        """Return `[file, rows, empty, origin, fingerprint, ids]`, without `ids` if it is None."""
        found = [self.file.to_json(), self.rows, self.empty, self.origin, self.fingerprint]
        return found if self.ids is None else [*found, self.ids.to_json()]

    @classmethod
    def from_json(cls, value: list[Any]) -> "CorpusPart":
        """Build the record from its JSON form; earlier releases had no `ids`."""
        file, rows, empty, origin, fingerprint, *ids = parts_of(value, "a part of a corpus", 5, 6)
        rows = whole(rows, "the rows of a part")
        return cls(
            FileRecord.from_json(file, "corpora.parquet"),
            rows,
            whole(empty, "the empty rows of a part", most=rows),
            text_of(origin, "the origin of a part"),
            text_of(fingerprint, "the fingerprint of a part"),
            KeyRun.file_from_json(ids[0], rows) if ids else None,
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
