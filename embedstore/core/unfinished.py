"""Temp files and folders for what appears whole or not at all: each is locked until it is whole.

The lock (`flock`) ends with the process. So a temp file or folder whose lock is free was left by a killed run.
"""

import fcntl
import logging
import os
import re
import shutil
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from embedstore.core.counts import counted

__all__ = ["Unfinished"]

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Unfinished:
    """A kind of temp files or folders, by the end of their names.

    Parameters
    ----------
    ending : str
        The end of the names, without a dot.
    what : str
        What they are called in messages, in the singular.
    """

    ending: str
    what: str

    def names(self, name: str) -> bool:
        """Return whether `name` is one of this kind."""
        return bool(re.fullmatch(rf"\.embedstore-[0-9a-f]{{12}}\.{self.ending}", name))

    @contextmanager
    def file(self, above: Path, mode: int) -> Iterator[tuple[Path, int]]:
        """Yield a new file in a folder, and its descriptor; remove the file at the end if it was not renamed."""

        def made(path: Path) -> int:
            return os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)

        self._remove_left(above)
        path, descriptor = self._locked(above, made)
        try:
            yield path, descriptor
        finally:
            with suppress(OSError):  # it was renamed; or it can't be removed now, and the next run does it
                path.unlink()
            os.close(descriptor)

    @contextmanager
    def folder(self, above: Path, mode: int = 0o777) -> Iterator[Path]:
        """Yield a new folder in a folder; remove it at the end if it was not renamed."""

        def made(path: Path) -> int | None:
            path.mkdir(mode)
            try:
                return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            except FileNotFoundError:
                return None

        self._remove_left(above)
        path, descriptor = self._locked(above, made)
        try:
            yield path
        finally:
            shutil.rmtree(path, ignore_errors=True)
            os.close(descriptor)

    def _locked(self, above: Path, made: Callable[[Path], int | None]) -> tuple[Path, int]:
        """Make and lock one; again, if another run took it for one that was left before it was locked."""
        while True:
            path = above / f".embedstore-{os.urandom(6).hex()}.{self.ending}"
            descriptor = made(path)
            if descriptor is None:
                continue
            with suppress(OSError):  # a file system without locks: nobody can take this one either
                fcntl.flock(descriptor, fcntl.LOCK_EX)
            if path.exists():
                return path, descriptor
            os.close(descriptor)

    def _remove_left(self, folder: Path) -> None:
        """Remove what killed runs left in a folder, and say so."""
        found: list[Path] = []
        with suppress(OSError):  # a folder that takes files and does not list them
            found = [path for path in folder.iterdir() if self.names(path.name)]
        if removed := [path.name for path in found if _removed(path)]:
            what = counted(len(removed), self.what)
            logger.warning("%s in %s that a killed run had left: removed (%s)", what, folder, ", ".join(removed))


def _removed(left: Path) -> bool:
    """Remove a temp file or folder unless its writer still runs; return whether it is gone."""
    try:
        descriptor = os.open(left, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        kind = os.fstat(descriptor).st_mode
        if stat.S_ISREG(kind) or stat.S_ISDIR(kind):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(left) if stat.S_ISDIR(kind) else left.unlink()
            return True
    except OSError:
        pass  # it is being written, or belongs to somebody else
    finally:
        os.close(descriptor)
    return False
