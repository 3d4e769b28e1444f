"""Change state of the whole process for a while, and lock what threads share; both survive a fork.

Descriptor 2, log levels or the threads of BLAS belong to the process, not to a thread. If two threads each save such
a state, change it and restore it, the second one saves what the first one changed, and the process can keep that for
good. So each such change is one `CountedGuard` of the module that makes it.
"""

import os
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Self, cast
from weakref import WeakSet

__all__ = ["CountedGuard", "Lock", "unwarned"]


class Lock:
    """A lock that its own thread can take again, and that is free in the child of a fork.

    Examples
    --------
    >>> lock = Lock()
    >>> with lock.held(), lock.held():
    ...     pass
    """

    def __init__(self) -> None:
        self.renew()
        _LOCKS.add(self)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold the lock in this thread."""
        with self._lock:
            yield

    def renew(self) -> None:
        """Free the lock in the child of a fork: the thread that held it does not exist there."""
        self._lock = threading.RLock()


_LOCKS: WeakSet[Lock] = WeakSet()


def _renew_locks() -> None:
    for lock in _LOCKS:
        lock.renew()


os.register_at_fork(after_in_child=_renew_locks)


class CountedGuard:
    """A context that changes a state of the process when the first thread enters it, and restores it after the last.

    In the child of a fork, the threads that were inside do not exist: their part of the count is dropped there, and
    the state is restored if none is left.

    Parameters
    ----------
    change : callable
        Changes the state; returns a function that restores it.

    Examples
    --------
    >>> state = ["loud"]
    >>> def quieten():
    ...     state.append("quiet")
    ...     return state.pop
    >>> guard = CountedGuard(quieten)
    >>> with guard, guard:
    ...     print(state[-1])
    quiet
    >>> state
    ['loud']
    """

    def __init__(self, change: Callable[[], Callable[[], object]]) -> None:
        self._change = change
        self._restore: Callable[[], object] | None = None
        self._inside: list[int] = []
        self._lock = threading.RLock()
        # The lock is held during a fork, so that a child never gets a state that is half changed.
        os.register_at_fork(
            before=self._lock.acquire, after_in_parent=self._lock.release, after_in_child=self._after_fork
        )

    def __enter__(self) -> Self:
        with self._lock:
            # Counted first: a generator that is collected meanwhile may leave the same guard.
            self._inside.append(threading.get_ident())
            if self._restore is None:
                try:
                    self._restore = self._change()
                except BaseException:
                    self._inside.pop()
                    raise
        return self

    def __exit__(self, *_error: object) -> None:
        with self._lock:
            # A generator can be closed by another thread than the one that began it.
            own = threading.get_ident()
            if self._inside:
                self._inside.remove(own if own in self._inside else self._inside[0])
            self._leave()

    def _leave(self) -> None:
        if not self._inside and self._restore is not None:
            restore, self._restore = self._restore, None
            restore()

    def _after_fork(self) -> None:
        self._inside = [thread for thread in self._inside if thread == threading.get_ident()]
        self._leave()
        self._lock.release()


class _Unwarned(threading.local):
    """The pattern of a warning filter: matches any message, but only in threads that are inside `unwarned`.

    `warnings.catch_warnings` restores the whole list of filters, so two threads can lose each other's. This filter
    does nothing outside `unwarned`, wherever a copy of the list brings it back.
    """

    depth = 0

    def match(self, _message: str) -> bool:
        """Return whether this thread is inside `unwarned`."""
        return self.depth > 0


@contextmanager
def unwarned(category: type[Warning]) -> Iterator[None]:
    """Ignore warnings of a category that this thread issues; other threads still show theirs."""
    filter_, filters = ("ignore", _PATTERN, category, None, 0), cast(list[object], warnings.filters)
    _PATTERN.depth += 1
    try:
        with _filters_of(category):
            if filters[:1] != [filter_]:
                filters.insert(0, filter_)
            yield
    finally:
        _PATTERN.depth -= 1


_PATTERN = _Unwarned()
_FILTERS: dict[type[Warning], CountedGuard] = {}
_FILTERS_LOCK = Lock()


def _filters_of(category: type[Warning]) -> CountedGuard:
    """Return the guard that takes the filter of a category out of the list of filters after the last thread."""

    def remove() -> None:
        filters = cast(list[tuple[object, ...]], warnings.filters)
        filters[:] = [one for one in filters if one[1:3] != (_PATTERN, category)]

    with _FILTERS_LOCK.held():
        if category not in _FILTERS:
            _FILTERS[category] = CountedGuard(lambda: remove)
        return _FILTERS[category]
