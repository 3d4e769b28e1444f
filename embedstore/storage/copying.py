"""Copy a store: one state of it, file by file, each compared with its hash; whole or not at all.

The copy is made in a folder beside its place and renamed when all is on the disk.
"""

import errno
import hashlib
import os
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from embedstore.core.counts import counted, shown_bytes
from embedstore.core.progress import task
from embedstore.core.unfinished import Unfinished
from embedstore.errors import DamagedStoreError, EmbedstoreError, UsageError
from embedstore.storage.gate import Folder, make_root, refused, staged
from embedstore.storage.listed import advice_on, open_file
from embedstore.storage.manifest import load, reading
from embedstore.storage.places import FileRecord

__all__ = ["CopyReport", "copy_files"]

_TEMP = Unfinished("copy", "unfinished copy")
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
            with _TEMP.folder(target.parent, stat.S_IMODE(root.stat().st_mode) & 0o777) as place:
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
