"""From a few labelled texts: what the label texts say and what people said, in one score."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from embedstore.parallel import one_thread

__all__ = ["Learnt", "blend", "foretold", "learn"]

_SLOPE = 2.0  # what a score is multiplied by before any text is labelled
_HOLD_SLOPE, _HOLD_BIAS, _HOLD_WEIGHT = 5.0, 5.0, 0.4  # inverse variances of the priors
_FOLDS = 5


@dataclass(frozen=True, slots=True)
class Learnt:
    """What labelled texts say: slope, weights of shape (dim, labels) and biases of shape (labels,), float64."""

    slope: float
    weights: npt.NDArray[np.float64]
    bias: npt.NDArray[np.float64]

    def scores(self, scores: npt.NDArray[np.float64], centred: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
        """Return the log odds of texts, given their scores and their vectors less the mean of all."""
        found = self.slope * scores + centred @ self.weights + self.bias
        return np.asarray(found - found.mean(axis=1, keepdims=True))


def blend(
    scores: npt.NDArray[np.float64],
    vectors: npt.NDArray[np.float32],
    rows: npt.NDArray[np.int64],
    labels: npt.NDArray[np.int64],
    *,
    random_state: int = 42,
) -> npt.NDArray[np.float64]:
    """Return the scores of all texts after a look at the labelled ones.

    A softmax regression with normal priors (its posterior mode): a text's log odds are its scores times a slope, plus
    its vector, less the mean of all, times weights, plus a bias a label. Weights and biases have mean 0: each labelled
    text moves them a little, and without one the scores alone decide.

    Parameters
    ----------
    scores : ndarray of shape (texts, labels), float64
        Standardised scores without a labelled text.
    vectors : ndarray of shape (texts, dim), float32
        Unit vectors.
    rows, labels : ndarray of shape (labelled,), int64
        The labelled texts and the number of each one's label.
    random_state : int
        Seed of the folds.

    Returns
    -------
    ndarray of shape (texts, labels), float64
        Standardised. A labelled text's scores come from the others: it has not been learnt from.
    """
    if not len(rows):
        return scores
    centred = vectors - vectors.mean(axis=0)

    def learnt(some: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
        found = learn(scores[rows[some]], centred[rows[some]], labels[some]).scores(scores, centred)
        return np.asarray(found / max(float(np.std(found)), 1e-12))

    out = learnt(np.ones(len(rows), dtype=bool))
    for others in _folds(len(rows), random_state):
        out[rows[~others]] = learnt(others)[rows[~others]]
    return out


def foretold(
    scores: npt.NDArray[np.float64],
    centred: npt.NDArray[np.float32],
    labels: npt.NDArray[np.int64],
    *,
    random_state: int = 42,
) -> float:
    """Return the share of labelled texts whose label `blend` would find from the others (five folds).

    Parameters
    ----------
    scores : ndarray of shape (labelled, labels), float64
        As for `blend`, of the labelled texts.
    centred : ndarray of shape (labelled, dim), float32
        Their vectors, less the mean of all texts'.
    labels : ndarray of shape (labelled,), int64
        The number of each one's label.
    random_state : int
        Seed of the folds.
    """
    right = 0
    for others in _folds(len(labels), random_state):
        found = learn(scores[others], centred[others], labels[others]).scores(scores[~others], centred[~others])
        right += int(np.count_nonzero(found.argmax(axis=1) == labels[~others]))
    return right / len(labels)


def _folds(count: int, random_state: int) -> Iterator[npt.NDArray[np.bool_]]:
    """Yield for each fold which of the labelled texts are not in it."""
    folds = np.random.default_rng(random_state).integers(0, _FOLDS, count)
    for fold in np.unique(folds):
        yield folds != fold


def learn(scores: npt.NDArray[np.float64], centred: npt.NDArray[np.float32], labels: npt.NDArray[np.int64]) -> Learnt:
    """Return the mode of the posterior, given the labelled texts; see `foretold` for the parameters."""
    from scipy.optimize import minimize
    from scipy.special import log_softmax

    count = scores.shape[1]
    given = np.eye(count)[labels]
    # The weights lie in the span of the labelled vectors: no more unknowns than there are labelled texts.
    with one_thread():
        left, spread, axes = np.linalg.svd(centred.astype(np.float64), full_matrices=False)
    features = left * spread

    def loss(at: npt.NDArray[np.float64]) -> tuple[float, npt.NDArray[np.float64]]:
        slope, bias, weights = at[0], at[1 : 1 + count], at[1 + count :].reshape(-1, count)
        log_shares = log_softmax(slope * scores + features @ weights + bias, axis=1)
        excess = np.exp(log_shares) - given
        held = _HOLD_SLOPE * (slope - _SLOPE) ** 2 + _HOLD_BIAS * (bias @ bias) + _HOLD_WEIGHT * np.sum(weights**2)
        gradient = [
            [np.sum(excess * scores) + _HOLD_SLOPE * (slope - _SLOPE)],
            excess.sum(axis=0) + _HOLD_BIAS * bias,
            (features.T @ excess + _HOLD_WEIGHT * weights).ravel(),
        ]
        return held / 2 - np.sum(log_shares * given), np.concatenate(gradient)

    start = np.zeros(1 + count + features.shape[1] * count)
    start[0] = _SLOPE
    with one_thread():
        at = minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": 1000}).x
    return Learnt(float(at[0]), axes.T @ at[1 + count :].reshape(-1, count), at[1 : 1 + count])
