"""How far a long task is: told to a listener, if there is one; the library itself shows nothing."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Generic, TypeVar

from embedstore.core.guards import Lock

__all__ = ["Listener", "listening", "steps", "task"]

Piece = TypeVar("Piece")
Listener = Callable[[str, int, int], None]
"""Called with the name of a task, how many of its steps are done, and how many there are."""

_LISTENER: ContextVar[Listener | None] = ContextVar("listener", default=None)


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Tell `listener` how far the tasks are that this thread begins in this block.

    A task can use other threads, so the listener can be called from these, by one at a time.
    """
    token = _LISTENER.set(listener)
    try:
        yield
    finally:
        _LISTENER.reset(token)


def task(name: str, total: int) -> Callable[[int], None]:
    """Return a function to call with each number of steps that was done; any thread can call it.

    Parameters
    ----------
    name : str
        What a step is, such as "folds".
    total : int
        The number of steps.
    """
    listener = _LISTENER.get()
    if listener is None:
        return _nothing
    done, lock = 0, Lock()

    def tell(count: int) -> None:
        nonlocal done
        with lock.held():
            done = min(total, done + count)  # threads that see the end together count once more
            listener(name, done, total)

    tell(0)
    return tell


def steps(name: str, pieces: Iterable[Piece], total: int) -> Iterator[Piece]:
    """Return an iterator of the pieces of a task, for one thread or several; each is done when the next is taken.

    See `task` for the parameters.
    """
    tell = task(name, total)
    return iter(pieces) if tell is _nothing else _Steps(iter(pieces), tell)


class _Steps(Iterator[Piece], Generic[Piece]):
    def __init__(self, pieces: Iterator[Piece], tell: Callable[[int], None]) -> None:
        self._pieces = pieces
        self._tell = tell
        self._begun = False

    def __next__(self) -> Piece:
        try:
            return next(self._pieces)
        finally:  # each thread that comes for a piece, or sees the end, has done its last one; the first has none
            if self._begun:
                self._tell(1)
            self._begun = True


def _nothing(_count: int) -> None:
    """Tell nobody."""
