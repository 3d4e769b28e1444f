"""Topics: a mixture of normal distributions that its labels hold in place, and words that correct it.

docs/labels.md says how the parts work together, and docs/research/topic-labels.md measures them.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import log_softmax, softmax

from embedstore.core.blocks import row_blocks
from embedstore.core.counts import counted, form
from embedstore.core.parallel import one_thread
from embedstore.core.unit import unit_rows
from embedstore.labels.fewshot import Answers, folds_of
from embedstore.labels.learnt import Learnt
from embedstore.labels.shares import completed_shares
from embedstore.labels.words import MOST, Words
from embedstore.labels.zeroshot import NO_WORDS, PENALTY, Refined, balance_to_shares, shares_of_tags

__all__ = ["Mixture", "TopicSettings", "balanced_cosines", "spread", "topic_scores"]

_ROUNDS = 10  # rounds of expectation and maximisation
_SHARP = 5.0  # log odds for one standard deviation of the cosines
_BELIEF = 3.0  # sharpness of what a pass starts from
_FLOOR = 1e-6  # least probability: what is below is equally unlikely
_FIRM = 6.0  # score of an answered text's label when the words learn
_LEAST_SCALE = 0.1  # least scale of the labels' differences: they never lose all hold
_OWN = 5.0  # how many answers a label's own vector counts as
_LEAST = 100  # fewest texts
_LEAST_EACH = 3  # fewest texts for each label
_TERMS = 0.3  # smoothing of the naive Bayes classifier

Scores = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class TopicSettings:
    """Settings of `topic_scores`; docs/research/topic-labels.md says how they were chosen.

    Attributes
    ----------
    axes : int
        Principal axes of the mixture, beside one for each label.
    hold : float
        Weight of a label's own vector against its texts, as a share of the mean number of texts of a label.
    even : float
        The same for a label's share of the texts, against an even share.
    shrink : float
        How far the covariance is shrunk towards a round one, from 0 to 1.
    prior : float
        Weight of a text's own log odds.
    passes : int
        How often the words learn from the mixture, and the mixture from them.
    answer : float
        How many texts an answer counts as.
    own : float
        How many answers a label's own vector counts as.
    """

    axes: int = 64
    hold: float = 0.5
    even: float = 0.1
    shrink: float = 0.3
    prior: float = 1.0
    passes: int = 2
    answer: float = 10.0
    own: float = _OWN


def topic_scores(
    vectors: npt.NDArray[np.float32],
    prototypes: npt.NDArray[np.float32],
    texts: Sequence[str] = (),
    *,
    answers: Answers | None = None,
    shares: Sequence[float | None] | None = None,
    settings: TopicSettings | None = None,
    random_state: int = 42,
    learnt: Learnt | None = None,
) -> Refined:
    """Score texts for labels that are topics.

    1. *Centring.* What all texts have in common is taken off texts and labels (`balanced_cosines`).
    2. *Mixture.* Each label is a normal distribution around its texts; all have one covariance, and each is held by its
       label's vector (`Mixture`). It starts from the scores of step 1.
    3. *Words.* Two classifiers on TF-IDF learn the more confident half of the tags and score the other texts. Their
       scores, and those of step 1, are what the mixture starts from when it is fitted again. This is done twice
       (co-training: Blum and Mitchell 1998).

    Parameters
    ----------
    vectors : ndarray of shape (texts, dim), float32
        Unit vectors of the texts.
    prototypes : ndarray of shape (labels, dim), float32
        Unit vectors of the labels.
    texts : sequence of str, optional
        The texts; without them, step 3 is left out.
    answers : Answers, optional
        Labels that people gave to some texts; see `TopicSettings` for what they count.
    shares : sequence of float or None, optional
        Known shares of the labels; those of None divide the rest as their tags without known shares do.
    settings : TopicSettings, optional
        Other settings than the usual ones.
    random_state : int
        Seed of folds and samples.
    learnt : Learnt, optional
        What was learnt from other texts of the corpus, or is to be learnt from these.
    """
    settings, learnt = settings or TopicSettings(), learnt or Learnt()
    count = len(prototypes)
    least = max(_LEAST, _LEAST_EACH * count)
    cosines = balanced_cosines(vectors, prototypes, answers, own=settings.own, learnt=learnt)
    if (seen_texts := learnt.of(lambda: len(vectors))) < least:
        note = (
            f"{counted(seen_texts, 'text')} {form(seen_texts, 'is', 'are')} too few to find {count} topics in "
            f"({least} would do): scores are centred"
        )
        return _refined(_SHARP * spread(cosines, learnt), shares, (note,), learnt)
    mixture = learnt.of(lambda: Mixture(vectors, prototypes, settings, random_state=random_state))
    words = Words.of(texts, random_state=random_state, learnt=learnt)
    first = spread(cosines, learnt)
    start, prior = softmax(_SHARP * first, axis=1), settings.prior * log_softmax(_SHARP * first, axis=1)
    found = mixture.fit(vectors, start, prior, answers, learnt)
    if words is not None:
        for _ in range(settings.passes):
            seen = _with_answers(spread(np.log(softmax(found, axis=1) + _FLOOR), learnt), answers)
            told = _said_by_words(words, seen, random_state=random_state)
            start = softmax(_BELIEF * (seen + told), axis=1)
            prior = settings.prior * log_softmax(_SHARP * spread(first + told, learnt), axis=1)
            found = mixture.fit(vectors, start, prior, answers, learnt)
    if answers is not None:
        found = _out_of_fold(found, mixture, vectors, start, prior, answers, random_state=random_state)
    return _refined(found, shares, () if words else (NO_WORDS,), learnt)


def spread(scores: Scores, learnt: Learnt | None = None) -> Scores:
    """Return scores with mean 0 in each row and root mean square 1 over all that are learnt from."""
    scores = scores - scores.mean(axis=1, keepdims=True)
    return np.asarray(scores / (learnt or Learnt()).of(lambda: max(float(np.sqrt(np.mean(scores**2))), 1e-9)))


def balanced_cosines(
    vectors: npt.NDArray[np.float32],
    prototypes: npt.NDArray[np.float32],
    answers: Answers | None = None,
    *,
    own: float = _OWN,
    learnt: Learnt | None = None,
) -> Scores:
    """Return the cosine similarity of texts to labels, shape (texts, labels), without what they have in common.

    Each label has a mean: that of the texts nearest to it. The mean of these means is taken off the texts. (The mean of
    all texts would be near to the texts of a frequent label, and hide them.) The mean of the labels' own vectors is
    taken off the labels. Labels that are nearest to no text count in neither mean.
    """
    common, labels = (learnt or Learnt()).of(lambda: _centres(vectors, prototypes, answers, own))
    out = np.empty((len(vectors), len(prototypes)))
    for block in row_blocks(*vectors.shape):
        out[block] = unit_rows(vectors[block] - common) @ labels.T
    return out


def _centres(
    vectors: npt.NDArray[np.float32], prototypes: npt.NDArray[np.float32], answers: Answers | None, own: float
) -> tuple[Scores, Scores]:
    """Return what texts have in common, shape (dim,), and the labels' unit vectors without it, shape (labels, dim)."""
    nearest = (vectors @ prototypes.T).argmax(axis=1)
    counts = np.bincount(nearest, minlength=len(prototypes))
    sums = np.zeros((len(prototypes), vectors.shape[1]))
    for block in row_blocks(*vectors.shape):  # this adds in the order of `np.add.at`, which takes twenty times as long
        here, of = vectors[block], nearest[block]
        for label in np.unique(of).tolist():
            sums[label] = np.concatenate([sums[[label]], here[of == label]]).sum(axis=0)
    some = counts > 0
    common = (sums[some] / counts[some, None]).mean(axis=0)
    labels = unit_rows(prototypes - prototypes[some].mean(axis=0, dtype=np.float64))
    if answers is not None:
        labels *= own
        np.add.at(labels, answers.labels, unit_rows(vectors[answers.rows] - common))
        labels = unit_rows(labels)
    return common, labels


class Mixture:
    """Normal distributions of one covariance, one for each label, in the texts' principal axes.

    The mean of a label is a posterior mode: its prior is the label's own vector, moved and scaled as all labels are on
    average, and counts as `TopicSettings.hold` says. The covariance is shrunk towards a round one. Log odds are linear
    in a text's vector.

    Parameters
    ----------
    vectors : ndarray of shape (texts, dim), float32
        Unit vectors of the texts. At most 50,000 of them are fitted.
    prototypes : ndarray of shape (labels, dim), float32
        Unit vectors of the labels.
    settings : TopicSettings
        Axes, weights and shrinkage.
    random_state : int
        Seed of the sample.
    """

    def __init__(
        self,
        vectors: npt.NDArray[np.float32],
        prototypes: npt.NDArray[np.float32],
        settings: TopicSettings,
        *,
        random_state: int,
    ) -> None:
        self._settings = settings
        rng = np.random.default_rng(random_state)
        self._sample = np.sort(rng.choice(len(vectors), min(MOST, len(vectors)), replace=False))
        self._mean = vectors[self._sample].mean(axis=0, dtype=np.float64)
        centred = vectors[self._sample] - self._mean
        with one_thread:
            _, axes = np.linalg.eigh(centred.T @ centred)
            self._axes = axes[:, ::-1][:, : settings.axes + len(prototypes)]
            self._texts = centred @ self._axes
            self._labels = (prototypes - self._mean) @ self._axes

    def fit(
        self,
        vectors: npt.NDArray[np.float32],
        start: Scores,
        prior: Scores,
        answers: Answers | None = None,
        learnt: Learnt | None = None,
    ) -> Scores:
        """Return the log odds of all texts, shape (texts, labels), up to a constant for each text.

        Parameters
        ----------
        vectors : ndarray of shape (texts, dim), float32
            The texts that the mixture was made with; others if it was fitted to those (`learnt`).
        start : ndarray of shape (texts, labels), float64
            Probabilities to start from.
        prior : ndarray of shape (texts, labels), float64
            Each text's own log odds, from another source; they are added to the mixture's.
        answers : Answers, optional
            Labels that are known.
        learnt : Learnt, optional
            Slopes and biases.
        """
        slopes, bias = (learnt or Learnt()).of(lambda: self._fitted(start, prior, answers))
        found: Scores = prior + bias
        with one_thread:
            for block in row_blocks(*vectors.shape):
                found[block] += vectors[block] @ slopes
        return found

    def _fitted(self, start: Scores, prior: Scores, answers: Answers | None) -> tuple[Scores, Scores]:
        """Return the slopes of the log odds, shape (dim, labels), and their biases, shape (labels,)."""
        belonging, own = start[self._sample], prior[self._sample]
        weights = np.ones(len(self._sample))
        known, label = self._known(answers)
        weights[known] = self._settings.answer
        with one_thread:
            for _ in range(_ROUNDS):
                belonging[known] = 0
                belonging[known, label] = 1
                slopes, bias = self._maximised(belonging, weights)
                belonging = softmax(self._texts @ slopes + bias + own, axis=1)
            slopes = self._axes @ slopes
            return slopes, bias - self._mean @ slopes

    def _known(self, answers: Answers | None) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Return the places of answered texts in the sample, and their labels."""
        if answers is None:
            return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64)
        there = np.isin(answers.rows, self._sample)
        return np.searchsorted(self._sample, answers.rows[there]), answers.labels[there]

    def _maximised(self, belonging: Scores, weights: npt.NDArray[np.float64]) -> tuple[Scores, Scores]:
        """Return the slopes, shape (axes, labels), and biases of the log odds, given each text's probabilities."""
        texts, labels, how = self._texts, self._labels, self._settings
        even = len(texts) / len(labels)
        weighted = belonging * weights[:, None]
        counts = weighted.sum(axis=0) + 1e-9
        means = (weighted.T @ texts) / counts[:, None]
        present = counts > 1
        middle, centre = means[present].mean(axis=0), labels[present].mean(axis=0)
        apart, wanted = means[present] - middle, labels[present] - centre
        scale = max(float(np.sum(apart * wanted) / max(float(np.sum(wanted**2)), 1e-9)), _LEAST_SCALE)
        anchors = middle + scale * (labels - centre)
        held = (counts[:, None] * means + how.hold * even * anchors) / (counts + how.hold * even)[:, None]
        within = ((texts.T * weights) @ texts - (means.T * counts) @ means) / weights.sum()
        size = np.trace(within) / len(within)
        within = (1 - how.shrink) * within + how.shrink * size * np.eye(len(within))
        slopes = np.linalg.solve(within, held.T)
        shares = (belonging.sum(axis=0) + how.even * even) / (len(texts) * (1 + how.even))
        return slopes, np.log(shares) - 0.5 * np.sum(held.T * slopes, axis=0)


def _with_answers(seen: Scores, answers: Answers | None) -> Scores:
    """Return the scores, with those of answered texts as firm as any."""
    if answers is not None:
        seen[answers.rows] = -_FIRM / max(seen.shape[1] - 1, 1)
        seen[answers.rows, answers.labels] = _FIRM
    return seen


def _said_by_words(words: Words, seen: Scores, *, random_state: int) -> Scores:
    """Return the sum of the classifiers' scores, each weighted by its kappa with the tags of `seen`."""
    from sklearn.naive_bayes import ComplementNB
    from sklearn.svm import LinearSVC

    told = np.zeros(seen.shape)
    for model in (ComplementNB(alpha=_TERMS), LinearSVC(C=PENALTY, random_state=random_state)):
        found, agreement = words.learn(model, seen, kappa=True)
        told += agreement * spread(found)
    return told


def _out_of_fold(
    found: Scores,
    mixture: Mixture,
    vectors: npt.NDArray[np.float32],
    start: Scores,
    prior: Scores,
    answers: Answers,
    *,
    random_state: int,
) -> Scores:
    """Return `found`, with the log odds of each answered text from a mixture that does not know its answer."""
    for others in folds_of(len(answers.rows), random_state):
        here = answers.rows[~others]
        unknown = start.copy()
        unknown[here] = softmax(prior[here], axis=1)
        found[here] = mixture.fit(vectors, unknown, prior, Answers(answers.rows[others], answers.labels[others]))[here]
    return found


def _refined(found: Scores, shares: Sequence[float | None] | None, notes: tuple[str, ...], learnt: Learnt) -> Refined:
    scores = spread(found, learnt)
    found = learnt.of(lambda: shares_of_tags(scores))
    if shares is None:
        return Refined(scores, found, notes)
    wanted = completed_shares(shares, found)
    return Refined(balance_to_shares(scores, wanted, learnt), wanted, notes)
