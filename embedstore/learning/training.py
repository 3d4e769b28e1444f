"""Train a probe (a logistic regression on frozen vectors) and test it on other rows."""

import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from embedstore.core.blank import Blank
from embedstore.core.counts import counted
from embedstore.core.names import check_name
from embedstore.core.values import value_text
from embedstore.errors import InputError, UsageError
from embedstore.learning.fitting import MOST_TESTED, TrainOptions, fit, map_fits, rows_that_fit
from embedstore.learning.multilabel import check_options, fit_labels, split_labels, tested_labels
from embedstore.learning.probe import Probe, named_after, save_probe
from embedstore.learning.splits import Split, split_rows
from embedstore.learning.targets import Target
from embedstore.reports.metrics import Report, report
from embedstore.reports.multilabel import MultilabelReport
from embedstore.storage.gate import denied
from embedstore.tables.result import TableResult
from embedstore.vectors.snapshot import Snapshot
from embedstore.vectors.space import Space

__all__ = ["Trained", "train"]

logger = logging.getLogger(__name__)

_CURVE = (10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000, 25_000, 50_000, 100_000)


class Trained(TableResult):
    """A trained probe and its test figures; the table has a row per class or label.

    Its columns are class (or label), precision, recall, f1, rows.

    Attributes
    ----------
    probe : Probe
        The trained probe.
    report : Report or MultilabelReport
        Figures on the test rows.
    cv_scores : tuple of float
        Accuracy on each fold of the cross-validation; empty without one.
    curve : tuple of (int, float)
        Numbers of randomly drawn training rows, each with the accuracy on the test rows.
    name : str or None
        Name under which the store keeps the probe; None if the store can't be written to.
    """

    def __init__(
        self,
        probe: Probe,
        report: Report | MultilabelReport,
        cv_scores: tuple[float, ...] = (),
        notes: tuple[str, ...] = (),
        curve: tuple[tuple[int, float], ...] = (),
    ) -> None:
        super().__init__(report.table(), notes)
        self.probe = probe
        self.report = report
        self.cv_scores = cv_scores
        self.curve = curve
        self.name: str | None = None

    def summary(self) -> dict[str, Any]:
        """Return the probe's description and figures as a JSON object."""
        return {
            **self.probe.description,
            "probe": self.name,
            "cv_scores": self.cv_scores,
            "report": self.report.to_json(),
        }

    def plot(self, path: str | Path) -> None:
        """Draw what the report has to show, and the curve if there is one, to a .png, .svg or .html file."""
        from embedstore.reports.pictures import Curve, draw

        panels = self.report.panels()
        if self.curve:
            counts, accuracies = (np.array(part, dtype=float) for part in zip(*self.curve, strict=True))
            axes = ("training rows", "accuracy on the test rows")
            panels.append(Curve(["LogReg"], counts, accuracies[None], axes, log=True))
        said = self.probe.description
        title = f"{said['target']}: {self.report.headline} on {said['tested_on']}"
        draw(Path(path), panels, title)


def train(
    now: Snapshot,
    target: str,
    *,
    corpus: str | None = None,
    test_corpus: str | None = None,
    space: str | None = None,
    name: str | None = None,
    options: TrainOptions | None = None,
    blank: Blank = "skip",
    multi: bool = False,
    separator: str | None = None,
) -> Trained:
    """Train a logistic regression on a column and keep it as a probe.

    Parameters
    ----------
    now : Snapshot
        The state of the store.
    target : str
        The column to predict, or "annotations".
    corpus, test_corpus : str, optional
        Corpora to train and to test on; without a test corpus a stratified share of the rows is held out.
    space : str, optional
        Key or model of the vectors.
    name : str, optional
        Name of the probe; by default the name of the target.
    options : TrainOptions, optional
        Penalty, iterations, folds, split, seed.
    blank : {"skip", "answer"}
        Whether rows with a blank text are left out, or used like others.
    multi : bool
        Whether the target has several labels a row, as a list or as a text. There is then a logistic regression for
        each label, against the rest.
    separator : str, optional
        With `multi`, what stands between the labels in a text; by default ``;``.

    Returns
    -------
    Trained
        The ``probe``, the ``report`` on the test rows, ``cv_scores``, ``curve`` and ``notes``.

    Raises
    ------
    InputError
        If rows lack the target, or if it has one class or looks continuous.

    Examples
    --------
    >>> import embedstore
    >>> store = embedstore.open("reviews")
    >>> trained = store.train("product")
    >>> trained.name, trained.report.rows
    ('product', 12)
    """
    probe_name = check_name("probe", name or named_after(target))
    options = options or TrainOptions()
    if separator is not None and not multi:
        raise UsageError("a separator goes with several labels a row: give --multi too")
    learnt, tested = Target.pair(now, target, corpus, test_corpus, options, blank, several=multi)
    options = replace(options, drop_missing=learnt.drop_missing)
    if multi:
        trained = _trained_on_labels(now, learnt, tested, space, options, blank, separator)
    else:
        trained = _trained_on_classes(now, learnt, tested, space, options, blank)
    try:
        save_probe(now, probe_name, trained.probe)
        trained.name = probe_name
    except OSError as error:
        if not denied(error):
            raise
        logger.warning("%s can't be written to: the probe is not kept", now.root)
    return trained


def _trained_on_classes(
    now: Snapshot, learnt: Target, tested: Target | None, space: str | None, options: TrainOptions, blank: Blank
) -> Trained:
    tables = [learnt.table, tested.table] if tested else [learnt.table]
    vectors_of = now.space(space, covering=tables)
    split = split_rows(learnt, tested, options)
    vectors_of.require(split.test_positions, tables[-1].name)
    chosen, notes = rows_that_fit(split.y, vectors_of.dimension, options)
    vectors, y = vectors_of.at(split.train_positions[chosen], learnt.table.name), split.y[chosen]
    cv_scores = _cross_validated(vectors, y, options)
    curve, more = _curve(vectors, y, split, vectors_of, options) if options.curve else ((), ())
    notes += more
    fitted = fit(vectors, y, options, overwrite=True)
    description = {
        "target": learnt.name,
        "corpus": learnt.table.name,
        "rows": len(chosen),
        "tested_on": split.tested_on,
        "blank": blank,
        **options.describe(),
    }
    coef, intercept = (array.astype(np.float64) for array in (fitted.model.coef_, fitted.model.intercept_))
    probe = Probe(split.classes, coef, intercept, vectors_of.key, description)
    best = (probe.best(vectors) for _, vectors in vectors_of.parts(split.test_positions))
    found = report(split.given, [value_text(probe.classes[i]) for numbers in best for i in numbers])
    description |= found.figures() | {"test_rows": found.rows}
    curve = (*curve, (len(y), found.accuracy)) if options.curve else ()
    return Trained(probe, found, cv_scores, split.notes + notes + fitted.notes, curve)


def _trained_on_labels(
    now: Snapshot,
    learnt: Target,
    tested: Target | None,
    space: str | None,
    options: TrainOptions,
    blank: Blank,
    separator: str | None,
) -> Trained:
    check_options(options)
    tables = [learnt.table, tested.table] if tested else [learnt.table]
    vectors_of = now.space(space, covering=tables)
    split = split_labels(learnt, tested, options, separator)
    probe, notes = fit_labels(split, vectors_of, learnt.table.name, options)
    vectors_of.require(split.test_positions, tables[-1].name)
    found = tested_labels(probe, split, vectors_of)
    probe.description.update(
        {
            "target": learnt.name,
            "corpus": learnt.table.name,
            "tested_on": split.tested_on,
            "blank": blank,
            **options.describe(),
            **found.figures(),
            "test_rows": found.rows,
        }
    )
    return Trained(probe, found, notes=split.notes + notes)


def _cross_validated(
    vectors: npt.NDArray[np.float32], y: npt.NDArray[np.int64], options: TrainOptions
) -> tuple[float, ...]:
    from sklearn.model_selection import StratifiedKFold

    if options.cv is None:
        return ()
    smallest = int(np.bincount(y).min())
    if smallest < options.cv:
        raise InputError(
            f"expected at least {options.cv} rows of each class for --cv {options.cv}, found {smallest}: "
            "take fewer folds"
        )
    folds = StratifiedKFold(options.cv, shuffle=True, random_state=options.random_state)

    def accuracy(fold: tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]) -> float:
        learnt, judged = fold
        model = fit(vectors[learnt], y[learnt], options, overwrite=True).model
        return float(np.mean(model.predict(vectors[judged]) == y[judged]))

    return tuple(map_fits(accuracy, list(folds.split(y, y)), vectors.nbytes, options))


def _curve(
    vectors: npt.NDArray[np.float32],
    y: npt.NDArray[np.int64],
    split: Split,
    space: Space,
    options: TrainOptions,
) -> tuple[tuple[tuple[int, float], ...], tuple[str, ...]]:
    """Return the test accuracy after training on 10, 25, 50, … rows, but not on all, and a note or none."""
    shuffled = np.random.default_rng(options.random_state).permutation(len(y))
    numbers = {value_text(value): number for number, value in enumerate(split.classes)}
    given = np.array([numbers.get(value, -1) for value in split.given])
    positions = split.test_positions
    notes: tuple[str, ...] = ()
    if len(given) > MOST_TESTED:
        notes = (f"the curve is tested on a random sample of {MOST_TESTED:,} of {counted(len(given), 'test row')}",)
        some = np.random.default_rng(options.random_state).choice(len(given), MOST_TESTED, replace=False)
        given, positions = given[some], positions[some]
    test_vectors = space.at(positions)

    def point(count: int) -> tuple[int, float]:
        rows = shuffled[:count]
        model = fit(vectors[rows], y[rows], options, overwrite=True).model
        return count, float(np.mean(model.predict(test_vectors) == given))

    counts = [count for count in _CURVE if count < len(y) and len(np.unique(y[shuffled[:count]])) > 1]
    # The largest first: the others run beside it.
    return tuple(reversed(map_fits(point, counts[::-1], vectors.nbytes, options))), notes
