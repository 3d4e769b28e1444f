"""The only place that writes to disk: temp file, fsync, publish.

Steps of a write: temp file in the target's folder, close, fsync, rename (or link), fsync the folder.
A failed fsync is never retried, because a kernel can discard the dirty pages after it reports the error once.
The temp file is removed, and the caller starts again.
"""

import errno
import fcntl
import hashlib
import os
import secrets
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from embedstore.core.system import explained
from embedstore.errors import EmbedstoreError, StorageError, StoreBusyError
from embedstore.storage.records import FileRecord

__all__ = ["TEMP_PREFIX", "denied", "file_sha256", "link_new", "lock", "publish", "read_lock", "replace", "staged"]

TEMP_PREFIX = ".tmp-"


class _Reading(threading.local):
    """The number of open read locks of this thread, by path."""

    def __init__(self) -> None:
        self.locks: Counter[Path] = Counter()


_reading = _Reading()
_held: dict[int, int] = {}  # the open descriptor of each lock, and the thread that holds it


def _close_locks_of_others() -> None:
    # A child of a fork shares the locks of all threads, and would keep `gc` out after its parent has let go.
    own = threading.get_ident()
    for descriptor in [one for one, thread in _held.items() if thread != own]:
        del _held[descriptor]
        with suppress(OSError):
            os.close(descriptor)


os.register_at_fork(after_in_child=_close_locks_of_others)


def denied(error: OSError) -> bool:
    """Return whether an error means that writing is not allowed, as in a read-only store."""
    return error.errno in (errno.EROFS, errno.EACCES, errno.EPERM)


@contextmanager
def staged(folder: Path, suffix: str = "") -> Iterator[Path]:
    """Yield the path for a temp file in `folder`; if the file is still there at the end, remove it.

    Raises
    ------
    StorageError
        If the operating system refuses a step: the disk is full, writing is not allowed, …
    """
    temp = folder / f"{TEMP_PREFIX}{os.getpid()}-{secrets.token_hex(6)}{suffix}"
    try:
        _make_folder(folder)
        yield temp
    except EmbedstoreError:
        raise
    except OSError as error:
        raise _refused(error, folder) from error
    finally:
        with suppress(OSError):  # it was renamed, or can't be removed now: the result is valid, and gc removes it later
            temp.unlink()


def publish(temp: Path, root: Path, suffix: str) -> FileRecord:
    """Rename `temp` to its content hash, in the same folder, and return its record.

    Parameters
    ----------
    temp : Path
        A closed file in a folder of the store.
    root : Path
        The store's folder; the record's path is relative to it.
    suffix : str
        File name suffix, with its dot.

    Raises
    ------
    OSError
        If a write, an fsync or the rename fails; nothing is published then.
    """
    sha256 = file_sha256(temp)
    target = temp.with_name(sha256 + suffix)
    size = temp.stat().st_size
    replace(temp, target)
    return FileRecord(path=target.relative_to(root).as_posix(), size=size, sha256=sha256)


def replace(temp: Path, target: Path) -> None:
    """Fsync `temp` and rename it to `target`, whole or not at all."""
    _fsync(temp)
    temp.replace(target)
    _fsync(target.parent)


def link_new(content: bytes, target: Path) -> bool:
    """Publish `content` as `target` unless `target` exists; return whether this call created it."""
    with staged(target.parent) as temp:
        temp.write_bytes(content)
        _fsync(temp)
        try:
            os.link(temp, target)
        except FileExistsError:
            return False
        try:
            _fsync(target.parent)
        except OSError:
            # The name may or may not be on the disk: remove it, so that an error always means that nothing happened.
            with suppress(OSError):
                target.unlink()
            raise
    return True


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file's bytes as 64 hex digits."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


@contextmanager
def lock(path: Path, *, exclusive: bool, wait: bool = True) -> Iterator[None]:
    """Hold an advisory lock on `path`, shared or exclusive; the kernel drops it when the process ends.

    On a file system without locks this does nothing; the manifest's link still decides every race.

    Raises
    ------
    StorageError
        If the lock file can't be opened.
    StoreBusyError
        If `wait` is false and another process holds the lock; or if an exclusive lock would wait for ever, for a
        `read_lock` of this thread.
    """
    if exclusive and _reading.locks[path.resolve()]:
        raise StoreBusyError(f"this thread has an open snapshot of {path.parent}: close it first")
    try:
        descriptor = _open_lock(path, os.O_RDWR | os.O_CREAT)
    except OSError as error:
        raise _refused(error, path.parent) from error
    try:
        operation = (fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH) | (0 if wait else fcntl.LOCK_NB)
        try:
            fcntl.flock(descriptor, operation)
        except BlockingIOError as error:
            raise StoreBusyError(f"another process is writing to {path.parent}; try again when it is done") from error
        except OSError as error:
            if error.errno not in (errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS):
                raise
        yield
    finally:
        _close_lock(descriptor)


@contextmanager
def read_lock(root: Path) -> Iterator[None]:
    """Hold a shared lock that keeps `gc` out while files are looked up and read.

    If the lock file can't be opened, the store is read without a lock: nobody can write to such a store.
    """
    path = root / ".lock"
    try:
        descriptor = _open_lock(path, os.O_RDONLY)
    except OSError:
        yield
        return
    locks, name = _reading.locks, path.resolve()
    try:
        with suppress(OSError):  # a file system without locks
            fcntl.flock(descriptor, fcntl.LOCK_SH)
        locks[name] += 1
        yield
    finally:
        locks[name] -= 1
        _close_lock(descriptor)


def _open_lock(path: Path, flags: int) -> int:
    descriptor = os.open(path, flags | os.O_CLOEXEC, 0o666)
    _held[descriptor] = threading.get_ident()
    return descriptor


def _close_lock(descriptor: int) -> None:
    if _held.pop(descriptor, None) is not None:
        os.close(descriptor)


def _refused(error: OSError, folder: Path) -> StorageError:
    """Return an error of the operating system as our own; it names the folder, as a temp file is not known to users."""
    if error.filename is not None and Path(os.fsdecode(error.filename)).name.startswith((TEMP_PREFIX, ".")):
        error = OSError(error.errno, error.strerror)
    found = StorageError(explained(error, folder, action="can't write to"))
    found.errno, found.filename = error.errno, error.filename or str(folder)
    return found


def _make_folder(folder: Path) -> None:
    """Make a folder and fsync its parent, so that a crash can't leave a manifest without its folders."""
    if not folder.is_dir():
        _make_folder(folder.parent)
        folder.mkdir(exist_ok=True)
        _fsync(folder.parent)


def _fsync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
