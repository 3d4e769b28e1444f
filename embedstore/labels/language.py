"""Note label sets whose descriptions are in another language than the texts."""

from collections.abc import Callable, Sequence
from itertools import chain

import numpy as np
import numpy.typing as npt

from embedstore.core.language import other_language
from embedstore.core.masks import distinct
from embedstore.labels.label_file import SHIPPED
from embedstore.labels.label_set import LabelSet

__all__ = ["language_notes"]

_LETTERS = 400  # of each text
_SAMPLED = 500  # most texts that are looked at, spread over all


def language_notes(
    labels: LabelSet, positions: npt.NDArray[np.int64], texts_at: Callable[[npt.NDArray[np.int64]], Sequence[str]]
) -> tuple[str, ...]:
    """Return a note if labels have English descriptions of a shipped set, and texts are mostly not English.

    Parameters
    ----------
    labels : LabelSet
        The labels.
    positions : ndarray of shape (n,), int64
        Positions of the texts.
    texts_at : callable
        Returns the texts at some positions; called only if the descriptions are those of a shipped set.
    """
    described = set(chain.from_iterable(labels.texts)).difference(labels.names)
    if not described:
        return ()  # without a look at the shipped sets, which takes longer than a command
    if not any(described.intersection(chain.from_iterable(LabelSet.shipped(name).texts)) for name in SHIPPED):
        return ()
    some = distinct(positions[:: len(positions) // _SAMPLED + 1])
    found = other_language(text[:_LETTERS] for text in texts_at(some))
    if not found:
        return ()
    return (
        f"the texts are mostly {found}, and the labels have the English descriptions of a shipped set: describe them "
        "in the language of the texts (`embedstore labels show NAME` prints the set to translate)",
    )
