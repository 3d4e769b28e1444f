"""Write folders for the user: each appears whole or not at all.

Steps of a write: a temp folder beside the folder, its files, fsync of each, rename, fsync of the folder above.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from embedstore.core.system import explained
from embedstore.core.unfinished import Unfinished
from embedstore.errors import EmbedstoreError, OutputError
from embedstore.tables.outputs import check_place

__all__ = ["check_folder_place", "published_folder"]

_TEMP = Unfinished("folder", "unfinished folder")


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
    try:
        with _TEMP.folder(path.parent) as temp:
            yield temp
            for one in [*temp.rglob("*"), temp]:
                _sync(one)
            temp.rename(path)
            _sync(path.parent)
    except OSError as error:
        if isinstance(error, EmbedstoreError):
            raise
        plain = OSError(error.errno, error.strerror) if error.errno else OSError(str(error))
        raise OutputError(explained(plain, path, action="can't write")) from error


def _sync(path: Path) -> None:
    with suppress(PermissionError):  # a folder that takes files and does not list them
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
