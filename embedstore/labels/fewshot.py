"""Few-shot learning: combine label scores with a few labelled texts."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from embedstore.core.parallel import one_thread
from embedstore.labels.learnt import Learnt

__all__ = ["Answers", "BlendModel", "blend", "fit_blend", "folds_of"]

_SLOPE = 2.0  # slope of the scores without labelled texts
_HOLD_SLOPE, _HOLD_BIAS, _HOLD_WEIGHT = 5.0, 5.0, 0.4  # inverse variances of the priors
_FOLDS = 5


@dataclass(frozen=True, slots=True)
class Answers:
    """What people said: the rows of texts and the number of each one's label, both of shape (answers,), int64."""

    rows: npt.NDArray[np.int64]
    labels: npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class BlendModel:
    """A fitted model: slope, weights of shape (dim, labels) and biases of shape (labels,), float64."""

    slope: float
    weights: npt.NDArray[np.float64]
    bias: npt.NDArray[np.float64]

    def scores(self, scores: npt.NDArray[np.float64], centred: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
        """Return the log odds of texts, from their scores and centred vectors (minus the mean of all texts)."""
        found = self.slope * scores + centred @ self.weights + self.bias
        return np.asarray(found - found.mean(axis=1, keepdims=True))


def blend(
    scores: npt.NDArray[np.float64],
    vectors: npt.NDArray[np.float32],
    rows: npt.NDArray[np.int64],
    labels: npt.NDArray[np.int64],
    *,
    random_state: int = 42,
    learnt: Learnt | None = None,
) -> npt.NDArray[np.float64]:
    """Return the scores of all texts, updated by the labelled texts.

    The model is the posterior mode of a softmax regression with normal priors. A text's log odds are its scores times a
    slope, plus its centred vector (minus the mean of all) times weights, plus one bias per label. The priors of weights
    and biases have mean 0: each labelled text moves them a little, and without labelled texts the scores alone decide.

    Parameters
    ----------
    scores : ndarray of shape (texts, labels), float64
        Standardised scores, made without labelled texts.
    vectors : ndarray of shape (texts, dim), float32
        Unit vectors.
    rows, labels : ndarray of shape (labelled,), int64
        Rows of the labelled texts, and the number of each one's label.
    random_state : int
        Seed of the folds.
    learnt : Learnt, optional
        What was learnt from other texts of the corpus, or is to be learnt from these.

    Returns
    -------
    ndarray of shape (texts, labels), float64
        Standardised. The scores of a labelled text are out-of-fold (five folds).
    """
    learnt = learnt or Learnt()
    if not learnt.of(lambda: len(rows)):
        return scores
    centred = vectors - learnt.of(lambda: vectors.mean(axis=0))

    def blended(some: npt.NDArray[np.bool_], learnt: Learnt) -> npt.NDArray[np.float64]:
        model = learnt.of(lambda: fit_blend(scores[rows[some]], centred[rows[some]], labels[some]))
        found = model.scores(scores, centred)
        return np.asarray(found / learnt.of(lambda: max(float(np.std(found)), 1e-12)))

    out = blended(np.ones(len(rows), dtype=bool), learnt)
    for others in folds_of(len(rows), random_state):
        out[rows[~others]] = blended(others, Learnt())[rows[~others]]
    return out


def folds_of(count: int, random_state: int) -> Iterator[npt.NDArray[np.bool_]]:
    """Yield for each of five random folds a mask of the labelled texts outside it, shape (count,)."""
    folds = np.random.default_rng(random_state).integers(0, _FOLDS, count)
    for fold in np.unique(folds):
        yield folds != fold


def fit_blend(
    scores: npt.NDArray[np.float64], centred: npt.NDArray[np.float32], labels: npt.NDArray[np.int64]
) -> BlendModel:
    """Return the posterior mode, given the labelled texts.

    Parameters
    ----------
    scores : ndarray of shape (labelled, labels), float64
        As for `blend`, but of the labelled texts only.
    centred : ndarray of shape (labelled, dim), float32
        Their vectors, minus the mean over all texts.
    labels : ndarray of shape (labelled,), int64
        Label number of each text.
    """
    from scipy.optimize import minimize
    from scipy.special import log_softmax

    count = scores.shape[1]
    given = np.eye(count)[labels]
    # The weights lie in the span of the labelled vectors: at most one unknown per labelled text and label.
    with one_thread:
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
    with one_thread:
        at = minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": 1000}).x
    return BlendModel(float(at[0]), axes.T @ at[1 + count :].reshape(-1, count), at[1 : 1 + count])
