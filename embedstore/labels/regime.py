"""Are labels topics, or steps of a scale? Each asks for another method."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from embedstore.core.parallel import one_thread
from embedstore.labels.label_set import LabelSet

__all__ = ["Regime", "explained", "regime_of"]

_LOOKED_AT = 5_000  # most texts in the sample
_LEAST = 0.10  # share of the largest possible variance that topics account for


@dataclass(frozen=True, slots=True)
class Regime:
    """What labels are taken for: "scale" or "topics", and a note that says why."""

    name: str
    note: str


def explained(prototypes: npt.NDArray[np.float32], vectors: npt.NDArray[np.float32]) -> float:
    """Return how much of the texts' variance lies along the labels, as a share of what as many directions can hold.

    The variance along the labels is that in the space of the prototypes' differences. The most that as many directions
    can hold is the variance along the first principal components. Where texts differ most by topic, labels that are
    topics reach 0.1 to 0.6, and opinions less than 0.1.

    Parameters
    ----------
    prototypes : ndarray of shape (labels, dim), float32
        Unit vectors of the labels.
    vectors : ndarray of shape (texts, dim), float32
        Unit vectors of the texts; at most 5,000 are looked at.
    """
    looked = vectors[:: len(vectors) // _LOOKED_AT + 1].astype(np.float64)
    looked -= looked.mean(axis=0)
    apart = prototypes - prototypes.mean(axis=0, dtype=np.float64)
    with one_thread:
        _, sizes, axes = np.linalg.svd(apart, full_matrices=False)
        axes = axes[sizes > 1e-6]
        covariance = looked.T @ looked
        most = float(np.linalg.eigvalsh(covariance)[::-1][: len(axes)].sum())
        along = float(np.einsum("id,de,ie->", axes, covariance, axes, optimize=True))
    return along / most if most > 0 else 0.0


def regime_of(labels: LabelSet, prototypes: npt.NDArray[np.float32], vectors: npt.NDArray[np.float32]) -> Regime:
    """Return what the labels are: steps of a scale if the set says so or if texts hardly differ along them.

    Parameters
    ----------
    labels : LabelSet
        The labels.
    prototypes : ndarray of shape (labels, dim), float32
        Their unit vectors.
    vectors : ndarray of shape (texts, dim), float32
        Unit vectors of the texts.
    """
    if labels.ordinal:
        return Regime(
            "scale", "the labels are treated as a scale, because they are in order (tag --method topics: topics)"
        )
    share = explained(prototypes, vectors)
    held = f"{share:.0%} of the variance that as many directions can explain"
    if share < _LEAST:
        return Regime(
            "scale",
            "the labels are treated as opinions on a scale, because the texts hardly differ along them: they explain "
            f"{held}, under {_LEAST:.0%} (tag --method topics: topics)",
        )
    return Regime(
        "topics",
        "the labels are treated as topics, because the texts differ along them: they explain "
        f"{held} (tag --method scale: a scale)",
    )
