"""The only place where an error becomes one line and an exit code."""

import errno
import os
import sys
import traceback

import click
from embedstore.cli import interrupts
from embedstore.cli.terminal import echo

from embedstore.core.system import FULL, explained
from embedstore.errors import EmbedstoreError

__all__ = ["KEPT", "PipeClosedError", "report"]

KEPT = "kept: "
"""How a note of an error begins that says what is kept if the command was told to end."""

_GOES_ON = "the same command goes on from there"

_OUTPUT = FULL | {errno.EIO, errno.EBADF}


class PipeClosedError(Exception):
    """The reader of standard output has closed the pipe."""


def report(error: BaseException, *, debug: bool) -> int:
    """Print an error as one line on stderr, with its traceback if `debug`; return the exit code."""
    if isinstance(error, PipeClosedError):
        _drop_output()  # the reader needs no more (`| head`): that is no error
        return 0
    message, code = _told(error)
    if code != interrupts.EXIT_CODE and not isinstance(error, interrupts.EndedError):
        notes = [note for note in getattr(error, "__notes__", ()) if not note.startswith(KEPT)]
        message = "; ".join([message, *notes])
    echo(f"Error: {message}", err=True, whole=True)  # an error is one line
    if debug and not isinstance(error, click.ClickException | click.exceptions.Abort):
        echo(*"".join(traceback.format_exception(error)).rstrip("\n").split("\n"), err=True)
    return code


def _told(error: BaseException) -> tuple[str, int]:
    """Return the line and the exit code of an error."""
    if interrupts.seen() or isinstance(error, KeyboardInterrupt | click.exceptions.Abort):
        return f"interrupted: {_kept(error)}; {_GOES_ON}", interrupts.EXIT_CODE
    if isinstance(error, interrupts.EndedError):
        return f"{error}: {_kept(error)}; {_GOES_ON}", error.exit_code
    if isinstance(error, click.NoSuchOption) and (advice := _placed_before(error)):
        return advice, 2
    if isinstance(error, click.UsageError):
        path = error.ctx.command_path if error.ctx else "embedstore"
        return f"{error.format_message()} (see `{path} --help`)", 2
    if isinstance(error, click.ClickException):
        return error.format_message(), error.exit_code
    if isinstance(error, EmbedstoreError):
        return str(error), error.exit_code
    if isinstance(error, OSError):
        return _refusal(error), 1
    if isinstance(error, MemoryError):
        return "out of memory: free some, or work on fewer rows (--limit)", 1
    told = f"unexpected {type(error).__name__}: {error} (run with --debug for the traceback, and report it)"
    return told, 1


def _placed_before(error: click.NoSuchOption) -> str:
    """Return what to do if an option belongs before the command; "" if it does not."""
    context = error.ctx
    if context is None or context.parent is None:
        return ""
    known = [name for option in context.parent.command.params for name in option.opts]
    if error.option_name not in known:
        return ""
    return f"{error.option_name} goes before the command: `embedstore {error.option_name} {context.info_name} …`"


def _kept(error: BaseException) -> str:
    """Return what a command has kept that was told to end."""
    both = error, error.__cause__ or error.__context__  # click makes an Abort of a KeyboardInterrupt
    told = [note for one in both for note in getattr(one, "__notes__", ()) if note.startswith(KEPT)]
    return "; ".join(["what was finished is kept", *(note.removeprefix(KEPT) for note in told)])


def _refusal(error: OSError) -> str:
    if error.filename is None and error.errno in _OUTPUT:  # files of ours are named: this is the output
        _drop_output()
        return explained(error, "standard output", action="can't write to")
    return explained(error)


def _drop_output() -> None:
    """Send standard output nowhere, so that the interpreter does not fail once more when it flushes it at the end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
