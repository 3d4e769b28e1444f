"""Fit a logistic regression in the available memory."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from embedstore.core.checks import at_least, check_fields
from embedstore.core.counts import counted
from embedstore.core.guards import unwarned
from embedstore.core.memory import available_memory
from embedstore.errors import UsageError

__all__ = ["Fitted", "TrainOptions", "fit", "rows_that_fit"]

_SHARE_OF_MEMORY = 0.4


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainOptions:
    """The training options of a probe.

    Parameters
    ----------
    C : float
        Inverse strength of the L2 penalty, as in scikit-learn.
    max_iter : int
        Maximum number of solver iterations.
    cv : int or None
        Number of folds of an additional cross-validation on the training rows; None for no cross-validation.
    test_size : float
        Share of the rows to hold out if there is no test corpus.
    random_state : int
        Seed of the split, of the folds and of sampling.
    drop_missing : bool
        Leave out rows without a target instead of raising an error.
    curve : bool
        Also train on 10, 25, 50, … rows, for a curve of accuracy against the number of labels.
    max_memory : int or None
        Memory limit of training in bytes; if the rows need more, a random sample is used. None means 40% of the free
        memory.
    """

    C: float = 1.0
    max_iter: int = 1000
    cv: int | None = None
    test_size: float = 0.2
    random_state: int = 42
    drop_missing: bool = False
    curve: bool = False
    max_memory: int | None = None

    def __post_init__(self) -> None:
        check_fields(self)
        at_least("max_iter", self.max_iter, 1)
        if self.max_memory is not None:
            at_least("max_memory", self.max_memory, 1)
        if not 0 <= self.random_state < 2**32:
            raise UsageError(f"expected a random_state from 0 to {2**32 - 1}, found {self.random_state}")
        if not self.C > 0:
            raise UsageError(f"expected a C above 0, found {self.C}")
        if self.cv is not None and self.cv < 2:
            raise UsageError(f"expected at least 2 folds for --cv, found {self.cv}")
        if not 0 < self.test_size < 1:
            raise UsageError(f"expected a test size between 0 and 1, found {self.test_size}")

    def describe(self) -> dict[str, Any]:
        """Return all options but `max_memory` as a JSON object."""
        return {name: value for name, value in asdict(self).items() if name != "max_memory"}


@dataclass(frozen=True, slots=True)
class Fitted:
    """A fitted `LogisticRegression` of scikit-learn, and a note if its solver stopped early."""

    model: Any
    notes: tuple[str, ...]


def fit(vectors: Any, y: npt.NDArray[np.int64], options: TrainOptions) -> Fitted:
    """Fit scikit-learn's `LogisticRegression`.

    Parameters
    ----------
    vectors : ndarray or sparse matrix of shape (n, dim)
        The vectors of the training rows.
    y : ndarray of shape (n,), int64
        The class number of each row.
    options : TrainOptions
        Penalty, iterations, seed.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(C=options.C, max_iter=options.max_iter, random_state=options.random_state)
    with unwarned(ConvergenceWarning):  # reported in a note instead
        model.fit(vectors, y)
    if max(model.n_iter_) < options.max_iter:
        return Fitted(model, ())
    return Fitted(model, (f"the solver stopped at {options.max_iter} iterations: raise --max-iter, or lower --C",))


def rows_that_fit(rows: int, dimension: int, options: TrainOptions) -> tuple[npt.NDArray[np.int64], tuple[str, ...]]:
    """Return the sorted numbers of the rows to train on: all rows, or a random sample that fits in memory, and a note.

    Parameters
    ----------
    rows, dimension : int
        Shape of the float32 matrix of vectors.
    options : TrainOptions
        Seed and memory limit.
    """
    most_bytes = options.max_memory
    if most_bytes is None:
        most_bytes = int(available_memory() * _SHARE_OF_MEMORY)
    # The solver needs the float32 matrix and about one working copy of it.
    most = most_bytes // (dimension * 4 * 2)
    if rows <= most:
        return np.arange(rows), ()
    chosen = np.sort(np.random.default_rng(options.random_state).choice(rows, most, replace=False))
    return chosen, (f"trained on a random sample of {most:,} of {counted(rows, 'row')}: more do not fit in memory",)
