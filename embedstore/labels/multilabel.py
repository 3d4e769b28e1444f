"""Score labels one against the rest: a text can have several of them, or none.

docs/labels.md says how the parts work together, and measures them.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from embedstore.core.unit import unit_rows
from embedstore.labels.learnt import Learnt
from embedstore.labels.odds import SLOPE
from embedstore.labels.words import MOST

__all__ = ["membership", "topic_membership", "unlabelled_topics"]

_ROUNDS = 25  # rounds of expectation and maximisation
_STARTS = (0.05, 0.1, 0.2, 0.3)  # shares to begin with
_LEAST_SHARE, _MOST_SHARE = 0.01, 0.35  # of the texts that a label applies to
_GROUPS = 16  # groups of texts that may be about something else
_LOOKED_AT = 5_000  # most texts to group
_LIKE_A_LABEL = 0.3  # cosine similarity at which a group is about a label
_FEWEST_TOPICS = 3  # fewest labels and groups that are told apart

Scores = npt.NDArray[np.float64]


def membership(
    scores: npt.NDArray[np.floating[Any]], *, random_state: int = 42, learnt: Learnt | None = None
) -> Scores:
    """Return scores of each label alone, from the distribution of its scores over all texts.

    They are a mixture of two normal distributions with one standard deviation: the upper one has the texts that the
    label applies to, at most 35% of them. Its log odds, divided by `SLOPE`, are the new score.

    Parameters
    ----------
    scores : ndarray of shape (texts, labels)
        How near each text is to each label.
    random_state : int
        Seed of the sample of texts that the distributions are fitted on.
    learnt : Learnt, optional
        What was learnt from other texts of the corpus, or is to be learnt from these.

    Returns
    -------
    ndarray of shape (texts, labels), float64
        0 where a label is as likely to apply as not; linear in the label's scores.
    """
    if not len(scores):
        return np.zeros(scores.shape)
    middle, width, slope, bias = (learnt or Learnt()).of(lambda: _distributions(scores, random_state))
    return np.asarray((slope * ((scores - middle) / width) + bias) / SLOPE, dtype=np.float64)


def _distributions(scores: npt.NDArray[np.floating[Any]], random_state: int) -> tuple[npt.NDArray[Any], ...]:
    """Return mean, deviation, and slope and bias of the log odds of each label, each of shape (labels,)."""
    rng = np.random.default_rng(random_state)
    drawn = np.sort(rng.choice(len(scores), min(MOST, len(scores)), replace=False))
    middle, width = scores[drawn].mean(axis=0), np.maximum(scores[drawn].std(axis=0), 1e-6)
    return middle, width, *_two_normals(((scores[drawn] - middle) / width).astype(np.float64))


def _two_normals(values: Scores) -> tuple[Scores, Scores]:
    """Return slope and bias of the log odds of the upper normal distribution; `values` have mean 0 and deviation 1.

    Of the fits that begin with other shares of the highest values, each label gets the one with the highest likelihood.
    """
    labels = values.shape[1]
    slope, bias, best = np.ones(labels), np.zeros(labels), np.full(labels, -np.inf)
    for share in _STARTS:
        found_slope, found_bias, likelihood = _expected_and_maximised(values, share)
        better = likelihood > best
        slope, bias = np.where(better, found_slope, slope), np.where(better, found_bias, bias)
        best = np.maximum(best, likelihood)
    return slope, bias


def _expected_and_maximised(values: Scores, start: float) -> tuple[Scores, Scores, Scores]:
    """Return slope and bias of the log odds, and the mean log likelihood (without a constant) of each label."""
    count = len(values)
    belongs = (values >= np.quantile(values, 1 - start, axis=0)).astype(np.float64)
    for _ in range(_ROUNDS):
        total = belongs.sum(axis=0) + 1e-9
        high = (belongs * values).sum(axis=0) / total
        low = ((1 - belongs) * values).sum(axis=0) / (count - total + 2e-9)
        share = np.clip(total / count, _LEAST_SHARE, _MOST_SHARE)
        spread = belongs * (values - high) ** 2 + (1 - belongs) * (values - low) ** 2
        variance = np.maximum(spread.mean(axis=0), 1e-3)
        slope = np.maximum(high - low, 1e-3) / variance
        bias = np.log(share / (1 - share)) - slope * (low + high) / 2
        odds = slope * values + bias
        belongs = 1 / (1 + np.exp(-np.clip(odds, -30, 30)))
    # The log density of the lower distribution, and what the upper one adds to it.
    density = np.log(1 - share) - (values - low) ** 2 / (2 * variance) + np.logaddexp(0, odds)
    return slope, bias, density.mean(axis=0) - np.log(variance) / 2


def topic_membership(
    vectors: npt.NDArray[np.float32],
    prototypes: npt.NDArray[np.float32],
    texts: Sequence[str],
    *,
    random_state: int = 42,
    learnt: Learnt | None = None,
) -> tuple[Scores, tuple[str, ...]]:
    """Return scores of each label by the method "topics", against what the texts are about otherwise, and notes.

    Topics that no label stands for are added to the labels (`unlabelled_topics`), so that a text can be about none of
    the labels. Then come the scores of `topic_scores`, without a softmax over the labels, and `membership` of them.

    Parameters
    ----------
    vectors : ndarray of shape (texts, dim), float32
        Unit vectors of the texts.
    prototypes : ndarray of shape (labels, dim), float32
        Unit vectors of the labels.
    texts : sequence of str
        The texts.
    random_state : int
        Seed of groups, folds and samples.
    learnt : Learnt, optional
        What was learnt from other texts of the corpus, or is to be learnt from these.
    """
    from embedstore.labels.mixture import topic_scores

    if not len(vectors):
        return np.zeros((0, len(prototypes))), ()
    learnt = learnt or Learnt()
    others = learnt.of(lambda: unlabelled_topics(vectors, prototypes, random_state=random_state))
    found = topic_scores(vectors, np.vstack([prototypes, others]), texts, random_state=random_state, learnt=learnt)
    return membership(found.scores[:, : len(prototypes)], random_state=random_state, learnt=learnt), found.notes


def unlabelled_topics(
    vectors: npt.NDArray[np.float32], prototypes: npt.NDArray[np.float32], *, random_state: int = 42
) -> npt.NDArray[np.float32]:
    """Return vectors for what texts are about beside the labels, shape (topics, dim), like those of labels.

    They are the centres of 16 groups of texts, without those that are near to a label. What all texts have in common is
    taken off them and replaced by what the labels have in common.

    Parameters
    ----------
    vectors, prototypes, random_state
        See `topic_membership`.
    """
    from embedstore.vectors.clustering import spherical_centres

    looked = np.ascontiguousarray(vectors[:: len(vectors) // _LOOKED_AT + 1])
    centres = spherical_centres(looked, min(_GROUPS, len(looked)), random_state=random_state, restarts=1)
    common = vectors.mean(axis=0, dtype=np.float64)
    # One or two labels do not show what labels have in common.
    middle = prototypes.mean(axis=0, dtype=np.float64) if len(prototypes) > 2 else common
    own = prototypes - middle
    away = unit_rows(centres - common)
    likeness = (away @ unit_rows(own).T).max(axis=1)
    needed = max(0, _FEWEST_TOPICS - len(prototypes))
    kept = np.argsort(likeness, kind="stable")[: max(needed, int(np.count_nonzero(likeness < _LIKE_A_LABEL)))]
    length = float(np.linalg.norm(own, axis=1).mean())
    return np.asarray(unit_rows(middle + length * away[np.sort(kept)]), dtype=np.float32)
