"""Training a probe: logistic regression on frozen vectors, and its report on rows not seen."""

import warnings
from collections.abc import Sequence
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

__all__ = ["TrainOptions", "Trained", "train"]

_MOST_CLASSES = 1000
_SHARE_OF_MEMORY = 0.4


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
    """

    C: float = 1.0
    max_iter: int = 1000
    cv: int | None = None
    test_size: float = 0.2
    random_state: int = 42
    drop_missing: bool = False

    def __post_init__(self) -> None:
        if not self.C > 0:
            raise UsageError(f"expected a C above 0, found {self.C}")
        if self.cv is not None and self.cv < 2:
            raise UsageError(f"expected at least 2 folds for --cv, found {self.cv}")
        if not 0 < self.test_size < 1:
            raise UsageError(f"expected a test size between 0 and 1, found {self.test_size}")


@dataclass(frozen=True, slots=True)
class Trained:
    """A probe, its report on rows that it has not seen, and what has to be said of them."""

    probe: Probe
    report: Report
    cv_scores: tuple[float, ...]
    notes: tuple[str, ...]


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
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold, cross_val_score

    notes: list[str] = []
    rows, values = _target(corpus, target, options, notes)
    classes = _classes(values, target)
    number = {value: i for i, value in enumerate(classes)}
    y = np.array([number[value] for value in values])
    if test_corpus is None:
        train_rows, test_rows, y_train, y_test = _split(rows, y, options, classes)
        held_out = f"{options.test_size:.0%} of corpus {corpus.name!r}, held out"
        test_vectors = space.at(corpus.positions()[test_rows], corpus.name)
        given = [value_text(classes[i]) for i in y_test]
    else:
        train_rows, y_train = rows, y
        test_rows, test_values = _target(test_corpus, target, options, notes)
        held_out = f"corpus {test_corpus.name!r}"
        test_vectors = space.at(test_corpus.positions()[test_rows], test_corpus.name)
        given = [value_text(value) for value in test_values]
    chosen = _within_memory(len(train_rows), space.dimension, options.random_state, notes)
    vectors = space.at(corpus.positions()[train_rows[chosen]], corpus.name)
    model = LogisticRegression(C=options.C, max_iter=options.max_iter, random_state=options.random_state)
    cv_scores: tuple[float, ...] = ()
    if options.cv is not None:
        smallest = int(np.bincount(y_train[chosen]).min())
        if smallest < options.cv:
            raise InputError(
                f"expected at least {options.cv} rows of each class for --cv {options.cv}, found {smallest}"
            )
        folds = StratifiedKFold(options.cv, shuffle=True, random_state=options.random_state)
        cv_scores = tuple(cross_val_score(model, vectors, y_train[chosen], cv=folds).tolist())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # said in the notes instead
        model.fit(vectors, y_train[chosen])
    if max(model.n_iter_) >= options.max_iter:
        notes.append(f"the solver stopped at {options.max_iter} iterations: raise --max-iter, or lower --C")
    description = {
        "target": target,
        "corpus": corpus.name,
        "rows": len(chosen),
        "tested_on": held_out,
        **asdict(options),
    }
    probe = Probe(classes, model.coef_.astype(np.float64), model.intercept_.astype(np.float64), space.key, description)
    predicted = [value_text(classes[i]) for i in probe.probabilities(test_vectors).argmax(axis=1)]
    result = report(given, predicted)
    description |= {"accuracy": result.accuracy, "macro_f1": result.macro_f1, "test_rows": result.rows}
    return Trained(probe, result, cv_scores, tuple(notes))


def _target(
    corpus: Corpus, target: str, options: TrainOptions, notes: list[str]
) -> tuple[npt.NDArray[np.int64], list[Any]]:
    values = corpus.column(target).to_pylist()
    rows = np.array(
        [row for row, value in enumerate(values) if value not in (None, "") and value == value],
        dtype=np.int64,
    )
    missing = len(values) - len(rows)
    if missing and not options.drop_missing:
        raise InputError(
            f"expected a value of {target!r} in every row of corpus {corpus.name!r}, found "
            f"{missing:,} of {len(values):,} without: leave those rows out with --drop-missing"
        )
    if missing:
        notes.append(
            f"{missing:,} of {len(values):,} rows of corpus {corpus.name!r} have no {target!r} and are left out"
        )
    # Classes are kept as JSON: a date, a list or the like stands for its text.
    return rows, [v if isinstance(v, str | int | float) else str(v) for v in (values[row] for row in rows)]


def _classes(values: Sequence[Any], target: str) -> tuple[Any, ...]:
    distinct = set(values)
    if len(distinct) < 2:
        raise InputError(
            f"expected at least two classes in {target!r}, found {len(distinct)}: "
            f"{', '.join(map(value_text, distinct))}"
        )
    fractional = any(isinstance(value, float) and not value.is_integer() for value in distinct)
    if len(distinct) > _MOST_CLASSES or (len(distinct) > 20 and (fractional or len(distinct) > len(values) / 2)):
        raise InputError(
            f"{target!r} has {len(distinct):,} distinct values in {len(values):,} rows: that is no column of classes"
        )
    numeric = all(isinstance(value, (int, float)) for value in distinct)
    return tuple(sorted(distinct, key=None if numeric else str))


def _split(
    rows: npt.NDArray[np.int64], y: npt.NDArray[np.int64], options: TrainOptions, classes: Sequence[Any]
) -> list[npt.NDArray[np.int64]]:
    from sklearn.model_selection import train_test_split

    counts = np.bincount(y)
    if counts.min() < 2:
        raise InputError(
            "expected at least 2 rows of each class to hold some out, found 1 of "
            f"{value_text(classes[int(counts.argmin())])!r}: give a --test-corpus, or more rows"
        )
    try:
        parts = train_test_split(rows, y, test_size=options.test_size, stratify=y, random_state=options.random_state)
    except ValueError as error:
        raise InputError(f"{len(rows)} rows can't be split with a test size of {options.test_size}: {error}") from error
    return list(parts)


def _within_memory(rows: int, dimension: int, seed: int, notes: list[str]) -> npt.NDArray[np.int64]:
    # The solver holds the float32 matrix and about one working copy of it.
    with Path("/proc/meminfo").open() as stream:
        available = next(int(line.split()[1]) * 1024 for line in stream if line.startswith("MemAvailable"))
    most = int(available * _SHARE_OF_MEMORY / (dimension * 4 * 2))
    if rows <= most:
        return np.arange(rows)
    notes.append(f"trained on a random sample of {most:,} of {rows:,} rows: more do not fit in memory")
    return np.sort(np.random.default_rng(seed).choice(rows, most, replace=False))
