"""`classify` and `compare`."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from embedstore.cli.label import show
from embedstore.cli.options import (
    computation_options,
    corpus_option,
    json_option,
    max_seq_length_option,
    no_encode_option,
    open_named,
    output_option,
    plot_option,
    seed_option,
    space_option,
    spreadsheet_safe_option,
    store_argument,
)
from embedstore.cli.tag import label_options, label_set_of
from embedstore.cli.terminal import clean, encode_progress, note

from embedstore.errors import UsageError

if TYPE_CHECKING:
    from embedstore.compare import Comparison

__all__ = ["classify", "compare"]

_MODEL_WIDTH = 40


@click.command()
@store_argument
@click.option("-m", "--model", metavar="CHECKPOINT", help="Folder or Hugging Face name of a finetuned classifier.")
@click.option("--revision", metavar="REV", help="Branch, tag or commit of a hub model.")
@corpus_option
@space_option
@max_seq_length_option
@click.option("--scores", is_flag=True, help="Add one column per label.")
@click.option(
    "--threshold", type=float, default=0.5, show_default=True, help="Probability of a label, for heads of sigmoids."
)
@click.option("--gold", metavar="COL", help="Compare with a column: classification report and confusion matrix.")
@click.option(
    "--map", "mapping", multiple=True, metavar="VALUE=LABEL", help="The label that a --gold value stands for."
)
@computation_options
@output_option
@spreadsheet_safe_option
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
    gold: str | None,
    mapping: tuple[str, ...],
    output: Path | None,
    as_json: bool,
    spreadsheet_safe: bool,
    **encode_options: Any,
) -> None:
    """Label every row with a finetuned checkpoint; its logits are kept, so a second run encodes nothing.

    Prints the rows with Predicted_Labels and probability as CSV, or writes them to -o. Without -m, the logits
    that are there are used.
    """
    from embedstore.encoders import EncoderOptions
    from embedstore.output import output_format

    if mapping and not gold:
        raise UsageError("--map says what --gold values stand for: give --gold COL too")
    if output:
        output_format(output)
    opened = open_named(store)
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
    joined = opened.classifying(
        corpus=corpus, space=space, gold=gold, mapping=mapping, scores=scores, threshold=threshold
    )
    show(joined, output, as_json, spreadsheet_safe)


@click.command()
@store_argument
@click.option("--target", required=True, metavar="COL", help="The column of classes.")
@corpus_option
@click.option("--test-corpus", metavar="NAME", help="Test on this corpus; by default a stratified share is held out.")
@click.option("--test-size", type=float, default=0.2, show_default=True, help="Share held out.")
@label_options
@click.option(
    "--map",
    "mapping",
    multiple=True,
    metavar="VALUE=LABEL",
    help="The label, or the checkpoint's label, that a class stands for.",
)
@click.option("--classify", "checkpoints", multiple=True, metavar="CHECKPOINT", help="A finetuned classifier.")
@max_seq_length_option
@click.option("--C", "c", type=float, default=1.0, show_default=True, help="Inverse strength of the L2 penalty.")
@click.option("--max-iter", type=click.IntRange(min=1), default=1000, show_default=True)
@seed_option("the split and of the intervals")
@click.option("--drop-missing", is_flag=True, help="Leave rows without a target out.")
@computation_options
@click.option("-o", "--output", type=click.Path(path_type=Path), metavar="FILE", help="Write the table to a file.")
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
    """Compare what each road to a column's classes is worth, in one table.

    Majority class, TF-IDF, cosine labels, class centroids and LogReg on every space of the store, finetuned
    checkpoints: accuracy and macro-F1 with 95% bootstrap intervals, seconds, texts encoded.
    """
    from embedstore.output import output_format, write_table
    from embedstore.training import TrainOptions

    if plot:
        import numpy as np

        from embedstore.pictures import Bars, draw, picture_path

        picture_path(plot)
    if output:
        output_format(output)
    label_set = label_set_of(labels, label_file) if labels or label_file else None
    train_options = TrainOptions(
        C=options.pop("c"),
        max_iter=options.pop("max_iter"),
        test_size=options.pop("test_size"),
        random_state=options.pop("seed"),
        drop_missing=options.pop("drop_missing"),
    )
    with encode_progress() as on_progress:
        found = open_named(store).compare(
            target, labels=label_set, classify=checkpoints, options=train_options, on_progress=on_progress, **options
        )
    if output:
        table = found.table()
        write_table([table], table.schema, output)
    if plot:
        columns = found.table().to_pydict()
        names = [f"{one.method} ({one.space[:8]})" if one.space else one.method for one in found.scores]
        accuracy, low, high = (np.array(columns[name]) for name in ("accuracy", "accuracy_low", "accuracy_high"))
        bars = Bars(names, accuracy, low, high, "accuracy, with 95% intervals")
        draw(plot, [bars], f"{target}, tested on {found.tested_on}")
        note(f"picture written to {plot}")
    if as_json:
        click.echo(json.dumps(found.to_json()))
        return
    for line in found.notes:
        note(f"note: {line}")
    _print_comparison(found)
    if output:
        note(f"{len(found.scores)} lines written to {output}")


def _print_comparison(found: "Comparison") -> None:
    rows = [("method", "vectors of", "rows", "accuracy", "macro-F1", "seconds", "encoded")]
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
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    click.echo(f"{clean(found.target)}, tested on {found.tested_on}; in brackets 95% bootstrap intervals\n")
    for row in rows:
        aligned = [
            cell.ljust(width) if column < 2 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        click.echo("  ".join(aligned))
    if found.verdict:
        click.echo(f"\n{clean(found.verdict)}")
