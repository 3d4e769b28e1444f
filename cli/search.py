"""`search`."""

import json
import shutil
import sys
from typing import TYPE_CHECKING, Any

import click
from embedstore.cli.options import (
    json_option,
    no_encode_option,
    open_named,
    output_option,
    space_option,
    spreadsheet_safe_option,
    store_argument,
)
from embedstore.cli.terminal import clip, note, print_tables

from embedstore.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

    import pyarrow as pa

__all__ = ["search"]


@click.command()
@store_argument
@click.argument("text", required=False)
@click.option("--row", metavar="ID", help="Search for the neighbours of a row, by its id or number.")
@click.option("-k", type=int, default=10, show_default=True, help="How many rows.")
@click.option("--corpus", metavar="NAME", help="Search this corpus; by default all.")
@space_option
@click.option("--exact", is_flag=True, help="Scan all vectors even where there is an index.")
@output_option
@spreadsheet_safe_option
@no_encode_option
@json_option
def search(
    store: str,
    text: str | None,
    row: str | None,
    output: "Path | None",
    as_json: bool,
    spreadsheet_safe: bool,
    **options: Any,
) -> None:
    """Find the rows nearest to TEXT, to a row, or to each line of standard input (-).

    A terminal gets a list to read, a pipe gets CSV: query, rank, score, corpus, id, text.
    """
    from embedstore import output as out

    if output:
        out.output_format(output)
    query: Any = text
    if text == "-":
        query = [line.rstrip("\r\n") for line in sys.stdin]
        query = [line for line in query if line.strip()]
        if not query:
            raise UsageError("standard input is empty: expected one search a line")
    table = open_named(store).matches(query, row=row, **options).table
    tables: Any = [table]
    schema = table.schema
    if spreadsheet_safe:
        tables, schema = out.spreadsheet_safe(tables, schema)
    if output:
        out.write_table(tables, schema, output)
        note(f"{table.num_rows:,} rows written to {output}")
    if as_json:
        click.echo(json.dumps(table.to_pylist(), ensure_ascii=False))
    elif not output and sys.stdout.isatty():
        _print_list(table)
    elif not output:
        print_tables(tables, schema)


def _print_list(table: "pa.Table") -> None:
    columns = shutil.get_terminal_size().columns
    rows = table.to_pylist()
    width = max(len(clip(str(row["id"]), 20)) for row in rows)
    several = len({row["query"] for row in rows}) > 1
    for row in rows:
        if several and row["rank"] == 1:
            click.secho(clip(row["query"], columns), bold=True)
        head = f"{row['score']:6.3f}  {clip(str(row['id']), 20):<{width}}  "
        click.echo(head + clip(row["text"], columns - len(head)))
