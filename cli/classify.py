"""`classify`: label rows with a finetuned checkpoint."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from embedstore.cli import completion
from embedstore.cli.multilabel import separator_option
from embedstore.cli.opening import check_gold, open_named
from embedstore.cli.options import (
    blank_option,
    computation_options,
    gold_options,
    json_option,
    max_seq_length_option,
    no_encode_option,
    output_options,
    rows_options,
    scores_option,
    store_argument,
)
from embedstore.cli.printing import check_outputs, print_predictions
from embedstore.cli.terminal import encode_progress, note

from embedstore.errors import UsageError

if TYPE_CHECKING:
    from embedstore.core.blank import Blank

__all__ = ["classify"]


@click.command()
@store_argument
@click.option(
    "-m",
    "--model",
    metavar="CHECKPOINT",
    shell_complete=completion.models,
    help="Folder or Hugging Face name of a finetuned classifier.",
)
@click.option("--revision", metavar="REV", help="Branch, tag or commit of a hub model.")
@rows_options
@max_seq_length_option
@scores_option
@click.option(
    "--threshold", type=float, default=0.5, show_default=True, help="Probability of a label, for heads of sigmoids."
)
@click.option(
    "--multi", is_flag=True, help="For heads of sigmoids: give a list of labels, and a column for each label."
)
@gold_options
@separator_option
@computation_options
@blank_option
@output_options
@no_encode_option
@json_option
def classify(
    store: str,
    model: str | None,
    corpus: str | None,
    space: str | None,
    max_seq_length: int | None,
    scores: bool,
    threshold: float,
    multi: bool,
    separator: str | None,
    gold: str | None,
    mapping: tuple[str, ...],
    blank: "Blank",
    output: Path | None,
    as_json: bool,
    spreadsheet_safe: bool,
    **encode_options: Any,
) -> None:
    """Label every row with a finetuned checkpoint.

    Prints the rows with Predicted_Labels and probability as CSV, or writes them to -o. The logits are kept, so a second
    run encodes nothing. Without -m, the stored logits are used.
    """
    from embedstore.encoders import EncoderOptions

    if mapping and not gold:
        raise UsageError("--map says what --gold values stand for: give --gold COL too")
    if separator is not None and not gold:
        raise UsageError("--separator says what stands between labels of --gold: give --gold COL too")
    check_outputs(store, output)
    opened = open_named(store)
    check_gold(opened, corpus, gold)
    if model:
        if space:
            raise UsageError("expected -m CHECKPOINT or --space KEY, found both")
        options = EncoderOptions(output="logits", max_seq_length=max_seq_length)
        with encode_progress() as on_progress:
            report = opened.encode(
                model, corpus=opened.corpus(corpus).name, options=options, on_progress=on_progress, **encode_options
            )
        note(str(report))
        space = report.space
    found = opened.classify(
        corpus=corpus,
        space=space,
        gold=gold,
        mapping=mapping,
        scores=scores,
        threshold=threshold,
        multi=multi,
        separator=separator,
        blank=blank,
    )
    print_predictions(found, output, as_json=as_json, spreadsheet_safe=spreadsheet_safe)
