"""The command group, and the one place where an error becomes a line and an exit code."""

import logging
import os
import sys
import traceback
import warnings
from collections.abc import Sequence
from typing import Any

import click
from embedstore.cli import annotate, care, classify, demo, encode, label, labels, map, quality, rows, search, tag
from embedstore.cli.terminal import clean

from embedstore import __version__
from embedstore.errors import EmbedstoreError

__all__ = ["group", "main"]


class _PipeClosedError(Exception):
    """The reader of standard output has gone."""


class _Group(click.Group):
    """A group that hands a closed pipe on; click would turn it into exit code 1."""

    def invoke(self, context: click.Context) -> Any:
        """Run the command and flush what it printed."""
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
    """Encode a corpus once; label it, learn from it and search it from cached vectors.

    STORE is a name under $EMBEDSTORE_HOME (default ./indexes), or a path with a slash.
    """
    context.obj = {"quiet": quiet, "debug": debug}
    level = logging.ERROR if quiet else logging.INFO if verbose else logging.WARNING
    logging.basicConfig(format="embedstore: %(message)s", level=logging.ERROR, stream=sys.stderr, force=True)
    logging.getLogger("embedstore").setLevel(level)
    if not debug:
        warnings.simplefilter("ignore")  # of the libraries below; ours are log messages


for command in (
    rows.add,
    encode.encode,
    encode.index,
    tag.tag,
    labels.labels,
    search.search,
    label.train,
    label.predict,
    classify.classify,
    classify.compare,
    annotate.annotate,
    annotate.annotations,
    quality.doubts,
    quality.duplicates,
    map.map_,
    care.info,
    care.verify,
    care.gc,
    care.export,
    demo.demo,
):
    group.add_command(command)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and leave with its exit code."""
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
        # The reader has what it wanted (`| head`); keep the interpreter from flushing into the closed pipe.
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
