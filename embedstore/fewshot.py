"""From a few labelled texts: what the label texts say and what people said, in one score."""

import numpy as np
import numpy.typing as npt

from embedstore.parallel import one_thread

__all__ = ["blend"]

_SLOPE = 2.0  # what a score is multiplied by before any text is labelled
_HOLD_SLOPE, _HOLD_BIAS, _HOLD_WEIGHT = 5.0, 5.0, 0.4  # inverse variances of the priors
_FOLDS = 5


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
        slope, weights, bias = _mode(scores[rows[some]], centred[rows[some]], labels[some])
        found = slope * scores + centred @ weights + bias
        found -= found.mean(axis=1, keepdims=True)
        return np.asarray(found / max(float(np.std(found)), 1e-12))

    folds = np.random.default_rng(random_state).integers(0, _FOLDS, len(rows))
    out = learnt(np.ones(len(rows), dtype=bool))
    for fold in np.unique(folds):
        out[rows[folds == fold]] = learnt(folds != fold)[rows[folds == fold]]
    return out


def _mode(
    scores: npt.NDArray[np.float64], vectors: npt.NDArray[np.float32], labels: npt.NDArray[np.int64]
) -> tuple[float, npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return slope, weights (dim, labels) and biases (labels,) at the mode of the posterior."""
    from scipy.optimize import minimize
    from scipy.special import log_softmax

    count = scores.shape[1]
    given = np.eye(count)[labels]
    # The weights lie in the span of the labelled vectors: no more unknowns than there are labelled texts.
    with one_thread():
        left, spread, axes = np.linalg.svd(vectors.astype(np.float64), full_matrices=False)
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
    return float(at[0]), axes.T @ at[1 + count :].reshape(-1, count), at[1 : 1 + count]
