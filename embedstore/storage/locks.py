"""Locks between processes: who writes, who removes, who adds rows, and which state is being read.

- A writer holds ``.lock``, shared, from its first new file to its commit: its files are in no manifest until then.
- `gc` and `repair` hold it alone.
- `add` holds ``.rows.lock`` alone, because it gives new texts the next positions.
- A reader holds the manifest that it reads, shared. `gc` and commits leave a manifest that is being read, and `gc`
  leaves the files in it. So readers wait for nobody, nobody waits for them, and they need no right to write.

The kernel drops the locks of a process that ends. On a file system without locks they do nothing: the manifest's link
still decides every race, and `gc` must not run beside other processes. Whoever may read a folder can hold its locks, so
every wait has a message after a second, and an end.
"""

import errno
import fcntl
import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from embedstore.core.counts import counted
from embedstore.errors import StoreBusyError
from embedstore.storage.gate import Folder, refused

__all__ = ["LOCKS", "adding", "alone", "being_read", "folder_alone", "take_unread", "writing"]

logger = logging.getLogger(__name__)

_STEP = 0.02  # seconds between two tries
_TURN, _PAUSE = 2.0, 0.1  # seconds that `alone` keeps new writers out, and lets them in, in turns
_UNSUPPORTED = frozenset({errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS, errno.EBADF, errno.EINVAL})

LOCKS = (".lock", ".rows.lock")
"""The lock files of a store; they are empty."""


class _Own(threading.local):
    """The stores whose ``.lock`` this thread holds."""

    def __init__(self) -> None:
        self.stores: set[Path] = set()


_own = _Own()
_held: set[int] = set()  # descriptors with a lock of this process


def _close_locks_in_child() -> None:
    # A child of a fork shares the locks of its parent, and would keep them after the parent has ended.
    for descriptor in _held:
        with suppress(OSError):
            os.close(descriptor)
    _held.clear()
    _own.stores.clear()


os.register_at_fork(after_in_child=_close_locks_in_child)


@contextmanager
def writing(root: Path, wait: float) -> Iterator[None]:
    """Hold ``.lock`` shared, while new files are written and committed.

    Raises
    ------
    StorageError
        If the lock file can't be opened.
    StoreBusyError
        If `gc` or `repair` of another process holds the lock for longer than `wait` seconds.
    """
    if root.resolve() in _own.stores:  # `alone`, or shared already: a `gc` that waits for this thread must not stop it
        yield
        return
    limit = _Limit(root, wait)
    with _refusals(root), Folder(root) as folder:
        limit.until(lambda: _flock(folder.descriptor, fcntl.LOCK_SH))  # lets `alone` have its turn
        try:
            descriptor = _open(folder, ".lock", lambda opened: limit.until(lambda: _flock(opened, fcntl.LOCK_SH)))
        finally:
            _unlock(folder.descriptor)
    with _kept(descriptor), _owned(root.resolve()):
        yield


@contextmanager
def alone(root: Path, wait: float) -> Iterator[None]:
    """Hold ``.lock`` alone, while files are removed.

    While this waits, it keeps new writers out for two seconds and lets them in for a moment, in turns: so it is not
    shut out by writers that overlap, and a long writer does not shut out the others.

    Raises
    ------
    StorageError
        If the lock file can't be opened.
    StoreBusyError
        If this thread writes to the store, or another process does for longer than `wait` seconds.
    """
    if root.resolve() in _own.stores:
        raise StoreBusyError(f"this call is inside a call that writes to {root}: make it when that one is done")
    limit = _Limit(root, wait)
    with _refusals(root), Folder(root) as folder:
        turn = _Turn(folder.descriptor)
        try:
            descriptor = _open(
                folder, ".lock", lambda opened: limit.until(lambda: turn.taken() and _flock(opened, fcntl.LOCK_EX))
            )
        finally:
            turn.end()
    with _kept(descriptor), _owned(root.resolve()):
        yield


@contextmanager
def adding(root: Path, wait: float) -> Iterator[None]:
    """Hold ``.rows.lock`` alone, while rows are added; see `writing` for the errors."""
    limit = _Limit(root, wait)
    with _refusals(root), Folder(root) as folder:
        descriptor = _open(folder, ".rows.lock", lambda opened: limit.until(lambda: _flock(opened, fcntl.LOCK_EX)))
    with _kept(descriptor):
        yield


@contextmanager
def folder_alone(folder: Path, wait: float) -> Iterator[None]:
    """Hold any folder alone, while files that belong together are renamed in it.

    Raises
    ------
    StoreBusyError
        If another process holds it for longer than `wait` seconds.
    OSError
        If the folder can't be opened.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    with _kept(descriptor):
        _Limit(folder, wait).until(lambda: _flock(descriptor, fcntl.LOCK_EX))
        yield


@contextmanager
def being_read(descriptor: int) -> Iterator[bool]:
    """Mark an open manifest as being read; yield False if it is gone, or is going to be removed."""
    with _kept(descriptor):
        yield _flock(descriptor, fcntl.LOCK_SH) and os.fstat(descriptor).st_nlink > 0


def take_unread(descriptor: int) -> bool:
    """Return whether nobody reads an open manifest; then nobody can begin to until it is closed."""
    return _flock(descriptor, fcntl.LOCK_EX)


class _Limit:
    """The end of a wait, with a message after a second."""

    def __init__(self, root: Path, wait: float) -> None:
        self._root, self._wait = root, wait
        self._start = time.monotonic()
        self._told = False

    def until(self, done: Callable[[], bool]) -> None:
        while not done():
            waited = time.monotonic() - self._start
            if waited >= self._wait:
                raise StoreBusyError(
                    f"expected {self._root} to be free within {counted(round(self._wait), 'second')}, found it locked "
                    "by another process: run the command again when it is done, or wait longer (--wait SECONDS)"
                )
            if waited >= 1 and not self._told:
                self._told = True
                logger.warning(
                    "waiting: another process has locked %s (Ctrl-C ends this, --wait SECONDS limits it)", self._root
                )
            time.sleep(min(_STEP, max(0.0, self._wait - waited)))


class _Turn:
    """A lock on the store's folder itself, which needs no file: while it is held, no new writer begins."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._since: float | None = None
        self._next = 0.0

    def taken(self) -> bool:
        """Take the turn, and give it away for a moment after two seconds; return whether it is taken now."""
        now = time.monotonic()
        if self._since is not None and now - self._since > _TURN:
            self.end()
            self._next = now + _PAUSE
        if self._since is None and now >= self._next and _flock(self._descriptor, fcntl.LOCK_EX):
            self._since = now
        return self._since is not None

    def end(self) -> None:
        if self._since is not None:
            _unlock(self._descriptor)
        self._since = None


def _open(folder: Folder, name: str, locked: Callable[[int], None]) -> int:
    """Open a lock file, lock it, and return its descriptor; a file that was removed meanwhile is opened anew."""
    while True:
        descriptor = folder.open(name, os.O_RDWR | os.O_CREAT)
        try:
            locked(descriptor)
            if os.fstat(descriptor).st_nlink:
                return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)


@contextmanager
def _owned(store: Path) -> Iterator[None]:
    _own.stores.add(store)
    try:
        yield
    finally:
        _own.stores.discard(store)


@contextmanager
def _kept(descriptor: int) -> Iterator[None]:
    _held.add(descriptor)
    try:
        yield
    finally:
        _close(descriptor)


def _close(descriptor: int) -> None:
    if descriptor in _held:  # not in the child of a fork
        _held.discard(descriptor)
        # Unlocked, not only closed: a process that was forked meanwhile can hold the same open file.
        _unlock(descriptor)
        os.close(descriptor)


@contextmanager
def _refusals(root: Path) -> Iterator[None]:
    try:
        yield
    except StoreBusyError:
        raise
    except OSError as error:
        raise refused(error, root) from error


def _flock(descriptor: int, kind: int) -> bool:
    """Try to lock an open file; return False if another process holds it."""
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno not in _UNSUPPORTED:
            raise
    return True


def _unlock(descriptor: int) -> None:
    with suppress(OSError):
        fcntl.flock(descriptor, fcntl.LOCK_UN)
