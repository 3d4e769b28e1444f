"""Read single keys from a terminal, or lines from standard input."""

import os
import re
import select
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from embedstore.cli.interrupts import EndedError

__all__ = ["keys_at_once", "read_key", "read_line"]

_BEGUN = re.compile(rb"\x1b+(\[\[?[0-9;?]*|O)?")  # an unfinished escape sequence
_WAIT, _LONGEST = 0.5, 16  # a key's bytes can arrive in pieces over a network: seconds to wait, and most bytes


@contextmanager
def keys_at_once() -> Iterator[None]:
    """Make the terminal deliver each key press at once, from before the first question so that no key is lost.

    The terminal is restored when the block ends. After a stop and continue (SIGCONT) the mode is set again.
    """
    if not sys.stdin.isatty():
        yield
        return
    import termios
    import tty

    def go_on(*_: object) -> None:
        with suppress(termios.error):  # the terminal is closed: SIGCONT comes with SIGHUP
            tty.setcbreak(sys.stdin, termios.TCSANOW)

    before = termios.tcgetattr(sys.stdin)
    held = signal.signal(signal.SIGCONT, go_on)
    tty.setcbreak(sys.stdin, termios.TCSANOW)
    try:
        yield
    finally:
        with suppress(termios.error):  # the terminal is closed
            termios.tcsetattr(sys.stdin, termios.TCSANOW, before)
        signal.signal(signal.SIGCONT, held)


def read_line() -> str | None:
    """Return a line of standard input without outer spaces, or None at the end of input."""
    line = sys.stdin.readline()
    return line.strip() if line else None


def read_key() -> str | None:
    """Return the character of a key press, "a special key" for an escape sequence, or None at the end of input."""
    try:
        said = os.read(sys.stdin.fileno(), 1)
    except OSError as error:  # the terminal is closed
        raise EndedError(signal.SIGHUP) from error
    if said in (b"", b"\x04"):
        return None
    while (_BEGUN.fullmatch(said) or not _is_text(said)) and select.select([sys.stdin], [], [], _WAIT)[0]:
        said += os.read(sys.stdin.fileno(), 1)
        if len(said) > _LONGEST:
            break
    return "a special key" if said[0] == 0x1B else said.decode(errors="replace")


def _is_text(said: bytes) -> bool:
    try:
        return bool(said.decode())
    except UnicodeDecodeError:
        return False
