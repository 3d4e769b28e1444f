"""Write folders for the user: each appears whole or not at all.

Steps of a write: a temp folder beside the folder, its files, fsync of each, rename, fsync of the folder above. The
writer holds a lock on its temp folder (`flock`, which ends with the process), so one whose lock is free was left by a
killed run.
"""

import fcntl
import logging
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from embedstore.core.system import explained
from embedstore.errors import EmbedstoreError, OutputError
from embedstore.tables.outputs import check_place

__all__ = ["check_folder_place", "published_folder"]

logger = logging.getLogger(__name__)

_TEMP = re.compile(r"\.embedstore-[0-9a-f]{12}\.folder")


def check_folder_place(path: Path) -> None:
    """Check that a new folder can be made at `path`, before any work is done for it.

    Raises
    ------
    OutputError
        If there is something already, or no folder can be made there.
    """
    if path.is_symlink() or path.exists():
        raise OutputError(f"can't write {path}: it is there already; remove it, or choose another name")
    check_place(path)


@contextmanager
def published_folder(path: Path) -> Iterator[Path]:
    """Yield a temp folder beside `path`; rename it to `path` if the block ends without an error.

    Raises
    ------
    OutputError
        If there is something at `path`, or the folder can't be written.
    """
    check_folder_place(path)
    _remove_leftovers(path.parent)
    temp = path.parent / f".embedstore-{os.urandom(6).hex()}.folder"
    try:
        temp.mkdir()
        held = _locked(temp)
        try:
            yield temp
            for one in [*temp.rglob("*"), temp]:
                _sync(one)
            temp.rename(path)
            _sync(path.parent)
        finally:
            os.close(held)
            shutil.rmtree(temp, ignore_errors=True)
    except OSError as error:
        if isinstance(error, EmbedstoreError):
            raise
        plain = OSError(error.errno, error.strerror) if error.errno else OSError(str(error))
        raise OutputError(explained(plain, path, action="can't write")) from error


def _locked(folder: Path) -> int:
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    with suppress(OSError):  # a file system without locks: nobody can take this one either
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    return descriptor


def _remove_leftovers(folder: Path) -> None:
    """Remove the temp folders that killed runs left in a folder, and say so."""
    found: list[Path] = []
    with suppress(OSError):  # a folder that takes files and does not list them
        found = [path for path in folder.iterdir() if _TEMP.fullmatch(path.name) and path.is_dir()]
    for path in found:
        with suppress(OSError):  # it is being written, or belongs to somebody else
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(path)
                logger.warning("an unfinished folder in %s that a killed run had left: removed (%s)", folder, path.name)
            finally:
                os.close(descriptor)


def _sync(path: Path) -> None:
    with suppress(PermissionError):  # a folder that takes files and does not list them
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
