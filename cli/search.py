"""`search`: find the rows nearest to a text or a row."""

from pathlib import Path
from typing import TYPE_CHECKING

import click
from embedstore.cli import completion
from embedstore.cli.opening import open_named
from embedstore.cli.options import (
    blank_option,
    no_encode_option,
    output_options,
    space_option,
    store_argument,
    where_option,
)
from embedstore.cli.printing import check_outputs, print_json, write_rows
from embedstore.cli.terminal import note, notes_of, on_terminal, pages, standard_input, terminal_width

from embedstore.core.counts import counted
from embedstore.core.layout import beside, cut, wide
from embedstore.core.values import is_blank
from embedstore.errors import UsageError

if TYPE_CHECKING:
    from embedstore.core.blank import Blank
    from embedstore.vectors import Matches

__all__ = ["search"]

_USUAL = 80  # columns


@click.command()
@store_argument
@click.argument("text", required=False)
@click.option(
    "--row",
    metavar="ID",
    help="Search for the rows nearest to the row with this id; without an id column, to the row of this number.",
)
@click.option("-k", type=int, show_default="10", help="How many rows.")
@click.option(
    "--corpus",
    metavar="NAME",
    shell_complete=completion.corpora,
    help="Search in this corpus alone, and take --row from it; by default all, and --row is the first of this id.",
)
@where_option
@space_option
@click.option("--exact", is_flag=True, help="Scan all vectors even where there is an index.")
@blank_option
@output_options
@no_encode_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line for each hit.")
def search(
    store: str,
    text: str | None,
    row: str | None,
    k: int | None,
    corpus: str | None,
    space: str | None,
    exact: bool,
    blank: "Blank",
    output: Path | None,
    as_json: bool,
    spreadsheet_safe: bool,
    no_encode: bool,
) -> None:
    """Find the rows nearest to a text or to a row.

    With - as TEXT, each line of standard input is a search.
    Prints a list to a terminal, and CSV to a pipe: query, rank, score, corpus, id, text. --json prints one object a
    line for each hit, with these fields and row, the number of the row in its corpus: what jq reads as it is.
    """
    check_outputs(store, output)
    query = _lines() if text == "-" else text
    found = open_named(store).search(
        query, row=row, k=k, corpus=corpus, space=space, exact=exact, blank=blank, no_encode=no_encode
    )
    if not (output or as_json) and on_terminal():
        _print_list(found)
    else:
        write_rows(found, output, as_json=as_json, spreadsheet_safe=spreadsheet_safe)
    if output:
        note(f"{counted(len(found), 'row')} written to {output}")
    notes_of(found.notes)
    if as_json:
        for hit, number in zip(found.table.to_pylist(), found.rows, strict=True):
            print_json({**hit, "row": number})


def _lines() -> list[str]:
    lines = [line.rstrip("\r\n") for line in standard_input("one search a line")]
    lines = [line for line in lines if not is_blank(line)]
    if not lines:
        raise UsageError("standard input is empty: expected one search a line")
    return lines


def _print_list(found: "Matches") -> None:
    columns = terminal_width() or _USUAL
    rows = found.table.to_pylist()
    width = max(wide(cut(str(row["id"]), 20)) for row in rows)
    several = len({row["query"] for row in rows}) > 1
    with pages() as stream:
        for row in rows:
            if several and row["rank"] == 1:
                stream.write(cut(row["query"], columns) + "\n")
            id_ = cut(str(row["id"]), 20)
            head = f"{row['score']:6.3f}  {id_}{' ' * (width - wide(id_))}  "
            for line in beside(head, row["text"], columns):
                stream.write(line + "\n")
