"""The only place that scales vectors to unit length and compares their directions."""

from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["as_unit", "cosines", "lowest_cosine", "unit_rows"]


def unit_rows(vectors: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return each row divided by its Euclidean norm, in the same dtype; rows of zeros stay zeros.

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


def as_unit(vectors: npt.NDArray[Any], *, normalized: bool) -> npt.NDArray[np.float32]:
    """Return stored vectors as unit vectors, in one contiguous float32 array of shape (n, dim).

    Parameters
    ----------
    vectors : ndarray of shape (n, dim), float32 or float16
    normalized : bool
        Whether the vectors already have unit length.
    """
    vectors = np.ascontiguousarray(vectors, dtype=np.float32)
    return vectors if normalized else unit_rows(vectors)


def lowest_cosine(these: npt.NDArray[Any], those: npt.NDArray[Any]) -> float:
    """Return the lowest cosine between rows of the same index: 1 without rows, NaN if a row has a NaN.

    Parameters
    ----------
    these, those : ndarray of shape (n, dim)

    Examples
    --------
    >>> lowest_cosine(np.array([[1.0, 0.0], [3.0, 4.0]]), np.array([[2.0, 0.0], [4.0, 3.0]]))
    0.96
    """
    return float(np.min(cosines(these, those), initial=1.0))


def cosines(these: npt.NDArray[Any], those: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Return the cosine between the rows of each index, shape (n,); both have the shape (n, dim)."""
    products = unit_rows(these.astype(np.float64)) * unit_rows(those.astype(np.float64))
    return np.asarray(np.sum(products, axis=1))
