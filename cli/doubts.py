"""`doubts`: find rows whose given label is likely wrong."""

from pathlib import Path
from typing import TYPE_CHECKING

import click
from embedstore.cli import completion
from embedstore.cli.opening import open_named
from embedstore.cli.options import (
    blank_option,
    json_option,
    max_iter_option,
    one_of,
    output_options,
    penalty_option,
    rows_options,
    seed_option,
    store_argument,
)
from embedstore.cli.printing import check_outputs, print_result
from embedstore.cli.terminal import note

from embedstore.core.counts import counted, form

if TYPE_CHECKING:
    from embedstore.core.blank import Blank
    from embedstore.learning.label_errors import Filter

__all__ = ["doubts"]


@click.command()
@store_argument
@click.option(
    "--target",
    required=True,
    metavar="COL",
    shell_complete=completion.targets,
    help="The column of labels, or annotations.",
)
@rows_options
@click.option(
    "--filter",
    type=one_of("embedstore.learning.label_errors:FILTERS"),
    default="expected",
    show_default=True,
    help="Rows to list, of those where another label is the most probable: as many as labels are expected to be "
    "wrong; all where another label is more probable than usual; as many as confident learning estimates for each "
    "pair of labels, for each given label, or by both; any.",
)
@click.option("--folds", type=int, default=5, show_default=True, help="Parts that judge each other.")
@penalty_option
@max_iter_option
@seed_option("the folds and of sampling")
@click.option("--drop-missing", is_flag=True, help="Leave rows without a label out.")
@blank_option
@output_options
@json_option
def doubts(
    store: str,
    target: str,
    corpus: str | None,
    space: str | None,
    filter: "Filter",
    folds: int,
    c: float,
    max_iter: int,
    seed: int,
    drop_missing: bool,
    blank: "Blank",
    output: Path | None,
    as_json: bool,
    spreadsheet_safe: bool,
) -> None:
    """Find rows whose given label is likely wrong.

    Models of the other rows judge each row. Prints id, given, suggested, confidence (of the given label), margin and
    text as CSV, or writes them to -o. The row whose label is least likely to be right comes first. That counts the
    confidence, and how often the one label is given in place of the other, so no column is sorted.
    """
    check_outputs(store, output)
    found = open_named(store).doubts(
        target,
        corpus=corpus,
        space=space,
        filter=filter,
        folds=folds,
        C=c,
        max_iter=max_iter,
        random_state=seed,
        drop_missing=drop_missing,
        blank=blank,
    )
    if print_result(found, output, as_json=as_json, spreadsheet_safe=spreadsheet_safe):
        return
    note(
        f"{len(found):,} of {counted(found.checked, 'label')} {form(len(found), 'is', 'are')} doubtful, "
        f"the most doubtful first, and about {found.noise:.1%} are likely wrong; "
        f"models of the other rows find {found.accuracy:.1%} of the {found.checked:,} as they are given"
    )
