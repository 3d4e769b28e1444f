"""`train`: train a logistic regression on cached vectors."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from embedstore.cli import completion
from embedstore.cli.multilabel import separator_option
from embedstore.cli.opening import open_named
from embedstore.cli.options import (
    blank_option,
    json_option,
    plot_option,
    space_option,
    store_argument,
    train_options,
    training_options,
)
from embedstore.cli.printing import check_outputs, print_json
from embedstore.cli.terminal import echo, note, notes_of, terminal_width

from embedstore.core.counts import counted

if TYPE_CHECKING:
    from embedstore.core.blank import Blank

__all__ = ["train"]


@click.command()
@store_argument
@training_options("split, folds and sampling")
@space_option
@click.option(
    "--name", metavar="NAME", shell_complete=completion.probes, help="The probe's name; by default the target's."
)
@click.option("--multi", is_flag=True, help="The target has several labels a row: a list, or a text with a separator.")
@separator_option
@click.option("--cv", type=int, metavar="FOLDS", help="Cross-validate on the training rows too.")
@blank_option
@plot_option
@json_option
def train(
    store: str,
    target: str,
    corpus: str | None,
    test_corpus: str | None,
    space: str | None,
    name: str | None,
    multi: bool,
    separator: str | None,
    cv: int | None,
    blank: "Blank",
    plot: Path | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Train a logistic regression on cached vectors.

    Prints its classification report and confusion matrix. With --multi, there is one for each label, against the rest.
    """
    check_outputs(store, plot=plot)
    trained = open_named(store).train(
        target,
        corpus=corpus,
        test_corpus=test_corpus,
        space=space,
        name=name,
        options=train_options(options, cv=cv, curve=plot is not None and not multi),
        blank=blank,
        multi=multi,
        separator=separator,
    )
    notes_of(trained.notes)
    if trained.name:
        note(f"probe {trained.name} saved")
    if plot:
        trained.plot(plot)
        note(f"picture written to {plot}")
    if as_json:
        print_json(trained.summary())
        return
    said, found = trained.probe.description, trained.report
    echo(f"{counted(said['rows'], 'row')} of corpus {said['corpus']!r}; tested on {said['tested_on']}", "")
    echo(*found.lines(terminal_width()))
    if trained.cv_scores:
        mean = sum(trained.cv_scores) / len(trained.cv_scores)
        folds = " ".join(f"{score:.4f}" for score in trained.cv_scores)
        echo("", f"cross-validated accuracy {mean:.4f} ({folds})")
