"""Find labels of a set that are too alike to choose between."""

from collections import defaultdict

import numpy as np
import numpy.typing as npt

from embedstore.labels.label_set import LabelSet

__all__ = ["alike_notes"]

_EQUAL = 0.9999  # cosine similarity of prototypes above which the model can't tell two labels apart
_COMPARED = 2_000  # most labels whose pairs are compared


def alike_notes(labels: LabelSet, prototypes: npt.NDArray[np.float32]) -> tuple[str, ...]:
    """Return a note for each pair of labels that the model or a reader can't tell apart.

    Parameters
    ----------
    labels : LabelSet
        The labels.
    prototypes : ndarray of shape (labels, dim), float32
        Their unit vectors.
    """
    equal = _equal_pairs(prototypes)
    spelled = [pair for pair in _spelled_alike(labels.names) if pair not in equal]
    return tuple(
        [
            f"the labels {labels.names[one]!r} and {labels.names[other]!r} have equal vectors, so the choice between "
            "them means nothing: leave one out, or describe them otherwise"
            for one, other in equal
        ]
        + [
            f"the labels {labels.names[one]!r} and {labels.names[other]!r} differ in capital letters or outer spaces "
            "alone: if they mean the same, leave one out"
            for one, other in spelled
        ]
    )


def _equal_pairs(prototypes: npt.NDArray[np.float32]) -> list[tuple[int, int]]:
    """Return the pairs of each label with the first one that has an equal vector."""
    if len(prototypes) > _COMPARED:
        return []
    equal = prototypes @ prototypes.T > _EQUAL
    firsts = equal.argmax(axis=1)
    return [(int(first), number) for number, first in enumerate(firsts) if equal[number, first] and first < number]


def _spelled_alike(names: tuple[str, ...]) -> list[tuple[int, int]]:
    """Return the pairs of each name with the first one that is the same but for case and outer white space."""
    groups: dict[str, list[int]] = defaultdict(list)
    for number, name in enumerate(names):
        groups[name.strip().casefold()].append(number)
    return [(group[0], other) for group in groups.values() for other in group[1:]]
