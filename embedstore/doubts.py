"""Rows whose given label is likely wrong: confident learning on out-of-fold probabilities.

Northcutt, Jiang & Chuang (2021), "Confident Learning: Estimating Uncertainty in Dataset Labels", JAIR 70, section 3.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from embedstore.corpus import Corpus, value_text
from embedstore.errors import InputError, UsageError
from embedstore.space import Space
from embedstore.targets import classes_of, given_classes
from embedstore.training import TrainOptions, fit, within_memory

__all__ = ["Confident", "Doubts", "confident", "doubts"]

_TOLERANCE = 1e-6  # a mean of equal probabilities may be rounded to just above them


@dataclass(frozen=True, slots=True)
class Confident:
    """What confident learning finds in labels given as numbers.

    Attributes
    ----------
    rows : ndarray of shape (doubtful,), int64
        Numbers of the doubtful rows, the lowest confidence first.
    suggested : ndarray of shape (doubtful,), int64
        The class that each one likely is of.
    confidence : ndarray of shape (doubtful,), float32
        Out-of-fold probability of the given class, from 0 to 1.
    margin : ndarray of shape (doubtful,), float32
        That less the largest probability of another class, from -1 to 0.
    accuracy : float
        Share of all rows whose given class is the most probable one, from 0 to 1.
    noise : float
        Estimated share of wrong labels among all rows, from 0 to 1.
    """

    rows: npt.NDArray[np.int64]
    suggested: npt.NDArray[np.int64]
    confidence: npt.NDArray[np.float32]
    margin: npt.NDArray[np.float32]
    accuracy: float
    noise: float


@dataclass(frozen=True, slots=True)
class Doubts:
    """Rows of a corpus whose given label is likely wrong, the most doubtful first.

    Attributes
    ----------
    rows : ndarray of shape (doubtful,), int64
        Numbers of the rows in the corpus, from 0.
    given, suggested : list of str
        The label that each one has, and the one that it likely should have.
    confidence : ndarray of shape (doubtful,), float32
        Out-of-fold probability of the given label, from 0 to 1; ascending.
    margin : ndarray of shape (doubtful,), float32
        That less the largest probability of another label, from -1 to 0.
    accuracy : float
        Share of the rows checked whose given label is the most probable one, from 0 to 1.
    noise : float
        Estimated share of wrong labels among the rows checked, from 0 to 1. What the vectors can't tell
        apart counts as wrong too: at an accuracy of 0.9 it is near the truth, at 0.6 far above it.
    checked : int
        Number of rows looked at.
    notes : tuple of str
        What was left out, and whether the solver stopped early.
    """

    rows: npt.NDArray[np.int64]
    given: list[str]
    suggested: list[str]
    confidence: npt.NDArray[np.float32]
    margin: npt.NDArray[np.float32]
    accuracy: float
    noise: float
    checked: int
    notes: tuple[str, ...]


def doubts(
    space: Space,
    corpus: Corpus,
    target: str,
    *,
    folds: int = 5,
    C: float = 1.0,  # noqa: N803  scikit-learn's name
    max_iter: int = 1000,
    random_state: int = 42,
    drop_missing: bool = False,
) -> Doubts:
    """Find the rows of a corpus whose label is likely wrong.

    Parameters
    ----------
    space : Space
        The vectors.
    corpus : Corpus
        The rows.
    target : str
        The column of labels.
    folds : int
        Parts that the rows are divided into; each is judged by a model of the others. Equal texts are in one part.
    C : float
        Inverse strength of the L2 penalty, as in scikit-learn.
    max_iter : int
        Iterations of the solver at most.
    random_state : int
        Seed of the folds and of sampling.
    drop_missing : bool
        Leave rows without a label out instead of refusing them.

    Raises
    ------
    UsageError
        If there are fewer than two folds, or `C` is not above 0.
    InputError
        If the target is missing in rows, has one class, looks continuous, or a class has fewer different texts
        than there are folds.
    ModelRequiredError
        If a row's text has no vector yet.
    """
    if folds < 2:
        raise UsageError(f"expected at least 2 folds, found {folds}")
    options = TrainOptions(C=C, max_iter=max_iter, random_state=random_state, drop_missing=drop_missing)
    notes: list[str] = []
    rows, codes, values = given_classes(corpus, target, notes, drop_missing=drop_missing)
    filled = corpus.positions()[rows] != space.empty_text()
    if not filled.all():
        notes.append(f"rows without a text, which nothing can be told of, are left out: {np.count_nonzero(~filled):,}")
        rows, codes = rows[filled], codes[filled]
    classes = classes_of({values[code] for code in np.unique(codes)}, len(rows), target)
    names = [value_text(value) for value in classes]
    number = {value: i for i, value in enumerate(classes)}
    y = np.array([number.get(value, -1) for value in values], dtype=np.int64)[codes]
    # A fold's model learns from a copy of its rows: twice the memory of training on all.
    chosen = within_memory(len(rows), 2 * space.dimension, random_state, notes)
    rows, y = rows[chosen], y[chosen]
    positions = corpus.positions()[rows]
    _require_texts(y, positions, names, folds)
    found = confident(space.at(positions, corpus.name), y, positions, folds=folds, options=options, notes=notes)
    return Doubts(
        rows[found.rows],
        [names[i] for i in y[found.rows]],
        [names[i] for i in found.suggested],
        found.confidence,
        found.margin,
        found.accuracy,
        found.noise,
        len(rows),
        tuple(dict.fromkeys(notes)),
    )


def _require_texts(y: npt.NDArray[np.int64], groups: npt.NDArray[np.int64], names: list[str], folds: int) -> None:
    different = np.unique(np.stack([y, groups]), axis=1)[0]
    counts = np.bincount(different, minlength=len(names))
    fewest = int(counts.argmin())
    if counts[fewest] < folds:
        raise InputError(
            f"expected at least {folds} rows of each class with different texts, found {counts[fewest]} of "
            f"{names[fewest]!r}: add rows of it, leave it out, or use fewer folds"
        )


def confident(
    vectors: npt.NDArray[np.float32],
    y: npt.NDArray[np.int64],
    groups: npt.NDArray[np.int64],
    *,
    folds: int,
    options: TrainOptions,
    notes: list[str],
) -> Confident:
    """Find the labels that are likely wrong, given the vectors of their rows.

    A row is doubtful if its most probable class is not the given one, and some other class is at least as probable as
    it is on average among the rows that are given it; the most probable of those is suggested. Ranked by the
    probability of the given class: on planted errors with four classes that was better than by margin
    (`benchmarks/doubts.py`), with two both are one.

    Parameters
    ----------
    vectors : ndarray of shape (n, dim), float32
        What to learn from.
    y : ndarray of shape (n,), int64
        Given classes, numbered from 0; each is there.
    groups : ndarray of shape (n,), int64
        Rows of one number are kept in one fold.
    folds : int
        Parts that the rows are divided into; no class has fewer groups.
    options : TrainOptions
        Penalty, iterations, seed.
    notes : list of str
        Added to.
    """
    probabilities = _out_of_fold(vectors, y, groups, folds, options, notes)
    every = np.arange(len(y))
    own = probabilities[every, y]
    rows_of_class = np.bincount(y)
    thresholds = np.bincount(y, weights=own) / rows_of_class
    best = probabilities.argmax(axis=1)
    confidents = np.where(probabilities >= thresholds - _TOLERANCE, probabilities, np.float32(-1))
    suggested = confidents.argmax(axis=1)
    counted = confidents[every, suggested] >= 0
    doubtful = np.flatnonzero(counted & (suggested != y) & (best != y))
    ranked = doubtful[np.argsort(own[doubtful], kind="stable")]
    noise = _noise(y[counted], suggested[counted], rows_of_class)
    margin = own[ranked] - probabilities[ranked, best[ranked]]
    return Confident(ranked, suggested[ranked], own[ranked], margin, float(np.mean(best == y)), noise)


def _out_of_fold(
    vectors: npt.NDArray[np.float32],
    y: npt.NDArray[np.int64],
    groups: npt.NDArray[np.int64],
    folds: int,
    options: TrainOptions,
    notes: list[str],
) -> npt.NDArray[np.float32]:
    """Return each row's probability of each class, shape (n, classes), from a model that has not seen its text."""
    from sklearn.model_selection import StratifiedGroupKFold

    probabilities = np.zeros((len(y), int(y.max()) + 1), dtype=np.float32)
    parts = StratifiedGroupKFold(folds, shuffle=True, random_state=options.random_state)
    for learnt, judged in parts.split(vectors, y, groups):
        model = fit(vectors[learnt], y[learnt], options, notes)
        probabilities[judged[:, None], model.classes_] = model.predict_proba(vectors[judged])
    return probabilities


def _noise(y: npt.NDArray[np.int64], suggested: npt.NDArray[np.int64], rows_of_class: npt.NDArray[np.int64]) -> float:
    """Return the share off the diagonal of the confident joint, its rows scaled to the sizes of the given classes."""
    joint = np.zeros((len(rows_of_class), len(rows_of_class)))
    np.add.at(joint, (y, suggested), 1)
    right = np.maximum(joint.diagonal(), 1)  # as cleanlab does: a class of which no row is confident is not all wrong
    wrong = joint.sum(axis=1) - joint.diagonal()
    return float(np.sum(rows_of_class * wrong / (right + wrong)) / rows_of_class.sum())
