"""`index`: build the FAISS index of a space."""

from typing import TYPE_CHECKING

import click
from embedstore.cli.opening import open_named
from embedstore.cli.options import json_option, space_option, store_argument
from embedstore.cli.printing import print_json
from embedstore.cli.terminal import echo

if TYPE_CHECKING:
    from embedstore.vectors import IndexKind

from embedstore.core.counts import counted

__all__ = ["index"]


@click.command()
@store_argument
@click.option(
    "--kind",
    type=click.Choice(["auto", "flat", "hnsw", "ivf"]),
    default="auto",
    show_default=True,
    help="auto is flat (exact) up to 50,000 texts, and ivf above. Of so many texts hnsw misses a little less, and "
    "takes many times longer to build.",
)
@space_option
@json_option
def index(store: str, kind: "IndexKind", space: str | None, as_json: bool) -> None:
    """Build the FAISS index of a space."""
    record = open_named(store).index(kind, space=space)
    if as_json:
        print_json({"kind": record.kind, "texts": record.count, "bytes": record.file.size})
    else:
        echo(f"{record.kind} index over {counted(record.count, 'text')}, {counted(record.file.size, 'byte')}")
