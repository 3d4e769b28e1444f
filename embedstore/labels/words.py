"""The words of texts as a second view: classifiers on TF-IDF that learn tags, and score texts that they did not see."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from embedstore.labels.learnt import Learnt
from embedstore.labels.terms import Terms

__all__ = ["MOST", "Words", "out_of_fold"]

MOST = 50_000
"""Most texts to learn from."""

_CONFIDENT = 0.5  # share of the texts to learn from: those with the largest margins
_FOLDS = 5

Scores = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Words:
    """The words and word pairs of texts.

    Attributes
    ----------
    features : sparse matrix of shape (texts, terms)
        TF-IDF.
    sample : ndarray of shape (at most 50,000,), int64
        Rows of the texts that may be learnt from, sorted.
    folds : ndarray of shape (texts,), int64
        The fold of each text.
    learnt : Learnt
        Terms and classifiers.
    """

    features: Any
    sample: npt.NDArray[np.int64]
    folds: npt.NDArray[np.int64]
    learnt: Learnt

    @classmethod
    def of(cls, texts: Sequence[str], *, random_state: int, learnt: Learnt | None = None) -> "Words | None":
        """Return the words of the texts; None if hardly a term stands in three of those that are learnt from."""
        learnt = learnt or Learnt()
        rng = np.random.default_rng(random_state)
        folds = rng.integers(0, _FOLDS, len(texts))
        sample = np.sort(rng.choice(len(texts), min(MOST, len(texts)), replace=False))
        terms = learnt.of(lambda: _terms([texts[row] for row in sample]))
        return None if terms is None else cls(terms.transform(texts), sample, folds, learnt)

    def learn(self, model: Any, scores: Scores, *, kappa: bool = False) -> tuple[Scores, float]:
        """Let a classifier learn the more confident half of the tags that `scores` give.

        Parameters
        ----------
        model : object
            A classifier of scikit-learn, with `decision_function` or `predict_joint_log_proba`.
        scores : ndarray of shape (texts, labels), float64
            The best label of a text is its tag; its lead over the second says how confident it is.
        kappa : bool
            Whether chance is what two taggers with these shares agree on (Cohen 1960), and not the share of the most
            frequent tag. It is less, the more so where one label is frequent: a classifier that finds the texts of a
            rare label then counts for more.

        Returns
        -------
        ndarray of shape (texts, labels), float64
            Out-of-fold scores: no model has learnt from a text that it scores.
        float
            Squared agreement of these scores with the tags, from 0 (chance) to 1 (all agree).
        """
        chosen = self.learnt.of(lambda: self.sample[_confident(scores[self.sample])])
        tags = scores.argmax(axis=1)
        found = out_of_fold(model, self.features, tags, chosen, self.folds, scores.shape[1], self.learnt)
        return found, self.learnt.of(lambda: _agreement(found, tags, chosen, kappa=kappa))


def out_of_fold(
    model: Any,
    features: Any,
    labels: npt.NDArray[np.intp],
    chosen: npt.NDArray[np.intp],
    folds: npt.NDArray[np.int64],
    count: int,
    learnt: Learnt | None = None,
) -> Scores:
    """Return out-of-fold scores of shape (texts, labels): no model has learnt from a text that it scores."""
    learnt = learnt or Learnt()
    out = np.zeros((len(labels), count))
    for fold in range(_FOLDS):
        fitted = learnt.of(partial(_without_fold, fold, model, features, labels, chosen, folds))
        here = np.flatnonzero(folds == fold)
        if fitted is None or not len(here):
            continue
        score = getattr(fitted, "decision_function", None) or fitted.predict_joint_log_proba
        decision = score(features[here])
        if decision.ndim == 1:
            decision = np.stack([-decision, decision], axis=1)
        lowest = decision.min(axis=1, keepdims=True)
        part = np.repeat(lowest, count, axis=1)  # a label without confident texts never beats the others
        part[:, fitted.classes_] = decision
        out[here] = part
    return out


def _without_fold(
    fold: int,
    model: Any,
    features: Any,
    labels: npt.NDArray[np.intp],
    chosen: npt.NDArray[np.intp],
    folds: npt.NDArray[np.int64],
) -> Any:
    """Return a model of the chosen texts of the other folds; None if these have one label."""
    from sklearn.base import clone

    rows = chosen[folds[chosen] != fold]
    return clone(model).fit(features[rows], labels[rows]) if len(np.unique(labels[rows])) > 1 else None


def _confident(scores: Scores) -> npt.NDArray[np.intp]:
    """Return the rows with the largest margins of each label, sorted."""
    ordered = np.sort(scores, axis=1)
    margin, label = ordered[:, -1] - ordered[:, -2], scores.argmax(axis=1)
    kept = []
    for number in range(scores.shape[1]):
        rows = np.flatnonzero(label == number)
        kept.append(rows[np.argsort(-margin[rows], kind="stable")[: max(1, int(_CONFIDENT * len(rows)))]])
    return np.sort(np.concatenate(kept))


def _terms(texts: Sequence[str]) -> Terms | None:
    """Return the terms of the texts; None if no term is frequent enough."""
    try:
        return Terms(texts)
    except ValueError:
        return None


def _agreement(scores: Scores, labels: npt.NDArray[np.intp], chosen: npt.NDArray[np.intp], *, kappa: bool) -> float:
    given, best = labels[chosen], scores[chosen].argmax(axis=1)
    tags = np.bincount(given, minlength=scores.shape[1]) / len(given)
    others = np.bincount(best, minlength=scores.shape[1]) / len(given)
    chance = float(tags @ others if kappa else tags.max())
    right = float(np.mean(best == given))
    return max(0.0, (right - chance) / max(1 - chance, 1e-9)) ** 2
