"""Looking after a store: verify every byte, collect what no manifest lists, export vectors."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from embedstore.annotations import read_part
from embedstore.corpus import Corpus
from embedstore.errors import DamagedStoreError, OutputError
from embedstore.output import published
from embedstore.space import Space, text_starts
from embedstore.storage import files
from embedstore.storage.manifest import commit, load, manifest_files
from embedstore.storage.records import AnnotationPart, FileRecord, Manifest, SpaceRecord, TextSegment, VectorSegment
from embedstore.storage.segments import (
    check_size,
    forget_maps,
    map_dataset,
    read_texts,
    segment_keys,
    text_key,
    write_texts,
    write_vectors,
)

__all__ = ["GcReport", "VerifyReport", "export", "gc", "repair", "verify"]

_FOLDERS = ("texts", "vectors", "corpora", "index", "probes", "annotations")
_NORM_TOLERANCE = {"<f4": 1e-3, "<f2": 5e-3}
_MERGED_BELOW = 4096


@dataclass(frozen=True, slots=True)
class VerifyReport:
    """What a check found: files and bytes read, one line per fault, and the paths (in the store) of damaged files."""

    files: int
    size: int
    faults: tuple[str, ...]
    damaged: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class GcReport:
    """What was (or would be) removed, and how many query segments were merged."""

    removed: tuple[str, ...]
    size: int
    merged: int


def verify(root: Path, on_file: Callable[[FileRecord], None] | None = None) -> VerifyReport:
    """Read every byte of a store and check it against the manifest.

    Hashes of all files; text keys against texts; vectors finite, and of unit length where the space says
    so; row positions inside the texts.
    """
    manifest = load(root)
    faults: list[str] = []
    size = 0
    sound: set[str] = set()
    damaged: list[str] = []
    for file in manifest.files():
        if on_file:
            on_file(file)
        size += file.size
        try:
            if files.file_sha256(check_size(root, file)) != file.sha256:
                raise DamagedStoreError(f"{root / file.path} was altered: its hash does not fit")
            sound.add(file.path)
        except (DamagedStoreError, OSError) as error:
            faults.append(str(error))
            damaged.append(file.path)
    for check, file in _content_checks(root, manifest):
        if file.path in sound and (fault := check()):
            faults.append(f"{root / file.path}: {fault}")
            damaged.append(file.path)
    return VerifyReport(len(manifest.files()), size, tuple(faults), tuple(dict.fromkeys(damaged)))


def repair(root: Path) -> tuple[str, ...]:
    """Forget the damaged files that can be made again, and return their paths in the store.

    Vectors are encoded again by the next `encode`, labels and queries when they are asked for; indexes and probes are
    built again by `index` and `train`. Texts and tables can't be made again: these stay listed, and damaged.
    """
    with files.lock(root / ".lock", exclusive=True):
        damaged = set(verify(root).damaged)

        def change(base: Manifest) -> Manifest:
            gone = {text.file.sha256 for text in base.queries if text.file.path in damaged}
            spaces = {
                key: replace(
                    space,
                    segments={
                        text: segment
                        for text, segment in space.segments.items()
                        if segment.file.path not in damaged and text not in gone
                    },
                )
                for key, space in base.spaces.items()
            }
            held = {text for space in spaces.values() for text in space.segments}
            return replace(
                base,
                spaces=spaces,
                queries=tuple(text for text in base.queries if text.file.sha256 in held),
                indexes={
                    key: record
                    for key, record in base.indexes.items()
                    if record.file.path not in damaged
                    and set(record.covers) <= {segment.file.sha256 for segment in spaces[key].segments.values()}
                },
                probes={
                    name: record
                    for name, record in base.probes.items()
                    if damaged.isdisjoint((record.arrays.path, record.description.path))
                },
            )

        before = {file.path for file in load(root).files()}
        after = {file.path for file in commit(root, change).files()}
        return tuple(sorted(before - after))


def _content_checks(root: Path, manifest: Manifest) -> Iterator[tuple[Callable[[], str], FileRecord]]:
    for text in (*manifest.texts, *manifest.queries):
        yield lambda text=text: _text_fault(root, text), text.file  # type: ignore[misc]
    counts = {text.file.sha256: text.count for text in (*manifest.texts, *manifest.queries)}
    for space in manifest.spaces.values():
        for sha256, segment in space.segments.items():
            expected = (counts.get(sha256, -1), space.dimension)
            yield (
                lambda segment=segment, space=space, expected=expected: _vector_fault(root, segment, space, expected),  # type: ignore[misc]
                segment.file,
            )
    texts = int(text_starts(manifest)[-1])
    for name, record in manifest.corpora.items():
        for part in record.parts:
            corpus = Corpus(root, name, replace(record, parts=(part,)))
            yield lambda corpus=corpus, part=part: _corpus_fault(corpus, part.rows, texts), part.file  # type: ignore[misc]
    for answers in manifest.annotations:
        yield lambda answers=answers: _answers_fault(root, answers), answers.file  # type: ignore[misc]


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
    positions = corpus.positions()
    if len(positions) != rows:
        return f"holds {len(positions)} rows, expected {rows}"
    return "" if not rows or (positions.min() >= 0 and positions.max() < texts) else "a row points past the texts"


def gc(root: Path, *, dry_run: bool = False) -> GcReport:
    """Remove the files that the newest manifest does not list; merge small query segments first.

    Waits for writers and keeps them out. Readers that hold an older state keep the files they have mapped.
    """
    if dry_run:
        return _sweep(root, load(root), merged=0, dry_run=True)
    with files.lock(root / ".lock", exclusive=True):
        merged = _merge_queries(root, load(root))
        return _sweep(root, load(root), merged=merged, dry_run=False)


def _sweep(root: Path, manifest: Manifest, *, merged: int, dry_run: bool) -> GcReport:
    listed = {root / file.path for file in manifest.files()}
    newest = manifest_files(root)[-1][1]
    present = [path for folder in _FOLDERS for path in (root / folder).glob("*")]
    present += [path for path in root.iterdir() if path.name.startswith((files.TEMP_PREFIX, "manifest-"))]
    removed, size = [], 0
    for path in sorted(present):
        if path in listed or path == newest or path.is_dir():
            continue
        size += path.lstat().st_size
        removed.append(path.relative_to(root).as_posix())
        if not dry_run:
            path.unlink()
    forget_maps()
    return GcReport(tuple(removed), size, merged)


def _merge_queries(root: Path, manifest: Manifest) -> int:
    """Write the small query segments that the same spaces cover as one; return how many went into others."""
    covered_by: dict[tuple[str, ...], list[TextSegment]] = {}
    for text in manifest.queries:
        if text.count < _MERGED_BELOW:
            keys = tuple(key for key, space in manifest.spaces.items() if text.file.sha256 in space.segments)
            covered_by.setdefault(keys, []).append(text)
    merged = 0
    for keys, group in covered_by.items():
        if len(group) > 1:
            manifest = _merge_group(root, manifest, keys, group)
            merged += len(group)
    if merged:
        commit(root, lambda base: replace(manifest, sequence=base.sequence))
    return merged


def _merge_group(root: Path, manifest: Manifest, keys: tuple[str, ...], group: list[TextSegment]) -> Manifest:
    place: dict[str, tuple[int, int]] = {}
    for number, text in enumerate(group):
        for row, value in enumerate(read_texts(root, text)):
            place.setdefault(value, (number, row))
    whole = write_texts(root, list(place))
    gone = {text.file.sha256 for text in group}
    spaces = dict(manifest.spaces)
    for key in keys:
        space = spaces[key]
        parts = [space.segments[text.file.sha256] for text in group]
        vectors = np.concatenate(
            [map_dataset(root, parts[n].file, parts[n].vectors)[row : row + 1] for n, row in place.values()]
        )
        file, dataset = write_vectors(root, vectors, encoder_key=key, texts=whole.file.sha256)
        segments = {text: segment for text, segment in space.segments.items() if text not in gone}
        segments[whole.file.sha256] = VectorSegment(file, dataset, 0, parts[0].provenance)
        spaces[key] = replace(space, segments=segments)
    queries = tuple(text for text in manifest.queries if text.file.sha256 not in gone)
    return replace(manifest, queries=(*queries, whole), spaces=spaces)


def export(space: Space, corpus: Corpus, path: Path) -> int:
    """Write one vector per row of a corpus, with its id, and return the number of rows.

    Parameters
    ----------
    space : Space
        The vectors.
    corpus : Corpus
        The rows.
    path : Path
        ``.npy`` (float32, (rows, dim); the ids beside it as ``.ids.csv``), ``.parquet`` (columns id and
        vector) or ``.h5`` (datasets id and vectors).

    Raises
    ------
    OutputError
        If the suffix is another, or the file can't be written.
    """
    if not path.parent.is_dir():
        raise OutputError(f"can't write {path}: there is no folder {path.parent}; make it first")
    writers: dict[str, Callable[[Path, Space, Corpus, Path], None]] = {
        ".npy": _export_npy,
        ".parquet": _export_parquet,
        ".h5": _export_hdf5,
    }
    if path.suffix not in writers:
        raise OutputError(f"can't export to {path}: expected a name that ends in {', '.join(writers)}")
    space.require(corpus.positions(), corpus.name)
    with published(path) as temp:
        writers[path.suffix](temp, space, corpus, path)
    return len(corpus)


_ROWS = 16_384


def _vector_runs(space: Space, corpus: Corpus) -> Iterator[tuple[int, np.ndarray[Any, Any]]]:
    positions = corpus.positions()
    for start in range(0, len(positions), _ROWS):
        yield start, space.at(positions[start : start + _ROWS], corpus.name)


def _export_npy(temp: Path, space: Space, corpus: Corpus, path: Path) -> None:
    from embedstore.output import write_table

    out = np.lib.format.open_memmap(temp, mode="w+", dtype=np.float32, shape=(len(corpus), space.dimension))
    for start, vectors in _vector_runs(space, corpus):
        out[start : start + len(vectors)] = vectors
    out.flush()
    ids = pa.table({"id": corpus.ids()})
    write_table([ids], ids.schema, path.with_suffix(".ids.csv"))


def _export_parquet(temp: Path, space: Space, corpus: Corpus, path: Path) -> None:
    from pyarrow import parquet

    ids = corpus.ids()
    schema = pa.schema([("id", ids.type), ("vector", pa.list_(pa.float32(), space.dimension))])
    with parquet.ParquetWriter(temp, schema) as writer:
        for start, vectors in _vector_runs(space, corpus):
            flat = pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), space.dimension)
            chunk = ids.slice(start, len(vectors)).combine_chunks()
            writer.write_table(pa.table([chunk, flat], schema=schema))


def _export_hdf5(temp: Path, space: Space, corpus: Corpus, path: Path) -> None:
    import h5py

    ids = corpus.ids()
    numbers = pa.types.is_integer(ids.type) or pa.types.is_floating(ids.type)
    with h5py.File(temp, "w") as container:
        if numbers:
            container.create_dataset("id", data=ids.to_numpy())
        else:
            container.create_dataset("id", data=list(map(str, ids.to_pylist())), dtype=h5py.string_dtype())
        out = container.create_dataset("vectors", shape=(len(corpus), space.dimension), dtype="<f4")
        for start, vectors in _vector_runs(space, corpus):
            out[start : start + len(vectors)] = vectors
        container.attrs["encoder_key"] = space.key
