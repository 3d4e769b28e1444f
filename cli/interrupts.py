"""What Ctrl-C and other signals do, from the first import on.

Python raises a KeyboardInterrupt wherever it happens to be. In the middle of an import that is too early: extension
modules turn it into errors of other types, and callbacks of the import system swallow it. So the process ends at once
until a command runs, and `seen` says afterwards what was behind an error.
"""

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

__all__ = ["EXIT_CODE", "EndedError", "end_at_once", "ending_signals", "raise_errors", "seen"]

EXIT_CODE = 130  # 128 + SIGINT, as shells have it
_seen = False


class EndedError(BaseException):
    """A signal asks the process to end; its exit code is 128 plus the signal's number."""

    def __init__(self, number: int) -> None:
        super().__init__(f"ended by {signal.Signals(number).name}")
        self.exit_code = 128 + number


def end_at_once() -> None:
    """Make Ctrl-C end the process with one line and exit code 130, if this process is the command line.

    A program that only imports this package keeps its own handler.
    """
    name = os.path.basename(sys.argv[0]) if sys.argv else ""  # noqa: PTH119  pathlib takes longer to import
    if name in ("-m", "embedstore") and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _end)


def raise_errors() -> None:
    """Make Ctrl-C raise a KeyboardInterrupt, as Python does by default, and SIGTERM an `EndedError`.

    `seen` is true from a Ctrl-C on.
    """
    if signal.getsignal(signal.SIGINT) in (_end, signal.default_int_handler):
        signal.signal(signal.SIGINT, _raise)
    if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, _leave)


def seen() -> bool:
    """Return whether Ctrl-C was pressed since `raise_errors`."""
    return _seen


@contextmanager
def ending_signals() -> Iterator[None]:
    """Make SIGTERM, SIGHUP and SIGQUIT raise an `EndedError` in this block, so that it can end in good order."""
    held = {number: signal.signal(number, _leave) for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)}
    try:
        yield
    finally:
        for number, handler in held.items():
            signal.signal(number, handler)


def _leave(number: int, _frame: FrameType | None) -> None:
    raise EndedError(number)


def _end(_number: int, _frame: FrameType | None) -> None:
    os.write(2, b"Error: interrupted before anything was begun\n")
    os._exit(EXIT_CODE)


def _raise(_number: int, _frame: FrameType | None) -> None:
    global _seen
    _seen = True
    raise KeyboardInterrupt
