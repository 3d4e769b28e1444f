"""`compare`: compare methods that predict a column, in one table."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from embedstore.cli import completion
from embedstore.cli.opening import open_named
from embedstore.cli.options import (
    blank_option,
    computation_options,
    json_option,
    label_options,
    max_seq_length_option,
    no_encode_option,
    optional_label_set,
    plot_option,
    store_argument,
    train_options,
    training_options,
)
from embedstore.cli.printing import check_outputs, print_json, print_table
from embedstore.cli.terminal import echo, encode_progress, note, notes_of

from embedstore.core.counts import counted
from embedstore.core.values import clean

if TYPE_CHECKING:
    from embedstore.learning import Comparison

__all__ = ["compare"]

_MODEL_WIDTH = 40


@click.command()
@store_argument
@training_options("the split and of the intervals")
@label_options
@click.option(
    "--map",
    "mapping",
    multiple=True,
    metavar="VALUE=LABEL",
    help="The label, or the checkpoint's label, that a class stands for.",
)
@click.option(
    "--classify",
    "checkpoints",
    multiple=True,
    metavar="CHECKPOINT",
    shell_complete=completion.models,
    help="A finetuned classifier.",
)
@max_seq_length_option
@computation_options
@click.option("-o", "--output", type=click.Path(path_type=Path), metavar="FILE", help="Write the table to a file.")
@blank_option
@plot_option
@no_encode_option
@json_option
def compare(
    store: str,
    target: str,
    labels: tuple[str, ...],
    label_file: str | None,
    checkpoints: tuple[str, ...],
    plot: Path | None,
    output: Path | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Compare methods that predict a column, in one table.

    The methods are majority class, TF-IDF, labels (by cosine, by the method "best", and with people's answers to other
    rows), topics, class centroids and LogReg on every space of the store, and finetuned checkpoints. The figures are
    accuracy and macro-F1 with 95% bootstrap intervals, seconds, and texts encoded.
    """
    check_outputs(store, output, plot, label_files=[label_file])
    label_set = optional_label_set(labels, label_file)
    learning = train_options(options)
    with encode_progress() as on_progress:
        found = open_named(store).compare(
            target, labels=label_set, classify=checkpoints, options=learning, on_progress=on_progress, **options
        )
    if output:
        found.save(output)
    if plot:
        found.plot(plot)
        note(f"picture written to {plot}")
    if as_json:
        print_json(found.summary())
        return
    notes_of(found.notes)
    _print(found)
    if output:
        note(f"{counted(len(found), 'line')} written to {output}")


def _print(found: "Comparison") -> None:
    rows: list[tuple[str, ...]] = [("method", "vectors of", "rows", "accuracy", "macro-F1", "seconds", "encoded")]
    for score in found.scores:
        model = clean(score.model)
        shown = model if len(model) <= _MODEL_WIDTH else f"…{model[1 - _MODEL_WIDTH :]}"
        rows.append(
            (
                score.method,
                f"{shown} ({score.space[:8]})" if model else "",
                f"{score.rows:,}",
                f"{score.accuracy:.3f} [{score.accuracy_low:.3f}, {score.accuracy_high:.3f}]",
                f"{score.macro_f1:.3f} [{score.macro_f1_low:.3f}, {score.macro_f1_high:.3f}]",
                f"{score.seconds:.2f}",
                f"{score.encoded:,}",
            )
        )
    echo(f"{found.target}, tested on {found.tested_on}; in brackets 95% bootstrap intervals", "")
    print_table(rows, "<<>>>>>")
    if found.verdict:
        echo("", found.verdict)
