"""Ask a person for all labels of one text at a time."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from embedstore.annotations.advice import Advice
from embedstore.annotations.log import Annotation
from embedstore.annotations.session import AnnotationSession
from embedstore.annotations.typical import first_typical
from embedstore.core.checks import column_values
from embedstore.errors import UsageError
from embedstore.labels.choice import joined_labels
from embedstore.labels.multilabel import membership
from embedstore.labels.odds import KnownLabels, probabilities
from embedstore.labels.typical import first_apart
from embedstore.vectors.space import Space

__all__ = ["MultilabelQuestions", "MultilabelSession"]

_ORDERS = ("typical", "uncertain", "random")
_POOL = 20_000  # most texts to ask about
_AHEAD, _BREADTH = 5, 10  # texts that are chosen at once, and candidates for each

Labels = tuple[str, ...]


class MultilabelQuestions:
    """The queue of texts to ask about, if a text can have several labels.

    Parameters
    ----------
    space : Space
        The vectors.
    positions : ndarray of shape (rows,), int64
        Positions of texts to ask about; of more than 20,000, a random 20,000.
    prototypes : ndarray of shape (labels, dim), float32
        Unit vectors of the labels.
    names : sequence of str
        The labels.
    answers : mapping of int to tuple of str
        Labels of each answered text, by position.
    skipped : iterable of int
        Other positions not to ask about again.
    history : sequence of int
        Positions that this person has answered or skipped before, the latest last.
    order : {"typical", "uncertain", "random"}
        "uncertain" asks where the probability of a label is nearest to a half, and takes dissimilar texts. "typical"
        first asks about typical texts of unlike groups; see `first_typical`.
    random_state : int or sequence of int
        Seed of sampling and of the random order.
    """

    def __init__(
        self,
        space: Space,
        positions: npt.NDArray[np.int64],
        prototypes: npt.NDArray[np.float32],
        names: Sequence[str],
        *,
        answers: Mapping[int, Labels],
        skipped: Iterable[int] = (),
        history: Sequence[int] = (),
        order: str = "typical",
        random_state: int | Sequence[int] = 42,
    ) -> None:
        if order not in _ORDERS:
            raise UsageError(f"expected an order of {', '.join(_ORDERS)} for several labels a text, found {order!r}")
        rng = np.random.default_rng(random_state)
        distinct = np.unique(positions)
        self.total = len(distinct)
        if len(distinct) > _POOL:
            known = np.intersect1d(distinct, np.array(list(answers), dtype=np.int64))
            distinct = np.union1d(rng.choice(distinct, _POOL, replace=False), known)
        self._positions = distinct
        self._place = {int(position): place for place, position in enumerate(distinct)}
        self._vectors = space.unit_at(distinct)
        self._scores = membership(self._vectors @ prototypes.T)
        self._number = {name: number for number, name in enumerate(names)}
        self._shuffled = rng.permutation(len(distinct))
        self._order = order
        self.answers = {position: labels for position, labels in answers.items() if position in self._place}
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
            self._ahead = self._choose()
        return self._ahead[0] if self._ahead else None

    def answer(self, position: int, label: Labels | None) -> None:
        """Record the labels of a text; None means a skip."""
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
        """Return None: there is no one label to be right about."""
        return None

    def _choose(self) -> list[int]:
        done = {self._place[one] for one in self._skipped.union(self.answers)}
        rest = np.array([place for place in self._shuffled.tolist() if place not in done], dtype=np.int64)
        if self._order == "random" or len(rest) <= _AHEAD:
            return [int(one) for one in self._positions[rest[:_AHEAD]]]
        if self._order == "typical":
            found = first_typical(self._vectors, self._shuffled, done, _AHEAD, labels=len(self._number))
            if found:
                return [int(one) for one in self._positions[found]]
        doubt = -np.abs(probabilities(self._scores, self._known())[rest] - 0.5).min(axis=1)
        candidates = rest[np.argsort(-doubt, kind="stable")[: _AHEAD * _BREADTH]]
        return [int(self._positions[place]) for place in first_apart(self._vectors, candidates, _AHEAD)]

    def _known(self) -> KnownLabels:
        pairs = sorted((self._place[position], labels) for position, labels in self.answers.items())
        members = np.zeros((len(pairs), len(self._number)), dtype=bool)
        for row, (_, labels) in enumerate(pairs):
            members[row, [self._number[name] for name in labels]] = True
        return KnownLabels(np.array([place for place, _ in pairs], dtype=np.int64), members)


class MultilabelSession(AnnotationSession):
    """Questions to one person who gives a text all labels that apply; see `AnnotationSession`."""

    def recorded(self, one: Annotation) -> Labels:
        """Return the labels of an answer."""
        return one.labels

    def shown(self, said: Labels) -> Labels:
        """Return the labels, as they are recorded."""
        return said

    def answer(self, label: Sequence[str]) -> None:
        """Store the labels of the text, and go to the next question; an empty list means that none applies.

        Raises
        ------
        UsageError
            If a label is not in the label set, or no question is left.
        """
        self.give(joined_labels(map(str, column_values("the labels of an answer", label))))
