"""Write files for the user: each appears whole or not at all, where its path leads, with the mode of the one before.

Steps of a write: a temp file beside the file, its content, fsync, rename, fsync of the folder.
"""

import errno
import os
import re
import stat
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from embedstore.core.system import explained, kind_of
from embedstore.core.unfinished import Unfinished
from embedstore.errors import EmbedstoreError, OutputError
from embedstore.storage.locks import folder_alone
from embedstore.storage.manifest import manifest_files

__all__ = ["check_place", "published", "published_together"]

_TEMP = Unfinished("tmp", "unfinished file")
_STANDARD = re.compile(r"/dev/(stdout|stderr|fd/[0-9]+)|/proc/(self|[0-9]+)/fd/[0-9]+")


def check_place(path: Path) -> None:
    """Check that a file can be written at `path`, before any work is done for it.

    Raises
    ------
    OutputError
        If its folder is missing or takes no new file; if `path` leads to something else than a file, to a file that is
        write-protected, or into a store.
    """
    if _STANDARD.fullmatch(str(path)):
        raise OutputError(
            f"can't write {path}: expected the name of a file; leave it out to have rows on standard output"
        )
    try:
        target, status = _target(path)
    except OSError as error:
        raise _refused(error, path) from error
    folder = target.parent
    if not folder.is_dir():
        missing = folder if path.is_symlink() else path.parent
        raise OutputError(f"can't write {path}: there is no folder {missing}; make it first")
    if status and not stat.S_ISREG(status.st_mode):
        raise OutputError(f"can't write {path}: it is a {kind_of(status)}; give the name of a file")
    if store := _store_above(target):
        raise OutputError(f"can't write {path}: {store} is a store, whose files `gc` removes; choose another folder")
    for place, right in ((target, os.W_OK), (folder, os.W_OK | os.X_OK)):
        if place.exists() and not os.access(place, right, effective_ids=os.access in os.supports_effective_ids):
            denied = OSError(errno.EACCES, os.strerror(errno.EACCES), str(place))
            raise OutputError(explained(denied, action=f"can't write {path}: no right to write to"))


@contextmanager
def published(path: Path) -> Iterator[Path]:
    """Yield a temp path beside `path`; rename it to `path` if the block ends without an error.

    A symbolic link stays, and the file that it leads to is replaced. The new file has the mode, owner and group of the
    one before, as far as the system allows.

    Raises
    ------
    OutputError
        If the file can't be written; an earlier file stays unchanged.
    """
    with published_together(path) as (temp,):
        yield temp


@contextmanager
def published_together(path: Path, *others: Path, wait: float = 0) -> Iterator[tuple[Path, ...]]:
    """Yield a temp path for each of several files that belong together, and rename them as in `published`.

    All are whole on disk before the first is renamed. Then the earlier `others` are removed, `path` is renamed, and
    `others` after it. So at every moment, also after a kill or a loss of power, the files that are there are of one
    write; some of `others` may be missing.

    Raises
    ------
    OutputError
        As in `published`.
    StoreBusyError
        If another process holds the folder for longer than `wait` seconds, while there are `others`.
    """
    paths = (path, *others)
    for name in paths:
        check_place(name)
    staged: list[_Staged] = []
    try:
        with ExitStack() as held:
            staged += [held.enter_context(_staged(one)) for one in paths]
            yield tuple(one.temp for one in staged)
            for one in staged:
                one.finish()
            _put(staged, held, wait)
    except OSError as error:
        if isinstance(error, EmbedstoreError) or not _is_ours(error, staged):
            raise
        raise _refused(error, path) from error


def _put(staged: "list[_Staged]", held: ExitStack, wait: float) -> None:
    """Rename temp files to their targets, so that no moment shows files of two writes."""
    first, *others = staged
    if others:
        with suppress(PermissionError):  # a folder that takes files and does not list them
            held.enter_context(folder_alone(first.target.parent, wait))
        for one in others:
            one.target.unlink(missing_ok=True)
            _sync(one.target.parent)
    for one in staged:
        one.temp.replace(one.target)
        _sync(one.target.parent)


class _Staged(NamedTuple):
    """A temp file that is locked by this process, the file that it will be, and the status of the file before."""

    temp: Path
    target: Path
    descriptor: int
    before: os.stat_result | None

    def finish(self) -> None:
        """Give the file the owner, group and mode of the one before, and fsync it."""
        if self.before:
            mode = stat.S_IMODE(self.before.st_mode) & 0o777
            try:
                os.fchown(self.descriptor, -1, self.before.st_gid)
            except OSError:
                mode &= ~stat.S_IRWXG | (mode & stat.S_IRWXO) << 3  # another group gets no more than all others have
            with suppress(OSError):
                os.fchown(self.descriptor, self.before.st_uid, -1)
            with suppress(OSError):  # a file system without modes
                os.fchmod(self.descriptor, mode)
        os.fsync(self.descriptor)


@contextmanager
def _staged(path: Path) -> Iterator[_Staged]:
    """Make and lock a temp file for `path`; remove it at the end if it was not renamed."""
    target, before = _target(path)
    # The temp file is never more open than the file: it gets its mode when it is whole.
    with _TEMP.file(target.parent, 0o600 if before else 0o666) as (temp, descriptor):
        yield _Staged(temp, target, descriptor, before)


def _target(path: Path) -> tuple[Path, os.stat_result | None]:
    """Return the file that a path leads to, through symbolic links, and its status; None if it is not there."""
    try:
        status = path.stat()
    except FileNotFoundError:
        status = None
    except ValueError as error:  # a null character, or half a surrogate pair
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL)) from error
    return Path(os.path.realpath(path)), status


def _store_above(target: Path) -> Path | None:
    """Return the store that a file would be in: the folder above it that holds a manifest; None if there is none."""
    for folder in target.parents:
        with suppress(OSError):
            if manifest_files(folder):
                return folder
    return None


def _sync(folder: Path) -> None:
    if (descriptor := _opened(folder)) is None:
        return
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # a file system that can't sync folders
            raise
    finally:
        os.close(descriptor)


def _opened(folder: Path) -> int | None:
    try:
        return os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    except PermissionError:
        return None  # a folder that takes files and does not list them


def _is_ours(error: OSError, staged: list[_Staged]) -> bool:
    """Return whether an error is about an output: it names no file, or one of ours."""
    if not isinstance(error.filename, str | bytes | os.PathLike):
        return True
    name = Path(os.fsdecode(error.filename))
    return _TEMP.names(name.name) or any(name in (one.target, one.target.parent) for one in staged)


def _refused(error: OSError, path: Path) -> OutputError:
    """Return an error of the system as our own; it names the output, as a temp file is not known to users."""
    plain = OSError(error.errno, error.strerror) if error.errno else OSError(str(error))
    found = OutputError(explained(plain, path, action="can't write"))
    found.errno, found.filename = error.errno, str(path)
    return found
