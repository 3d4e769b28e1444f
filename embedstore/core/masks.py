"""Sets of positions: masks, and distinct positions."""

from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["distinct", "mask_of", "numbered"]


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
