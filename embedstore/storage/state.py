"""The manifest: the record of one state of a store, with all its files."""

from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

from embedstore.core.counts import counted
from embedstore.core.exact import exactly, parts_of, text_of, whole
from embedstore.core.names import check_name
from embedstore.errors import DamagedStoreError, EmbedstoreError
from embedstore.storage.derived import IndexRecord, KeyRun, MapRecord, ProbeRecord
from embedstore.storage.lists import TextForm
from embedstore.storage.records import (
    AnnotationPart,
    CorpusRecord,
    FileRecord,
    SpaceRecord,
    TextSegment,
    check_count,
)
from embedstore.storage.sealed import Records

__all__ = ["Manifest", "covers_fit"]

Key = TypeVar("Key")
Record = TypeVar("Record")

_LATER = ("annotations", "keys", "lineage", "maps", "query_lists", "text_lists")  # what the first releases did not have


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """All files of a store; a file that is not listed is not part of the store.

    `texts` are the segments of role corpus, in position order. `queries` are the segments of role query. Most of them
    stand in lists, which are read when they are needed; see `embedstore.storage.sealed`.
    Spaces and indexes are keyed by encoder key, probes by name, maps by the encoder key and the name of the corpus.
    Spaces keep their order of creation. `keys` are runs of sorted keys, of the first texts; the last ones are in none.
    `annotations` are the answers of people, in the order in which they were given.
    `lineage` has a random mark for each of the last commits. A writer that finds its mark in a newer manifest
    knows that this manifest includes its commit.
    """

    sequence: int = 0
    texts: Records[TextSegment] = field(default_factory=lambda: Records(TextForm()))
    queries: Records[TextSegment] = field(default_factory=lambda: Records(TextForm()))
    spaces: dict[str, SpaceRecord] = field(default_factory=dict)
    corpora: dict[str, CorpusRecord] = field(default_factory=dict)
    indexes: dict[str, IndexRecord] = field(default_factory=dict)
    maps: dict[tuple[str, str], MapRecord] = field(default_factory=dict)
    probes: dict[str, ProbeRecord] = field(default_factory=dict)
    annotations: tuple[AnnotationPart, ...] = ()
    keys: tuple[KeyRun, ...] = ()
    lineage: tuple[str, ...] = ()

    def listings(self) -> list[Records[Any]]:
        """Return everything that can stand in lists."""
        spaces = [one for space in self.spaces.values() for one in (space.vectors.records, space.query_vectors.records)]
        return [self.texts, self.queries, *spaces, *(index.listed for index in self.indexes.values())]

    def lists(self) -> list[FileRecord]:
        """Return the record of every list file; nothing is read."""
        return [file for one in self.listings() for file in one.files()]

    def files(self, without: AbstractSet[str] = frozenset()) -> list[FileRecord]:
        """Return the record of every file of the store: lists first.

        Parameters
        ----------
        without : set of str
            Paths of lists that are not read, because they are damaged.

        Raises
        ------
        DamagedStoreError
            If another list can't be read.
        """
        records = self.lists()
        records += [segment.file for texts in (self.texts, self.queries) for segment in texts.readable(without)]
        for space in self.spaces.values():
            for vectors in (space.vectors.records, space.query_vectors.records):
                records += [segment.file for _, segment in vectors.readable(without)]
        return records + self._others()

    @property
    def size(self) -> int:
        """Bytes of all files; no list is read."""
        segments = sum(one.totals[1] for one in self.listings())
        return segments + sum(file.size for file in (*self.lists(), *self._others()))

    def _others(self) -> list[FileRecord]:
        parts = [part for corpus in self.corpora.values() for part in corpus.parts]
        records = [file for part in parts for file in (part.file, part.ids) if file]
        records += [index.file for index in self.indexes.values()]
        records += [one.file for one in self.maps.values()]
        for probe in self.probes.values():
            records += [probe.arrays, probe.description]
        records += [part.file for part in self.annotations]
        records += [run.file for run in self.keys]
        return records

    def sealed(self, root: Path) -> "Manifest":
        """Return the same state with few records in memory, after writing the others to list files."""
        spaces, indexes = dict(self.spaces), dict(self.indexes)
        for key, space in spaces.items():
            segments, queries = space.vectors.sealed(root), space.query_vectors.sealed(root)
            spaces[key] = replace(space, segments=segments, queries=queries)
        for key, index in indexes.items():
            indexes[key] = replace(index, covers=index.listed.sealed(root))
        return replace(
            self, texts=self.texts.sealed(root), queries=self.queries.sealed(root), spaces=spaces, indexes=indexes
        )

    def to_json(self) -> dict[str, Any]:
        """Return the manifest as a JSON object; ordered maps become lists."""
        return {
            "sequence": self.sequence,
            "texts": [segment.to_json() for segment in self.texts.newest],
            "text_lists": self.texts.to_json(),
            "queries": [segment.to_json() for segment in self.queries.newest],
            "query_lists": self.queries.to_json(),
            "spaces": [space.to_json() for space in self.spaces.values()],
            "corpora": [[name, corpus.to_json()] for name, corpus in self.corpora.items()],
            "indexes": [[key, index.to_json()] for key, index in self.indexes.items()],
            "maps": [[*key, one.to_json()] for key, one in self.maps.items()],
            "probes": [[name, probe.to_json()] for name, probe in self.probes.items()],
            "annotations": [part.to_json() for part in self.annotations],
            "keys": [run.to_json() for run in self.keys],
            "lineage": list(self.lineage),
        }

    @classmethod
    def from_json(cls, value: dict[str, Any], root: Path = Path()) -> "Manifest":
        """Build the manifest from its JSON object, in the store that has its lists.

        Raises
        ------
        DamagedStoreError
            If a field is missing, has another type or is out of bounds.
        """
        try:
            texts, queries = (
                Records.from_json(TextForm(), map(TextSegment.from_json, _list(value, name)), _list(value, lists), root)
                for name, lists in (("texts", "text_lists"), ("queries", "query_lists"))
            )
            spaces = _named([(one.spec.key, one) for one in _spaces(value, texts, root)])
            count = whole(texts.rows, "the number of texts")
            corpora = _named([(name, CorpusRecord.from_json(one, count)) for name, one in _pairs(value, "corpora")])
            indexes = _named([(key, IndexRecord.from_json(one, root)) for key, one in _pairs(value, "indexes")])
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
                keys=KeyRun.all_from_json(_list(value, "keys"), count),
                lineage=tuple(text_of(mark, "a mark of a commit") for mark in _list(value, "lineage")),
            )
            _check_together(made)
            return made
        except EmbedstoreError as error:
            raise error if isinstance(error, DamagedStoreError) else DamagedStoreError(str(error)) from error
        except (KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError, RecursionError) as error:
            raise DamagedStoreError(f"the manifest holds a record of another form: {error!r}") from error


def _spaces(value: dict[str, Any], texts: Records[TextSegment], root: Path) -> Iterator[SpaceRecord]:
    """Yield the spaces; earlier releases did not tell the vectors of queries from those of corpora."""
    for one in _list(value, "spaces"):
        space = SpaceRecord.from_json(one, root)
        if "queries" in one:
            yield space
            continue
        of_texts = {text: found for text, found in space.segments.items() if texts.place(text) is not None}
        of_queries = {text: found for text, found in space.segments.items() if text not in of_texts}
        yield replace(space, segments=of_texts, queries=of_queries)


def _list(value: dict[str, Any], name: str) -> list[Any]:
    """Return a list of the manifest; earlier releases had no annotations, keys, lineage, maps and lists."""
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
    """Raise a `DamagedStoreError` if what the records say does not fit together.

    What stands in lists is not read here: it is compared when it is used (`SpaceRecord.of`, `Records.counts`).
    """
    if len({segment.file.sha256 for segment in manifest.texts.newest}) < len(manifest.texts.newest):
        raise DamagedStoreError("the manifest is damaged: it lists a text segment twice")
    for name in (*manifest.corpora, *manifest.probes):
        check_name("corpus or probe", name)
    for space in manifest.spaces.values():
        for vectors, texts in (
            (space.vectors.records, manifest.texts),
            (space.query_vectors.records, manifest.queries),
        ):
            counts = {text.file.sha256: text.count for text in texts.newest}
            for text, segment in vectors.newest:
                if text in counts or not texts.lists:
                    check_count(segment, counts.get(text))
            if vectors.rows > texts.rows or len(vectors) > len(texts):
                raise DamagedStoreError(
                    f"the manifest lists {counted(vectors.rows, 'vector')} for {counted(texts.rows, 'text')}"
                )
    for key, index in manifest.indexes.items():
        owner = manifest.spaces.get(key)
        lists = owner.vectors.records.lists if owner else ()
        if (index.count > owner.vectors.records.rows) if owner and lists else not covers_fit(index, owner):
            raise DamagedStoreError(f"the manifest lists an index {index.file.path} of other vectors than it has")
    for key, corpus in manifest.maps:
        if key not in manifest.spaces or corpus not in manifest.corpora:
            raise DamagedStoreError(
                f"the manifest lists a map of {corpus!r} in a space or corpus that it does not have"
            )
    for name, probe in manifest.probes.items():
        if probe.space not in manifest.spaces:
            raise DamagedStoreError(f"the manifest lists a probe {name!r} of a space that it does not have")


def covers_fit(index: IndexRecord, space: SpaceRecord | None) -> bool:
    """Return whether a space has what an index covers; all lists are read."""
    held = space.segments.values() if space else ()
    rows = {segment.file.sha256: segment.vectors.shape[0] for segment in held}
    covered = [rows[one] for one in set(index.covers) if one in rows]
    return len(covered) == len(index.covers) and sum(covered) == index.count
