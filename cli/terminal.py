"""The only place that writes to the terminal: messages, data and progress bars, free of what a terminal would obey."""

import logging
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import IO, TYPE_CHECKING, Any, cast

import click

from embedstore.core.counts import counted
from embedstore.core.layout import fold
from embedstore.core.progress import listening
from embedstore.core.values import clean
from embedstore.errors import UsageError

if TYPE_CHECKING:
    from embedstore.vectors import EncodeProgress

__all__ = [
    "ALL_ROWS",
    "CleanFormatter",
    "agreed",
    "count_progress",
    "echo",
    "encode_progress",
    "fill_closed_streams",
    "hidden_line",
    "note",
    "notes_of",
    "on_terminal",
    "output_stream",
    "pages",
    "standard_input",
    "task_progress",
    "terminal_width",
]


_NARROWEST, _USUAL = 20, 80  # columns
_PATIENCE = 2  # seconds before a bar is drawn

ALL_ROWS = "embedstore.all_rows"
"""The key, in the context of a command, of whether all rows go to standard output."""


def terminal_width(*, err: bool = False) -> int | None:
    """Return the columns of the terminal that stdout is, or stderr; None if it is none, or all rows go to stdout.

    ``COLUMNS`` has a say, as for other programs.
    """
    stream = sys.stderr if err else sys.stdout
    if stream is None or not stream.isatty() or not (err or on_terminal()):
        return None
    given = os.environ.get("COLUMNS", "")
    if given.isdecimal() and int(given):
        return max(_NARROWEST, int(given))
    with suppress(OSError):
        return max(_NARROWEST, os.get_terminal_size(stream.fileno()).columns or _USUAL)
    return _USUAL


def echo(*lines: str, err: bool = False, bold: bool = False, whole: bool = False) -> None:
    """Print lines to stdout, or to stderr. Each is cleaned, and folded where a terminal is narrower, unless `whole`.

    What stderr does not take is lost.
    """
    width = None if whole else terminal_width(err=err)
    shown = list(map(clean, lines))
    text = "\n".join(shown if width is None else [part for line in shown for part in fold(line, width)])
    if err:
        with suppress(OSError):
            click.echo(text, err=True)
    else:
        click.echo(click.style(text, bold=True) if bold and not os.environ.get("NO_COLOR") else text)


def note(message: str) -> None:
    """Print a message to stderr unless --quiet."""
    context = click.get_current_context(silent=True)
    if not (context and context.find_root().obj.get("quiet")):
        echo(message, err=True)


def notes_of(notes: tuple[str, ...]) -> None:
    """Print the notes of a result to stderr unless --quiet."""
    for line in notes:
        note(f"note: {line}")


def on_terminal() -> bool:
    """Return whether standard output is a terminal, and rows were not asked for as they are (``-o -``)."""
    context = click.get_current_context(silent=True)
    return sys.stdout.isatty() and not (context and context.meta.get(ALL_ROWS))


def output_stream() -> IO[str]:
    """Return the stream for data on stdout, in UTF-8: exact for a pipe or file, cleaned line by line for a terminal."""
    stream: Any = sys.stdout
    stream.reconfigure(encoding="utf-8", newline="")
    return _CleanStream(stream) if stream.isatty() else stream  # type: ignore[return-value]


@contextmanager
def pages() -> Iterator[IO[str]]:
    """Yield the stream for a list on stdout: the pager gets it if it is longer than the terminal.

    ``PAGER`` names the pager, as for other programs; if it is empty or ``cat``, there is none. Off a terminal, and for
    all rows (``-o -``), this is `output_stream`.
    """
    if not on_terminal() or os.environ.get("PAGER") in ("", "cat"):
        yield output_stream()
        return
    import shutil
    from io import StringIO

    held = StringIO()
    yield cast("IO[str]", _CleanStream(held))
    text = held.getvalue()
    if text.count("\n") < shutil.get_terminal_size().lines:
        sys.stdout.write(text)
        return
    os.environ.setdefault("LESS", "FRX")  # as git does: the list stays on the screen
    click.echo_via_pager(text)


class _CleanStream:
    """A stream whose lines are cleaned; each call writes whole lines."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write lines: a table's row with its end is one line, whatever line breaks its cells have."""
        return self._stream.write(clean(text.removesuffix("\n")) + "\n")

    def writelines(self, lines: Iterable[str]) -> None:
        """Write several of them."""
        for line in lines:
            self.write(line)


class CleanFormatter(logging.Formatter):
    """Formats a log message as one clean line."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802  the name that logging calls
        """Return the message as one line."""
        return clean(super().formatMessage(record))

    def formatException(self, ei: Any) -> str:  # noqa: N802
        """Return a traceback of clean lines."""
        return "\n".join(map(clean, super().formatException(ei).split("\n")))


def standard_input(what: str) -> Any:
    """Return standard input.

    Parameters
    ----------
    what : str
        What is expected there, for the error message.

    Raises
    ------
    UsageError
        If it is closed.
    """
    if sys.stdin is None:
        raise UsageError(f"expected {what} on standard input, found it closed")
    return sys.stdin


def _check_terminal(otherwise: str) -> None:
    if sys.stdin is None or not sys.stdin.isatty():
        raise UsageError(f"expected a terminal to ask on, found none: {otherwise}")


def hidden_line(prompt: str, *, otherwise: str) -> str:
    """Ask for a line on the terminal, which does not show what is typed; `otherwise` is what to do without one.

    Raises
    ------
    UsageError
        If standard input is no terminal.
    """
    _check_terminal(otherwise)
    import getpass

    try:
        return getpass.getpass(f"{clean(prompt)}: ")
    except EOFError as error:
        raise UsageError("expected a password, found the end of the input: start again") from error


def agreed(question: str, *, otherwise: str) -> bool:
    """Ask a question on the terminal and return whether the answer is yes; `otherwise` is what to do without one.

    Raises
    ------
    UsageError
        If standard input is no terminal.
    """
    _check_terminal(otherwise)
    return click.confirm(clean(question), err=True)


def fill_closed_streams() -> None:
    """Put something in the place of closed standard streams, so that no file is opened under their numbers.

    A library that prints to standard output would write into that file. Writing to a closed standard output is an error
    (EBADF), and what goes to a closed standard error is lost.
    """
    for number, flags in enumerate((os.O_WRONLY, os.O_RDONLY, os.O_WRONLY)):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, flags)  # the system gives the lowest free number: this one
    if sys.stdout is None:
        sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    if sys.stderr is None:
        sys.stderr = open(2, "w", encoding="utf-8", errors="backslashreplace", closefd=False)  # noqa: SIM115


@contextmanager
def task_progress(name: str) -> Iterator[None]:
    """Draw a bar on stderr for each task in the block that takes longer than two seconds, with the time left.

    Of tasks that are parts of others, the outer one is shown. There is no bar if stderr is no terminal.
    """
    if not sys.stderr.isatty():
        yield
        return
    shown: Any = None

    def show(what: str, done: int, total: int) -> None:
        nonlocal shown
        if shown is None or (done == 0 and shown.n >= shown.total):
            if shown:
                shown.close()
            from tqdm import tqdm

            form = {"unit": "B", "unit_scale": True} if what == "bytes" else {"unit": f" {what}"}
            shown = tqdm(
                total=total, desc=name, dynamic_ncols=True, file=sys.stderr, delay=_PATIENCE, leave=False, **form
            )
            shown.of = what, total
        if shown.of == (what, total):
            shown.update(done - shown.n)

    try:
        with listening(show):
            yield
    finally:
        if shown:
            shown.close()


@contextmanager
def encode_progress() -> "Iterator[Callable[[EncodeProgress], None] | None]":
    """Yield a progress callback that draws a bar on stderr; None if stderr is not a terminal, or with --quiet."""
    quiet = click.get_current_context().find_root().obj["quiet"]
    if quiet or not sys.stderr.isatty():
        yield None
        return
    from tqdm import tqdm

    bar = tqdm(unit=" texts", dynamic_ncols=True, desc="encode", file=sys.stderr)

    def show(progress: "EncodeProgress") -> None:
        bar.total = progress.total
        share = progress.cached / max(1, progress.cached + progress.total)
        bar.set_description(f"encode ({share:.0%} cached)", refresh=False)
        if progress.workers:
            bar.set_postfix_str(counted(progress.workers, "worker"), refresh=False)
        bar.update(progress.done - bar.n)
        bar.refresh()

    try:
        yield show
    finally:
        bar.close()


@contextmanager
def count_progress(what: str, unit: str) -> "Iterator[Callable[[int, int], None] | None]":
    """Yield a callback that draws a bar on stderr: done, of all; None off a terminal or with --quiet."""
    if click.get_current_context().find_root().obj["quiet"] or not sys.stderr.isatty():
        yield None
        return
    from tqdm import tqdm

    with tqdm(unit=f" {unit}", dynamic_ncols=True, desc=what, file=sys.stderr) as bar:

        def show(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)
            bar.refresh()

        yield show
