"""The one place where vectors are scaled to unit length."""

from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["unit_rows"]


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
