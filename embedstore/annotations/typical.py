"""Find typical texts of groups that nobody was asked about: what to ask first, when answers are few."""

import numpy as np
import numpy.typing as npt

from embedstore.vectors.clustering import spherical_centres

__all__ = ["first_typical", "typical_texts"]

_EACH, _MOST = 2, 50  # typical texts for each label, and most in all
_GROUPED = 5_000  # most texts that are grouped, beside those asked about


def first_typical(
    vectors: npt.NDArray[np.float32], shuffled: npt.NDArray[np.int64], done: set[int], count: int, *, labels: int
) -> list[int]:
    """Return the rows of typical texts to ask about first; none if enough texts were asked about.

    Enough are two for each label, or 50.

    Parameters
    ----------
    vectors : ndarray of shape (texts, dim), float32
        Unit vectors.
    shuffled : ndarray of shape (texts,), int64
        All rows in random order; 5,000 of them are grouped.
    done : set of int
        Rows of the texts that were asked about.
    count, labels : int
        Number of texts to find, and of labels.
    """
    if len(done) >= min(_EACH * labels, _MOST):
        return []
    asked = np.array(sorted(done), dtype=np.int64)
    looked = np.union1d(shuffled[:_GROUPED], asked)
    return [int(looked[row]) for row in typical_texts(vectors[looked], np.isin(looked, asked), count, random_state=0)]


def typical_texts(
    vectors: npt.NDArray[np.float32], asked: npt.NDArray[np.bool_], count: int, *, random_state: int
) -> list[int]:
    """Return the rows of typical texts, one of each of several groups.

    The texts are divided into as many groups as there are texts asked about and texts to find. Groups with the fewest
    texts asked about come first, and the larger of two such groups. A group is asked about by its most typical text:
    the one nearest to its centre. This is TypiClust (Hacohen, Dekel and Weinshall 2022), with another measure of what
    is typical.

    Parameters
    ----------
    vectors : ndarray of shape (texts, dim), float32
        Unit vectors.
    asked : ndarray of shape (texts,), bool
        The texts that were asked about.
    count : int
        Number of texts to find; fewer are found if fewer groups have a text left.
    random_state : int
        Seed of the groups.

    Examples
    --------
    >>> east, north = [1.0, 0.0], [0.0, 1.0]
    >>> vectors = np.array([east, north, [0.6, 0.8], east, east], dtype=np.float32)
    >>> typical_texts(vectors, np.array([True, False, False, False, False]), 1, random_state=0)
    [1]
    """
    groups = min(int(asked.sum()) + count, len(vectors))
    nearness = vectors @ spherical_centres(vectors, groups, random_state=random_state, restarts=1).T
    group = nearness.argmax(axis=1)
    sizes, told = np.bincount(group, minlength=groups), np.bincount(group[asked], minlength=groups)
    found: list[int] = []
    for number in np.lexsort((-sizes, told)).tolist():
        rows = np.flatnonzero((group == number) & ~asked)
        if len(rows) and len(found) < count:
            found.append(int(rows[nearness[rows, number].argmax()]))
    return found
