"""What is learnt from a sample of a corpus' texts, and then said of all the others, a block at a time."""

from collections.abc import Callable, Iterator
from typing import Any, TypeVar

__all__ = ["MOST_LEARNT", "Learnt"]

MOST_LEARNT = 100_000
"""Most distinct texts of a corpus whose vectors are held at once; of more, this many are learnt from."""

Figure = TypeVar("Figure")


class Learnt:
    """The figures that a function learns from the texts that it gets, in the order in which it asks for them.

    A function that scores texts passes whatever depends on all texts together (means, deviations, classifiers) through
    `of`. In the first call of the function each figure is computed and kept. After `again`, the next call takes the
    kept figures, so its texts are scored as if they had been among the first ones.

    Examples
    --------
    >>> learnt = Learnt()
    >>> def centred(numbers):
    ...     mean = learnt.of(lambda: sum(numbers) / len(numbers))
    ...     return [number - mean for number in numbers]
    >>> centred([1, 3])
    [-1.0, 1.0]
    >>> learnt.again()
    >>> centred([5])
    [3.0]
    """

    def __init__(self) -> None:
        self._kept: list[Any] = []
        self._next: Iterator[Any] | None = None

    def of(self, learn: Callable[[], Figure]) -> Figure:
        """Return the next figure: in the first call what `learn` returns, then what it returned there."""
        if self._next is not None:
            kept: Figure = next(self._next)
            return kept
        self._kept.append(learn())
        found: Figure = self._kept[-1]
        return found

    def again(self) -> None:
        """Begin with the first figure again; from now on none is computed."""
        self._next = iter(self._kept)
