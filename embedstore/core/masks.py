"""Masks of positions."""

from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["mask_of"]


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
