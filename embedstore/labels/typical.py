"""Choose typical texts that are not nearly the same."""

import numpy as np
import numpy.typing as npt

__all__ = ["first_apart"]

_NEAR_DUPLICATE = 0.95  # cosine similarity at which two examples of a label count as near-duplicates


def first_apart(vectors: npt.NDArray[np.float32], order: npt.NDArray[np.int64], count: int) -> list[int]:
    """Return the first `count` rows in the given order, skipping near-duplicates of rows already taken.

    Parameters
    ----------
    vectors : ndarray of shape (n, dim), float32
        Unit vectors.
    order : ndarray of int64
        Numbers of rows, the most typical first.
    count : int
        Number of rows to take at most.

    Examples
    --------
    >>> first_apart(np.array([[1, 0], [1, 0], [0, 1]], dtype=np.float32), np.array([1, 0, 2]), 2)
    [1, 2]
    """
    taken: list[int] = []
    for row in order.tolist():
        if len(taken) == count:
            break
        if not taken or float((vectors[taken] @ vectors[row]).max()) < _NEAR_DUPLICATE:
            taken.append(row)
    return taken
