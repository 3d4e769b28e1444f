"""Sets of positions: masks, and distinct positions."""

from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["contains", "distinct", "mask_of", "numbered"]

_MANY = 10_000_000  # positions from which a mask of all takes more memory than the positions are worth


def contains(positions: npt.NDArray[np.integer[Any]], asked: npt.NDArray[np.integer[Any]]) -> npt.NDArray[np.bool_]:
    """Return which of the positions in `asked` are in `positions`, which ascend.

    Examples
    --------
    >>> contains(np.array([1, 3]), np.array([3, 0, 4])).tolist()
    [True, False, False]
    """
    if not len(positions):
        return np.zeros(len(asked), dtype=bool)
    largest = max(int(positions[-1]), int(asked.max(initial=-1)))
    if largest < _MANY:
        return np.asarray(mask_of(positions, largest + 1)[asked])
    place = np.minimum(np.searchsorted(positions, asked), len(positions) - 1)
    return np.asarray(positions[place] == asked)


def distinct(positions: npt.NDArray[np.integer[Any]]) -> npt.NDArray[np.int64]:
    """Return each position once, ascending.

    Parameters
    ----------
    positions : ndarray of shape (n,), integers
        Positions in any order.

    Examples
    --------
    >>> distinct(np.array([3, 1, 3])).tolist()
    [1, 3]
    """
    # Without any of its other results, `np.unique` imports all of numpy.ma, which takes longer than a short search.
    found, _ = np.unique(positions, return_index=True)
    return np.asarray(found, dtype=np.int64)


def mask_of(positions: npt.NDArray[np.integer[Any]], count: int) -> npt.NDArray[np.bool_]:
    """Return a mask of shape (count,) that is True at `positions`.

    Examples
    --------
    >>> mask_of(np.array([0, 2, 2]), 4).tolist()
    [True, False, True, False]
    """
    mask = np.zeros(count, dtype=bool)
    mask[positions] = True
    return mask


def numbered(
    positions: npt.NDArray[np.integer[Any]], count: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return each position once, ascending, and the number of each given one among these; positions are below `count`.

    Examples
    --------
    >>> [found.tolist() for found in numbered(np.array([5, 2, 5]), 6)]
    [[2, 5], [1, 0, 1]]
    """
    mask = mask_of(positions, count)  # takes less memory than to sort them
    return np.flatnonzero(mask), (np.cumsum(mask, dtype=np.int64) - 1)[positions]
