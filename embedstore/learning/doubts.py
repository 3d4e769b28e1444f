"""Find rows of a corpus whose given label is likely wrong; models that were trained on other rows judge each row."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from embedstore.core.blank import Blank
from embedstore.core.counts import counted
from embedstore.core.memory import require_memory
from embedstore.core.values import value_text
from embedstore.corpora.rows import id_array
from embedstore.errors import InputError, UsageError
from embedstore.learning.fitting import Fitted, TrainOptions, fit, map_fits, rows_that_fit
from embedstore.learning.folds import grouped_folds
from embedstore.learning.label_errors import FILTERS, Filter, LabelErrors, find_label_errors
from embedstore.learning.targets import Target, read_target
from embedstore.tables.result import TableResult
from embedstore.vectors.snapshot import Snapshot
from embedstore.vectors.space import Space

__all__ = ["Doubts", "find_doubts", "out_of_fold"]


_A_ROW = 100  # bytes that are held of a row, besides its probabilities


class Doubts(TableResult):
    """Rows of a corpus whose given label is likely wrong, most doubtful first.

    The row whose label is least likely to be right comes first. That counts the confidence, and how often the one label
    is given in place of the other, so no column is sorted.

    The table has the columns id, given, suggested, confidence, margin (both float32) and text.

    Attributes
    ----------
    rows : ndarray of shape (doubtful,), int64
        Numbers of the rows in the corpus, from 0.
    given, suggested : list of str
        The given label of each row, and the label that is the most probable one.
    confidence : ndarray of shape (doubtful,), float32
        Out-of-fold probability of the given label, from 0 to 1.
    margin : ndarray of shape (doubtful,), float32
        The confidence minus the probability of the suggested label, from -1 to 0.
    accuracy : float
        Share of the checked rows whose given label is the most probable one, from 0 to 1.
    noise : float
        Estimated share of wrong labels among the checked rows, from 0 to 1. It is estimated on the rows that the models
        are surest of. The less the models can tell labels apart, the more it is too high.
    checked : int
        Number of rows checked.
    """

    def __init__(
        self,
        found: LabelErrors,
        *,
        rows: npt.NDArray[np.int64],
        given: list[str],
        suggested: list[str],
        ids: pa.Array,
        texts: list[str],
        checked: int,
        notes: tuple[str, ...],
    ) -> None:
        self.rows = rows
        self.given = given
        self.suggested = suggested
        self.confidence = found.confidence
        self.margin = found.margin
        self.accuracy = found.accuracy
        self.noise = found.noise
        self.checked = checked
        columns = {
            "id": ids,
            "given": pa.array(given, pa.string()),
            "suggested": pa.array(suggested, pa.string()),
            "confidence": pa.array(found.confidence),
            "margin": pa.array(found.margin),
            "text": pa.array(texts, pa.string()),
        }
        super().__init__(pa.table(columns), notes)

    def summary(self) -> dict[str, Any]:
        """Return the numbers of checked and of doubtful rows, the accuracy and the noise."""
        return {"rows": self.checked, "doubtful": len(self), "accuracy": self.accuracy, "noise": self.noise}


def find_doubts(
    now: Snapshot,
    target: str,
    *,
    corpus: str | None = None,
    space: str | None = None,
    filter: Filter = "expected",
    folds: int = 5,
    C: float = 1.0,  # noqa: N803
    max_iter: int = 1000,
    random_state: int = 42,
    drop_missing: bool = False,
    blank: Blank = "skip",
) -> Doubts:
    """Find the rows of a corpus whose given label is likely wrong.

    Parameters
    ----------
    now : Snapshot
        The state of the store.
    target : str
        The column of labels, or "annotations".
    corpus, space : str, optional
        Name of the corpus; key or model of the vectors.
    filter : {"expected", "confident", "by-pair", "by-label", "both", "any"}
        Which rows to list, of those whose most probable label is another than the given one. "expected": the most
        doubtful ones, as many as labels are estimated to be wrong. "confident": rows where another label is more
        probable than in the mean row of this label. "by-pair": for each given and other label, as many as confident
        learning estimates (cleanlab's default). "by-label": the same for each given label. "both": what these two have
        in common. "any": all.
    folds : int
        Number of folds; a model trained on the other folds judges each fold. Equal texts are in one fold.
    C : float
        Inverse strength of the L2 penalty, as in scikit-learn.
    max_iter : int
        Maximum number of solver iterations.
    random_state : int
        Seed of the folds and of sampling.
    drop_missing : bool
        Leave out rows without a label instead of raising an error.
    blank : {"skip", "answer"}
        Whether rows with a blank text are left out, or checked like others.

    Raises
    ------
    UsageError
        If there is no such filter, if there are fewer than two folds, or if `C` is not above 0.
    InputError
        If rows lack the target, if it has one class or looks continuous, or if a class has fewer distinct texts than
        `folds`.
    ModelRequiredError
        If a text has no vector yet.

    Examples
    --------
    >>> import embedstore
    >>> store = embedstore.open("reviews")
    >>> found = store.doubts("product")
    >>> found.checked, found.table.column_names
    (60, ['id', 'given', 'suggested', 'confidence', 'margin', 'text'])
    """
    if filter not in FILTERS:
        raise UsageError(f"expected filter to be one of {', '.join(FILTERS)}, found {filter!r}")
    if folds < 2:
        raise UsageError(f"expected at least 2 folds, found {folds}")
    options = TrainOptions(C=C, max_iter=max_iter, random_state=random_state, drop_missing=drop_missing)
    labelled = Target.of(now, target, corpus, drop_missing=drop_missing, blank=blank)
    table = labelled.table
    vectors = now.embeddings(space, [table])
    given = read_target(labelled)
    classes, y = given.classes(target)
    names = [value_text(value) for value in classes]
    size = _A_ROW * len(y) + 4 * len(y) * len(names)
    what = f"the probabilities of {counted(len(names), 'class')} for {counted(len(y), 'row')}"
    require_memory(size, what, "check fewer rows at a time (--where)")
    # Each fold trains on a copy of its rows, so this takes twice the memory of training on all rows.
    chosen, notes = rows_that_fit(y, 2 * vectors.dimension, options)
    rows = given.rows
    positions = table.positions()[rows]
    _require_texts(y, positions, names, folds)
    vectors.require(positions, table.name)
    some, groups = vectors.at(positions[chosen]), positions[chosen]
    if len(chosen) == len(rows):
        probabilities, early = out_of_fold(some, y, groups, folds=folds, options=options)
    else:
        _require_texts(y[chosen], groups, names, folds)
        judges = _judges(some, y[chosen], groups, folds=folds, options=options)
        del some
        probabilities, early = _judged(vectors, positions, groups, judges, len(names), random_state)
    found = find_label_errors(probabilities, y, filter=filter)
    doubtful = rows[found.rows]
    return Doubts(
        found,
        rows=doubtful,
        given=[names[i] for i in y[found.rows]],
        suggested=[names[i] for i in found.suggested],
        ids=id_array(table.ids_at(doubtful)),
        texts=now.texts.at(table.positions()[doubtful]),
        checked=len(rows),
        notes=tuple(dict.fromkeys(given.notes + notes + early)),
    )


def _require_texts(y: npt.NDArray[np.int64], groups: npt.NDArray[np.int64], names: list[str], folds: int) -> None:
    texts = 1 + groups.max(initial=0)
    counts = np.bincount(np.unique(y * texts + groups) // texts, minlength=len(names))
    fewest = int(counts.argmin())
    if counts[fewest] < folds:
        raise InputError(
            f"expected at least {folds} rows of each class with different texts, found {counts[fewest]} of "
            f"{names[fewest]!r}: add rows of it, leave it out, or use fewer folds"
        )


def out_of_fold(
    vectors: npt.NDArray[np.float32],
    y: npt.NDArray[np.int64],
    groups: npt.NDArray[np.int64],
    *,
    folds: int,
    options: TrainOptions,
) -> tuple[npt.NDArray[np.float32], tuple[str, ...]]:
    """Return each row's class probabilities, from a model that was not trained on its text, and a note or none.

    Parameters
    ----------
    vectors : ndarray of shape (n, dim), float32
        The vectors of the rows.
    y : ndarray of shape (n,), int64
        Given classes, numbered from 0 without gaps.
    groups : ndarray of shape (n,), int64
        Group of each row; a group stays in one fold.
    folds : int
        Number of folds; each class needs at least as many groups.
    options : TrainOptions
        Penalty, iterations, seed.

    Returns
    -------
    probabilities : ndarray of shape (n, classes), float32
    notes : tuple of str
        A note if a solver stopped early.
    """
    probabilities = np.zeros((len(y), int(y.max()) + 1), dtype=np.float32)
    judges = _judges(vectors, y, groups, folds=folds, options=options)
    for judged, fitted in judges:
        probabilities[judged[:, None], fitted.model.classes_] = fitted.model.predict_proba(vectors[judged])
    return probabilities, _early(judges)


_Judge = tuple[npt.NDArray[np.int64], Fitted]


def _judges(
    vectors: npt.NDArray[np.float32],
    y: npt.NDArray[np.int64],
    groups: npt.NDArray[np.int64],
    *,
    folds: int,
    options: TrainOptions,
) -> list[_Judge]:
    """Return the rows of each fold, and a model of the others; see `out_of_fold`."""
    fold_of = grouped_folds(y, groups, folds, random_state=options.random_state)

    def learn(fold: int) -> _Judge:
        learnt = fold_of != fold
        return np.flatnonzero(~learnt), fit(vectors[learnt], y[learnt], options, overwrite=True)

    return map_fits(learn, range(folds), vectors.nbytes, options)


def _early(judges: Sequence[_Judge]) -> tuple[str, ...]:
    return next((fitted.notes for _, fitted in judges if fitted.notes), ())


def _judged(
    space: Space,
    positions: npt.NDArray[np.int64],
    learnt: npt.NDArray[np.int64],
    judges: Sequence[_Judge],
    classes: int,
    random_state: int,
) -> tuple[npt.NDArray[np.float32], tuple[str, ...]]:
    """Return the class probabilities of all rows, from models of some; see `out_of_fold`.

    The texts at the positions `learnt` are those of the judges' rows. Any judge may judge another text.
    """
    drawn = np.random.default_rng(random_state)
    fold_of = drawn.integers(0, len(judges), len(space.texts), dtype=np.int16)
    for number, (judged, _) in enumerate(judges):
        fold_of[learnt[judged]] = number
    probabilities = np.zeros((len(positions), classes), dtype=np.float32)
    for part, vectors in space.parts(positions):
        of_part, fold = probabilities[part], fold_of[positions[part]]
        for number, (_, fitted) in enumerate(judges):
            here = np.flatnonzero(fold == number)
            if len(here):
                of_part[here[:, None], fitted.model.classes_] = fitted.model.predict_proba(vectors[here])
    return probabilities, _early(judges)
