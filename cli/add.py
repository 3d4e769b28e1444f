"""`add`: add rows to a store."""

from dataclasses import asdict
from typing import Any

import click
from embedstore.cli import completion
from embedstore.cli.files import add_files, row_options
from embedstore.cli.opening import hide_pandas, settings, store_path
from embedstore.cli.options import json_option, store_argument
from embedstore.cli.printing import print_json
from embedstore.cli.terminal import echo

__all__ = ["add"]


@click.command()
@store_argument
@click.argument("files", nargs=-1, required=True, metavar="FILE...", shell_complete=completion.files)
@row_options
@json_option
def add(store: str, files: tuple[str, ...], as_json: bool, **options: Any) -> None:
    """Read tables and keep their rows, without encoding.

    FILE is CSV, TSV, JSONL or Parquet, plain or gzip; - is standard input. Adding the same table again changes
    nothing.
    """
    from embedstore.store import EmbeddingStore

    hide_pandas()
    report = add_files(EmbeddingStore(store_path(store), settings=settings()), files, options)
    if as_json:
        print_json(asdict(report))
    else:
        echo(str(report))
