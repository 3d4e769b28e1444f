"""What a shell completes after Tab: names of stores, and what the named store holds.

Nothing is written, and no store is locked. What can't be read completes to nothing, without a message.
"""

import csv
import logging
import os
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.shell_completion import BashComplete, CompletionItem, add_completion_class, split_arg_string

from embedstore.core.names import store_path

if TYPE_CHECKING:
    from embedstore.storage.state import Manifest

__all__ = [
    "Completion",
    "corpora",
    "files",
    "label_sets",
    "models",
    "probes",
    "set_up",
    "spaces",
    "stores",
    "table_columns",
    "targets",
]

if TYPE_CHECKING:
    Item = CompletionItem[str]
else:
    Item = CompletionItem  # in click 8.1 it takes no type in brackets
Completion = Callable[[click.Context, click.Parameter, str], list[Item]]

_MANIFEST = re.compile(r"manifest-\d{8,}\.json")
_LABEL_FILES = (".json", ".txt", ".yaml", ".yml")
_HEADER = 65_536  # bytes of a table that are looked at for its column names
_SHORT_KEY = 12
_UNSAFE = re.compile(r"([^\w@%+=:,./-])")


def _silent(named: Callable[[click.Context], Iterable[str]]) -> Completion:
    """Return a completion of names; whatever goes wrong, there are none."""

    def complete(context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[Item]:
        try:
            found = list(dict.fromkeys(named(context)))
        except Exception:  # a person who presses Tab is told nothing, and least of all a traceback
            return []
        return [CompletionItem(name) for name in found if name.startswith(incomplete) and name.isprintable()]

    return complete


def _arguments(context: click.Context) -> list[str]:
    """Return STORE and what comes after it: click does not name them where an option still lacks its value."""
    store = context.params.get("store")
    return [store, *(context.params.get("files") or ())] if store else context.args


def _store(context: click.Context) -> Path:
    return store_path(_arguments(context)[0])


def _manifest(context: click.Context) -> "Manifest":
    from embedstore.storage.manifest import load

    return load(_store(context))


def _stores(_context: click.Context) -> Iterator[str]:
    home = store_path("any").parent
    for folder in sorted(home.iterdir()):
        if folder.is_dir() and any(_MANIFEST.fullmatch(path.name) for path in folder.iterdir()):
            yield folder.name


def stores(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[Item]:
    """Complete a store: a name under $EMBEDSTORE_HOME, or a folder if a path was begun."""
    if "/" in incomplete or incomplete.startswith((".", "~")):
        return [CompletionItem(incomplete, type="dir")]
    return _silent(_stores)(context, parameter, incomplete)


def files(_context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[Item]:
    """Complete the name of a file."""
    return [CompletionItem(incomplete, type="file")]


def _corpora(context: click.Context) -> Iterable[str]:
    return _manifest(context).corpora


def _probes(context: click.Context) -> Iterable[str]:
    return _manifest(context).probes


def _spaces(context: click.Context) -> Iterator[str]:
    held = _manifest(context).spaces
    yield from (key[:_SHORT_KEY] for key in held)
    yield from (space.model for space in held.values())


def _stored_columns(context: click.Context) -> Iterator[str]:
    """Yield the columns of the named corpus, or those of all."""
    from embedstore.corpora import Corpus

    asked = context.params.get("corpus")
    for name, record in _manifest(context).corpora.items():
        if asked in (None, name):
            yield from Corpus(_store(context), name, record).schema.names


def _targets(context: click.Context) -> Iterator[str]:
    yield from _stored_columns(context)
    yield "annotations"


def _table_columns(context: click.Context) -> Iterator[str]:
    """Yield the columns of the tables that are to be read, then those of the corpus that they go to."""
    for file in _arguments(context)[1:]:
        yield from _header(Path(file))
    with suppress(Exception):  # there is no store yet
        yield from _stored_columns(context)


def _header(path: Path) -> list[str]:
    """Return the column names in the first line of a CSV or TSV file; none for a file of another kind."""
    if path.suffix.lower() not in (".csv", ".tsv", ".txt") or not path.is_file():
        return []
    with path.open("rb") as stream:
        line = stream.read(_HEADER).decode("utf-8-sig", errors="ignore").partition("\n")[0].rstrip("\r")
    separator = next((one for one in ",\t;" if one in line), ",")
    return next(csv.reader([line], delimiter=separator), [])


def label_sets(_context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[Item]:
    """Complete a label set: a shipped one, or a file."""

    def named(_: click.Context) -> Iterator[str]:
        from embedstore.labels import SHIPPED

        yield from SHIPPED
        head = incomplete.rpartition("/")[0]
        for path in sorted(Path(head or ".").iterdir()):
            if path.suffix.lower() in _LABEL_FILES and path.is_file():
                yield f"{head}/{path.name}" if head else path.name

    return _silent(named)(_context, _parameter, incomplete) or files(_context, _parameter, incomplete)


def _models(context: click.Context) -> Iterator[str]:
    """Yield the models of the store, the default one, and those in the hub's cache on this machine."""
    with suppress(Exception):  # there is no store yet
        yield from (space.model for space in _manifest(context).spaces.values())
    from embedstore.encoders.locate import models_here

    yield from models_here()


def models(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[Item]:
    """Complete a model: one that is known here, or a folder."""
    return _silent(_models)(context, parameter, incomplete) or [CompletionItem(incomplete, type="dir")]


corpora = _silent(_corpora)
"""Complete a corpus of the store."""
targets = _silent(_targets)
"""Complete a column of the corpus, or the answers of people."""
table_columns = _silent(_table_columns)
"""Complete a column of a table that is to be read."""
probes = _silent(_probes)
"""Complete a probe of the store."""
spaces = _silent(_spaces)
"""Complete a space of the store, by its key or its model."""


class _Bash(BashComplete):
    """Completion for bash: an option may be joined to its value by "=", and values may have spaces."""

    def get_completion_args(self) -> tuple[list[str], str]:
        """Return the words before the one that is completed, and what there is of it."""
        given = os.environ["COMP_WORDS"].split("\n")
        if len(given) == 1:
            return super().get_completion_args()
        given = given[: int(os.environ["COMP_CWORD"]) + 1]
        # "=" parts words for bash: `--corpus=tr` comes as three.
        given = [w for w, before in zip(given, ["", *given], strict=False) if w != "=" or not before.startswith("--")]
        if os.environ["COMP_WORDS"].split("\n")[int(os.environ["COMP_CWORD"])] == "=":
            given.append("")
        *before, last = given
        words = [part for word in before for part in split_arg_string(word)]
        return words[1:], next(iter(split_arg_string(last)), "")

    def format_completion(self, item: Item) -> str:
        """Return a line for the script of click, in which `read` takes one of two backslashes away."""
        last = os.environ["COMP_WORDS"].split("\n")[-1]
        if item.type != "plain" or last.startswith(("'", '"')):
            return f"{item.type},{item.value}"
        value = _UNSAFE.sub(r"\\\\\1", item.value)
        return f"{item.type},{value}"


def set_up() -> None:
    """Prepare to complete: nothing is logged, and bash gets values that it takes as one word."""
    logging.disable(logging.CRITICAL)
    add_completion_class(_Bash)
