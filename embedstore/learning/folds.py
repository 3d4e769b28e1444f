"""Divide rows into folds so that a group stays in one fold, and each fold has the classes' shares.

The folds are those of scikit-learn's `StratifiedGroupKFold`, which takes about a minute for 160,000 groups of one row.
A group changes the shares of its own classes only, so here nothing else is computed again.
"""

import numpy as np
import numpy.typing as npt

from embedstore.core.blocks import row_blocks

__all__ = ["grouped_folds"]

_NEAR, _RELATIVE = 1e-8, 1e-5  # differences between two folds that do not count: those of `numpy.isclose`

Numbers = npt.NDArray[np.int64]


def grouped_folds(y: Numbers, groups: Numbers, folds: int, *, random_state: int) -> Numbers:
    """Return the fold of each row, shape (n,).

    The groups are shuffled. Those whose rows are the least evenly spread over the classes come first. Each goes to the
    fold with which the folds' shares of the classes differ least; of folds that are equally good, to the smallest.

    Parameters
    ----------
    y : ndarray of shape (n,), int64
        Class of each row, numbered from 0 without gaps.
    groups : ndarray of shape (n,), int64
        Group of each row, at least 0.
    folds : int
        Number of folds, at least two and at most the number of groups.
    random_state : int
        Seed of the shuffling.

    Examples
    --------
    >>> grouped_folds(np.array([0, 0, 1, 1, 0, 1]), np.array([7, 7, 7, 8, 9, 9]), 2, random_state=0)
    array([1, 1, 1, 0, 0, 0])
    """
    named, group = np.unique(groups, return_inverse=True)
    order = np.arange(len(named))
    np.random.RandomState(random_state).shuffle(order)
    place = np.empty_like(order)
    place[order] = np.arange(len(order))
    group = place[group]
    classes = int(y.max()) + 1
    pairs, counts = np.unique(group * classes + y, return_counts=True)
    of_group, of_class = np.divmod(pairs, classes)
    starts = np.searchsorted(of_group, np.arange(len(named) + 1))
    uneven = np.argsort(-_spreads(of_group, of_class, counts, starts, classes), kind="stable")
    best = _Folds(np.bincount(y).astype(np.float64), folds)
    fold_of = np.empty(len(named), dtype=np.int64)
    bounds = starts.tolist()
    for number in uneven.tolist():
        here = slice(bounds[number], bounds[number + 1])
        fold_of[number] = best.add(of_class[here], counts[here])
    return fold_of[group]


def _spreads(
    of_group: Numbers, of_class: Numbers, counts: Numbers, starts: Numbers, classes: int
) -> npt.NDArray[np.float64]:
    """Return the standard deviation of each group's counts of all classes, shape (groups,)."""
    found = np.empty(len(starts) - 1)
    for here in row_blocks(len(found), classes):
        pairs = slice(starts[here.start], starts[here.stop])
        dense = np.zeros((here.stop - here.start, classes))
        dense[of_group[pairs] - here.start, of_class[pairs]] = counts[pairs]
        found[here] = dense.std(axis=1)
    return found


class _Folds:
    """The folds while groups are added, with the number of rows of each class in each fold.

    Parameters
    ----------
    rows : ndarray of shape (classes,), float64
        Number of all rows of each class.
    folds : int
        Number of folds.
    """

    def __init__(self, rows: npt.NDArray[np.float64], folds: int) -> None:
        self._rows = rows
        self._counts = np.zeros((folds, len(rows)))
        self._spreads = np.zeros(len(rows))  # of each class' shares in the folds
        self._sizes = [0] * folds
        self._own = np.arange(folds)

    def add(self, classes: Numbers, counts: Numbers) -> int:
        """Add the rows of a group to a fold; return the fold."""
        folds = len(self._own)
        tried = np.repeat(self._counts[:, None, classes], folds, axis=1)  # fold, fold that gets the rows, class
        tried[self._own, self._own] += counts
        tried /= self._rows[classes]
        # The operations and their order are those of `numpy.std` along the folds, so that the same folds tie.
        tried -= np.add.reduce(tried, axis=0) / folds
        tried *= tried
        changed = np.sqrt(np.add.reduce(tried, axis=0) / folds)
        spreads = np.repeat(self._spreads[None], folds, axis=0)
        spreads[:, classes] = changed
        chosen, least = 0, float("inf")
        for fold, found in enumerate((np.add.reduce(spreads, axis=1) / len(self._rows)).tolist()):
            near = abs(found - least) <= _NEAR + _RELATIVE * abs(least)
            if found < least or (near and self._sizes[fold] < self._sizes[chosen]):
                chosen, least = fold, found
        self._counts[chosen, classes] += counts
        self._spreads[classes] = changed[chosen]
        self._sizes[chosen] += int(counts.sum())
        return chosen
