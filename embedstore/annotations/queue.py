"""The queue of texts to ask a person about: what all queues have in common."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import ClassVar, Generic, TypeVar

import numpy as np
import numpy.typing as npt

from embedstore.annotations.advice import Advice
from embedstore.annotations.typical import first_typical
from embedstore.core.masks import mask_of
from embedstore.errors import UsageError
from embedstore.vectors.space import Space

__all__ = ["AHEAD", "Queue", "doubt_of"]

AHEAD = 5
"""Number of questions that are chosen at once."""

_POOL = 20_000  # most texts to choose from

_OUTSIDE = 1e3  # more than any lead

Answer = TypeVar("Answer")


def doubt_of(lead: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return how doubtful it is that texts have a label: the least sure of those that get it, then the nearest others.

    Parameters
    ----------
    lead : ndarray of shape (texts,), float64
        How far the label is above the others; at least 0 for a text that gets it.

    Examples
    --------
    >>> doubt_of(np.array([0.5, -0.1, 0.2])).argsort()[::-1].tolist()
    [2, 0, 1]
    """
    return np.where(lead >= 0, -lead, lead - _OUTSIDE)


class Queue(ABC, Generic[Answer]):
    """The queue of texts to ask about; `total` is the number of distinct texts, `len` that of texts to ask about.

    Parameters
    ----------
    space : Space
        The vectors.
    positions : ndarray of shape (rows,), int64
        Positions of texts to ask about; of more than 20,000, a random 20,000.
    labels : int
        Number of labels.
    orders : sequence of str
        The orders that there are. In every queue "random" is the random order, and "typical" first asks about typical
        texts of unlike groups (see `first_typical`); the queue itself chooses after them, and in other orders.
    answers : mapping of int to object
        Answer to each answered text, by position.
    skipped : iterable of int
        Other positions not to ask about again.
    history : sequence of int
        Positions that this person has answered or skipped before, the latest last.
    order : str
        One of `orders`.
    random_state : int or sequence of int
        Seed of sampling and of the random order.
    """

    kind: ClassVar[str] = ""  # of answers, as messages name it

    def __init__(
        self,
        space: Space,
        positions: npt.NDArray[np.int64],
        labels: int,
        orders: Sequence[str],
        *,
        answers: Mapping[int, Answer],
        skipped: Iterable[int],
        history: Sequence[int],
        order: str,
        random_state: int | Sequence[int],
    ) -> None:
        if order not in orders:
            raise UsageError(f"expected an order of {', '.join(orders)}{self.kind}, found {order!r}")
        rng = np.random.default_rng(random_state)
        there = mask_of(positions, 1 + positions.max(initial=-1))
        distinct = np.flatnonzero(there)
        self.total = len(distinct)
        if len(distinct) > _POOL:
            known = [position for position in answers if position < len(there) and there[position]]
            taken = np.concatenate([rng.choice(distinct, _POOL, replace=False), np.array(known, dtype=np.int64)])
            distinct = np.flatnonzero(mask_of(taken, len(there)))
        self._positions = distinct
        self._place = {int(position): place for place, position in enumerate(distinct)}
        self._vectors = space.unit_at(distinct)
        self._shuffled = rng.permutation(len(distinct))
        self._labels = labels
        self._order = order
        self.answers = {position: label for position, label in answers.items() if position in self._place}
        self.history = [position for position in history if position in self._place]
        self._skipped = {position for position in skipped if position in self._place}
        self._ahead: list[int] = []

    def __len__(self) -> int:
        return len(self._positions)

    @property
    def left(self) -> int:
        """Number of texts left to ask about."""
        return len(self) - len(self._skipped.union(self.answers))

    def next(self) -> int | None:
        """Return the position of the next text; None if all are answered or skipped."""
        self._ahead = [one for one in self._ahead if one not in self.answers and one not in self._skipped]
        if not self._ahead:
            self._ahead = [int(one) for one in self._positions[self._choose()]]
        return self._ahead[0] if self._ahead else None

    def ahead(self, count: int) -> list[int]:
        """Return the positions of the next texts in order, at most `count`, as if each were skipped."""
        found: list[int] = []
        skipped = self._skipped
        self._skipped = set(skipped)
        while len(found) < count and (position := self.next()) is not None:
            found.append(position)
            self._skipped.add(position)
        self._skipped = skipped
        self._ahead = found + [one for one in self._ahead if one not in found]
        return found

    def answer(self, position: int, label: Answer | None) -> None:
        """Record an answer; None means a skip."""
        self.history.append(position)
        if label is None:
            self._skipped.add(position)
        else:
            self.answers[position] = label

    def last(self) -> int | None:
        """Return the position that was answered or skipped last; None if there is none."""
        return self.history[-1] if self.history else None

    def undo(self) -> int:
        """Take back the last answer or skip, ask about that text next, and return its position."""
        position = self.history.pop()
        self.answers.pop(position, None)
        self._skipped.discard(position)
        self._ahead.insert(0, position)
        return position

    def advice(self) -> Advice | None:
        """Return what the answers so far are worth; None if that is not known."""
        return None

    @abstractmethod
    def chosen(self, rest: npt.NDArray[np.int64]) -> Sequence[int]:
        """Return the places of a few texts to ask about, out of `rest` in random order."""

    def _choose(self) -> Sequence[int]:
        done = {self._place[one] for one in self._skipped.union(self.answers)}
        rest = np.array([place for place in self._shuffled.tolist() if place not in done], dtype=np.int64)
        if self._order == "random" or len(rest) <= AHEAD:
            return [int(place) for place in rest[:AHEAD]]
        if self._order == "typical":
            found = first_typical(self._vectors, self._shuffled, done, AHEAD, labels=self._labels)
            if found:
                return found
        return self.chosen(rest)
