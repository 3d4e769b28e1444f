"""`train` and `predict`."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from embedstore.cli.options import (
    corpus_option,
    json_option,
    open_named,
    output_option,
    plot_option,
    seed_option,
    space_option,
    spreadsheet_safe_option,
    store_argument,
)
from embedstore.cli.terminal import note, print_shares, print_tables

if TYPE_CHECKING:
    from embedstore.joined import Joined

__all__ = ["predict", "show", "train"]


@click.command()
@store_argument
@click.option("--probe", required=True, metavar="NAME", help="A probe that `train` made.")
@corpus_option
@space_option
@click.option("--scores", is_flag=True, help="Add one column per class.")
@output_option
@spreadsheet_safe_option
@json_option
def predict(store: str, probe: str, output: Path | None, as_json: bool, spreadsheet_safe: bool, **options: Any) -> None:
    """Apply a probe: every row with Predicted_Labels and probability, as CSV or to -o."""
    from embedstore.output import output_format

    if output:
        output_format(output)
    show(open_named(store).predicting(probe, **options), output, as_json, spreadsheet_safe)


def show(joined: "Joined", output: Path | None, as_json: bool, spreadsheet_safe: bool) -> None:
    """Print rows, or write them to `output`; then shares and report, or all of it as JSON."""
    from embedstore import output as out

    to_stdout = not (output or as_json)
    tables, schema = joined.tables(), joined.schema
    if spreadsheet_safe:
        tables, schema = out.spreadsheet_safe(tables, schema)
    if to_stdout:
        print_tables(tables, schema)
    if output:
        out.write_table(tables, schema, output)
    if as_json:
        summary: dict[str, Any] = {
            "corpus": joined.corpus.name,
            "rows": len(joined.corpus),
            "shares": joined.shares,
        }
        if joined.report:
            summary["report"] = joined.report.to_json()
        if joined.reliability:
            summary["calibration_error"] = joined.reliability.error
        if joined.notes:
            summary["notes"] = joined.notes
        if output:
            summary["output"] = str(output)
        click.echo(json.dumps(summary))
        return
    print_shares(joined.shares, err=True)
    for line in joined.notes:
        note(f"note: {line}")
    if joined.report:
        report = joined.report
        left_out = f"\n{report.left_out:,} rows without a given label are left out" if report.left_out else ""
        ordinal = f"\n{report.ordinal}" if report.ordinal else ""
        doubt = f"\nexpected calibration error {joined.reliability.error:.4f}" if joined.reliability else ""
        click.echo(f"\n{report.text}\n\n{report.confusion_text()}{left_out}{ordinal}{doubt}", err=to_stdout)
    if output:
        note(f"{len(joined.corpus):,} rows written to {output}")


@click.command()
@store_argument
@click.option("--target", required=True, metavar="COL", help="The column to predict.")
@corpus_option
@click.option("--test-corpus", metavar="NAME", help="Test on this corpus; by default a stratified share is held out.")
@click.option("--test-size", type=float, default=0.2, show_default=True, help="Share held out.")
@space_option
@click.option("--name", metavar="NAME", help="The probe's name; by default the target's.")
@click.option("--C", "c", type=float, default=1.0, show_default=True, help="Inverse strength of the L2 penalty.")
@click.option("--max-iter", type=click.IntRange(min=1), default=1000, show_default=True)
@click.option("--cv", type=int, metavar="FOLDS", help="Cross-validate on the training rows too.")
@seed_option("split, folds and sampling")
@click.option("--drop-missing", is_flag=True, help="Leave rows without a target out.")
@plot_option
@json_option
def train(
    store: str,
    target: str,
    corpus: str | None,
    test_corpus: str | None,
    space: str | None,
    name: str | None,
    plot: Path | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Train a logistic regression on cached vectors; print its classification report."""
    from embedstore.training import TrainOptions

    if plot:
        import numpy as np

        from embedstore.pictures import Confusion, Curve, draw, picture_path

        picture_path(plot)
    train_options = TrainOptions(
        C=options["c"],
        max_iter=options["max_iter"],
        cv=options["cv"],
        test_size=options["test_size"],
        random_state=options["seed"],
        drop_missing=options["drop_missing"],
        curve=plot is not None,
    )
    opened = open_named(store)
    trained = opened.train(
        target, corpus=corpus, test_corpus=test_corpus, space=space, name=name, options=train_options
    )
    for line in trained.notes:
        note(f"note: {line}")
    description = trained.probe.description
    if plot:
        found = trained.report
        title = f"{target}: accuracy {found.accuracy:.3f} on {description['tested_on']}"
        counts, accuracies = (np.array(part, dtype=float) for part in zip(*trained.curve, strict=True))
        learnt = Curve(["LogReg"], counts, accuracies[None], ("training rows", "accuracy on the test rows"), log=True)
        draw(plot, [Confusion(found.classes, found.confusion), learnt], title)
        note(f"picture written to {plot}")
    if as_json:
        click.echo(json.dumps({**description, "cv_scores": trained.cv_scores, "report": trained.report.to_json()}))
        return
    click.echo(
        f"{description['rows']:,} rows of corpus {description['corpus']!r}; tested on {description['tested_on']}\n"
    )
    click.echo(f"{trained.report.text}\n\n{trained.report.confusion_text()}")
    if trained.cv_scores:
        mean = sum(trained.cv_scores) / len(trained.cv_scores)
        folds = " ".join(f"{score:.4f}" for score in trained.cv_scores)
        click.echo(f"\ncross-validated accuracy {mean:.4f} ({folds})")
