"""How probable it is that a label applies to a text, one label against the rest.

A label's probability depends on its own scores alone, so a text can have several probable labels, or none.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from embedstore.core.parallel import one_thread
from embedstore.labels.fewshot import folds_of
from embedstore.labels.learnt import Learnt

__all__ = ["SLOPE", "KnownLabels", "expected_best", "probabilities"]

SLOPE = 2.0
"""Log odds for one unit of a score, where no labels are known."""

_HOLD_SLOPE, _HOLD_BIAS, _HOLD_WEIGHT = 5.0, 1.0, 0.4  # inverse variances of the priors
_LOOKED_AT = 5_000_000  # most probabilities that a threshold is found from
_FURTHEST = 30.0  # largest log odds

Scores = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class KnownLabels:
    """Texts whose labels are known.

    Attributes
    ----------
    rows : ndarray of shape (known,), int64
        Their rows, sorted.
    members : ndarray of bool, shape (known, labels)
        Whether a label applies.
    """

    rows: npt.NDArray[np.int64]
    members: npt.NDArray[np.bool_]


def probabilities(
    scores: Scores,
    known: KnownLabels | None = None,
    vectors: npt.NDArray[np.float32] | None = None,
    *,
    random_state: int = 42,
    learnt: Learnt | None = None,
) -> Scores:
    """Return the probability that each label applies to each text.

    Without known labels, the log odds are `SLOPE` times the score. With them, each label has a logistic regression of
    its own on its score (Platt 1999) and, if there are vectors, on the vector. It is the posterior mode under normal
    priors around the log odds without known labels: each known text moves them a little.

    Parameters
    ----------
    scores : ndarray of shape (texts, labels), float64
        The score of a label is 0 where it is as likely to apply as not, and differs by about 1 between typical texts.
    known : KnownLabels, optional
        Texts whose labels are known. Their own probabilities are out-of-fold (five folds).
    vectors : ndarray of shape (texts, dim), float32, optional
        Unit vectors of the texts, to learn from them too.
    random_state : int
        Seed of the folds.
    learnt : Learnt, optional
        What was learnt from other texts of the corpus, or is to be learnt from these.

    Returns
    -------
    ndarray of shape (texts, labels), float64
    """
    learnt = learnt or Learnt()
    if known is None or not learnt.of(lambda: len(known.rows)):
        return _sigmoid(SLOPE * scores)
    features = None if vectors is None else vectors - learnt.of(lambda: vectors.mean(axis=0))
    every = np.ones(len(known.rows), dtype=bool)
    odds = _odds(scores, features, known, every, np.arange(len(scores)), learnt)
    for others in folds_of(len(known.rows), random_state):
        here = known.rows[~others]
        odds[here] = _odds(scores, features, known, others, here, Learnt())
    return _sigmoid(odds)


def expected_best(probability: npt.NDArray[np.floating]) -> float:
    """Return the threshold at which micro-F1 is expected to be highest, if the probabilities are right.

    It is at most 0.5: half of the best F1 (Lipton, Elkan and Naryanaswamy 2014). Of more than 5,000,000 probabilities,
    every n-th text counts.

    Parameters
    ----------
    probability : ndarray of shape (texts, labels)
        The probability that each label applies to each text.

    Examples
    --------
    >>> expected_best(np.array([[1.0, 0.0], [0.0, 1.0]])), round(expected_best(np.array([[0.2, 0.1]])), 3)
    (0.5, 0.154)
    """
    probability = probability[:: probability.size // _LOOKED_AT + 1]
    ordered = np.sort(probability, axis=None)[::-1].astype(np.float64)
    if not len(ordered) or not ordered[0] > 0:
        return 0.5
    hits = np.cumsum(ordered)
    f1 = 2 * hits / (hits[-1] + np.arange(1, len(ordered) + 1))
    return float(np.clip(f1.max() / 2, 0.0, 0.5))


def _sigmoid(odds: Scores) -> Scores:
    return np.asarray(1 / (1 + np.exp(-np.clip(odds, -_FURTHEST, _FURTHEST))))


def _odds(
    scores: Scores,
    features: npt.NDArray[np.float32] | None,
    known: KnownLabels,
    some: npt.NDArray[np.bool_],
    asked: npt.NDArray[np.int64],
    learnt: Learnt,
) -> Scores:
    """Return the log odds of the texts at `asked`, learnt from `some` of the known texts."""
    odds = SLOPE * scores[asked]
    for label, (slope, bias, weights) in enumerate(learnt.of(lambda: _models(scores, features, known, some))):
        odds[:, label] = slope * scores[asked, label] + bias
        if weights is not None and features is not None:
            odds[:, label] += features[asked] @ weights
    return odds


def _models(
    scores: Scores, features: npt.NDArray[np.float32] | None, known: KnownLabels, some: npt.NDArray[np.bool_]
) -> list[tuple[float, float, Scores | None]]:
    """Return slope, bias and the weights of the vector, shape (dim,), of each label."""
    rows, members = known.rows[some], known.members[some]
    axes, told = None, np.empty((len(rows), 0))
    if features is not None and len(rows):
        # The weights lie in the span of the known vectors: at most one unknown for each known text.
        with one_thread:
            left, sizes, axes = np.linalg.svd(features[rows].astype(np.float64), full_matrices=False)
        told = left * sizes
    found: list[tuple[float, float, Scores | None]] = []
    for label in range(scores.shape[1]):
        slope, bias, weights = _fitted(scores[rows, label], told, members[:, label])
        found.append((slope, bias, None if axes is None else axes.T @ weights))
    return found


def _fitted(score: Scores, told: Scores, member: npt.NDArray[np.bool_]) -> tuple[float, float, Scores]:
    """Return slope, bias and weights of one label: the posterior mode, given the known texts."""
    from scipy.optimize import minimize

    design = np.column_stack([score, np.ones(len(score)), told])
    centre = np.zeros(design.shape[1])
    centre[0] = SLOPE
    hold = np.full(design.shape[1], _HOLD_WEIGHT)
    hold[:2] = _HOLD_SLOPE, _HOLD_BIAS
    sign = np.where(member, 1.0, -1.0)

    def loss(at: Scores) -> tuple[float, Scores]:
        margin = sign * (design @ at)
        excess = -sign / (1 + np.exp(np.clip(margin, -_FURTHEST, _FURTHEST)))
        away = at - centre
        return float(np.logaddexp(0, -margin).sum() + hold @ away**2 / 2), design.T @ excess + hold * away

    with one_thread:
        at = minimize(loss, centre, jac=True, method="L-BFGS-B", options={"maxiter": 500}).x
    return float(at[0]), float(at[1]), at[2:]
