"""Copy a store: one state of it, file by file, each compared with its hash; whole or not at all.

The copy is made in a folder beside its place and renamed when all is on the disk. The process holds a lock on that
folder (`flock`, which ends with the process), so one whose lock is free was left by a killed copy.
"""

import errno
import fcntl
import hashlib
import logging
import os
import re
import shutil
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from embedstore.core.counts import counted, shown_bytes
from embedstore.core.progress import task
from embedstore.errors import DamagedStoreError, EmbedstoreError, UsageError
from embedstore.storage.gate import Folder, make_root, refused, staged
from embedstore.storage.listed import advice_on, open_file
from embedstore.storage.manifest import load, reading
from embedstore.storage.places import FileRecord

__all__ = ["CopyReport", "copy_files"]

logger = logging.getLogger(__name__)

_UNFINISHED = re.compile(r"\.embedstore-[0-9a-f]{12}\.copy")
_BLOCK = 1 << 22  # bytes

Copied = Callable[[int, int], None]
"""Called with the bytes that are copied, and those of all files."""


@dataclass(frozen=True, slots=True)
class CopyReport:
    """The result of copying a store: files and bytes."""

    files: int
    size: int

    def __str__(self) -> str:
        return f"{counted(self.files, 'file')}, {shown_bytes(self.size)} copied, each with the hash it was written with"


def copy_files(root: Path, target: Path, *, on_copied: Copied | None = None) -> CopyReport:
    """Copy the newest state of a store to a new folder.

    Parameters
    ----------
    root : Path
        The store.
    target : Path
        A folder that does not exist or is empty.
    on_copied : callable, optional
        See `Copied`.

    Raises
    ------
    UsageError
        If there is something at `target`, or it is inside the store.
    DamagedStoreError
        If a file is missing or altered; nothing is at `target` then.
    """
    _check_place(root, target)
    with reading(root) as manifest:
        files = list({file.path: file for file in manifest.files()}.values())
        size, done = sum(file.size for file in files), 0
        make_root(target.parent)
        try:
            with _unfinished(target, stat.S_IMODE(root.stat().st_mode)) as place:
                tell = task("bytes", size)
                for file in files:
                    _copy(root, file, place)
                    done += file.size
                    tell(file.size)
                    if on_copied:
                        on_copied(done, size)
                for name in sorted({file.path.partition("/")[0] for file in files}):
                    with Folder(place, name) as folder:
                        folder.sync()
                _copy_manifest(root, place, manifest.sequence)
                _check_place(root, target)
                place.rename(target)
                with Folder(target.parent) as parent:
                    parent.sync()
        except OSError as error:
            if isinstance(error, EmbedstoreError):
                raise
            if error.errno in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
                raise _taken(target) from error  # another process was first
            raise refused(error, target) from error
    return CopyReport(len(files) + 1, size)


def _check_place(root: Path, target: Path) -> None:
    if target.is_symlink() or (target.exists() and (not target.is_dir() or any(target.iterdir()))):
        raise _taken(target)
    if target.resolve().is_relative_to(root.resolve()):
        raise UsageError(f"expected a place outside of the store {root}, found {target}")


def _taken(target: Path) -> UsageError:
    return UsageError(f"expected a new or empty folder for a copy, found something at {target}")


@contextmanager
def _unfinished(target: Path, mode: int) -> Iterator[Path]:
    """Yield a new folder beside `target`, locked by this process; it is removed if it was not renamed."""
    _remove_leftovers(target.parent)
    place = target.parent / f".embedstore-{os.urandom(6).hex()}.copy"
    place.mkdir(mode & 0o777)
    descriptor = os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with suppress(OSError):  # a file system without locks: nobody can take this one either
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield place
    finally:
        shutil.rmtree(place, ignore_errors=True)
        os.close(descriptor)


def _remove_leftovers(folder: Path) -> None:
    """Remove what killed copies left in a folder, and say so."""
    found: list[Path] = []
    with suppress(OSError):  # a folder that takes files and does not list them
        found = [path for path in folder.iterdir() if _UNFINISHED.fullmatch(path.name)]
    if removed := [path.name for path in found if _removed(path)]:
        what = counted(len(removed), "unfinished copy")
        logger.warning("%s in %s that a killed run had left: removed (%s)", what, folder, ", ".join(removed))


def _removed(leftover: Path) -> bool:
    try:
        descriptor = os.open(leftover, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(leftover)
        return True
    except OSError:
        return False  # it is being made, or belongs to somebody else
    finally:
        os.close(descriptor)


def _copy(root: Path, file: FileRecord, place: Path) -> None:
    """Copy one file, and compare what was read with its hash."""
    folder, _, name = file.path.partition("/")
    found = hashlib.sha256()
    with (
        open_file(root, file) as stream,
        Folder(place, folder, make=True) as opened,
        os.fdopen(opened.create(name), "wb") as copy,
    ):
        while block := stream.read(_BLOCK):
            found.update(block)
            copy.write(block)
        copy.flush()
        os.fsync(copy.fileno())
    if found.hexdigest() != file.sha256:
        raise DamagedStoreError(f"{root / file.path} was altered. {advice_on(file)}")


def _copy_manifest(root: Path, place: Path, number: int) -> None:
    """Copy a manifest that is being read, so that it stays where it is."""
    name = f"manifest-{number:08d}.json"
    with Folder(root) as folder:
        content = folder.read(name)
    with staged(place, "") as temp:
        temp.stream.write(content)
        temp.link(name)
    load(place)
    with Folder(place) as folder:  # that the temporary name is gone
        folder.sync()
