"""Training a probe: logistic regression on frozen vectors, and its report on rows not seen."""

import warnings
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from embedstore.corpus import Corpus, value_text
from embedstore.errors import InputError, UsageError
from embedstore.metrics import Report, report
from embedstore.probe import Probe
from embedstore.space import Space
from embedstore.targets import split_rows

__all__ = ["TrainOptions", "Trained", "fit", "train", "within_memory"]

_SHARE_OF_MEMORY = 0.4
_CURVE = (10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000, 25_000, 50_000, 100_000)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainOptions:
    """How a probe is trained.

    Parameters
    ----------
    C : float
        Inverse strength of the L2 penalty, as in scikit-learn.
    max_iter : int
        Iterations of the solver at most.
    cv : int or None
        Folds of a cross-validation on the training rows, reported beside the test.
    test_size : float
        Share of rows held out where there is no test corpus.
    random_state : int
        Seed of the split, of the folds and of sampling.
    drop_missing : bool
        Leave rows without a target out instead of refusing them.
    curve : bool
        Train on 10, 25, 50, … of the rows too, for a curve of accuracy against labels.
    """

    C: float = 1.0
    max_iter: int = 1000
    cv: int | None = None
    test_size: float = 0.2
    random_state: int = 42
    drop_missing: bool = False
    curve: bool = False

    def __post_init__(self) -> None:
        if not self.C > 0:
            raise UsageError(f"expected a C above 0, found {self.C}")
        if self.cv is not None and self.cv < 2:
            raise UsageError(f"expected at least 2 folds for --cv, found {self.cv}")
        if not 0 < self.test_size < 1:
            raise UsageError(f"expected a test size between 0 and 1, found {self.test_size}")


@dataclass(frozen=True, slots=True)
class Trained:
    """A probe, its report on rows that it has not seen, and what has to be said of them.

    `curve` has pairs of a number of training rows, drawn by chance, and the accuracy that they give on the same rows.
    """

    probe: Probe
    report: Report
    cv_scores: tuple[float, ...]
    notes: tuple[str, ...]
    curve: tuple[tuple[int, float], ...] = ()


def train(
    space: Space, corpus: Corpus, target: str, options: TrainOptions, test_corpus: Corpus | None = None
) -> Trained:
    """Train a logistic regression on the vectors of a corpus.

    Parameters
    ----------
    space : Space
        The vectors.
    corpus : Corpus
        The rows to learn from.
    target : str
        The column to predict.
    options : TrainOptions
        Penalty, solver, split.
    test_corpus : Corpus, optional
        The rows to test on; without, a stratified share of `corpus` is held out.

    Raises
    ------
    InputError
        If the target is missing in rows, has one class, or looks continuous.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold, cross_val_score

    split = split_rows(
        corpus,
        target,
        test_corpus,
        test_size=options.test_size,
        random_state=options.random_state,
        drop_missing=options.drop_missing,
    )
    classes, notes = split.classes, list(split.notes)
    test_vectors = space.at(split.test_positions, (test_corpus or corpus).name)
    chosen = within_memory(len(split.y), space.dimension, options.random_state, notes)
    vectors, y_train = space.at(split.train_positions[chosen], corpus.name), split.y[chosen]
    cv_scores: tuple[float, ...] = ()
    if options.cv is not None:
        smallest = int(np.bincount(y_train).min())
        if smallest < options.cv:
            raise InputError(
                f"expected at least {options.cv} rows of each class for --cv {options.cv}, found {smallest}"
            )
        model = LogisticRegression(C=options.C, max_iter=options.max_iter, random_state=options.random_state)
        folds = StratifiedKFold(options.cv, shuffle=True, random_state=options.random_state)
        cv_scores = tuple(cross_val_score(model, vectors, y_train, cv=folds).tolist())
    model = fit(vectors, y_train, options, notes)
    description = {
        "target": target,
        "corpus": corpus.name,
        "rows": len(chosen),
        "tested_on": split.tested_on,
        **asdict(options),
    }
    probe = Probe(classes, model.coef_.astype(np.float64), model.intercept_.astype(np.float64), space.key, description)
    predicted = [value_text(classes[i]) for i in probe.probabilities(test_vectors).argmax(axis=1)]
    result = report(split.given, predicted)
    description |= {"accuracy": result.accuracy, "macro_f1": result.macro_f1, "test_rows": result.rows}
    curve: list[tuple[int, float]] = []
    if options.curve:
        shuffled = np.random.default_rng(options.random_state).permutation(len(y_train))
        numbers = {value_text(value): number for number, value in enumerate(classes)}
        given = np.array([numbers.get(value, -1) for value in split.given])
        for count in _CURVE:
            rows = shuffled[:count]
            if count < len(y_train) and len(np.unique(y_train[rows])) > 1:
                smaller = fit(vectors[rows], y_train[rows], options, [])
                curve.append((count, float(np.mean(smaller.predict(test_vectors) == given))))
        curve.append((len(y_train), result.accuracy))
    return Trained(probe, result, cv_scores, tuple(notes), tuple(curve))


def fit(vectors: Any, y: npt.NDArray[np.int64], options: TrainOptions, notes: list[str]) -> Any:
    """Return scikit-learn's `LogisticRegression`, fitted; a note says if the solver stopped early.

    Parameters
    ----------
    vectors : ndarray or sparse matrix of shape (n, dim)
        What to learn from.
    y : ndarray of shape (n,), int64
        Classes as numbers.
    options : TrainOptions
        Penalty, iterations, seed.
    notes : list of str
        Added to.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(C=options.C, max_iter=options.max_iter, random_state=options.random_state)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # said in the notes instead
        model.fit(vectors, y)
    if max(model.n_iter_) >= options.max_iter:
        notes.append(f"the solver stopped at {options.max_iter} iterations: raise --max-iter, or lower --C")
    return model


def within_memory(rows: int, dimension: int, seed: int, notes: list[str]) -> npt.NDArray[np.int64]:
    """Return the rows to train on, in order: all, or a random sample that fits; then a note says so."""
    # The solver holds the float32 matrix and about one working copy of it.
    with Path("/proc/meminfo").open() as stream:
        available = next(int(line.split()[1]) * 1024 for line in stream if line.startswith("MemAvailable"))
    most = int(available * _SHARE_OF_MEMORY / (dimension * 4 * 2))
    if rows <= most:
        return np.arange(rows)
    notes.append(f"trained on a random sample of {most:,} of {rows:,} rows: more do not fit in memory")
    return np.sort(np.random.default_rng(seed).choice(rows, most, replace=False))
