"""Better tags without a single label: what the corpus as a whole says of the labels' scores.

Each step, and what it is worth on several corpora, stands in docs/labels.md with those that did not help.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from embedstore.labels import LabelSet
from embedstore.vectors import unit_rows

__all__ = ["STEPS", "Refined", "common_words", "own_bias", "refine"]

STEPS = ("centre", "words")

_NEUTRAL = ("Here is something about {}.", "There is {} in it.")  # sentences that name a word and say nothing of it
_WORDS, _FEWEST_WORDS = 300, 10  # that are put into each
_LOOKED_AT = 5_000  # texts that words are taken from
_BLOCK = 16_384  # texts at once
_CENTRED = 0.25  # share of a label's mean score that is taken for its own bias, where nothing better tells
_LEAST = 400  # texts below which nothing is learnt from them
_MOST = 50_000  # texts that are learnt from
_CONFIDENT = 0.5  # share of the texts that are learnt from: those with the largest margins
_FOLDS = 5
_PENALTY = 0.3  # C of the classifier of words
_ONE_LABEL = 0.97  # share of one label from which learning from the tags would only repeat it

Scores = npt.NDArray[np.float64]
VectorsOf = Callable[[Sequence[str]], npt.NDArray[np.float32]]


@dataclass(frozen=True, slots=True)
class Refined:
    """Scores of texts after refinement.

    Attributes
    ----------
    scores : ndarray of shape (texts, labels), float64
        Standardised: their differences have about unit spread over the corpus. Higher is better.
    shares : ndarray of shape (labels,), float64
        Given or estimated share of each label.
    notes : tuple of str
        What was left out, and why.
    """

    scores: Scores
    shares: Scores
    notes: tuple[str, ...]


def common_words(texts: Sequence[str], *, least: int = 3) -> list[str]:
    """Return the most common words of texts that are not in too many of them: 300, and none where there are under ten.

    Parameters
    ----------
    texts : sequence of str
        Each n-th of them is looked at, 5,000 at most.
    least : int
        In how many texts a word stands at least. It stands in a twentieth of them at most, or in two: in any language,
        words that are more common tell nothing of what texts are about.
    """
    from sklearn.feature_extraction.text import CountVectorizer

    looked = texts[:: len(texts) // _LOOKED_AT + 1]
    counter = CountVectorizer(binary=True, min_df=least, max_df=max(2, len(looked) // 20))
    try:
        frequency = np.asarray(counter.fit_transform(looked).sum(axis=0)).ravel()
    except ValueError:  # scikit-learn's way to say that no word is left
        return []
    words: list[str] = counter.get_feature_names_out()[np.argsort(-frequency, kind="stable")[:_WORDS]].tolist()
    return words if len(words) >= _FEWEST_WORDS else []


def own_bias(
    labels: LabelSet,
    prototypes: npt.NDArray[np.float32],
    texts: Sequence[str],
    vectors: npt.NDArray[np.float32],
    vectors_of: VectorsOf,
) -> Scores | None:
    """Return what of each label's scores says nothing of a text but what it is about; None where nothing tells.

    The labels of a scale are scored on their own descriptions, as many of each label: there lies the middle between
    them. What their scores are higher on neutral statements with common words of the corpus, those near to a text
    before others, than on such statements with words of the descriptions is due to what the text is about (calibration
    in the domain's words: Fei et al. 2023, after Zhao et al. 2021; the wording of the statements falls out of the
    difference). It is not for labels that are topics: what a text is about is just what these say.

    Parameters
    ----------
    labels : LabelSet
        The labels.
    prototypes : ndarray of shape (labels, dim), float32
        Their unit vectors.
    texts : sequence of str
        The corpus.
    vectors : ndarray of shape (texts, dim), float32
        Its unit vectors.
    vectors_of : callable
        Returns the unit vectors of label texts, shape (n, dim).

    Returns
    -------
    ndarray of shape (texts, labels), float64, or None
    """
    if labels.bare or not labels.ordinal:
        return None
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
    mean, spread = float(looked.mean()), max(float(looked.std()), 1e-9)
    out = np.empty((len(vectors), len(labels.names)))
    for start in range(0, len(vectors), _BLOCK):
        near = (vectors[start : start + _BLOCK] @ directions - mean) / spread
        weights = np.exp(near - near.max(axis=1, keepdims=True))
        out[start : start + _BLOCK] = weights @ scores / weights.sum(axis=1, keepdims=True)
    return out


def _statements(words: Sequence[str], vectors_of: VectorsOf) -> npt.NDArray[np.float32]:
    """Return the mean vector of the neutral statements on each word, shape (words, dim)."""
    found = vectors_of([each.format(word) for each in _NEUTRAL for word in words])
    return np.asarray(found.reshape(len(_NEUTRAL), len(words), -1).mean(axis=0))


def refine(
    cosines: npt.NDArray[np.float32],
    texts: Sequence[str],
    *,
    bias: Scores | None = None,
    shares: Sequence[float] | None = None,
    steps: Sequence[str] = STEPS,
    random_state: int = 42,
) -> Refined:
    """Refine labels' cosine similarities by what they are over the whole corpus.

    1. *Centring.* A label that is near to everything says little: its own bias is taken off. Where it is not known, a
       quarter of its mean score is: all of it would say that labels are about equally frequent, none of it that the
       mean says nothing.
    2. *Words.* A linear support-vector classifier on TF-IDF of words and pairs of words learns the most confident half
       of the tags and scores every text that it has not learnt from (five folds). Words see what the mean vector of a
       long text has lost. It counts as much as it agrees with the tags on texts that it has not seen.
    3. *Shares.* Labels get biases with which their shares are those of step 1, or the given ones.

    Parameters
    ----------
    cosines : ndarray of shape (texts, labels), float32
        Similarity of each text to each label.
    texts : sequence of str
        The texts.
    bias : ndarray of shape (texts, labels), float64, optional
        As `own_bias` returns it.
    shares : sequence of float, optional
        Known shares of the labels.
    steps : sequence of str
        Those of `STEPS` to take; the others are for ablations.
    random_state : int
        Seed of folds and of sampling.
    """
    raw = cosines.astype(np.float64)
    centred = raw - (_CENTRED * raw.mean(axis=0) if bias is None else bias) if "centre" in steps else raw
    wanted = np.asarray(shares, dtype=np.float64) if shares is not None else _shares_of(centred)
    first = with_shares(standardised(centred), wanted)
    if "words" not in steps:
        return Refined(first, wanted, ())
    if len(texts) < _LEAST:
        note = f"{len(texts):,} texts are too few to learn from their tags ({_LEAST} would do): they are centred"
        return Refined(first, wanted, (note,))
    if wanted.max() > _ONE_LABEL:
        note = f"one label takes {wanted.max():.0%} of the texts: nothing is learnt from such tags"
        return Refined(first, wanted, (note,))
    rng = np.random.default_rng(random_state)
    folds = rng.integers(0, _FOLDS, len(texts))
    sample = np.sort(rng.choice(len(texts), min(_MOST, len(texts)), replace=False))
    features = _tfidf(texts, sample)
    if features is None:
        return Refined(first, wanted, ("hardly a word stands in three texts or more: nothing is learnt from words",))
    from sklearn.svm import LinearSVC

    chosen = sample[_confident(first[sample])]
    labels = first.argmax(axis=1)
    model = LinearSVC(C=_PENALTY, random_state=random_state)
    found = _out_of_fold(model, features, labels, chosen, folds, first.shape[1])
    total = first + _agreement(found, labels, chosen) * standardised(found)
    return Refined(with_shares(standardised(total), wanted), wanted, ())


def standardised(scores: Scores) -> Scores:
    """Return scores with mean 0 in each row and each column, and the root mean square 1 of all."""
    scores = scores - scores.mean(axis=1, keepdims=True)
    scores = scores - scores.mean(axis=0)
    return np.asarray(scores / max(float(np.sqrt(np.mean(scores**2))), 1e-12))


def with_shares(scores: Scores, shares: Scores) -> Scores:
    """Return `scores` plus a bias for each label, with which the best labels have about these shares.

    Found as the duals of an assignment with given sums, by repeated proportional steps (Sinkhorn 1967) on soft
    choices that become hard.
    """
    rows = scores if len(scores) <= _MOST else scores[:: len(scores) // _MOST + 1]
    bias = np.zeros(scores.shape[1])
    target = np.maximum(shares / shares.sum(), 1e-6)
    for sharpness in (2.0, 4.0, 8.0, 16.0, 32.0):
        for _ in range(40):
            soft = sharpness * (rows + bias)
            soft = np.exp(soft - soft.max(axis=1, keepdims=True))
            mean = (soft / soft.sum(axis=1, keepdims=True)).mean(axis=0)
            bias += np.log(target / np.maximum(mean, 1e-9)) / sharpness
    return np.asarray(scores + (bias - bias.mean()))


def _shares_of(scores: Scores) -> Scores:
    return np.asarray(np.bincount(scores.argmax(axis=1), minlength=scores.shape[1]) / len(scores))


def _confident(scores: Scores) -> npt.NDArray[np.intp]:
    """Return the rows of each label that have its largest margins."""
    ordered = np.sort(scores, axis=1)
    margin, label = ordered[:, -1] - ordered[:, -2], scores.argmax(axis=1)
    kept = []
    for number in range(scores.shape[1]):
        rows = np.flatnonzero(label == number)
        kept.append(rows[np.argsort(-margin[rows], kind="stable")[: max(1, int(_CONFIDENT * len(rows)))]])
    return np.sort(np.concatenate(kept))


def _tfidf(texts: Sequence[str], sample: npt.NDArray[np.intp]) -> Any:
    """Return a sparse matrix of shape (texts, terms), or None where no term is frequent enough."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    words = TfidfVectorizer(sublinear_tf=True, min_df=3, ngram_range=(1, 2), max_features=50_000)
    try:
        words.fit([texts[row] for row in sample])
    except ValueError:  # scikit-learn's way to say so
        return None
    return words.transform(texts)


def _out_of_fold(
    model: Any,
    features: Any,
    labels: npt.NDArray[np.intp],
    chosen: npt.NDArray[np.intp],
    folds: npt.NDArray[np.int64],
    count: int,
) -> Scores:
    """Return scores of shape (texts, labels) from models that have not learnt from the text."""
    out = np.zeros((len(labels), count))
    for fold in range(_FOLDS):
        rows = chosen[folds[chosen] != fold]
        here = np.flatnonzero(folds == fold)
        if len(np.unique(labels[rows])) < 2:
            continue
        decision = model.fit(features[rows], labels[rows]).decision_function(features[here])
        if decision.ndim == 1:
            decision = np.stack([-decision, decision], axis=1)
        lowest = decision.min(axis=1, keepdims=True)
        part = np.repeat(lowest, count, axis=1)  # a label that no confident text has is never better than the others
        part[:, model.classes_] = decision
        out[here] = part
    return out


def _agreement(scores: Scores, labels: npt.NDArray[np.intp], chosen: npt.NDArray[np.intp]) -> float:
    """Return how far from chance to certainty the scores agree with the tags that they have not seen, squared."""
    given = labels[chosen]
    chance = float(np.max(np.bincount(given)) / len(given))
    right = float(np.mean(scores[chosen].argmax(axis=1) == given))
    return max(0.0, (right - chance) / max(1 - chance, 1e-9)) ** 2
