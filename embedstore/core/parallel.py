"""A few threads over pieces of memory: NumPy releases the interpreter lock while it copies and multiplies."""

import os
import sys
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from typing import Any, TypeVar

from embedstore.core.guards import CountedGuard
from embedstore.core.progress import steps

__all__ = ["cores", "limit_cores", "map_in_threads", "one_thread"]

_OPENMP_USERS = {"faiss", "sklearn", "torch"}
_LEAST = 1 << 25  # bytes: with fewer, one thread is done before the others have started

Piece = TypeVar("Piece")
Result = TypeVar("Result")
Argument = TypeVar("Argument")


_limits: list[int] = []


def cores() -> int:
    """Return the number of cores that this process may use."""
    found = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min([found, *_limits])


def limit_cores(most: int) -> None:
    """Let this process use at most so many cores from now on, as a worker beside others."""
    _limits[:] = [most]


def map_in_threads(
    pieces: Sequence[Piece], work: Callable[[Iterable[Piece]], Result], size: int, *, least: int = _LEAST
) -> list[Result]:
    """Share the pieces among a few threads; return the result of each thread.

    Parameters
    ----------
    pieces : sequence
        The pieces in memory order. A thread that is done takes the next piece, so that neighbours in memory are
        read at about the same time.
    work : callable
        Takes an iterator of pieces. Each matrix product in it uses one thread.
    size : int
        The bytes of all pieces together.
    least : int
        With fewer bytes than this, the calling thread does all the work.
    """
    threads = min(cores(), len(pieces))
    if threads < 2 or size < least:
        return [work(steps("parts", pieces, len(pieces)))]
    from concurrent.futures import ThreadPoolExecutor

    shared = steps("parts", pieces, len(pieces))
    with one_thread, ThreadPoolExecutor(threads) as pool:
        return list(pool.map(work, [shared] * threads))


def _limit_blas() -> Callable[[], object]:
    # Only what is changed is restored: a library that has one thread now may have been limited by somebody else.
    found = [(library, library.num_threads) for library in _controller(len(sys.modules)).lib_controllers]
    limited = [(library, before) for library, before in found if library.user_api == "blas" and before > 1]

    def set_threads(threads: Sequence[int]) -> None:
        for (library, _), count in zip(limited, threads, strict=True):
            library.set_num_threads(count)

    # threadpoolctl lets only the thread that set a limit change it again, until that thread has ended.
    _in_its_own_thread(set_threads, [1] * len(limited))
    return lambda: _in_its_own_thread(set_threads, [before for _, before in limited])


def _in_its_own_thread(work: Callable[[Argument], None], argument: Argument) -> None:
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(1) as pool:
        pool.submit(work, argument).result()


one_thread = CountedGuard(_limit_blas)
"""A context in which each matrix product of the process has one thread; this suits many small products."""


def _find_openmp() -> None:
    # Found before a fork, and kept: or each child would search through the loaded libraries.
    if _OPENMP_USERS.intersection(sys.modules):
        _controller(len(sys.modules))


def _forget_openmp_threads() -> None:
    # In the child of a fork, OpenMP waits for ever for the threads that its parent had; with one thread it has none.
    if _OPENMP_USERS.intersection(sys.modules):
        _controller(len(sys.modules)).limit(limits=1, user_api="openmp")


os.register_at_fork(before=_find_openmp, after_in_child=_forget_openmp_threads)


@lru_cache(maxsize=1)
def _controller(_modules: int) -> Any:
    # The search through the loaded libraries takes milliseconds: repeat it only if the number of modules changed.
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()
