"""Note label sets whose descriptions are in another language than the texts."""

from collections.abc import Callable, Sequence
from itertools import chain

from embedstore.core.language import other_language
from embedstore.labels.label_file import SHIPPED
from embedstore.labels.label_set import LabelSet

__all__ = ["language_notes"]

_LETTERS = 400  # of each text


def language_notes(labels: LabelSet, texts: Callable[[], Sequence[str]]) -> tuple[str, ...]:
    """Return a note if labels have English descriptions of a shipped set, and texts are mostly not English.

    Parameters
    ----------
    labels : LabelSet
        The labels.
    texts : callable
        Returns a sample of the texts; called only if the descriptions are those of a shipped set.
    """
    described = set(chain.from_iterable(labels.texts)).difference(labels.names)
    if not any(described.intersection(chain.from_iterable(LabelSet.shipped(name).texts)) for name in SHIPPED):
        return ()
    found = other_language(text[:_LETTERS] for text in texts())
    if not found:
        return ()
    return (
        f"the texts are mostly {found}, and the labels have the English descriptions of a shipped set: describe them "
        "in the language of the texts (`embedstore labels show NAME` prints the set to translate)",
    )
