"""The manifest: the record of one state of a store, with all its files."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from embedstore.core.counts import counted
from embedstore.core.exact import exactly, parts_of, text_of, whole
from embedstore.core.names import check_name
from embedstore.errors import DamagedStoreError, EmbedstoreError
from embedstore.storage.derived import IndexRecord, MapRecord, ProbeRecord
from embedstore.storage.records import (
    AnnotationPart,
    CorpusRecord,
    FileRecord,
    SpaceRecord,
    TextSegment,
)

__all__ = ["Manifest"]

Key = TypeVar("Key")
Record = TypeVar("Record")

_LATER = ("annotations", "lineage", "maps")  # what the first releases did not have


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """All files of a store; a file that is not listed is not part of the store.

    `texts` are the segments of role corpus, in position order. `queries` are the segments of role query.
    Spaces and indexes are keyed by encoder key, probes by name, maps by the encoder key and the name of the corpus.
    Spaces keep their order of creation.
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
    maps: dict[tuple[str, str], MapRecord] = field(default_factory=dict)
    probes: dict[str, ProbeRecord] = field(default_factory=dict)
    annotations: tuple[AnnotationPart, ...] = ()
    lineage: tuple[str, ...] = ()

    def files(self) -> list[FileRecord]:
        """Return the record of every file of the store."""
        records = [segment.file for segment in (*self.texts, *self.queries)]
        records += [segment.file for space in self.spaces.values() for segment in space.segments.values()]
        records += [part.file for corpus in self.corpora.values() for part in corpus.parts]
        records += [index.file for index in self.indexes.values()]
        records += [one.file for one in self.maps.values()]
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
            "maps": [[*key, one.to_json()] for key, one in self.maps.items()],
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
            texts = tuple(map(TextSegment.from_json, _list(value, "texts")))
            queries = tuple(map(TextSegment.from_json, _list(value, "queries")))
            spaces = _named([(one.spec.key, one) for one in map(SpaceRecord.from_json, _list(value, "spaces"))])
            count = sum(segment.count for segment in texts)
            corpora = _named([(name, CorpusRecord.from_json(one, count)) for name, one in _pairs(value, "corpora")])
            indexes = _named([(key, IndexRecord.from_json(one)) for key, one in _pairs(value, "indexes")])
            maps = _named([(key, MapRecord.from_json(one)) for key, one in _triples(value, "maps")])
            probes = _named([(name, ProbeRecord.from_json(one)) for name, one in _pairs(value, "probes")])
            made = cls(
                sequence=whole(value["sequence"], "the number of the manifest"),
                texts=texts,
                queries=queries,
                spaces=spaces,
                corpora=corpora,
                indexes=indexes,
                maps=maps,
                probes=probes,
                annotations=tuple(map(AnnotationPart.from_json, _list(value, "annotations"))),
                lineage=tuple(text_of(mark, "a mark of a commit") for mark in _list(value, "lineage")),
            )
            _check_together(made)
            return made
        except EmbedstoreError as error:
            raise error if isinstance(error, DamagedStoreError) else DamagedStoreError(str(error)) from error
        except (KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError, RecursionError) as error:
            raise DamagedStoreError(f"the manifest holds a record of another form: {error!r}") from error


def _list(value: dict[str, Any], name: str) -> list[Any]:
    """Return a list of the manifest; earlier releases had no annotations, no lineage and no maps."""
    present = exactly(dict, value, "the manifest")
    return exactly(list, present.get(name, []) if name in _LATER else present[name], f"{name} of the manifest")


def _pairs(value: dict[str, Any], name: str) -> Iterator[tuple[str, Any]]:
    for pair in _list(value, name):
        if type(pair) is not list or len(pair) != 2:
            raise DamagedStoreError(
                f"the manifest is damaged: expected a name and a record in {name}, found another form"
            )
        yield text_of(pair[0], f"a name in {name}"), pair[1]


def _triples(value: dict[str, Any], name: str) -> Iterator[tuple[tuple[str, str], Any]]:
    for one in _list(value, name):
        space, corpus, record = parts_of(one, f"a space, a corpus and a record in {name}", 3)
        yield (text_of(space, f"a space in {name}"), text_of(corpus, f"a corpus in {name}")), record


def _named(pairs: Sequence[tuple[Key, Record]]) -> dict[Key, Record]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise DamagedStoreError(
            "the manifest is damaged: it lists two corpora, spaces, indexes, maps or probes of one name"
        )
    return found


def _check_together(manifest: Manifest) -> None:
    """Raise a `DamagedStoreError` if what the records say does not fit together."""
    counts = {segment.file.sha256: segment.count for segment in (*manifest.queries, *manifest.texts)}
    if len({segment.file.sha256 for segment in manifest.texts}) < len(manifest.texts):
        raise DamagedStoreError("the manifest is damaged: it lists a text segment twice")
    for name in (*manifest.corpora, *manifest.probes):
        check_name("corpus or probe", name)
    for space in manifest.spaces.values():
        for text, segment in space.segments.items():
            if counts.get(text) != segment.vectors.shape[0]:
                raise DamagedStoreError(
                    f"the manifest lists {segment.file.path} with {counted(segment.vectors.shape[0], 'vector')} for a "
                    f"text segment of {counts.get(text, 'another store')}"
                )
    for key, index in manifest.indexes.items():
        held = manifest.spaces[key].segments.values() if key in manifest.spaces else ()
        rows = {segment.file.sha256: segment.vectors.shape[0] for segment in held}
        covered = [rows[one] for one in set(index.covers) if one in rows]
        if len(covered) < len(index.covers) or sum(covered) != index.count:
            raise DamagedStoreError(f"the manifest lists an index {index.file.path} of other vectors than it has")
    for key, corpus in manifest.maps:
        if key not in manifest.spaces or corpus not in manifest.corpora:
            raise DamagedStoreError(
                f"the manifest lists a map of {corpus!r} in a space or corpus that it does not have"
            )
    for name, probe in manifest.probes.items():
        if probe.space not in manifest.spaces:
            raise DamagedStoreError(f"the manifest lists a probe {name!r} of a space that it does not have")
