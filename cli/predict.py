"""`predict`: apply a probe to every row."""

from pathlib import Path

import click
from embedstore.cli.options import json_option, open_named, output_options, rows_options, scores_option, store_argument
from embedstore.cli.printing import check_outputs, print_predictions

__all__ = ["predict"]


@click.command()
@store_argument
@click.option("--probe", required=True, metavar="NAME", help="A probe that `train` made.")
@rows_options
@scores_option
@output_options
@json_option
def predict(
    store: str,
    probe: str,
    corpus: str | None,
    space: str | None,
    scores: bool,
    output: Path | None,
    as_json: bool,
    spreadsheet_safe: bool,
) -> None:
    """Apply a probe to every row.

    Prints the rows with Predicted_Labels and probability as CSV, or writes them to -o.
    """
    check_outputs(output)
    found = open_named(store).predict(probe, corpus=corpus, space=space, scores=scores)
    print_predictions(found, output, as_json=as_json, spreadsheet_safe=spreadsheet_safe)
