"""The command group, and the only place where an error becomes one line and an exit code."""

import logging
import os
import sys
import traceback
import warnings
from collections.abc import Iterator, MutableMapping, Sequence
from importlib import import_module
from typing import Any

import click

from embedstore import __version__
from embedstore.core.values import clean
from embedstore.errors import EmbedstoreError

__all__ = ["group", "main"]


class _PipeClosedError(Exception):
    """The reader of standard output has closed the pipe."""


_MODULES = {
    "add": "add",
    "encode": "encode",
    "index": "index",
    "tag": "tag",
    "labels": "labels",
    "search": "search",
    "train": "train",
    "predict": "predict",
    "classify": "classify",
    "compare": "compare",
    "annotate": "annotate",
    "annotations": "annotations",
    "doubts": "doubts",
    "duplicates": "duplicates",
    "map": "map:map_",
    "info": "info",
    "verify": "verify",
    "gc": "gc",
    "export": "export",
    "demo": "demo",
}
"""The module of each command, by the command's name; `module:name` if the function has another name."""


class _Commands(MutableMapping[str, click.Command]):
    """A mapping from names to commands that imports a command's module at its first use."""

    def __init__(self) -> None:
        self._found: dict[str, click.Command] = {}

    def __getitem__(self, name: str) -> click.Command:
        if name not in self._found:
            module, _, attribute = _MODULES[name].partition(":")
            self._found[name] = getattr(import_module(f"embedstore.cli.{module}"), attribute or name)
        return self._found[name]

    def __setitem__(self, name: str, command: click.Command) -> None:
        self._found[name] = command

    def __delitem__(self, name: str) -> None:
        del self._found[name]

    def __iter__(self) -> Iterator[str]:
        return iter({**_MODULES, **self._found})

    def __len__(self) -> int:
        return len(list(iter(self)))


class _Group(click.Group):
    """A command group that re-raises a closed pipe as its own error; click would exit with code 1."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.commands = _Commands()

    def invoke(self, context: click.Context) -> Any:
        """Run the command and flush its output."""
        try:
            result = super().invoke(context)
            sys.stdout.flush()
        except BrokenPipeError as error:
            raise _PipeClosedError from error
        return result


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="embedstore")
@click.option("-q", "--quiet", is_flag=True, help="Say nothing but errors.")
@click.option("-v", "--verbose", is_flag=True, help="Say more.")
@click.option("--debug", is_flag=True, help="Show tracebacks.")
@click.pass_context
def group(context: click.Context, quiet: bool, verbose: bool, debug: bool) -> None:
    """Encode a corpus once, then label it, search it and train on it from cached vectors.

    STORE is a name under $EMBEDSTORE_HOME (default ./indexes), or a path with a slash.
    """
    context.obj = {"quiet": quiet, "debug": debug}
    level = logging.ERROR if quiet else logging.INFO if verbose else logging.WARNING
    logging.basicConfig(format="embedstore: %(message)s", level=logging.ERROR, stream=sys.stderr, force=True)
    logging.getLogger("embedstore").setLevel(level)
    if not debug:
        warnings.simplefilter("ignore")  # these come from other libraries; this package logs its warnings


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit with its exit code."""
    debug = "--debug" in (sys.argv if arguments is None else arguments)
    try:
        code = group.main(args=arguments, prog_name="embedstore", standalone_mode=False) or 0
    except click.exceptions.Abort:
        code = _say("interrupted: what was finished is kept; the same command goes on from there", 130)
    except click.UsageError as error:
        path = error.ctx.command_path if error.ctx else "embedstore"
        code = _say(f"{error.format_message()} (see `{path} --help`)", 2)
    except click.ClickException as error:
        code = _say(error.format_message(), error.exit_code)
    except _PipeClosedError:
        # The reader needs no more (`| head`); the interpreter must not flush into the closed pipe at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    except EmbedstoreError as error:
        code = _say(str(error), error.exit_code)
        _trace(debug)
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        code = _say(f"{place}{error.strerror or error}", 1)
        _trace(debug)
    except MemoryError:
        code = _say("out of memory: free some, or work on fewer rows (--limit)", 1)
    except Exception as error:
        code = _say(
            f"unexpected {type(error).__name__}: {error} (run with --debug for the traceback, and report it)",
            1,
        )
        _trace(debug)
    sys.exit(code)


def _say(message: str, code: int) -> int:
    click.echo(f"Error: {clean(message)}", err=True)
    return code


def _trace(debug: bool) -> None:
    if debug:
        traceback.print_exc()
