"""Read the newest manifest; commit the next one.

A manifest file holds ``{"body":{…},"sha256":"…"}``. The hash is over the bytes of the body, so an altered
manifest is an error and is never read as a smaller store. The newest number wins.

A commit links the next number (`os.link` fails if another writer was first). Then it checks whether that number is
still the newest. If not, the lineage of the newest manifest says whether it includes this commit
(`Manifest.lineage`). If it does not, the commit starts again. This happens to a writer that slept while other
writers used its number and pruned it.
"""

import gc
import hashlib
import json
import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from itertools import count
from pathlib import Path

from embedstore.core.counts import counted
from embedstore.core.guards import CountedGuard, Lock
from embedstore.core.spec import canonical_json
from embedstore.errors import DamagedStoreError, EmbedstoreError, NotFoundError, StoreBusyError, StoreFormatError
from embedstore.storage.gate import FOLDERS, TEMP_PREFIX, Folder, staged
from embedstore.storage.lists import read_list
from embedstore.storage.locks import LOCKS, being_read, take_unread
from embedstore.storage.state import Manifest

__all__ = [
    "FORMAT_VERSION",
    "SEALED",
    "commit",
    "exists",
    "forget_parsed",
    "load",
    "load_or_empty",
    "load_whole",
    "manifest_files",
    "parsed",
    "reading",
    "remove_unread",
    "stores_elsewhere",
    "unknown_names",
]

FORMAT_VERSION = 3  # 2: text segments have the rows of their blank texts; 3: lists of segments
_NAME = re.compile(r"manifest-(\d{8,})\.json")
_VERSION = re.compile(rb'"format_version":\s*(\d{1,9})\b')
_HEAD, _MIDDLE, _TAIL = b'{"body":', b',"sha256":"', b'"}\n'
_OURS = {*FOLDERS, *LOCKS}
SEALED = re.compile(r"[0-9a-f]{64}\.")
"""How the name of a file of a store begins."""
_AFTER_COMMITS = ("vectors", "index", "maps", "probes", "annotations")
_KEPT = 4  # each commit removes older manifests: 10,000 commits would otherwise keep 10,000 copies
_REMEMBERED = 64  # commits in the lineage of a manifest
_ATTEMPTS = 1000
_RESTORE = "restore that file from a backup; `embedstore verify` checks the rest"
_LARGEST = 1 << 30  # bytes; a million segments take less
_TRIES, _PAUSE = 50, 0.02  # tries to mark a manifest as being read, and seconds between them
# The newest manifest is read for each query, and parsing takes most of the time. By store and hash of the content: the
# lists of a copy are its own.
_PARSED: dict[tuple[Path, bytes], Manifest] = {}
_PARSED_LOCK = Lock()


def manifest_files(root: Path) -> list[tuple[int, Path]]:
    """Return the number and the path of each manifest file in `root`, oldest first."""
    try:
        with Folder(root) as folder:
            names = [match for name in folder.names() if (match := _NAME.fullmatch(name))]
    except (FileNotFoundError, NotADirectoryError):
        return []
    return sorted((int(match[1]), root / match[0]) for match in names)


def unknown_names(root: Path) -> list[str]:
    """Return the names in a folder that do not belong to a store, not even to an interrupted one."""
    with Folder(root) as folder:
        return sorted(name for name in folder.names() if name not in _OURS and not name.startswith(TEMP_PREFIX))


def exists(root: Path) -> bool:
    """Return whether `root` holds a store.

    Raises
    ------
    DamagedStoreError
        If it has lost its manifests: only a store that had some has vectors, indexes, maps, probes or answers.
    """
    if manifest_files(root):
        return True
    for name in _AFTER_COMMITS:
        with suppress(FileNotFoundError, NotADirectoryError), Folder(root, name) as folder:
            if any(SEALED.match(one) for one in folder.names()):
                raise DamagedStoreError(
                    f"expected manifest-*.json in {root}, found none beside the files of a store in {name}/: restore "
                    "the newest one from a backup, or choose another folder"
                )
    return False


def load(root: Path) -> Manifest:
    """Read the newest manifest.

    Raises
    ------
    NotFoundError
        If `root` holds no store.
    DamagedStoreError
        If the newest manifest is not as a commit wrote it.
    StoreFormatError
        If a newer release wrote it.
    """
    descriptor, number, path = _open_newest(root)
    try:
        return _parse(_content(descriptor, path), number, path)
    finally:
        os.close(descriptor)


def load_whole(root: Path) -> Manifest:
    """Read the newest manifest and all its lists, which `gc` can remove afterwards. See `load` for the errors."""
    with reading(root) as manifest:
        for records in manifest.listings():
            records.place("")
        return manifest


def load_or_empty(root: Path) -> Manifest:
    """Read the newest manifest; where there is no store, return one without contents. See `load` for the errors."""
    return load(root) if exists(root) else Manifest()


@contextmanager
def reading(root: Path) -> Iterator[Manifest]:
    """Yield the newest manifest; until the end, `gc` leaves the files that it lists. See `load` for the errors."""
    for attempt in count(1):
        descriptor, number, path = _open_newest(root)
        with being_read(descriptor) as marked:
            # If it is not marked it is being removed, as it is not the newest any more; or a stranger holds its lock,
            # which must not keep anybody from reading.
            if marked or attempt == _TRIES:
                yield _parse(_content(descriptor, path), number, path)
                return
        time.sleep(_PAUSE)


def parsed(number: int, path: Path) -> Manifest:
    """Read one manifest file; see `load` for the errors."""
    with Folder(path.parent) as folder:
        return _parse(folder.read(path.name), number, path)


def _open_newest(root: Path) -> tuple[int, int, Path]:
    """Return a descriptor of the newest manifest, its number and its path."""
    for attempt in count(1):
        if not (listed := manifest_files(root)):
            break
        number, path = listed[-1]
        try:
            with Folder(root) as folder:
                return folder.open(path.name), number, path
        except FileNotFoundError:  # commits since the listing removed it
            if attempt == _ATTEMPTS:
                raise
    exists(root)  # or has it lost its manifests?
    raise NotFoundError(f"no store at {root}: make one with `embedstore encode STORE FILE --text COLUMN`")


def _content(descriptor: int, path: Path) -> bytes:
    size = os.fstat(descriptor).st_size
    if size > _LARGEST:
        raise DamagedStoreError(
            f"{path} has {counted(size, 'byte')}: no manifest is larger than {_LARGEST:,}; {_RESTORE}"
        )
    return os.pread(descriptor, size, 0)


def _parse(content: bytes, number: int, path: Path) -> Manifest:
    if (known := _PARSED.get(_known_as(path.parent, content))) and known.sequence == number:
        return known
    body = content[len(_HEAD) : -(64 + len(_MIDDLE) + len(_TAIL))]
    whole = _HEAD + body + _MIDDLE + hashlib.sha256(body).hexdigest().encode() + _TAIL
    if whole != content:
        _refuse_newer(content, path)
        raise DamagedStoreError(f"{path} was altered or cut short: its hash does not fit; {_RESTORE}")
    _refuse_newer(content, path)
    with _no_collections:
        return _remembered(path.parent, content, _read(body, number, path))


def forget_parsed() -> None:
    """Forget the manifests parsed so far: the next `load` parses, as in a new process."""
    _PARSED.clear()
    read_list.cache_clear()


def _known_as(root: Path, content: bytes) -> tuple[Path, bytes]:
    return root, hashlib.sha256(content).digest()


def _remembered(root: Path, content: bytes, manifest: Manifest) -> Manifest:
    with _PARSED_LOCK.held():
        while len(_PARSED) > 1:
            _PARSED.pop(next(iter(_PARSED)))
        _PARSED[_known_as(root, content)] = manifest
    return manifest


def _read(body: bytes, number: int, path: Path) -> Manifest:
    try:
        value = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise DamagedStoreError(f"{path} holds no manifest ({type(error).__name__}); {_RESTORE}") from error
    try:
        manifest = Manifest.from_json(value, path.parent)
    except DamagedStoreError as error:
        raise DamagedStoreError(f"{path}: {error}; {_RESTORE}") from error
    if manifest.sequence != number:
        raise DamagedStoreError(f"{path} says that it is number {manifest.sequence}: it was renamed; {_RESTORE}")
    return manifest


def _stop_collections() -> Callable[[], object]:
    enabled = gc.isenabled()
    gc.disable()
    return gc.enable if enabled else gc.disable


# A hundred thousand new objects, all kept, trigger garbage collections that take longer than the reading.
_no_collections = CountedGuard(_stop_collections)


def _refuse_newer(content: bytes, path: Path) -> None:
    # Also checked if the hash does not fit: a newer release may compute it in another way.
    match = _VERSION.search(content)
    if match and int(match[1]) > FORMAT_VERSION:
        raise StoreFormatError(
            f"{path.parent} has store format {int(match[1])}, and this release reads up to format "
            f"{FORMAT_VERSION}: upgrade embedstore"
        )


def _render(manifest: Manifest) -> bytes:
    with _no_collections:
        body = canonical_json({"format_version": FORMAT_VERSION, **manifest.to_json()})
    return _HEAD + body + _MIDDLE + hashlib.sha256(body).hexdigest().encode() + _TAIL


def commit(root: Path, change: Callable[[Manifest], Manifest]) -> Manifest:
    """Apply `change` to the newest manifest and publish the result as the newest.

    Parameters
    ----------
    root : Path
        The store's folder; without a manifest it is an empty store.
    change : callable
        Takes the newest manifest and returns the next one. It runs again on a newer manifest if another writer
        was first, so it must depend on nothing else.

    Returns
    -------
    Manifest
        The committed manifest; the newest one if `change` changed nothing.
    """
    for _ in range(_ATTEMPTS):
        base = load_or_empty(root)
        following = change(base)
        if following == base and base.sequence:
            return base
        mark = os.urandom(8).hex()
        lineage = (*base.lineage, mark)[-_REMEMBERED:]
        # Lists are on the disk before the manifest that names them; a commit that is lost leaves them to `gc`.
        following = replace(following.sealed(root), sequence=base.sequence + 1, lineage=lineage)
        name = f"manifest-{following.sequence:08d}.json"
        content = _render(following)
        with staged(root, "") as temp:
            temp.stream.write(content)
            if not temp.link(name):
                continue
        _remembered(root, content, following)
        if _overtaken(root, following, mark):
            _withdraw(root, name)
            continue
        with suppress(OSError, EmbedstoreError):
            for _, old in manifest_files(root)[:-_KEPT]:
                remove_unread(old)
        return following
    raise StoreBusyError(f"other processes were first {_ATTEMPTS} times at {root}; try again")


def _overtaken(root: Path, following: Manifest, mark: str) -> bool:
    """Return whether newer manifests exist and none includes this commit: its writer slept, and its number was pruned.

    The commit is on the disk. If nobody can look, it stands.
    """
    with suppress(OSError, EmbedstoreError):
        return manifest_files(root)[-1][0] > following.sequence and mark not in load(root).lineage
    return False


def _withdraw(root: Path, name: str) -> None:
    with suppress(OSError), Folder(root) as folder:  # if it stays, it is an old manifest that nobody reads
        folder.remove(name)


def remove_unread(path: Path, *, dry_run: bool = False) -> bool:
    """Remove a manifest file unless somebody reads it; return whether it is removed, or would be."""
    with Folder(path.parent) as folder:
        descriptor = folder.open(path.name)
        try:
            unread = take_unread(descriptor)
            if unread and not dry_run:
                folder.remove(path.name)
        finally:
            os.close(descriptor)
    return unread


def stores_elsewhere(store: str | Path, root: Path) -> str:
    """Return the end of an error message: the stores beside `root`, and the folder of this name if it has one."""
    others = sorted({path.parent.name for path in root.parent.glob("*/manifest-*.json")})
    there = f"; there are {', '.join(others)}" if others else ""
    here = isinstance(store, str) and "/" not in store and manifest_files(Path(store))
    return there + (f"; there is one at ./{store}: give './{store}'" if here else "")
