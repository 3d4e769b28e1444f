"""Options that commands share, and the one place where STORE becomes a folder."""

import os
import re
import sys
from collections.abc import Callable
from functools import reduce
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from embedstore.errors import NotFoundError, UsageError

if TYPE_CHECKING:
    from embedstore.store import EmbeddingStore

__all__ = [
    "computation_options",
    "corpus_option",
    "json_option",
    "max_seq_length_option",
    "no_encode_option",
    "open_named",
    "output_option",
    "plot_option",
    "seed_option",
    "space_option",
    "spare_pandas",
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
plot_option: Decorator = click.option(
    "--plot", type=click.Path(path_type=Path), metavar="FILE", help="Draw it: a .png, .svg or .html file."
)
json_option: Decorator = click.option(
    "--json", "as_json", is_flag=True, help="Print a machine-readable summary on stdout."
)
no_encode_option: Decorator = click.option(
    "--no-encode", is_flag=True, help="Leave with exit code 3 rather than load the model."
)


_COMPUTATION = (
    click.option(
        "--backend",
        type=click.Choice(["torch", "tensorflow"]),
        default="torch",
        show_default=True,
        help="What runs the model; its vectors are the same.",
    ),
    click.option("--device", metavar="DEVICE", help="cpu, cuda, cuda:1, mps; by default the best there is."),
    click.option(
        "--batch-size", type=click.IntRange(min=1), metavar="N", help="Texts at once; by default filled up by tokens."
    ),
    click.option(
        "--precision",
        type=click.Choice(["auto", "float32", "bfloat16"]),
        default="auto",
        show_default=True,
        help="Of the model; auto takes bfloat16 where it is fast and keeps the cosines of a sample at 0.9995.",
    ),
)


def computation_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that say how a model is run: `backend`, `device`, `batch_size` and `precision`."""
    return reduce(lambda wrapped, option: option(wrapped), reversed(_COMPUTATION), command)


max_seq_length_option: Decorator = click.option(
    "--max-seq-length", type=int, metavar="N", help="Tokens after which a text is cut off."
)


spreadsheet_safe_option: Decorator = click.option(
    "--spreadsheet-safe", is_flag=True, help="Put ' before texts that a spreadsheet would take for a formula."
)


def seed_option(of: str) -> Decorator:
    """Return the option --seed; `of` says what it is the seed of."""
    return click.option(
        "--seed", type=click.IntRange(0, 2**32 - 1), default=42, show_default=True, metavar="N", help=f"Seed of {of}."
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


def spare_pandas() -> None:
    """Keep pyarrow from importing pandas at its first conversion: no command here hands it pandas objects.

    It would look whether pandas is there, which takes as long as all the rest. `to_pandas` still finds it.
    """
    if "pandas" in sys.modules:
        return
    import pyarrow as pa

    hidden = _Hidden()
    sys.meta_path.insert(0, hidden)
    try:
        pa.array([0]).to_numpy()
    finally:
        sys.meta_path.remove(hidden)


class _Hidden:
    """An import hook for which there is no pandas."""

    def find_spec(self, name: str, path: object = None, target: object = None) -> None:
        """Refuse pandas; leave the rest to other hooks."""
        if name == "pandas":
            raise ImportError("hidden from pyarrow")


def open_named(store: str) -> "EmbeddingStore":
    """Open the store that the user named.

    Raises
    ------
    NotFoundError
        If there is none; the message names those there are.
    """
    from embedstore.store import open_store

    path = store_path(store)
    spare_pandas()
    try:
        return open_store(path)
    except NotFoundError as error:
        others = sorted(p.parent.name for p in path.parent.glob("*/manifest-*.json"))
        there = f"; there are {', '.join(dict.fromkeys(others))}" if others else ""
        raise NotFoundError(f"{error}{there}") from error
