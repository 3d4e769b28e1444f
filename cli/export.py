"""`export`: write the rows of a corpus with their vectors for other programs."""

from dataclasses import asdict
from pathlib import Path
from typing import Any, get_args

import click
from embedstore.cli.opening import open_named
from embedstore.cli.options import (
    json_option,
    label_options,
    method_option,
    no_encode_option,
    one_of,
    optional_label_set,
    rows_options,
    store_argument,
)
from embedstore.cli.printing import check_apart, print_json
from embedstore.cli.terminal import count_progress, echo, notes_of

from embedstore.core.blank import Blank
from embedstore.errors import UsageError

__all__ = ["export"]


@click.command()
@store_argument
@click.argument("target", required=False)
@click.option("-o", "--output", metavar="FILE", help="The same as TARGET: .npy, .parquet or .h5.")
@click.option(
    "--to",
    type=one_of("embedstore.exports.targets:TARGETS"),
    help="What TARGET is (docs/exchange.md); without it, the end of its name says it, and it has all ids and vectors.",
)
@rows_options
@label_options
@method_option("The method of `tag`, with -l or --labels.")
@click.option("--dtype", type=click.Choice(["float32", "float16"]), default="float32", help="Numbers of a vector.")
@click.option(
    "--blank",
    type=click.Choice(get_args(Blank)),
    help="Rows whose text is blank: leave them out (skip), as --to does, or take them in (answer).",
)
@click.option("--bare", is_flag=True, help="Only ids and vectors: no texts and no columns.")
@click.option(
    "--rows-per-file", type=click.IntRange(min=1), metavar="N", help="Write a folder of files with N rows each."
)
@click.option("--name", metavar="NAME", help="The table or collection; by default the name of the store.")
@click.option("--index", is_flag=True, help="Make an index for searches, in a database.")
@click.option("--neighbours", type=click.IntRange(min=1), metavar="N", help="Neighbours of a row, for atlas: 15.")
@no_encode_option
@json_option
def export(
    store: str,
    target: str | None,
    output: str | None,
    labels: tuple[str, ...],
    label_file: str | None,
    bare: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Write the rows of a corpus with their vectors for another program.

    TARGET is a file or a folder; for pgvector and qdrant also an address. With -l or --labels the rows are tagged, and
    the tags are columns. Passwords come from the environment: PGPASSWORD, QDRANT_API_KEY.
    """
    if (target is None) == (output is None):
        raise UsageError(f"expected TARGET or -o FILE, found {'neither' if target is None else 'both'}")
    place = target if target is not None else str(output)
    if place == "-":
        raise UsageError("expected the name of a file or folder, found -: vectors are not written to standard output")
    check_apart(store, [] if "://" in place else [Path(place)], label_files=[label_file])
    with count_progress("export", "rows") as on_progress:
        report = open_named(store).export(
            place,
            labels=optional_label_set(labels, label_file),
            bare=bare or None,
            on_progress=on_progress,
            **options,
        )
    if as_json:
        print_json(asdict(report))
    else:
        notes_of(report.notes)
        echo(str(report))
