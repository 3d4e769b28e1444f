"""Remove the files that a store no longer refers to, and merge small query segments."""

import logging
import stat
from collections.abc import Iterable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from embedstore.core.settings import Home
from embedstore.errors import StorageError
from embedstore.storage import locks
from embedstore.storage.gate import FOLDERS, TEMP_PREFIX, Folder
from embedstore.storage.listed import forget_maps, map_dataset
from embedstore.storage.manifest import commit, load, manifest_files, parsed, remove_unread
from embedstore.storage.records import TextSegment, VectorSegment
from embedstore.storage.segments import read_texts, write_texts, write_vectors
from embedstore.storage.state import Manifest
from embedstore.vectors.waiting import waiting_files

__all__ = ["GcReport", "gc"]

logger = logging.getLogger(__name__)

_MERGED_BELOW = 4096


@dataclass(frozen=True, slots=True)
class GcReport:
    """The result of `gc`.

    Parameters
    ----------
    removed : tuple of str
        Paths in the store of the files that were removed, or would be.
    size : int
        Their bytes.
    merged : int
        Number of query segments that were merged.
    spared : int
        Number of unlisted files that stay, because they are being read.
    waiting : int
        Number of finished segments that stay, because `encode` will commit them.
    """

    removed: tuple[str, ...]
    size: int
    merged: int
    spared: int = 0
    waiting: int = 0


def gc(home: Home, *, dry_run: bool = False) -> GcReport:
    """Remove the files that the newest manifest does not list, then merge small query segments.

    Waits for running writers. Readers go on: the files that they read stay, until the next call. To remove needs no
    space on the disk; the merge needs some, and is left for later if there is none.

    Parameters
    ----------
    home : Home
        The store.
    dry_run : bool
        Only report the files; remove and merge nothing.

    Raises
    ------
    StoreBusyError
        If another process writes to the store for longer than `Settings.wait` seconds, or this thread does.
    """
    root = home.root
    if dry_run:
        return _swept(root, dry_run=True)
    with locks.alone(root, home.settings.wait):
        first = _swept(root, dry_run=False)
        try:
            merged = _merge_queries(root, load(root))
        except StorageError as error:
            logger.warning("small query segments stay as they are: %s", error)
            merged = 0
        if not merged:
            return first
        then = _swept(root, dry_run=False)
    return GcReport((*first.removed, *then.removed), first.size + then.size, merged, then.spared, then.waiting)


def _swept(root: Path, *, dry_run: bool) -> GcReport:
    """Remove what is listed neither by the newest manifest, nor by one that is being read, nor by a receipt."""
    manifest = load(root)
    kept = waiting_files(root, manifest)
    listed = kept.union(file.path for file in manifest.files())
    read: set[str] = set()
    removed, size, spared = [], 0, 0
    with ExitStack() as stack:
        folders = [stack.enter_context(Folder(root))]  # all are opened before anything is removed
        for name in FOLDERS:
            with suppress(FileNotFoundError):
                folders.append(stack.enter_context(Folder(root, name)))
        for number, path in manifest_files(root):
            if number >= manifest.sequence:
                continue
            with suppress(FileNotFoundError):  # a dry run holds no lock, and commits remove old manifests meanwhile
                length = folders[0].status(path.name).st_size
                if remove_unread(path, dry_run=dry_run):
                    removed.append(path.name)
                    size += length
                else:
                    read |= {file.path for file in parsed(number, path).files()}
                    spared += 1
        for folder in folders:
            prefix = "" if folder.path == root else f"{folder.path.name}/"
            for name, length in _unlisted(folder, prefix, listed):
                if prefix + name in read:
                    spared += 1
                    continue
                removed.append(prefix + name)
                size += length
                if not dry_run:
                    folder.remove(name)
    forget_maps()
    return GcReport(tuple(sorted(removed)), size, 0, spared, len(kept) // 2)


def _unlisted(folder: Folder, prefix: str, listed: set[str]) -> Iterable[tuple[str, int]]:
    """Yield the name and the size of each file in a folder that is not listed; in the store's own, of temp files."""
    for name in folder.names():
        if prefix + name in listed or not (prefix or name.startswith(TEMP_PREFIX)):
            continue
        with suppress(FileNotFoundError):  # a dry run holds no lock, and writers remove their temp files meanwhile
            status = folder.status(name)
            if not stat.S_ISDIR(status.st_mode):
                yield name, status.st_size


def _merge_queries(root: Path, manifest: Manifest) -> int:
    """Merge small query segments covered by the same spaces; return the number of segments merged."""
    covered_by: dict[tuple[str, ...], list[TextSegment]] = {}
    for text in manifest.queries:
        if text.count < _MERGED_BELOW:
            keys = tuple(key for key, space in manifest.spaces.items() if text.file.sha256 in space.queries)
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
        parts = [found for text in group if (found := space.of(text, query=True))]
        vectors = np.concatenate(
            [map_dataset(root, parts[n].file, parts[n].vectors)[row : row + 1] for n, row in place.values()]
        )
        file, dataset = write_vectors(root, vectors, encoder_key=key, texts=whole.file.sha256)
        left = space.query_vectors.kept(lambda text, _: text not in gone)
        merged = {whole.file.sha256: VectorSegment(file, dataset, 0, parts[0].provenance)}
        spaces[key] = replace(space, queries=left.plus(merged))
    queries = manifest.queries.kept(lambda text: text.file.sha256 not in gone)
    return replace(manifest, queries=queries.plus([whole]), spaces=spaces)
