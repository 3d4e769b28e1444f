"""The manifest: the record of one state of a store, with all its files."""

from dataclasses import dataclass, field
from typing import Any

from embedstore.errors import DamagedStoreError, EmbedstoreError
from embedstore.storage.records import (
    AnnotationPart,
    CorpusRecord,
    FileRecord,
    IndexRecord,
    ProbeRecord,
    SpaceRecord,
    TextSegment,
)

__all__ = ["Manifest"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """All files of a store; a file that is not listed is not part of the store.

    `texts` are the segments of role corpus, in position order. `queries` are the segments of role query.
    Spaces and indexes are keyed by encoder key, probes by name. Spaces keep their order of creation.
    `annotations` are the answers of people, in the order in which they were given.
    `lineage` has a random mark for each of the last commits. A writer that finds its mark in a newer manifest
    knows that this manifest includes its commit.
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
        """Return the manifest as a JSON object; ordered maps become lists."""
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
        """Build the manifest from its JSON object.

        Raises
        ------
        DamagedStoreError
            If a field is missing, has another type or is out of bounds.
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
