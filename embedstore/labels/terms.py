"""TF-IDF of the words and word pairs of texts, for many texts.

The numbers are those of scikit-learn's `TfidfVectorizer`, which makes a string of each pair of words of each text. Here
a word becomes a number, and pairs are looked up as numbers, all at once.
"""

import re
from array import array
from collections.abc import Sequence
from itertools import repeat
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["Terms"]

_LEAST = 3  # texts with a term
_MOST = 50_000  # terms, the most frequent

_words_in = re.compile(r"\w\w+").findall  # finds what scikit-learn's pattern does, which also looks at both ends


class Terms:
    """The words and word pairs of some texts, and how rare they are.

    Parameters
    ----------
    texts : sequence of str
        The texts to learn from.

    Raises
    ------
    ValueError
        If no term is in three of the texts.
    """

    def __init__(self, texts: Sequence[str]) -> None:
        from sklearn.feature_extraction.text import CountVectorizer, TfidfTransformer

        counter = CountVectorizer(min_df=_LEAST, ngram_range=(1, 2), max_features=_MOST, dtype=np.float64)
        self._weights = TfidfTransformer(sublinear_tf=True).fit(counter.fit_transform(texts))
        columns = {tuple(term.split(" ")): column for term, column in counter.vocabulary_.items()}
        words = sorted({word for term in columns for word in term})
        self._number = {word: number for number, word in enumerate(words, 1)}  # 0 is any other word
        self._shape = (len(words) + 1, len(columns))
        self._column = np.full(self._shape[0], -1)  # of each word; -1 if it only is a term with another word
        pairs = []
        for term, column in columns.items():
            numbers = [self._number[word] for word in term]
            if len(numbers) == 1:
                self._column[numbers[0]] = column
            else:
                pairs.append((numbers[0] * self._shape[0] + numbers[1], column))
        self._pairs, self._column_of_pair = np.array(sorted(pairs), dtype=np.int64).reshape(-1, 2).T

    def transform(self, texts: Sequence[str]) -> Any:
        """Return the TF-IDF of texts: a sparse matrix of shape (texts, terms), float64, with rows of length 1."""
        from scipy.sparse import csr_matrix

        number = self._number.get
        found, counts = array("i"), np.empty(len(texts), dtype=np.int64)
        for row, text in enumerate(texts):
            words = _words_in(text.lower())
            counts[row] = len(words)
            found.extend(map(number, words, repeat(0)))
        words_of = np.frombuffer(found, dtype=np.int32) if found else np.empty(0, dtype=np.int32)
        row_of = np.repeat(np.arange(len(texts)), counts)
        rows, columns = self._terms(words_of, row_of)
        ones = np.ones(len(rows))
        return self._weights.transform(csr_matrix((ones, (rows, columns)), (len(texts), self._shape[1])), copy=False)

    def _terms(
        self, words: npt.NDArray[np.int32], rows: npt.NDArray[np.int64]
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Return the row and the column of each term, given the words of all texts and the row of each."""
        columns = self._column[words]
        single = columns >= 0
        both = (rows[:-1] == rows[1:]) & (words[:-1] > 0) & (words[1:] > 0)
        pairs = words[:-1][both].astype(np.int64) * self._shape[0] + words[1:][both]
        place = np.searchsorted(self._pairs, pairs)
        place[place == len(self._pairs)] = 0
        known = self._pairs[place] == pairs if len(self._pairs) else np.zeros(len(pairs), dtype=bool)
        return (
            np.concatenate([rows[single], rows[:-1][both][known]]),
            np.concatenate([columns[single], self._column_of_pair[place[known]]]),
        )
