"""Train a probe of several labels a row: a logistic regression for each label, against the rest."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from embedstore.core.blank import no_text
from embedstore.core.blocks import row_blocks
from embedstore.core.counts import counted, listed
from embedstore.core.memory import require_memory
from embedstore.core.parsing import first_line
from embedstore.errors import InputError, UsageError
from embedstore.labels.odds import expected_best
from embedstore.learning.centred import Centred
from embedstore.learning.fitting import Fitted, TrainOptions, fit, map_fits, rows_that_fit
from embedstore.learning.probe import Probe
from embedstore.learning.splits import both_notes
from embedstore.learning.targets import Target, left_out_notes
from embedstore.reports.multilabel import MultilabelReport, above, distinct_cells, multilabel_report, values_in
from embedstore.vectors.space import Space

__all__ = ["LabelledSplit", "check_options", "fit_labels", "split_labels", "tested_labels"]

_MOST_LABELS = 1000
_A_ROW = 100  # bytes that are held of a row, besides whether it has each label

Membership = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class LabelledSplit:
    """Training rows and test rows with any number of labels each.

    Attributes
    ----------
    labels : tuple of str
        All labels, sorted. Those after the first `learnt` are in test rows alone.
    learnt : int
        Number of labels that some of the training rows have.
    train_positions, test_positions : ndarray of shape (rows,), int64
        Position of each row's text.
    given : ndarray of bool, shape (train rows, learnt)
        Whether a training row has a label.
    test_given : ndarray of bool, shape (test rows, labels)
        The same for the test rows.
    tested_on : str
        A description of the test rows.
    notes : tuple of str
        Notes on rows and labels left out.
    """

    labels: tuple[str, ...]
    learnt: int
    train_positions: npt.NDArray[np.int64]
    test_positions: npt.NDArray[np.int64]
    given: Membership
    test_given: Membership
    tested_on: str
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Rows:
    """The rows of a target whose labels are known: their positions, and the number of each row's set of labels."""

    positions: npt.NDArray[np.int64]
    sets: list[list[str]]
    set_of: npt.NDArray[np.int64]
    notes: tuple[str, ...]

    def held(self, rows: npt.NDArray[np.int64]) -> list[list[str]]:
        """Return the distinct sets of labels that some rows have."""
        return [self.sets[number] for number in np.flatnonzero(np.bincount(self.set_of[rows])).tolist()]

    def members(self, rows: npt.NDArray[np.int64], names: Sequence[str]) -> Membership:
        """Return whether each of some rows has each of the names, shape (rows, names)."""
        number = {name: one for one, name in enumerate(names)}
        found = np.zeros((len(self.sets), len(names)), dtype=bool)
        for row, labels in enumerate(self.sets):
            found[row, [number[label] for label in labels if label in number]] = True
        return found[self.set_of[rows]]


def check_options(options: TrainOptions) -> None:
    """Raise a `UsageError` for options that need one class a row."""
    if options.cv is not None or options.curve:
        raise UsageError("folds and the curve are for one class a row: leave --cv and the curve out with --multi")


def split_labels(target: Target, test: Target | None, options: TrainOptions, separator: str | None) -> LabelledSplit:
    """Split the rows of a target: test on the corpus of `test`, or hold out a random share of the rows.

    Raises
    ------
    InputError
        If rows lack the target, or if its values do not look like labels.
    """
    learnt = _read(target, separator)
    if test is None:
        train, tested = _held_out(len(learnt.set_of), options)
        other, tested_on = learnt, f"{options.test_size:.0%} of corpus {target.table.name!r}, held out"
    else:
        other = _read(test, separator)
        train, tested = np.arange(len(learnt.set_of)), np.arange(len(other.set_of))
        tested_on = f"corpus {test.table.name!r}"
    sets = learnt.held(train)
    in_all = set.intersection(*map(set, sets)) if sets else set()
    names = sorted({label for labels in sets for label in labels} - in_all)
    if not names or len(names) > _MOST_LABELS:
        raise InputError(
            f"expected 1 to {_MOST_LABELS:,} labels in {target.name!r} that some rows have and others lack, found "
            f"{counted(len(names), 'label')}"
        )
    size = len(learnt.set_of) * (_A_ROW + 2 * len(names))
    what = f"{counted(len(names), 'label')} of {counted(len(learnt.set_of), 'row')}"
    require_memory(size, what, "train on fewer rows (--where)")
    unlearnt = sorted({label for labels in other.held(tested) for label in labels}.difference(names))
    notes = learnt.notes if test is None else learnt.notes + other.notes
    if unlearnt:
        notes += (f"labels of test rows that no training row, or each, has; they were not learnt: {listed(unlearnt)}",)
    positions = learnt.positions[train], other.positions[tested]
    return LabelledSplit(
        (*names, *unlearnt),
        len(names),
        *positions,
        learnt.members(train, names),
        other.members(tested, [*names, *unlearnt]),
        tested_on,
        notes + both_notes(*positions),
    )


def _held_out(count: int, options: TrainOptions) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    from sklearn.model_selection import train_test_split

    try:
        train, tested = train_test_split(
            np.arange(count), test_size=options.test_size, random_state=options.random_state
        )
    except ValueError as error:
        raise InputError(
            f"{counted(count, 'row')} can't be split with a test size of {options.test_size} ({first_line(error)}): "
            "choose another --test-size"
        ) from error
    return train, tested


def _read(target: Target, separator: str | None) -> _Rows:
    """Return the answerable rows of a target that have a value."""
    corpus, answerable = target.table, target.answerable
    if len(corpus) and not answerable.any():
        raise no_text(corpus.name, len(corpus))
    cells = values_in(corpus.column(target.name).filter(pa.array(answerable)), name=target.name, separator=separator)
    distinct, cell_of_row = distinct_cells(cells)
    known = np.array([values is not None for values in distinct], dtype=bool)[cell_of_row]
    notes = left_out_notes(target, int(np.count_nonzero(known)), rule=" (an empty list is a value)")
    return _Rows(corpus.positions()[answerable][known], [one or [] for one in distinct], cell_of_row[known], notes)


def fit_labels(split: LabelledSplit, space: Space, corpus: str, options: TrainOptions) -> tuple[Probe, tuple[str, ...]]:
    """Return a probe of the learnt labels, and notes.

    Its description has the number of training rows and the threshold of the probabilities: the one at which micro-F1
    is expected to be highest on the training rows.
    """
    chosen, notes = rows_that_fit(_rarest_label(split.given), space.dimension, options)
    vectors, given = space.at(split.train_positions[chosen], corpus), split.given[chosen]
    coef = np.zeros((split.learnt, space.dimension))
    intercept = np.full(split.learnt, -700.0)  # of a label that no row of a sample has
    moved = Centred.of(vectors)

    def against_the_rest(label: int) -> Fitted:
        return fit(moved, given[:, label].astype(np.int64), options)

    fitted = [label for label in range(split.learnt) if 0 < given[:, label].sum() < len(given)]
    for label, found in zip(fitted, map_fits(against_the_rest, fitted, given.nbytes, options), strict=True):
        coef[label], intercept[label] = found.model.coef_[0], found.model.intercept_[0]
        notes += tuple(one for one in found.notes if one not in notes)
    probe = Probe(split.labels[: split.learnt], coef, intercept, space.key, {"rows": len(chosen)}, several=True)
    blocks = [probe.probabilities(vectors[here]) for here in row_blocks(*vectors.shape)]
    threshold = float(max(1e-6, expected_best(np.concatenate(blocks))))
    probe.description["threshold"] = threshold
    note = f"the threshold is {threshold:.2f}, where micro-F1 is expected to be highest on the training rows"
    return probe, (*notes, f"{note} (predict --threshold: another)")


def _rarest_label(given: Membership) -> npt.NDArray[np.int64]:
    """Return the number of the rarest label of each row, shape (rows,), for a sample that keeps rows of rare labels."""
    order = np.argsort(given.sum(axis=0), kind="stable")
    return np.where(given.any(axis=1), order[given[:, order].argmax(axis=1)], len(order))


def tested_labels(probe: Probe, split: LabelledSplit, space: Space) -> MultilabelReport:
    """Score a probe on the test rows; labels that it has not learnt are never predicted."""
    predicted = np.zeros(split.test_given.shape, dtype=bool)
    for here, vectors in space.parts(split.test_positions):
        predicted[here, : split.learnt], _ = above(probe.probabilities(vectors), probe.description["threshold"])
    return multilabel_report(split.test_given, predicted, split.labels)
