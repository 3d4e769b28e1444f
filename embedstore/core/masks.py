"""Sets of positions: masks, and distinct positions."""

from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["distinct", "mask_of"]


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
