"""The only place that writes to disk: temp file, fsync, publish.

Order of a write: temp file in the target's folder, close, fsync, rename (or link), fsync the folder.
A failed fsync is never retried; the temp file is dropped and the caller starts anew (a kernel may have
thrown the dirty pages away after reporting the error once).
"""

import errno
import fcntl
import hashlib
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from embedstore.errors import StoreBusyError
from embedstore.storage.records import FileRecord

__all__ = ["TEMP_PREFIX", "denied", "file_sha256", "link_new", "lock", "publish", "reading", "replace", "staged"]

TEMP_PREFIX = ".tmp-"


def denied(error: OSError) -> bool:
    """Return whether an error says that nothing may be written here, as in a read-only store."""
    return error.errno in (errno.EROFS, errno.EACCES, errno.EPERM)


@contextmanager
def staged(folder: Path, suffix: str = "") -> Iterator[Path]:
    """Give the path of a temp file to be written in `folder`; whatever is left there goes at the end."""
    _make_folder(folder)
    temp = folder / f"{TEMP_PREFIX}{os.getpid()}-{secrets.token_hex(6)}{suffix}"
    try:
        yield temp
    finally:
        with suppress(OSError):  # gone by a rename; or not to be removed now: what was done stays done, and gc takes it
            temp.unlink()


def publish(temp: Path, root: Path, suffix: str) -> FileRecord:
    """Seal `temp` under its content hash, beside where it lies, and return its record.

    Parameters
    ----------
    temp : Path
        A closed file in a folder of the store.
    root : Path
        The store; the record's path is relative to it.
    suffix : str
        File name suffix, with its dot.

    Raises
    ------
    OSError
        If a write, an fsync or the rename failed; nothing was published.
    """
    sha256 = file_sha256(temp)
    target = temp.with_name(sha256 + suffix)
    size = temp.stat().st_size
    replace(temp, target)
    return FileRecord(path=target.relative_to(root).as_posix(), size=size, sha256=sha256)


def replace(temp: Path, target: Path) -> None:
    """Make `temp` durable and rename it to `target`, whole or not at all."""
    _fsync(temp)
    temp.replace(target)
    _fsync(target.parent)


def link_new(content: bytes, target: Path) -> bool:
    """Publish `content` as `target` unless that exists; return whether this call made it."""
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
            # Whether the name is on the disk is not known: take it back, so that failing means that nothing happened.
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
    """Hold an advisory lock on `path` (shared or exclusive); the kernel drops it with the process.

    On file systems without locks this is a no-op: the manifest's link still decides every race.

    Raises
    ------
    StoreBusyError
        If `wait` is false and another process holds the lock.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
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
        os.close(descriptor)


@contextmanager
def reading(root: Path) -> Iterator[None]:
    """Keep `gc` out while files are looked up and read; a store that no one may write to needs no lock."""
    try:
        descriptor = os.open(root / ".lock", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        yield
        return
    try:
        with suppress(OSError):  # a file system without locks
            fcntl.flock(descriptor, fcntl.LOCK_SH)
        yield
    finally:
        os.close(descriptor)


def _make_folder(folder: Path) -> None:
    """Make a folder whose name survives a crash, so that no manifest can outlive the folders it speaks of."""
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
