"""When to stop: the accuracy to expect on texts that nobody answered, and whether more answers pay."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
from scipy.special import expit, softmax

from embedstore.core.counts import counted
from embedstore.labels.fewshot import fit_blend, folds_of
from embedstore.labels.label_set import LabelSet
from embedstore.labels.mixture import topic_scores
from embedstore.labels.regime import regime_of
from embedstore.labels.zeroshot import standardised

__all__ = ["Advice", "Advisor"]

_FEWEST = 10  # fewest answers for an accuracy
_LAST = 25  # answers that are taken away to see what they brought
_SPREAD = np.array([1.0, 0.5])  # standard deviations of the priors of the calibration's bias and slope
_SURE = 1e-4  # least and most confidence are this far from 0 and 1
_DRAWS = 200
_PAYS = 0.0075  # accuracy that 25 more answers must bring to pay
_SMALL = 0.01  # gains below it are not told apart, so that the advice stays the same from block to block
# All measured on 20 corpora: docs/research/asking.md
_WIDER = 1.6  # how much wider the interval is than that of the calibration alone, to hold 95%
_LEAST_GAIN, _GAIN = 0.005, 0.18  # gain of 25 more answers: where the last 25 changed no label, and more if they did


@dataclass(frozen=True, slots=True)
class Advice:
    """What the answers so far are worth.

    Attributes
    ----------
    answers : int
        Number of answers.
    accuracy : float
        Share of the other texts that get the right label, as estimated.
    low, high : float
        Ends of a 95% interval of `accuracy`.
    changed : float or None
        Share of the other texts whose label the last 25 answers changed; None below 35 answers.
    """

    answers: int
    accuracy: float
    low: float
    high: float
    changed: float | None

    @property
    def gain(self) -> float | None:
        """Accuracy that 25 more answers may bring; None if that is not known yet."""
        return None if self.changed is None else _LEAST_GAIN + _GAIN * self.changed

    @property
    def pays(self) -> bool | None:
        """Whether 25 more answers may bring an accuracy of 0.0075 or more; None if that is not known yet."""
        return None if self.gain is None else self.gain >= _PAYS

    @property
    def outlook(self) -> str:
        """One sentence on what the last answers brought and what more may bring; empty below 35 answers."""
        if self.changed is None or self.gain is None:
            return ""
        points = "less than 1 point" if self.gain < _SMALL else f"{100 * self.gain:.1f} points"
        changed = f"the last {_LAST} answers changed {self.changed:.1%} of their labels"
        return f"{changed}, {_LAST} more may bring {points} of accuracy"

    @property
    def share_right(self) -> str:
        """How many of the other texts get the right label, in words."""
        return f"about {self.accuracy:.0%} get the right label ({self.low:.0%} to {self.high:.0%})"

    def __str__(self) -> str:
        told = f"after {counted(self.answers, 'answer')}, of the texts without an answer {self.share_right}"
        return f"{told}; {self.outlook}" if self.outlook else told


class Advisor:
    """Judges answers by models that learn from them.

    A model is `fit_blend` on scores made without answers: those of `topic_scores` without words if the labels are
    topics, and standardised cosine similarities if they are a scale.

    Parameters
    ----------
    labels : LabelSet
        The labels.
    prototypes : ndarray of shape (labels, dim), float32
        Their unit vectors.
    vectors : ndarray of shape (texts, dim), float32
        Unit vectors of the texts.
    """

    def __init__(self, labels: LabelSet, prototypes: npt.NDArray[np.float32], vectors: npt.NDArray[np.float32]) -> None:
        self._labels = labels
        self._prototypes = prototypes
        self._vectors = vectors

    @cached_property
    def _scores(self) -> npt.NDArray[np.float64]:
        if regime_of(self._labels, self._prototypes, self._vectors).name == "topics":
            return topic_scores(self._vectors, self._prototypes).scores
        return standardised((self._vectors @ self._prototypes.T).astype(np.float64))

    @cached_property
    def centred(self) -> npt.NDArray[np.float32]:
        """The vectors minus their mean."""
        return np.asarray(self._vectors - self._vectors.mean(axis=0))

    def advise(self, rows: npt.NDArray[np.int64], labels: npt.NDArray[np.int64]) -> Advice | None:
        """Return what answers are worth; None below ten answers, or if all have one label.

        The confidence of a text is the probability of its best label. A logistic regression with normal priors
        calibrates it on the answers, each of them scored by a model that has not learnt from it (five folds). So
        answers to uncertain texts say little of the certain ones. The accuracy is the mean calibrated confidence of
        the other texts.

        Parameters
        ----------
        rows : ndarray of shape (answers,), int64
            Rows of the answered texts, the last answer last.
        labels : ndarray of shape (answers,), int64
            Number of each one's label.
        """
        if len(rows) < _FEWEST or len(np.unique(labels)) < 2:
            return None
        right, sure = np.zeros(len(rows)), np.zeros(len(rows))
        for others in folds_of(len(rows), 42):
            scores = self.scores(rows[others], labels[others], rows[~others])
            right[~others], sure[~others] = scores.argmax(axis=1) == labels[~others], _log_odds(scores)
        rest = np.setdiff1d(np.arange(len(self._vectors)), rows)
        if not len(rest):
            return None
        now = self.scores(rows, labels, rest)
        accuracy, low, high = _calibrated(sure, right, _log_odds(now))
        changed = None
        if len(rows) >= _FEWEST + _LAST:
            before = self.scores(rows[:-_LAST], labels[:-_LAST], rest)
            changed = float(np.mean(before.argmax(axis=1) != now.argmax(axis=1)))
        return Advice(len(rows), accuracy, low, high, changed)

    def scores(
        self, rows: npt.NDArray[np.int64], labels: npt.NDArray[np.int64], asked: npt.NDArray[np.int64]
    ) -> npt.NDArray[np.float64]:
        """Return the log odds of some texts, from a model that has learnt from answers.

        Parameters
        ----------
        rows, labels : ndarray of shape (answers,), int64
            As for `advise`.
        asked : ndarray of shape (n,), int64
            Rows of the texts to score.

        Returns
        -------
        ndarray of shape (n, labels), float64
        """
        model = fit_blend(self._scores[rows], self.centred[rows], labels)
        return model.scores(self._scores[asked], self.centred[asked])


def _log_odds(scores: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the log odds that the best label is right, shape (texts,)."""
    best = np.clip(softmax(scores, axis=1).max(axis=1), _SURE, 1 - _SURE)
    return np.asarray(np.log(best / (1 - best)))


def _calibrated(
    sure: npt.NDArray[np.float64], right: npt.NDArray[np.float64], asked: npt.NDArray[np.float64]
) -> tuple[float, float, float]:
    """Return the mean probability that texts are right, with a 95% interval.

    The logistic regression of `right` on the log odds `sure` has bias 0 and slope 1 where nothing is known. The
    interval is that of its posterior (Laplace's approximation).
    """
    features, held, prior = np.stack([np.ones(len(sure)), sure], axis=1), np.diag(_SPREAD**-2), np.array([0.0, 1.0])
    at = prior
    for _ in range(30):  # Newton's method
        found = expit(features @ at)
        curvature = (features.T * (found * (1 - found))) @ features + held
        at = at + np.linalg.solve(curvature, features.T @ (right - found) - held @ (at - prior))
    draws = np.random.default_rng(0).multivariate_normal(at, np.linalg.inv(curvature), _DRAWS)
    spread = _WIDER * float(np.std([expit(bias + slope * asked).mean() for bias, slope in draws]))
    mean = float(expit(at[0] + at[1] * asked).mean())
    return mean, max(0.0, mean - 1.96 * spread), min(1.0, mean + 1.96 * spread)
