"""Vectors as the solver of a logistic regression takes them: around zero, and of size one.

A penalty on the weights and none on the intercept make the regression the same wherever zero is. Nor does a unit
change it, if the penalty has the same unit. The solver of scikit-learn takes steps of one size in all directions. In
such vectors it needs fewer of them, and comes nearer to the optimum.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from embedstore.core.parallel import map_in_threads
from embedstore.errors import InputError

__all__ = ["Centred"]

_LOOKED_AT = 1024  # rows whose mean is the new zero: it need not be the exact mean
_BLOCK = 1 << 20  # bytes of rows that are moved together, so that they stay in the cache
_MOST_DOUBLINGS = 40


@dataclass(frozen=True, slots=True)
class Centred:
    """Vectors minus a middle, times a scale.

    Attributes
    ----------
    vectors : ndarray of shape (n, dim), float32
        The moved vectors.
    middle : ndarray of shape (dim,), float32
        The mean of some of the given vectors.
    scale : float
        A power of two, so that the product is exact. The mean square of a moved component is about 1.
    """

    vectors: npt.NDArray[np.float32]
    middle: npt.NDArray[np.float32]
    scale: float

    @classmethod
    def of(cls, vectors: npt.NDArray[np.float32], *, overwrite: bool = False) -> "Centred":
        """Move vectors.

        Parameters
        ----------
        vectors : ndarray of shape (n, dim), float32
            The given vectors.
        overwrite : bool
            Whether the moved vectors take the place of the given ones, which spares memory.

        Raises
        ------
        InputError
            If there are no vectors, or a component is no finite number.
        """
        if not len(vectors):
            raise InputError("expected rows to learn from, found none: add rows, or raise the limit of memory")
        with np.errstate(invalid="ignore", over="ignore"):
            some = vectors[:: -(-len(vectors) // _LOOKED_AT)]
            middle = some.mean(axis=0, dtype=np.float64).astype(np.float32)
            scale = _power_of_two(some - middle)
        moved = vectors if overwrite else np.empty_like(vectors, order="C")
        step = max(1, _BLOCK // max(1, vectors.itemsize * vectors.shape[1]))

        def move(starts: Iterable[int]) -> bool:
            finite = True
            with np.errstate(invalid="ignore", over="ignore"):
                for start in starts:
                    block = np.subtract(vectors[start : start + step], middle, out=moved[start : start + step])
                    np.multiply(block, np.float32(scale), out=block)
                    finite &= bool(np.isfinite(block.sum()) or np.isfinite(block).all())
            return finite

        if not all(map_in_threads(range(0, len(vectors), step), move, vectors.nbytes)):
            raise InputError("expected finite numbers in all vectors, found others: run `embedstore verify STORE`")
        return cls(moved, middle, scale)

    def put_back(self, model: Any) -> None:
        """Change the coefficients of a model of the moved vectors to those for the given vectors."""
        coef = model.coef_.astype(np.float64) * self.scale
        model.intercept_ = (model.intercept_ - coef @ self.middle).astype(model.coef_.dtype)
        model.coef_ = coef.astype(model.coef_.dtype)


def _power_of_two(moved: npt.NDArray[np.float32]) -> float:
    """Return the power of two that brings the mean square of a component nearest to 1."""
    spread = float(np.sqrt(np.mean(np.square(moved, dtype=np.float64))))
    if not 0 < spread < np.inf:
        return 1.0
    return float(2.0 ** np.clip(-round(np.log2(spread)), -_MOST_DOUBLINGS, _MOST_DOUBLINGS))
