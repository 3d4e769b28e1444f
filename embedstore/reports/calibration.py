"""Confidence of tags: softmax of scores with a temperature fitted on known labels (Guo et al. 2017)."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from embedstore.core.blocks import row_blocks

__all__ = ["MOST_FITTED", "Reliability", "calibrate", "reliability"]

MOST_FITTED = 200_000
"""Most rows that a temperature is fitted on."""

_FOLDS = 5
_FEWEST = 20  # fewest known labels to fit a temperature
_BINS = 10


@dataclass(frozen=True, slots=True)
class Reliability:
    """Accuracy of tags by confidence.

    Attributes
    ----------
    confidence, accuracy : ndarray of shape (bins,), float64
        Means over the rows of each of ten bins of equal width; empty bins are left out.
    count : ndarray of shape (bins,), int64
        Number of rows in each bin.
    error : float
        Expected calibration error: mean absolute difference of confidence and accuracy over the bins, weighted by rows
        (Naeini et al. 2015).
    """

    confidence: npt.NDArray[np.float64]
    accuracy: npt.NDArray[np.float64]
    count: npt.NDArray[np.int64]
    error: float


def calibrate(
    scores: npt.NDArray[np.floating],
    sharpness: float,
    allowed: npt.NDArray[np.bool_] | None = None,
    known: npt.NDArray[np.bool_] | None = None,
    *,
    random_state: int = 42,
) -> tuple[npt.NDArray[np.float32], int]:
    """Return the probability of each row's best label, and the number of known labels used for the fit.

    Parameters
    ----------
    scores : ndarray of shape (rows, labels)
        Similarities or refined scores.
    sharpness : float
        Inverse temperature to use if fewer than 20 labels are known.
    allowed : ndarray of bool, shape (rows, labels), optional
        The correct labels of each row whose label is known.
    known : ndarray of bool, shape (rows,), optional
        Rows whose label is known. At most 200,000 of them are fitted on, drawn by chance. The confidence of such a row
        is out-of-fold: its temperature is fitted on the other four of five folds.
    random_state : int
        Seed of the folds.

    Returns
    -------
    confidence : ndarray of shape (rows,), float32
        From 1 / labels to 1.
    fitted : int
        Number of known labels used for the fit; 0 if no temperature was fitted.
    """
    if allowed is None or known is None or known.sum() < _FEWEST:
        return _best(scores, sharpness), 0
    rows, rng = np.flatnonzero(known), np.random.default_rng(random_state)
    if len(rows) > MOST_FITTED:
        rows = np.sort(rng.choice(rows, MOST_FITTED, replace=False))
    folds = rng.integers(0, _FOLDS, len(rows))
    confidence = _best(scores, _fitted(scores[rows], allowed[rows]))
    for fold in range(_FOLDS):
        others, here = rows[folds != fold], rows[folds == fold]
        confidence[here] = _best(scores[here], _fitted(scores[others], allowed[others]))
    return confidence, len(rows)


def _log_probabilities(scores: npt.NDArray[np.floating], sharpness: float) -> npt.NDArray[np.float64]:
    sharp = sharpness * (scores - scores.max(axis=1, keepdims=True)).astype(np.float64)
    return np.asarray(sharp - np.log(np.exp(sharp).sum(axis=1, keepdims=True)))


def _best(scores: npt.NDArray[np.floating], sharpness: float) -> npt.NDArray[np.float32]:
    best = np.empty(len(scores), dtype=np.float32)
    for here in row_blocks(*scores.shape):
        best[here] = np.exp(_log_probabilities(scores[here], sharpness).max(axis=1))
    return best


def _fitted(scores: npt.NDArray[np.floating], allowed: npt.NDArray[np.bool_]) -> float:
    """Return the inverse temperature that minimises the mean negative log-likelihood of the allowed labels."""
    from scipy.optimize import minimize_scalar

    spread = max(float(np.std(scores - scores.mean(axis=1, keepdims=True))), 1e-9)

    def loss(log_sharpness: float) -> float:
        logs = _log_probabilities(scores, float(np.exp(log_sharpness)) / spread)
        right = np.log(np.maximum((np.exp(logs) * allowed).sum(axis=1), 1e-12))
        return float(-right.mean())

    found = minimize_scalar(loss, bounds=(-6.0, 6.0), method="bounded")
    return float(np.exp(found.x)) / spread


def reliability(confidence: npt.NDArray[np.float32], right: npt.NDArray[np.bool_]) -> Reliability:
    """Compare the confidence of rows with their accuracy.

    Parameters
    ----------
    confidence : ndarray of shape (rows,), float32
        From 0 to 1.
    right : ndarray of bool, shape (rows,)
        Whether each row's tag is correct.
    """
    bins = np.minimum((confidence * _BINS).astype(np.int64), _BINS - 1)
    count = np.bincount(bins, minlength=_BINS)
    held = count > 0
    mean = np.bincount(bins, weights=confidence, minlength=_BINS)[held] / count[held]
    accuracy = np.bincount(bins, weights=right, minlength=_BINS)[held] / count[held]
    error = float(np.sum(np.abs(mean - accuracy) * count[held]) / max(1, len(confidence)))
    return Reliability(mean, accuracy, count[held], error)
