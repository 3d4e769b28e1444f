"""Name groups of texts by the words that tell each one from the others.

The weight of a word in a group is that of class-based TF-IDF (Grootendorst 2022, arXiv:2203.05794), counted in texts
and not in occurrences, less its mean in the other groups, times the logarithm of one over its share of all texts. Words
that are frequent everywhere weigh about as much in each group, and their logarithm is near 0. So they fall out in any
language, without a list of stop words.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

__all__ = ["class_weights", "topic_names", "topic_words"]

# A word is two or more letters, digits and marks of any script between spaces, punctuation or symbols. It begins with
# no digit, and can have apostrophes after its second character.
_BETWEEN = r"\s!-/:-@\[-`{-~\u00a0-\u00bf\u2000-\u206f\u20a0-\u20cf\u2190-\u2bff\u3000-\u303f\uff00-\uff0f\uff1a-\uff20"
_WORD = rf"(?<![^{_BETWEEN}])[^\d{_BETWEEN}][^{_BETWEEN}]+(?:['\u2019][^{_BETWEEN}]+)*"
_MOST_WORDS = 20_000  # words of the vocabulary, the most frequent
_LONGEST = 2_000  # characters of a text that are looked at
_IN_NAME = 3  # words
_ENDING = 3  # letters by which two forms of a word differ at most


def topic_words(texts: Sequence[str], group: npt.NDArray[np.int64], groups: int, *, most: int = 10) -> list[list[str]]:
    """Return the words that tell each group from the others, those with the highest weight first.

    Of several forms of a word (book, books), only the first one is taken.

    Parameters
    ----------
    texts : sequence of str
        Distinct texts.
    group : ndarray of shape (texts,), int64
        Number of each text's group.
    groups : int
        Number of groups, at least two.
    most : int
        Number of words per group.
    """
    from scipy.sparse import csr_matrix
    from sklearn.feature_extraction.text import CountVectorizer

    vectorizer = CountVectorizer(token_pattern=_WORD, binary=True, max_features=_MOST_WORDS, dtype=np.float32)
    try:
        words_of = vectorizer.fit_transform([text[:_LONGEST] for text in texts])
    except ValueError:  # no text has a word
        return [[] for _ in range(groups)]
    words = vectorizer.get_feature_names_out().tolist()
    members = csr_matrix((np.ones(len(texts), np.float32), (group, np.arange(len(texts)))), shape=(groups, len(texts)))
    counts = (members @ words_of).toarray()
    weights = class_weights(counts, len(texts))
    enough = counts >= min(2, counts.max())  # a word of one text says little, if there are others
    return [_first_forms(words, np.where(enough[number], weights[number], 0), most) for number in range(groups)]


def class_weights(counts: npt.NDArray[np.floating], texts: int) -> npt.NDArray[np.float64]:
    """Return the weight of each word in each group, shape (groups, words).

    It is ``tf * log(1 + A / f)`` less the mean of this in the other groups, times ``log(texts / f)``: `tf` is the
    word's share of the counts of the group, `f` its count in all groups, and `A` the mean of the groups' counts.

    Parameters
    ----------
    counts : ndarray of shape (groups, words), float
        Number of texts of the group with the word; at least two groups, and no word without a text.
    texts : int
        Number of texts of all groups.
    """
    found = counts.sum(axis=0, dtype=np.float64)
    of_groups = counts.sum(axis=1, dtype=np.float64, keepdims=True)
    shares = counts / np.maximum(of_groups, 1)
    weights = np.asarray(shares * np.log1p(of_groups.mean() / found), dtype=np.float64)
    others = (weights.sum(axis=0) - weights) / (len(weights) - 1)
    return np.asarray((weights - others) * np.log(texts / found))


def topic_names(words: Sequence[Sequence[str]]) -> list[str]:
    """Return a name for each group: its first three words, or as many as make the name differ from earlier ones.

    Examples
    --------
    >>> topic_names([["tea", "pot", "cup"], ["tea", "pot", "cup", "milk"], []])
    ['tea, pot, cup', 'tea, pot, cup, milk', 'topic 3']
    """
    names: list[str] = []
    for number, mine in enumerate(words, 1):
        ends = range(_IN_NAME, max(_IN_NAME, len(mine)) + 1)
        tried = [", ".join(mine[:end]) for end in ends if mine] + [f"topic {number}"]
        names.append(next(name for name in tried if name not in names))
    return names


def _first_forms(words: Sequence[str], weights: npt.NDArray[np.float64], most: int) -> list[str]:
    """Return the words of the highest weights above 0 without other forms of a word that is taken."""
    taken: list[str] = []
    for number in np.argsort(-weights, kind="stable").tolist():
        if len(taken) == most or weights[number] <= 0:
            break
        if not any(_alike(words[number], word) for word in taken):
            taken.append(words[number])
    return taken


def _alike(one: str, other: str) -> bool:
    short, long = sorted((one, other), key=len)
    return len(short) >= _ENDING and long.startswith(short) and len(long) - len(short) <= _ENDING
