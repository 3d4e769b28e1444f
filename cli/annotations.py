"""`annotations`: print, export or import the labels that people gave to rows."""

from pathlib import Path
from typing import Any

import click
from embedstore.cli import completion
from embedstore.cli.files import opened, reading_options
from embedstore.cli.multilabel import separator_option
from embedstore.cli.opening import open_named
from embedstore.cli.options import (
    corpus_option,
    json_option,
    label_options,
    optional_label_set,
    output_options,
    store_argument,
)
from embedstore.cli.printing import check_outputs, print_json, write_rows
from embedstore.cli.terminal import echo, note

from embedstore.core.counts import counted
from embedstore.errors import UsageError

__all__ = ["annotations"]


@click.command()
@store_argument
@click.option(
    "--import",
    "imported",
    metavar="FILE",
    shell_complete=completion.files,
    help="Keep the answers in a table with columns id and label.",
)
@label_options
@click.option(
    "--multi", is_flag=True, help="With --import, a cell has all labels of a text: a list, or a text with a separator."
)
@separator_option
@corpus_option
@click.option(
    "--who",
    default="",
    metavar="NAME",
    help="Answers of this person; with --import, who answered where the table does not say.",
)
@click.option("--disagreements", is_flag=True, help="Only texts that were called by different labels.")
@reading_options
@output_options
@json_option
def annotations(
    store: str,
    imported: str | None,
    labels: tuple[str, ...],
    label_file: str | None,
    multi: bool,
    separator: str | None,
    corpus: str | None,
    who: str,
    disagreements: bool,
    output: Path | None,
    as_json: bool,
    spreadsheet_safe: bool,
    **reading: Any,
) -> None:
    """Print, write or import the labels that people gave to rows.

    Prints them as CSV, writes them to -o, or reads them from a table (--import). --corpus and --who select the answers
    of one corpus or person.
    """
    check_outputs(store, output)
    book = open_named(store).annotations
    if imported:
        asked = {"-o": output, "--disagreements": disagreements, "--spreadsheet-safe": spreadsheet_safe}
        if found := [name for name, value in asked.items() if value]:
            raise UsageError(f"--import reads answers, {found[0]} is for those that are there: leave one of them out")
        sources, _ = opened([imported], reading, missing=())
        label_set = optional_label_set(labels, label_file, several=multi)
        count = book.import_table(sources, label_set, corpus=corpus, who=who, multi=multi, separator=separator)
        if as_json:
            print_json({"imported": count})
        else:
            echo(f"annotations imported: {count:,}")
            note("answers that the store has or had, also those that were taken back, are not imported again")
        return
    if labels or label_file or multi or separator is not None:
        raise UsageError("labels, --multi and --separator say what --import reads: give --import FILE too")
    table = book.export_table(corpus=corpus, who=who or None, disagreements=disagreements)
    write_rows(table, output, as_json=as_json, spreadsheet_safe=spreadsheet_safe)
    if output:
        note(f"{counted(len(table), 'row')} written to {output}")
    if as_json:
        print_json(table.summary())
