"""Options that commands share, and the one place where STORE becomes a folder."""

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from embedstore.errors import NotFoundError, UsageError

if TYPE_CHECKING:
    from embedstore.store import EmbeddingStore

__all__ = [
    "backend_option",
    "batch_size_option",
    "corpus_option",
    "device_option",
    "json_option",
    "max_seq_length_option",
    "no_encode_option",
    "open_named",
    "output_option",
    "space_option",
    "spreadsheet_safe_option",
    "store_argument",
    "store_path",
]

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]

store_argument: Decorator = click.argument("store")
corpus_option: Decorator = click.option("--corpus", metavar="NAME", help="Corpus; by default the only one, or train.")
space_option: Decorator = click.option(
    "--space", metavar="KEY|MODEL", help="Space, by the start of its key or its model; by default the first."
)
output_option: Decorator = click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write rows to a .csv, .tsv, .jsonl or .parquet file.",
)
json_option: Decorator = click.option(
    "--json", "as_json", is_flag=True, help="Print a machine-readable summary on stdout."
)
no_encode_option: Decorator = click.option(
    "--no-encode", is_flag=True, help="Leave with exit code 3 rather than load the model."
)


backend_option: Decorator = click.option(
    "--backend",
    type=click.Choice(["torch", "tensorflow"]),
    default="torch",
    show_default=True,
    help="What runs the model; its vectors are the same.",
)
device_option: Decorator = click.option(
    "--device", metavar="DEVICE", help="cpu, cuda, cuda:1, mps; by default the best there is."
)
batch_size_option: Decorator = click.option(
    "--batch-size", type=click.IntRange(min=1), default=32, show_default=True, metavar="N"
)
max_seq_length_option: Decorator = click.option(
    "--max-seq-length", type=int, metavar="N", help="Tokens after which a text is cut off."
)


spreadsheet_safe_option: Decorator = click.option(
    "--spreadsheet-safe", is_flag=True, help="Put ' before texts that a spreadsheet would take for a formula."
)


def store_path(store: str) -> Path:
    """Return the folder of a store: a name under $EMBEDSTORE_HOME, or a path with a slash.

    Raises
    ------
    UsageError
        If it is neither.
    """
    path = Path(store).expanduser() if store.startswith("~") else Path(store)
    if ".." in path.parts or "\x00" in store:
        raise UsageError(f"expected a store name or a path without '..', found {store!r}: give its full path")
    if "/" in store:
        return path
    if not _NAME.fullmatch(store):
        raise UsageError(
            f"expected a store name of letters, digits, '.', '_' and '-', found {store!r}; "
            f"a path needs a slash (./{store})"
        )
    return Path(os.environ.get("EMBEDSTORE_HOME") or "indexes") / store


def open_named(store: str) -> "EmbeddingStore":
    """Open the store that the user named.

    Raises
    ------
    NotFoundError
        If there is none; the message names those there are.
    """
    from embedstore.store import open_store

    path = store_path(store)
    try:
        return open_store(path)
    except NotFoundError as error:
        others = sorted(p.parent.name for p in path.parent.glob("*/manifest-*.json"))
        there = f"; there are {', '.join(dict.fromkeys(others))}" if others else ""
        raise NotFoundError(f"{error}{there}") from error
