"""From a few labelled texts: what the label texts say and what people said, in one score."""

import numpy as np
import numpy.typing as npt

from embedstore.vectors import unit_rows

__all__ = ["blend"]

_FEWEST, _FEWEST_A_LABEL = 20, 5  # labelled texts from which a regression is better than moved prototypes
_WEIGHT = 20.0  # labelled texts that a label's own texts count as much as
_SCALE = 3.0  # of the scores among the features: a large feature is hardly held back by the penalty
_FOLDS = 5


def blend(
    scores: npt.NDArray[np.float64],
    vectors: npt.NDArray[np.float32],
    prototypes: npt.NDArray[np.float32],
    rows: npt.NDArray[np.int64],
    labels: npt.NDArray[np.int64],
    *,
    random_state: int = 42,
) -> npt.NDArray[np.float64]:
    """Return the scores of all texts after a look at the labelled ones.

    A few labelled texts move the labels' prototypes towards their mean. From 20 on, and five a label, a logistic
    regression learns from the vectors with the scores as further features.

    Parameters
    ----------
    scores : ndarray of shape (texts, labels), float64
        Standardised scores without a labelled text.
    vectors : ndarray of shape (texts, dim), float32
        Unit vectors.
    prototypes : ndarray of shape (labels, dim), float32
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
    out = _learnt(scores, vectors, prototypes, rows, labels)
    folds = np.random.default_rng(random_state).integers(0, _FOLDS, len(rows))
    for fold in range(_FOLDS):
        here = rows[folds == fold]
        if len(here):
            others = folds != fold
            out[here] = _learnt(scores, vectors, prototypes, rows[others], labels[others])[here]
    return out


def _learnt(
    scores: npt.NDArray[np.float64],
    vectors: npt.NDArray[np.float32],
    prototypes: npt.NDArray[np.float32],
    rows: npt.NDArray[np.int64],
    labels: npt.NDArray[np.int64],
) -> npt.NDArray[np.float64]:
    count = scores.shape[1]
    counts = np.bincount(labels, minlength=count)
    if len(rows) < max(_FEWEST, _FEWEST_A_LABEL * count) or np.count_nonzero(counts > 1) < 2:
        sums = np.zeros_like(prototypes, dtype=np.float64)
        np.add.at(sums, labels, vectors[rows])
        moved = unit_rows((_WEIGHT * prototypes + sums).astype(np.float32))
        shift = vectors @ (moved - prototypes).T
        plain = vectors @ prototypes.T
        spread = float(np.std(plain - plain.mean(axis=1, keepdims=True)))
        return np.asarray(scores + (shift - shift.mean(axis=0)) / max(spread, 1e-9))
    from sklearn.linear_model import LogisticRegression

    features = np.hstack([vectors, (_SCALE * scores).astype(np.float32)])
    model = LogisticRegression(max_iter=1000).fit(features[rows], labels)
    decision = model.decision_function(features)
    if decision.ndim == 1:
        decision = np.stack([-decision, decision], axis=1)
    found = np.repeat(decision.min(axis=1, keepdims=True), count, axis=1)  # labels that nobody gave come last
    found[:, model.classes_] = decision
    return np.asarray((found - found.mean(axis=1, keepdims=True)) / max(float(np.std(found)), 1e-12))
