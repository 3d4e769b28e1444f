"""`predict`: apply a probe to every row."""

from pathlib import Path
from typing import TYPE_CHECKING

import click
from embedstore.cli import completion
from embedstore.cli.opening import open_named
from embedstore.cli.options import (
    blank_option,
    json_option,
    output_options,
    rows_options,
    store_argument,
)
from embedstore.cli.printing import check_outputs, print_predictions

if TYPE_CHECKING:
    from embedstore.core.blank import Blank

__all__ = ["predict"]


@click.command()
@store_argument
@click.option(
    "--probe", required=True, metavar="NAME", shell_complete=completion.probes, help="A probe that `train` made."
)
@rows_options
@click.option(
    "--scores",
    is_flag=True,
    help="Add one column per class with its probability (confidence LABEL, if a row can have several).",
)
@click.option(
    "--threshold", type=float, metavar="P", help="Least probability of a label, if the probe gives a row several."
)
@blank_option
@output_options
@json_option
def predict(
    store: str,
    probe: str,
    corpus: str | None,
    space: str | None,
    scores: bool,
    threshold: float | None,
    blank: "Blank",
    output: Path | None,
    as_json: bool,
    spreadsheet_safe: bool,
) -> None:
    """Apply a probe to every row.

    Prints the rows with Predicted_Labels and probability as CSV, or writes them to -o. A probe of `train --multi` gives
    a list, and a column for each label says whether a row has it.
    """
    check_outputs(store, output)
    found = open_named(store).predict(
        probe, corpus=corpus, space=space, scores=scores, blank=blank, threshold=threshold
    )
    print_predictions(found, output, as_json=as_json, spreadsheet_safe=spreadsheet_safe)
