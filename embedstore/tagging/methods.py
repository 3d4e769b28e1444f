"""Tagging methods: each turns similarities to labels into scores.

To add a method, write a class with the members of `TaggingMethod` and add a line to `METHODS`.
"""

from typing import TYPE_CHECKING, ClassVar, Protocol

from embedstore.core.registry import look_up

if TYPE_CHECKING:
    from embedstore.labels.label_set import LabelSet
    from embedstore.labels.zeroshot import Refined
    from embedstore.tagging.scored import Scored

__all__ = ["METHODS", "TaggingMethod", "find_method"]

METHODS = {
    "cosine": "embedstore.tagging.cosine:Cosine",
    "best": "embedstore.tagging.best:Best",
    "scale": "embedstore.tagging.best:Scale",
    "topics": "embedstore.tagging.best:Topics",
}
"""The module and class of each method, by its name."""


class TaggingMethod(Protocol):
    """A way to turn similarities into scores.

    Attributes
    ----------
    refines : bool
        Whether its scores differ from the similarities; it then learns from all texts of a corpus, or a sample.
    takes_shares : bool
        Whether known shares of the labels change its scores.
    sharpness : float
        Inverse temperature of the softmax over its scores, used when no row has a known label.
    """

    refines: ClassVar[bool]
    takes_shares: ClassVar[bool]
    sharpness: ClassVar[float]

    def describe(self, labels: "LabelSet") -> "LabelSet":
        """Return the label set to use instead of the given one: with other descriptions, or unchanged."""
        ...

    def refine(self, scored: "Scored") -> "Refined":
        """Return standardised scores of the texts, shape (texts, labels), and notes on how they were computed.

        What is learnt from all texts goes through `Scored.learnt`: a large corpus is refined a block at a time, by what
        was learnt from a sample.
        """
        ...


def find_method(name: str) -> TaggingMethod:
    """Return the method with a name of `METHODS`.

    Raises
    ------
    UsageError
        If no method has this name.
    """
    made: TaggingMethod = look_up(METHODS, name, "a method")()
    return made
