"""Verify every byte of a store, and repair it."""

import os
from collections.abc import Callable, Iterator
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from itertools import takewhile
from pathlib import Path

import numpy as np

from embedstore.annotations.log import read_part
from embedstore.core.counts import counted
from embedstore.core.progress import steps
from embedstore.core.settings import Home
from embedstore.corpora.ids import id_keys
from embedstore.corpora.rows import Corpus
from embedstore.errors import DamagedStoreError
from embedstore.storage import locks
from embedstore.storage.derived import IndexRecord, KeyRun, MapRecord
from embedstore.storage.gate import FOLDERS, Folder
from embedstore.storage.keys import find_in_run, once
from embedstore.storage.listed import map_dataset, open_file, same_hash
from embedstore.storage.manifest import commit, load, manifest_files
from embedstore.storage.records import AnnotationPart, CorpusPart, FileRecord, SpaceRecord, TextSegment, VectorSegment
from embedstore.storage.segments import read_texts, segment_keys, text_key
from embedstore.storage.state import Manifest, covers_fit
from embedstore.vectors.snapshot import Snapshot

__all__ = ["VerifyReport", "repair", "verify"]

_NORM_TOLERANCE = {"<f4": 1e-3, "<f2": 5e-3}


@dataclass(frozen=True, slots=True)
class VerifyReport:
    """The result of `verify`: files and bytes read, one line per fault, and the damaged files' paths in the store."""

    files: int
    size: int
    faults: tuple[str, ...]
    damaged: tuple[str, ...]


def verify(now: Snapshot, *, on_file: Callable[[FileRecord], None] | None = None) -> VerifyReport:
    """Read every byte of a store and check it against the manifest.

    The checks: each file has its hash; each text has its key; vectors are finite, and of unit length if the space is
    normalised; rows point to existing texts; each text is found by its key;
    annotations can be read.

    Parameters
    ----------
    now : Snapshot
        The state of the store.
    on_file : callable, optional
        Called with each file's record before the file is read.
    """
    return _checked(now.root, now.manifest, on_file)


def _checked(root: Path, manifest: Manifest, on_file: Callable[[FileRecord], None] | None = None) -> VerifyReport:
    faults = _folder_faults(root)
    size = 0
    sound: set[str] = set()
    damaged: list[str] = []
    lost = _lost_lists(manifest)
    files = manifest.files(lost.keys())
    for file in steps("files", files, len(files)):
        if on_file:
            on_file(file)
        size += file.size
        try:
            with open_file(root, file) as stream:
                if not same_hash(stream, file):
                    raise DamagedStoreError(f"{root / file.path} was altered: its hash does not fit")
            if file.path in lost:
                raise lost[file.path]
            sound.add(file.path)
        except (DamagedStoreError, OSError) as error:
            faults.append(str(error))
            damaged.append(file.path)
    checks = list(_content_checks(root, manifest, lost.keys()))
    for check, file in steps("contents", checks, len(checks)):
        if file.path in sound and (fault := check()):
            faults.append(f"{root / file.path}: {fault}")
            damaged.append(file.path)
    return VerifyReport(len(files), size, tuple(faults), tuple(dict.fromkeys(damaged)))


def _lost_lists(manifest: Manifest) -> dict[str, DamagedStoreError]:
    """Return the paths of the lists that can't be read, each with its error: what they list is not known."""
    lost = {}
    for records in manifest.listings():
        for file in records.files():
            try:
                records.check(file.path)
            except DamagedStoreError as error:
                lost[file.path] = error
    return lost


def _folder_faults(root: Path) -> list[str]:
    """Return a line for each folder that is none, and for each manifest that is no file."""
    faults = []
    for folder, name in [*((name, "") for name in FOLDERS), *(("", path.name) for _, path in manifest_files(root))]:
        try:
            with Folder(root, folder) as opened:
                if name:
                    os.close(opened.open(name))
        except FileNotFoundError:
            continue
        except (DamagedStoreError, OSError) as error:
            faults.append(str(error))
    return faults


def repair(home: Home) -> tuple[str, ...]:
    """Remove damaged files that can be made again from the manifest, and return their paths in the store.

    The next `encode` makes vectors again; labels and queries are encoded again at their next use; `index` and `train`
    make indexes and probes again, the desk makes maps, and `add` makes sorted keys. Texts, tables and annotations can't
    be made again: they stay listed and damaged.

    Parameters
    ----------
    home : Home
        The store.
    """
    root = home.root
    with locks.alone(root, home.settings.wait):
        damaged = set(_checked(root, load(root)).damaged)

        def change(base: Manifest) -> Manifest:
            queries = {text.file.sha256 for text in base.queries.readable(damaged) if text.file.path not in damaged}
            spaces = {
                key: replace(
                    space,
                    segments=space.vectors.kept(lambda _, one: one.file.path not in damaged, damaged),
                    queries=space.query_vectors.kept(
                        lambda text, one: text in queries and one.file.path not in damaged, damaged
                    ),
                )
                for key, space in base.spaces.items()
            }
            held = {text for space in spaces.values() for text in space.queries}
            return replace(
                base,
                spaces=spaces,
                queries=base.queries.kept(lambda text: text.file.sha256 in held, damaged),
                indexes={
                    key: record
                    for key, record in base.indexes.items()
                    if damaged.isdisjoint((record.file.path, *(file.path for file in record.listed.files())))
                    and covers_fit(record, spaces[key])
                },
                maps={key: record for key, record in base.maps.items() if record.file.path not in damaged},
                probes={
                    name: record
                    for name, record in base.probes.items()
                    if damaged.isdisjoint((record.arrays.path, record.description.path))
                },
                corpora={
                    name: replace(corpus, parts=tuple(_without(damaged, part) for part in corpus.parts))
                    for name, corpus in base.corpora.items()
                },
                keys=tuple(takewhile(lambda run: run.file.path not in damaged, base.keys)),
            )

        before = {file.path for file in load(root).files(damaged)}
        after = {file.path for file in commit(root, change).files(damaged)}
        return tuple(sorted((before - after) & damaged))


def _without(damaged: AbstractSet[str], part: CorpusPart) -> CorpusPart:
    return replace(part, ids=None) if part.ids and part.ids.path in damaged else part


def _content_checks(
    root: Path, manifest: Manifest, lost: AbstractSet[str]
) -> Iterator[tuple[Callable[[], str], FileRecord]]:
    """Yield checks with the files that they are about; what stands in lost lists is left out."""
    counts: dict[str, int] = {}
    for text in (*manifest.texts.readable(lost), *manifest.queries.readable(lost)):
        yield lambda text=text: _text_fault(root, text), text.file  # type: ignore[misc]
        counts[text.file.sha256] = text.count
    unknown = {file.path for file in (*manifest.texts.files(), *manifest.queries.files())} & lost
    for space in manifest.spaces.values():
        both = (*space.vectors.records.readable(lost), *space.query_vectors.records.readable(lost))
        for sha256, segment in both:
            known = counts.get(sha256, segment.vectors.shape[0] if unknown else -1)
            expected = (known, space.dimension)
            yield (
                lambda segment=segment, space=space, expected=expected: _vector_fault(root, segment, space, expected),  # type: ignore[misc]
                segment.file,
            )
    for key, index in manifest.indexes.items():
        if not lost:
            yield lambda index=index, key=key: _cover_fault(index, manifest.spaces[key]), index.file  # type: ignore[misc]
    texts = manifest.texts.rows
    for name, record in manifest.corpora.items():
        for part in record.parts:
            corpus = Corpus(root, name, replace(record, parts=(part,)))
            yield lambda corpus=corpus, part=part: _corpus_fault(corpus, part.rows, texts), part.file  # type: ignore[misc]
            if part.ids:
                yield lambda corpus=corpus, part=part: _ids_fault(corpus, part, part.ids), part.ids  # type: ignore[misc]
    for run in manifest.keys:
        if not lost:
            yield lambda run=run: _keys_fault(root, manifest, run), run.file  # type: ignore[misc]
    for one in manifest.maps.values():
        yield lambda one=one: _map_fault(root, one, texts), one.file  # type: ignore[misc]
    for answers in manifest.annotations:
        yield lambda answers=answers: _answers_fault(root, answers), answers.file  # type: ignore[misc]


def _cover_fault(index: IndexRecord, space: SpaceRecord) -> str:
    return "" if covers_fit(index, space) else "covers other vectors than the store has"


def _answers_fault(root: Path, part: AnnotationPart) -> str:
    try:
        read_part(root, part)
    except DamagedStoreError as error:
        return str(error).removeprefix(f"{root / part.file.path} ")
    return ""


def _text_fault(root: Path, text: TextSegment) -> str:
    offset = map_dataset(root, text.file, text.offset)
    if offset[0] != 0 or (np.diff(offset.astype(np.int64)) < 0).any() or offset[-1] != text.text.shape[0]:
        return "text offsets do not rise from 0 to the end"
    keys = b"".join(text_key(value) for value in read_texts(root, text))
    return "" if keys == segment_keys(root, text).tobytes() else "a text does not have its key"


def _vector_fault(root: Path, segment: VectorSegment, space: SpaceRecord, expected: tuple[int, int]) -> str:
    space.check(segment)
    if segment.vectors.shape != expected:
        return f"has vectors of shape {segment.vectors.shape}, expected {expected}"
    vectors = np.asarray(map_dataset(root, segment.file, segment.vectors), dtype=np.float32)
    if not np.isfinite(vectors).all():
        return "holds numbers that are not finite"
    tolerance = _NORM_TOLERANCE[segment.vectors.dtype]
    if space.spec.normalized and (np.abs(np.linalg.norm(vectors, axis=1) - 1) > tolerance).any():
        return "holds vectors that are not of unit length"
    return ""


def _corpus_fault(corpus: Corpus, rows: int, texts: int) -> str:
    try:
        positions = corpus.positions()
    except DamagedStoreError as error:
        return str(error)
    if len(positions) != rows:
        return f"holds {counted(len(positions), 'row')}, expected {rows:,}"
    return "" if not rows or (positions.min() >= 0 and positions.max() < texts) else "a row points past the texts"


def _keys_fault(root: Path, manifest: Manifest, run: KeyRun) -> str:
    start = 0
    for segment in manifest.texts:
        first, last = max(start, run.start), min(start + segment.count, run.start + run.count)
        if first < last:
            try:
                keys, places = once(segment_keys(root, segment)[first - start : last - start])
            except DamagedStoreError:
                return ""  # told of the segment
            if not np.array_equal(find_in_run(root, run, keys.first, keys.rest)[places], np.arange(first, last)):
                return "does not have the keys of the texts that it covers"
        start += segment.count
    return ""  # each text is found at its position, so nothing else is in the run


def _ids_fault(corpus: Corpus, part: CorpusPart, file: FileRecord) -> str:
    run = KeyRun(file, 0, part.rows)
    try:
        batches = list(id_keys(corpus, part))
    except DamagedStoreError:
        return ""  # told of the part
    found = [np.array_equal(find_in_run(corpus.root, run, one.first, one.rest), one.position) for one in batches]
    return "" if all(found) else "does not have the keys of the ids of its rows"


def _map_fault(root: Path, record: MapRecord, texts: int) -> str:
    if not np.isfinite(map_dataset(root, record.file, record.point)).all():
        return "holds numbers that are not finite"
    positions = map_dataset(root, record.file, record.position)
    return "" if positions.max() < texts else "a place belongs to a text past the texts"
