"""`duplicates`: find rows with the same or nearly the same text."""

from pathlib import Path
from typing import TYPE_CHECKING

import click
from embedstore.cli import completion
from embedstore.cli.opening import open_named
from embedstore.cli.options import blank_option, json_option, output_options, space_option, store_argument, where_option
from embedstore.cli.printing import check_outputs, print_result
from embedstore.cli.terminal import note

from embedstore.core.counts import counted, form

if TYPE_CHECKING:
    from embedstore.core.blank import Blank

__all__ = ["duplicates"]


@click.command()
@store_argument
@click.option("--threshold", type=float, default=0.95, show_default=True, help="The lowest cosine similarity.")
@click.option(
    "--corpus",
    "corpora",
    multiple=True,
    metavar="NAME",
    shell_complete=completion.corpora,
    help="A corpus to look at; by default all.",
)
@where_option
@click.option("--leaks", is_flag=True, help="Only groups with rows of more than one corpus.")
@space_option
@blank_option
@output_options
@json_option
def duplicates(
    store: str,
    threshold: float,
    corpora: tuple[str, ...],
    leaks: bool,
    space: str | None,
    blank: "Blank",
    output: Path | None,
    as_json: bool,
    spreadsheet_safe: bool,
) -> None:
    """Find groups of rows with the same or nearly the same text.

    Prints group, size, corpus, id, similarity (to the group's first row) and text as CSV, or writes them to -o.
    """
    check_outputs(store, output)
    found = open_named(store).duplicates(threshold, corpora=corpora, space=space, leaks=leaks, blank=blank)
    if print_result(found, output, as_json=as_json, spreadsheet_safe=spreadsheet_safe):
        return
    spanning = f"; {found.spanning:,} of them {form(found.spanning, 'spans', 'span')} corpora" if found.spanning else ""
    note(
        f"{counted(len(found.groups), 'group')} of {counted(len(found), 'row')} at a cosine of "
        f"{threshold:g} or more{spanning}"
    )
