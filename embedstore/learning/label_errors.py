"""Decide from class probabilities which given labels are likely wrong, and how many.

Everything here works on arrays. `embedstore.learning.doubts` makes the probabilities, with models that have not seen
the row that they judge.

Northcutt, Jiang & Chuang (2021), "Confident Learning: Estimating Uncertainty in Dataset Labels", JAIR 70, section 3, is
the source of the confident counts. The filters "confident", "by-pair", "by-label", "both" and "any" choose the rows
that cleanlab 2 chooses with `filter_by` "confident_learning", "prune_by_noise_rate", "prune_by_class", "both" and
"predicted_neq_given".
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from embedstore.core.blocks import row_blocks

__all__ = ["FILTERS", "Filter", "LabelErrors", "Noise", "estimate_noise", "find_label_errors"]

Filter = Literal["expected", "confident", "by-pair", "by-label", "both", "any"]
"""Which rows are doubtful; see `find_label_errors`."""

FILTERS: tuple[Filter, ...] = get_args(Filter)

Probabilities = npt.NDArray[np.float64]
Numbers = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

_TOLERANCE = 1e-6  # rounding can put the mean of equal probabilities slightly above them

# Chosen on the corpora of `benchmarks/doubts.py`; docs/research/labels.md has what other values gave.
_SUREST = (0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6, 0.7)  # shares of a class' rows that the noise may be estimated on
_FEWEST = 50  # with fewer rows of a class, chance decides
_TOLERATED = 0.5  # standard errors by which more rows may raise the estimate
_PRIOR = 10.0  # wrong labels that the rows of one class must show to count as much as what is assumed beforehand
_LEAST_NOISE = 1e-3
_MOST_NOISE = 0.5  # a class with more wrong labels than right ones has no meaning


@dataclass(frozen=True, slots=True)
class LabelErrors:
    """The rows whose given class is likely wrong.

    Attributes
    ----------
    rows : ndarray of shape (doubtful,), int64
        Numbers of the doubtful rows, most doubtful first.
    suggested : ndarray of shape (doubtful,), int64
        The most probable class of each doubtful row.
    confidence : ndarray of shape (doubtful,), float32
        Probability of the given class, from 0 to 1.
    margin : ndarray of shape (doubtful,), float32
        The confidence minus the probability of the suggested class, from -1 to 0.
    accuracy : float
        Share of all rows whose given class is the most probable one, from 0 to 1.
    noise : float
        Estimated share of wrong labels among all rows, from 0 to 1.
    """

    rows: Numbers
    suggested: Numbers
    confidence: npt.NDArray[np.float32]
    margin: npt.NDArray[np.float32]
    accuracy: float
    noise: float


@dataclass(frozen=True, slots=True)
class Noise:
    """An estimate of the wrong labels.

    Attributes
    ----------
    share : float
        Estimated share of wrong labels among all rows, from 0 to 1.
    given : ndarray of shape (classes, classes), float64
        Probability of each given class (column) in rows that are truly of a class (row); rows sum to 1.
    """

    share: float
    given: Probabilities


def find_label_errors(
    probabilities: npt.NDArray[np.floating], y: Numbers, *, filter: Filter = "expected"
) -> LabelErrors:
    """Find the rows whose given class is likely wrong.

    A doubtful row is one whose most probable class is another than the given one, and that the filter chooses. Rows
    are ranked by the probability that the given class is right, given what the models say and how often each class is
    taken for another (`estimate_noise`).

    Parameters
    ----------
    probabilities : ndarray of shape (n, classes), float32 or float64
        Class probabilities from models that were not trained on the row.
    y : ndarray of shape (n,), int64
        Given classes, numbered from 0; each has at least one row.
    filter : {"expected", "confident", "by-pair", "by-label", "both", "any"}
        "expected": the most doubtful rows, as many as there are wrong labels by `estimate_noise`. "confident": rows
        that confident learning counts for another class. "by-pair": for each given and other class, as many rows as
        confident learning estimates, those with the largest difference of the two probabilities. "by-label": for each
        given class, as many rows as confident learning estimates, those with the lowest confidence. "both": rows that
        "by-pair" and "by-label" choose. "any": all rows whose most probable class is another.
    """
    own = _probability_of(probabilities, y)
    noise = estimate_noise(probabilities, y)
    right = np.empty(len(y))
    suggested = np.empty(len(y), dtype=np.int64)
    for here in row_blocks(*probabilities.shape):
        sure, given = probabilities[here].astype(np.float64), y[here]
        right[here] = _probability_right(sure, given, noise)
        sure[np.arange(len(given)), given] -= np.inf
        suggested[here] = sure.argmax(axis=1)
    other = _probability_of(probabilities, suggested)
    chosen = other > own + _TOLERANCE
    if filter == "expected":
        chosen &= _lowest(right, round(noise.share * len(y)))
    else:
        chosen &= _CHOOSERS[filter](probabilities.astype(np.float64), y)
    doubtful = np.flatnonzero(chosen)
    rows = doubtful[np.lexsort((own[doubtful], right[doubtful]))]
    accuracy = float(np.mean(probabilities.argmax(axis=1) == y))
    return LabelErrors(
        rows,
        suggested[rows],
        own[rows].astype(np.float32),
        (own[rows] - other[rows]).astype(np.float32),
        accuracy,
        noise.share,
    )


def _probability_of(probabilities: npt.NDArray[np.floating], classes: Numbers) -> npt.NDArray[np.float64]:
    """Return the probability of one class for each row, shape (n,)."""
    return probabilities[np.arange(len(classes)), classes].astype(np.float64)


def estimate_noise(probabilities: npt.NDArray[np.floating], y: Numbers) -> Noise:
    """Estimate the share of wrong labels, and which classes are given instead of which.

    The rows that are most probably of a class are taken to be of this class, so the other labels among them are wrong.
    Only the surest rows of each class are used: among less sure rows, more and more of the other labels are right and
    the models wrong. These are 15% of the class' rows, at least 50. More rows, up to 70%, are used as long as the
    estimate stays within half of its standard error, since chance counts less among many rows. Each class counts by the
    number of rows that are most probably of it.

    The estimate assumes that wrong labels are as frequent in these rows as in all rows. It is too high where even the
    surest rows of a class belong to another one, and too low where wrong labels are mostly in texts that are hard to
    tell.

    The table `given` is drawn towards equal shares of all other classes, and each class' noise towards the noise of all
    classes. This has the weight of ten wrong labels.

    Parameters
    ----------
    probabilities : ndarray of shape (n, classes), float32 or float64
        Class probabilities from models that were not trained on the row.
    y : ndarray of shape (n,), int64
        Given classes, numbered from 0.
    """
    likely = probabilities.argmax(axis=1)
    of_class = [np.flatnonzero(likely == kind) for kind in range(probabilities.shape[1])]
    ranked = [rows[np.argsort(-probabilities[rows, kind], kind="stable")] for kind, rows in enumerate(of_class)]
    counts = _surest_counts(ranked, y, _SUREST[0])
    share, error = _share_of_wrong(ranked, counts)
    most = share + _TOLERATED * error
    for part in _SUREST[1:]:
        more = _surest_counts(ranked, y, part)
        found, _ = _share_of_wrong(ranked, more)
        if found > most:
            break
        counts, share = more, found
    return Noise(share, _given_classes(counts, share))


def _surest_counts(ranked: list[Numbers], y: Numbers, part: float) -> npt.NDArray[np.float64]:
    """Count the given classes (columns) among the surest rows of each class (rows).

    Parameters
    ----------
    ranked : list of ndarray
        Numbers of the rows that are most probably of each class, surest first.
    y : ndarray of shape (n,), int64
        Given classes.
    part : float
        Share of the rows of each class to count.
    """
    counts = [np.bincount(y[rows[: max(_FEWEST, int(part * len(rows)))]], minlength=len(ranked)) for rows in ranked]
    return np.stack(counts).astype(np.float64)


def _share_of_wrong(ranked: list[Numbers], counts: npt.NDArray[np.float64]) -> tuple[float, float]:
    """Return the estimated share of wrong labels among all rows, and its standard error."""
    sizes = np.array([len(rows) for rows in ranked])
    weights = sizes / sizes.sum()
    used = counts.sum(axis=1)
    wrong = used - counts.diagonal()
    rates = (wrong + 1) / (used + 2)  # Laplace's rule of succession: without a wrong label, the error is not 0
    error = np.sqrt(np.sum(weights**2 * rates * (1 - rates) / np.maximum(used, 1)))
    return float(np.sum(weights * wrong / np.maximum(used, 1))), float(error)


def _given_classes(counts: npt.NDArray[np.float64], share: float) -> Probabilities:
    """Return the probability of each given class (column) in rows of each class (row)."""
    used = counts.sum(axis=1)
    wrong = used - counts.diagonal()
    noise = np.minimum((wrong + _PRIOR) / (used + _PRIOR / max(share, _LEAST_NOISE)), _MOST_NOISE)
    instead = counts + _PRIOR / (len(counts) - 1)
    np.fill_diagonal(instead, 0)
    given = noise[:, None] * instead / instead.sum(axis=1, keepdims=True)
    np.fill_diagonal(given, 1 - noise)
    return np.asarray(given)


def _probability_right(probabilities: Probabilities, y: Numbers, noise: Noise) -> npt.NDArray[np.float64]:
    """Return the probability of the given class after it is known that it was given, by Bayes' rule; shape (n,)."""
    joint = probabilities * noise.given[:, y].T
    return np.asarray(joint[np.arange(len(y)), y] / joint.sum(axis=1))


def _lowest(values: npt.NDArray[np.float64], count: int) -> Mask:
    """Return a mask of the `count` lowest values."""
    mask = np.zeros(len(values), dtype=bool)
    mask[np.argsort(values, kind="stable")[:count]] = True
    return mask


def _confident(probabilities: Probabilities, y: Numbers) -> tuple[Mask, Numbers]:
    """Return a mask of the rows that reach the threshold of a class, and the class that each is counted for.

    The threshold of a class is its mean probability in the rows that are given this class. As in cleanlab, a row that
    reaches several thresholds is counted for its most probable class.
    """
    thresholds = np.bincount(y, weights=probabilities[np.arange(len(y)), y]) / np.bincount(y)
    reached = probabilities >= thresholds - _TOLERANCE
    times = reached.sum(axis=1)
    return times > 0, np.where(times > 1, probabilities.argmax(axis=1), reached.argmax(axis=1))


def _confident_rows(probabilities: Probabilities, y: Numbers) -> Mask:
    counted, guess = _confident(probabilities, y)
    return np.asarray(counted & (guess != y))


def _estimated_counts(probabilities: Probabilities, y: Numbers) -> Numbers:
    """Return how many rows of each given class (row) are of each class (column): the confident counts, scaled up."""
    classes = probabilities.shape[1]
    counted, guess = _confident(probabilities, y)
    joint = np.zeros((classes, classes))
    np.add.at(joint, (y[counted], guess[counted]), 1)
    np.fill_diagonal(joint, np.maximum(joint.diagonal(), 1))  # no class is all wrong
    return _whole(joint / joint.sum(axis=1, keepdims=True) * np.bincount(y)[:, None])


def _whole(shares: npt.NDArray[np.float64]) -> Numbers:
    """Return whole numbers near to the given ones; the sum of each row stays, and the largest remainders go up."""
    whole = np.floor(shares)
    for row, values in zip(whole, shares, strict=True):
        rest = round(float(values.sum() - row.sum()))
        row[np.argsort(row - values, kind="stable")[:rest]] += 1
    return whole.astype(np.int64)


def _by_pair(probabilities: Probabilities, y: Numbers) -> Mask:
    counts = _estimated_counts(probabilities, y)
    chosen = np.zeros(len(y), dtype=bool)
    for given, other in zip(*np.nonzero(counts), strict=True):
        if given != other:
            rows = np.flatnonzero(y == given)
            lead = probabilities[rows, given] - probabilities[rows, other]
            chosen[rows[_lowest(lead, counts[given, other])]] = True
    return chosen


def _by_label(probabilities: Probabilities, y: Numbers) -> Mask:
    counts = _estimated_counts(probabilities, y)
    chosen = np.zeros(len(y), dtype=bool)
    for given, row in enumerate(counts):
        rows = np.flatnonzero(y == given)
        chosen[rows[_lowest(probabilities[rows, given], row.sum() - row[given])]] = True
    return chosen


def _both(probabilities: Probabilities, y: Numbers) -> Mask:
    return _by_pair(probabilities, y) & _by_label(probabilities, y)


def _any(probabilities: Probabilities, y: Numbers) -> Mask:
    return np.ones(len(y), dtype=bool)


_CHOOSERS: dict[Filter, Callable[[Probabilities, Numbers], Mask]] = {
    "confident": _confident_rows,
    "by-pair": _by_pair,
    "by-label": _by_label,
    "both": _both,
    "any": _any,
}
