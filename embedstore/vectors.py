"""The one place where vectors are scaled to unit length, and compared by direction."""

from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["lowest_cosine", "unit_rows"]


def unit_rows(vectors: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return each row divided by its Euclidean norm, in the dtype given; rows of zeros stay zeros.

    Parameters
    ----------
    vectors : ndarray of shape (n, dim), float32 or float64

    Examples
    --------
    >>> unit_rows(np.array([[3.0, 4.0], [0.0, 0.0]])).tolist()
    [[0.6, 0.8], [0.0, 0.0]]
    """
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    norms[norms == 0] = 1
    return np.asarray(vectors / norms)


def lowest_cosine(these: npt.NDArray[Any], those: npt.NDArray[Any]) -> float:
    """Return the lowest cosine between rows of the same number, 1 if there are none; not-a-number if a row is.

    Parameters
    ----------
    these, those : ndarray of shape (n, dim)

    Examples
    --------
    >>> lowest_cosine(np.array([[1.0, 0.0], [3.0, 4.0]]), np.array([[2.0, 0.0], [4.0, 3.0]]))
    0.96
    """
    cosines = np.sum(unit_rows(these.astype(np.float64)) * unit_rows(those.astype(np.float64)), axis=1)
    return float(np.min(cosines, initial=1.0))
