"""The frame around an `add`: its locks, and no trace of a first one that fails."""

import errno
import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from embedstore.errors import StorageError
from embedstore.storage import locks
from embedstore.storage.gate import FOLDERS, Folder, make_root
from embedstore.storage.manifest import SEALED, exists
from embedstore.storage.records import CorpusPart, TextSegment

__all__ = ["Made", "adding_rows"]

_TRIES = 100


@dataclass
class Made:
    """The files that a run of `add` has written so far; the run puts its own lists here."""

    texts: Sequence[TextSegment] = ()
    parts: Sequence[CorpusPart] = ()


@contextmanager
def adding_rows(root: Path, wait: float) -> Iterator[Made]:
    """Hold the locks of `add` in a folder that is made if it is missing.

    If the block fails before there was a store, its files are removed, and the folder too if this call made it. That
    happens under the lock: another process that makes a store there comes before or after.

    Parameters
    ----------
    root : Path
        The store.
    wait : float
        Seconds to wait for other processes.
    """
    held, fresh = _locked(root, wait)
    with held:
        made = Made()
        try:
            yield made
        except BaseException:
            if not exists(root):
                with suppress(OSError):  # what can't be removed is in no manifest: `gc` removes it
                    _remove(root, made, fresh=fresh)
            raise


def _locked(root: Path, wait: float) -> tuple[ExitStack, bool]:
    """Return the locks, taken, and whether this call made the folder."""
    fresh, tries = False, 0
    while True:
        fresh, tries = make_root(root) or fresh, tries + 1
        with ExitStack() as stack:
            try:
                stack.enter_context(locks.adding(root, wait))
                stack.enter_context(locks.writing(root, wait))
            except StorageError as error:
                if error.errno != errno.ENOENT or tries == _TRIES:  # or it is a link that leads nowhere
                    raise
                continue  # another process, whose first rows could not be added, has removed the folder
            return stack.pop_all(), fresh


def _remove(root: Path, made: Made, *, fresh: bool) -> None:
    for file in [*(text.file for text in made.texts), *(part.file for part in made.parts)]:
        folder, _, name = file.path.partition("/")
        with suppress(FileNotFoundError), Folder(root, folder) as opened:
            opened.remove(name)
    for folder in ("lists", "keys"):  # of a commit that failed: only an add writes them here
        with suppress(FileNotFoundError), Folder(root, folder) as opened:
            for name in filter(SEALED.match, opened.names()):
                opened.remove(name)
    with Folder(root) as outer:
        for name in FOLDERS:
            with suppress(OSError):  # missing, or not empty
                os.rmdir(name, dir_fd=outer.descriptor)
        if set(outer.names()) <= set(locks.LOCKS):
            for name in locks.LOCKS:
                outer.remove(name)
            if fresh:
                root.rmdir()
