"""`export`: write the vectors of a corpus to a file for other programs."""

from pathlib import Path

import click
from embedstore.cli.opening import open_named
from embedstore.cli.options import json_option, rows_options, store_argument
from embedstore.cli.printing import check_apart, print_json
from embedstore.cli.terminal import echo

from embedstore.core.counts import counted

__all__ = ["export"]


@click.command()
@store_argument
@click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(path_type=Path),
    metavar="FILE",
    help=".npy, .parquet or .h5",
)
@rows_options
@json_option
def export(store: str, output: Path, corpus: str | None, space: str | None, as_json: bool) -> None:
    """Write the vectors and ids of a corpus to a file."""
    check_apart(store, [output])
    rows = open_named(store).export(output, corpus=corpus, space=space)
    if as_json:
        print_json({"rows": rows, "output": str(output)})
    else:
        ids = f", their ids to {output.with_suffix('.ids.csv')}" if output.suffix == ".npy" else ""
        echo(f"{counted(rows, 'vector')} written to {output}{ids}")
