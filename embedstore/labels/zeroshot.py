"""Refine label scores without labelled texts, from the scores of the whole corpus.

docs/labels.md measures each step on several corpora, and lists the steps that did not help.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from embedstore.core.counts import counted, form
from embedstore.core.unit import unit_rows
from embedstore.labels.label_set import LabelSet
from embedstore.labels.learnt import Learnt
from embedstore.labels.shares import completed_shares
from embedstore.labels.words import MOST, Words

__all__ = [
    "NO_WORDS",
    "PENALTY",
    "STEPS",
    "Refined",
    "VectorsOf",
    "balance_to_shares",
    "common_words",
    "refine",
    "shares_of_tags",
    "standardised",
    "topic_bias",
]

STEPS = ("centre", "words")

PENALTY = 0.3
"""C of the support-vector classifier on words."""

NO_WORDS = "hardly a word stands in three texts or more: nothing is learnt from words"
"""The note where words are left out."""

_NEUTRAL = ("Here is something about {}.", "There is {} in it.")  # sentences that name a word without an opinion
_WORDS, _FEWEST_WORDS = 300, 10  # most and fewest words for these sentences
_LOOKED_AT = 5_000  # most texts in the sample that gives words
_BLOCK = 16_384  # texts per block
_CENTRED = 0.25  # share of a label's mean score to subtract as its bias, if no estimate is given
_LEAST = 400  # fewest texts to learn from
_ONE_LABEL = 0.97  # share of one label above which a classifier of the tags would only repeat it

Scores = npt.NDArray[np.float64]
VectorsOf = Callable[[Sequence[str]], npt.NDArray[np.float32]]


@dataclass(frozen=True, slots=True)
class Refined:
    """Refined scores of texts.

    Attributes
    ----------
    scores : ndarray of shape (texts, labels), float64
        Standardised: the differences have about unit spread over the corpus. Higher is better.
    shares : ndarray of shape (labels,), float64
        Given or estimated share of each label.
    notes : tuple of str
        Skipped steps, with reasons.
    """

    scores: Scores
    shares: Scores
    notes: tuple[str, ...]


def common_words(texts: Sequence[str], *, least: int = 3) -> list[str]:
    """Return the most common words that are not in too many texts: at most 300; none if there are fewer than ten.

    Parameters
    ----------
    texts : sequence of str
        Every n-th text is used, at most 5,000.
    least : int
        Minimum number of texts that contain a word. The maximum is a twentieth of the texts, or two if that is more:
        in any language, more common words do not show the topic of a text.
    """
    from sklearn.feature_extraction.text import CountVectorizer

    looked = texts[:: len(texts) // _LOOKED_AT + 1]
    counter = CountVectorizer(binary=True, min_df=least, max_df=max(2, len(looked) // 20))
    try:
        frequency = np.asarray(counter.fit_transform(looked).sum(axis=0)).ravel()
    except ValueError:  # scikit-learn raises this if no word is left
        return []
    words: list[str] = counter.get_feature_names_out()[np.argsort(-frequency, kind="stable")[:_WORDS]].tolist()
    return words if len(words) >= _FEWEST_WORDS else []


def topic_bias(
    labels: LabelSet,
    prototypes: npt.NDArray[np.float32],
    texts: Sequence[str],
    vectors: npt.NDArray[np.float32],
    vectors_of: VectorsOf,
    *,
    block: int = _BLOCK,
    learnt: Learnt | None = None,
) -> Scores | None:
    """Estimate each label's topic bias; None if the set has no order.

    The topic bias is the part of a label's score that comes from the topic of a text, not from its opinion. First the
    labels are scored on the descriptions of all labels; the mean is the middle of the scale. Then they are scored on
    neutral statements with common words of the corpus, and on the same statements with words of the descriptions. The
    difference of these two scores is due to the topic, because the wording of the statements cancels out. A text's bias
    is the middle plus the mean difference over the statements, weighted by their similarity to the text (calibration in
    the domain's words: Fei et al. 2023, after Zhao et al. 2021). Labels that are themselves topics have no such bias.

    Parameters
    ----------
    labels : LabelSet
        The label set.
    prototypes : ndarray of shape (labels, dim), float32
        Unit vectors of the labels.
    texts : sequence of str
        All texts of the corpus.
    vectors : ndarray of shape (texts, dim), float32
        Their unit vectors.
    vectors_of : callable
        Returns the unit vectors of label texts, shape (n, dim).
    block : int
        Texts per block.
    learnt : Learnt, optional
        What was learnt from other texts of the corpus, or is to be learnt from these.

    Returns
    -------
    ndarray of shape (texts, labels), float64, or None
        Also None if the labels have no descriptions, or if there are too few words.
    """
    if labels.bare or not labels.ordinal:
        return None
    found = (learnt or Learnt()).of(lambda: _statement_scores(labels, prototypes, texts, vectors, vectors_of))
    if found is None:
        return None
    scores, directions, mean, spread = found
    out = np.empty((len(vectors), len(labels.names)))
    for start in range(0, len(vectors), block):
        near = (vectors[start : start + block] @ directions - mean) / spread
        weights = np.exp(near - near.max(axis=1, keepdims=True))
        out[start : start + block] = weights @ scores / weights.sum(axis=1, keepdims=True)
    return out


def _statement_scores(
    labels: LabelSet,
    prototypes: npt.NDArray[np.float32],
    texts: Sequence[str],
    vectors: npt.NDArray[np.float32],
    vectors_of: VectorsOf,
) -> tuple[Scores, npt.NDArray[np.float32], float, float] | None:
    """Return the labels' scores on statements, the statements' directions, and mean and deviation of similarities.

    The shapes are (statements, labels) and (dim, statements); None if there are too few words.
    """
    prompts = labels.prompts()
    here = common_words(texts)
    there = common_words([text for described in prompts for text in described], least=1)
    if not here or not there:
        return None
    middle = np.mean([(vectors_of(described) @ prototypes.T).mean(axis=0) for described in prompts], axis=0)
    elsewhere = (_statements(there, vectors_of) @ prototypes.T).mean(axis=0)
    statements = _statements(here, vectors_of)
    scores = (statements @ prototypes.T).astype(np.float64) - elsewhere + middle
    directions = unit_rows(statements).T
    looked = vectors[:: len(vectors) // _LOOKED_AT + 1] @ directions
    return scores, directions, float(looked.mean()), max(float(looked.std()), 1e-9)


def _statements(words: Sequence[str], vectors_of: VectorsOf) -> npt.NDArray[np.float32]:
    """Return the mean vector of the neutral statements with each word, shape (words, dim)."""
    found = vectors_of([each.format(word) for each in _NEUTRAL for word in words])
    return np.asarray(found.reshape(len(_NEUTRAL), len(words), -1).mean(axis=0))


def refine(
    cosines: npt.NDArray[np.float32],
    texts: Sequence[str],
    *,
    bias: Scores | None = None,
    shares: Sequence[float | None] | None = None,
    steps: Sequence[str] = STEPS,
    random_state: int = 42,
    learnt: Learnt | None = None,
) -> Refined:
    """Refine the labels' cosine similarities, using those of the whole corpus.

    1. *Centring.* A label near to every text tells little, so its bias is subtracted. Without `bias`, a quarter of the
       label's mean score is subtracted. Subtracting all of it would assume that labels are about equally frequent;
       subtracting nothing would assume that the mean carries no information.
    2. *Words.* A linear support-vector classifier on TF-IDF of words and word pairs learns the more confident half of
       the tags, and scores every text out-of-fold (five folds). Words keep information that the mean vector of a long
       text loses. The classifier's weight is its out-of-fold agreement with the tags.
    3. *Shares.* Each label gets a bias, so that the labels' shares are those of step 1, or the given ones.

    Parameters
    ----------
    cosines : ndarray of shape (texts, labels), float32
        Similarity of each text to each label.
    texts : sequence of str
        The texts.
    bias : ndarray of shape (texts, labels), float64, optional
        Topic bias, from `topic_bias`.
    shares : sequence of float or None, optional
        Known shares of the labels; those of None divide the rest as their tags after step 1 do.
    steps : sequence of str
        The steps of `STEPS` to apply; fewer than all are for ablations.
    random_state : int
        Seed of the folds and of sampling.
    learnt : Learnt, optional
        What was learnt from other texts of the corpus, or is to be learnt from these.
    """
    learnt = learnt or Learnt()
    raw = cosines.astype(np.float64)
    if bias is None:
        bias = learnt.of(lambda: _CENTRED * raw.mean(axis=0))
    centred = raw - bias if "centre" in steps else raw
    wanted = learnt.of(lambda: shares_of_tags(centred))
    if shares is not None:
        wanted = completed_shares(shares, wanted)
    first = balance_to_shares(standardised(centred, learnt), wanted, learnt)
    if "words" not in steps:
        return Refined(first, wanted, ())
    if (seen := learnt.of(lambda: len(texts))) < _LEAST:
        note = (
            f"{counted(seen, 'text')} {form(seen, 'is', 'are')} too few to learn from "
            f"the tags ({_LEAST} would do): scores are centred"
        )
        return Refined(first, wanted, (note,))
    if wanted.max() > _ONE_LABEL:
        note = f"one label takes {wanted.max():.0%} of the texts: nothing is learnt from such tags"
        return Refined(first, wanted, (note,))
    words = Words.of(texts, random_state=random_state, learnt=learnt)
    if words is None:
        return Refined(first, wanted, (NO_WORDS,))
    from sklearn.svm import LinearSVC

    found, agreement = words.learn(LinearSVC(C=PENALTY, random_state=random_state), first)
    total = first + agreement * standardised(found, learnt)
    return Refined(balance_to_shares(standardised(total, learnt), wanted, learnt), wanted, ())


def standardised(scores: Scores, learnt: Learnt | None = None) -> Scores:
    """Return scores with mean 0 in each row and column, and root mean square 1 over all that are learnt from."""
    learnt = learnt or Learnt()
    centred = scores - scores.mean(axis=1, keepdims=True)
    centred = centred - learnt.of(lambda: centred.mean(axis=0))
    return np.asarray(centred / learnt.of(lambda: max(float(np.sqrt(np.mean(centred**2))), 1e-12)))


def balance_to_shares(scores: Scores, shares: Scores, learnt: Learnt | None = None) -> Scores:
    """Return `scores` plus a bias per label, so that the best labels have about the given shares.

    The biases are the duals of an assignment problem with fixed sums. They are found by iterative proportional steps
    (Sinkhorn 1967) on a softmax of increasing sharpness.
    """
    return np.asarray(scores + (learnt or Learnt()).of(lambda: _biases(scores, shares)))


def _biases(scores: Scores, shares: Scores) -> Scores:
    rows = scores if len(scores) <= MOST else scores[:: len(scores) // MOST + 1]
    bias = np.zeros(scores.shape[1])
    target = np.maximum(shares / shares.sum(), 1e-6)
    for sharpness in (2.0, 4.0, 8.0, 16.0, 32.0):
        for _ in range(40):
            soft = sharpness * (rows + bias)
            soft = np.exp(soft - soft.max(axis=1, keepdims=True))
            mean = (soft / soft.sum(axis=1, keepdims=True)).mean(axis=0)
            bias += np.log(target / np.maximum(mean, 1e-9)) / sharpness
    return np.asarray(bias - bias.mean())


def shares_of_tags(scores: Scores) -> Scores:
    """Return the share of texts whose best label each label is, shape (labels,)."""
    return np.asarray(np.bincount(scores.argmax(axis=1), minlength=scores.shape[1]) / len(scores))
