"""A few threads over pieces of memory: NumPy lets go of the interpreter while it copies and multiplies."""

import os
import sys
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from functools import lru_cache
from typing import Any, TypeVar

__all__ = ["one_thread", "spread"]

_ALONE = 1 << 25  # bytes below which one thread is done before others have started

Piece = TypeVar("Piece")
Result = TypeVar("Result")


def spread(pieces: Sequence[Piece], work: Callable[[Iterable[Piece]], Result], size: int) -> list[Result]:
    """Share pieces out among a few threads that do the work, and return what each came to.

    Parameters
    ----------
    pieces : sequence
        Each thread takes the next one when it is done with one: neighbours in memory are read at about the same time.
    work : callable
        Takes an iterator of pieces. Products of matrices in it use one thread each.
    size : int
        Bytes that all pieces have together; a little is done in this thread.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    threads = min(cores, len(pieces))
    if threads < 2 or size < _ALONE:
        return [work(iter(pieces))]
    shared = iter(pieces)
    with one_thread(), ThreadPoolExecutor(threads) as pool:
        return list(pool.map(work, [shared] * threads))


def one_thread() -> AbstractContextManager[Any]:
    """Let products of matrices use one thread each while the context is open: for many small ones."""
    found: AbstractContextManager[Any] = _controller(len(sys.modules)).limit(limits=1, user_api="blas")
    return found


@lru_cache(maxsize=1)
def _controller(_modules: int) -> Any:
    # Looks through the loaded libraries, which takes milliseconds: again only when others may have been loaded.
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()
