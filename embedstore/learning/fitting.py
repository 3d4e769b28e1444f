"""Fit logistic regressions in the available memory."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from embedstore.core.checks import at_least, check_fields
from embedstore.core.counts import counted
from embedstore.core.guards import unwarned
from embedstore.core.memory import available_memory
from embedstore.core.parallel import cores, one_thread
from embedstore.core.progress import task
from embedstore.errors import UsageError
from embedstore.learning.centred import Centred

__all__ = ["MOST_TESTED", "Fitted", "TrainOptions", "fit", "map_fits", "rows_that_fit"]

MOST_TESTED = 100_000
"""Most test rows where several models are tested."""

_SHARE_OF_MEMORY = 0.4
_MOST_BYTES = 1_000_000_000  # of vectors and their working copy: more rows hardly change a linear classifier
_EACH = 50  # rows of a class that a sample keeps, if there are so many and half of the sample has room for them
_TOL = 3e-5  # for moved vectors: on all corpora tried, nearer to the optimum than scikit-learn's 1e-4 is for given ones
_LARGE = 1 << 26  # bytes of vectors: with fewer, the threads of a product wait longer for each other than they save

Job = TypeVar("Job")
Result = TypeVar("Result")


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
        Memory limit of training in bytes; if the rows need more, a random sample is used. None means 1 GB, or 40% of
        the free memory if that is less.
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


def fit(
    vectors: Any, y: npt.NDArray[np.int64], options: TrainOptions, *, overwrite: bool = False, tol: float = _TOL
) -> Fitted:
    """Fit scikit-learn's `LogisticRegression`.

    Its solver gets the vectors as `Centred` moves them. The optimum is that of the vectors as they are, and so are the
    coefficients of the fitted model. Fewer than 64 MB of vectors are fitted by one thread.

    Parameters
    ----------
    vectors : ndarray of shape (n, dim), float32; Centred; or sparse matrix of shape (n, dim)
        The vectors of the training rows. A sparse matrix is fitted as it is.
    y : ndarray of shape (n,), int64
        The class number of each row.
    options : TrainOptions
        Penalty, iterations, seed.
    overwrite : bool
        Whether an array of vectors may be overwritten, which spares the memory of a copy.
    tol : float
        The solver stops when no component of the gradient for the moved vectors is larger.

    Raises
    ------
    InputError
        If there are no vectors, or a component is no finite number.
    """
    from sklearn import config_context
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(C=options.C, max_iter=options.max_iter, random_state=options.random_state)
    with unwarned(ConvergenceWarning):  # reported in a note instead
        if isinstance(vectors, np.ndarray | Centred):
            moved = vectors if isinstance(vectors, Centred) else Centred.of(vectors, overwrite=overwrite)
            few = moved.vectors.nbytes < _LARGE
            with one_thread if few else nullcontext(), config_context(assume_finite=True):
                model.set_params(C=options.C / moved.scale**2, tol=tol).fit(moved.vectors, y)
            moved.put_back(model.set_params(C=options.C))
        else:
            model.fit(vectors, y)
    if max(model.n_iter_) < options.max_iter:
        return Fitted(model, ())
    return Fitted(model, (f"the solver stopped at {options.max_iter} iterations: raise --max-iter, or lower --C",))


def map_fits(fit_one: Callable[[Job], Result], jobs: Sequence[Job], size: int, options: TrainOptions) -> list[Result]:
    """Return the result of each job, in their order; a few jobs run at a time, with one thread each.

    The results depend neither on the number of cores nor on which jobs run together.

    Parameters
    ----------
    fit_one : callable
        Takes a job.
    jobs : sequence
        The jobs, such as the folds of a cross-validation.
    size : int
        The bytes of memory that a job needs; no more jobs run together than fit.
    options : TrainOptions
        The limit of memory.
    """
    threads = min(cores(), len(jobs), max(1, _most_bytes(options) // max(1, size) - 1))
    tell = task("models", len(jobs))

    def fitted(job: Job) -> Result:
        result = fit_one(job)
        tell(1)
        return result

    with one_thread:
        if threads < 2:
            return [fitted(job) for job in jobs]
        with ThreadPoolExecutor(threads) as pool:
            return list(pool.map(fitted, jobs))


def rows_that_fit(
    y: npt.NDArray[np.int64], dimension: int, options: TrainOptions
) -> tuple[npt.NDArray[np.int64], tuple[str, ...]]:
    """Return the sorted numbers of the rows to train on: all rows, or a random sample that fits in memory, and a note.

    Parameters
    ----------
    y : ndarray of shape (n,), int64
        The class number of each row. A sample has the classes' shares, but more rows of rare ones.
    dimension : int
        Length of a vector.
    options : TrainOptions
        Seed and memory limit.
    """
    # Fitting needs the float32 matrix and about one working copy of it.
    most = _most_bytes(options) // (dimension * 4 * 2)
    if len(y) <= most:
        return np.arange(len(y)), ()
    rng = np.random.default_rng(options.random_state)
    counts = np.bincount(y)
    each = np.minimum(counts, np.maximum(counts * most // len(y), min(_EACH, most // (2 * len(counts)))))
    kept = np.zeros(len(y), dtype=bool)
    for number in np.flatnonzero(each):
        kept[rng.choice(np.flatnonzero(y == number), each[number], replace=False)] = True
    chosen = np.flatnonzero(kept)
    if len(chosen) < most:
        chosen = np.concatenate([chosen, rng.choice(np.flatnonzero(~kept), most - len(chosen), replace=False)])
    elif len(chosen) > most:
        chosen = rng.choice(chosen, most, replace=False)
    limit = f"more need over {_most_bytes(options) / 1e9:.3g} GB of memory"
    note = f"trained on a random sample of {most:,} of {counted(len(y), 'row')}: {limit}"
    return np.sort(chosen), (note,)


def _most_bytes(options: TrainOptions) -> int:
    if options.max_memory is not None:
        return options.max_memory
    return min(_MOST_BYTES, int(available_memory() * _SHARE_OF_MEMORY))
