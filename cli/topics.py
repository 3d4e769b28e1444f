"""`topics`: find out what the texts are about."""

from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click
from embedstore.cli import completion
from embedstore.cli.opening import open_named
from embedstore.cli.options import (
    blank_option,
    json_option,
    output_options,
    plot_option,
    rows_options,
    seed_option,
    store_argument,
    topic_count_option,
)
from embedstore.cli.printing import check_outputs, print_json, write_or_preview
from embedstore.cli.terminal import note, notes_of, terminal_width

from embedstore.core.counts import counted

if TYPE_CHECKING:
    from embedstore.core.blank import Blank

__all__ = ["topics"]

_WITHOUT = 160  # columns of the table of topics where there is no terminal


@click.command()
@store_argument
@topic_count_option
@click.option(
    "--like",
    metavar="NAME",
    shell_complete=completion.corpora,
    help="Give each row the nearest topic of this corpus, instead of new ones.",
)
@seed_option("the samples and of the starts")
@rows_options
@blank_option
@plot_option
@output_options
@json_option
def topics(
    store: str,
    topic_count: int | None,
    like: str | None,
    seed: int,
    corpus: str | None,
    space: str | None,
    blank: "Blank",
    plot: Path | None,
    output: Path | None,
    as_json: bool,
    spreadsheet_safe: bool,
) -> None:
    """Find groups of similar texts, and name each one by its words.

    Prints the rows with topic (from 1, the largest first), topic_name and score as CSV, or writes them to -o. A table
    of the topics goes to stderr. Only cached vectors are read.
    """
    check_outputs(store, output, plot)
    opened = open_named(store)
    count: Literal["auto"] | int = topic_count or "auto"
    if like:
        learnt = opened.whole.topics(count, corpus=like, space=space, random_state=seed, blank=blank)
        found = opened.topics(corpus=corpus, like=learnt, blank=blank)
    else:
        found = opened.topics(count, corpus=corpus, space=space, random_state=seed, blank=blank)
    write_or_preview(found, output, as_json=as_json, spreadsheet_safe=spreadsheet_safe)
    if plot:
        found.plot(plot)
        note(f"picture written to {plot}")
    if as_json:
        print_json(found.summary() | ({"output": str(output)} if output else {}))
        return
    for line in found.lines(terminal_width(err=True) or _WITHOUT):
        note(line)
    notes_of(found.notes)
    if output:
        note(f"{counted(len(found), 'row')} written to {output}")
