"""The command group and the entry point."""

import gc
import logging
import os
import sys
import warnings
from collections.abc import Iterator, MutableMapping, Sequence
from importlib import import_module
from typing import Any

import click
from embedstore.cli import interrupts
from embedstore.cli.examples import EXAMPLES
from embedstore.cli.failures import PipeClosedError, report
from embedstore.cli.terminal import CleanFormatter, fill_closed_streams, task_progress

from embedstore import __version__

__all__ = ["group", "main"]


_MODULES = {
    "add": "add",
    "encode": "encode",
    "import": "import_vectors:import_vectors",
    "index": "index",
    "tag": "tag",
    "labels": "labels",
    "topics": "topics",
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
    "serve": "serve",
    "info": "info",
    "corpora": "corpora",
    "rename": "corpora:rename",
    "drop-corpus": "corpora:drop_corpus",
    "copy": "copy:copy_",
    "verify": "verify",
    "gc": "gc",
    "export": "export",
    "demo": "demo",
}
"""The module of each command, by the command's name; `module:name` if the function has another name."""

_GROUPS = {
    "Add and encode": ("add", "encode", "import", "export", "demo"),
    "Label": ("tag", "labels", "topics", "annotate", "annotations", "serve"),
    "Learn": ("train", "predict", "classify", "compare", "doubts"),
    "Search and look": ("search", "index", "duplicates", "map"),
    "Look after a store": ("info", "corpora", "rename", "drop-corpus", "copy", "verify", "gc"),
}
"""The commands as `embedstore --help` lists them."""

_WITHOUT_BAR = (
    "annotate",
    "demo",
    "encode",
    "export",
    "import",
    "serve",
)  # they ask, others do the work, or there is a bar

_COMPLETE = "_EMBEDSTORE_COMPLETE"


class _Commands(MutableMapping[str, click.Command]):
    """A mapping from names to commands that imports a command's module at its first use."""

    def __init__(self) -> None:
        self._found: dict[str, click.Command] = {}

    def __getitem__(self, name: str) -> click.Command:
        if name not in self._found:
            module, _, attribute = _MODULES[name].partition(":")
            command: click.Command = getattr(import_module(f"embedstore.cli.{module}"), attribute or name)
            if shown := EXAMPLES.get(name):
                command.epilog = "\n  ".join(["\b\nExample:" if len(shown) == 1 else "\b\nExamples:", *shown])
            self._found[name] = command
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

    def format_commands(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands by what they are for."""
        width = max(map(len, self.commands))
        limit = formatter.width - 6 - width
        for title, names in _GROUPS.items():
            with formatter.section(title):
                formatter.write_dl(
                    [(name.ljust(width), self.commands[name].get_short_help_str(limit)) for name in names]
                )

    def invoke(self, context: click.Context) -> Any:
        """Run the command and flush its output."""
        try:
            result = super().invoke(context)
            sys.stdout.flush()
        except BrokenPipeError as error:
            raise PipeClosedError from error
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
    if not quiet and context.invoked_subcommand not in _WITHOUT_BAR:
        context.with_resource(task_progress(str(context.invoked_subcommand)))
    level = logging.ERROR if quiet else logging.INFO if verbose else logging.WARNING
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(CleanFormatter("embedstore: %(message)s"))
    logging.basicConfig(level=logging.ERROR, handlers=[handler], force=True)
    logging.getLogger("embedstore").setLevel(level)
    if debug:
        logging.captureWarnings(capture=True)
        logging.getLogger("py.warnings").setLevel(logging.WARNING)
    else:
        warnings.simplefilter("ignore")  # these come from other libraries; this package logs its warnings


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit with its exit code."""
    if _COMPLETE in os.environ:
        from embedstore.cli import completion

        completion.set_up()
    debug = "--debug" in (sys.argv if arguments is None else arguments)
    fill_closed_streams()
    try:
        interrupts.raise_errors()
        code = group.main(args=arguments, prog_name="embedstore", standalone_mode=False) or 0
    except (Exception, KeyboardInterrupt, interrupts.EndedError) as error:
        code = report(error, debug=debug)
    # CPython notes a KeyboardInterrupt that leaves an `exec` of a text, such as that of a dataclass, and kills the
    # process at its end, though the error was told; the next `exec` clears the note.
    exec("")  # noqa: S102
    if arguments is None:
        gc.freeze()  # the collections at the end of the process would take a tenth of a short command
    sys.exit(code)
