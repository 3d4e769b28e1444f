"""Choose the next text to ask a person about."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from embedstore.annotations.advice import Advice, Advisor
from embedstore.annotations.typical import first_typical
from embedstore.errors import UsageError
from embedstore.labels.fewshot import fit_blend
from embedstore.labels.label_set import LabelSet
from embedstore.labels.zeroshot import standardised
from embedstore.vectors.space import Space

__all__ = ["Order", "Questions"]

Order = Literal["typical", "uncertain", "random", "disagreement"]

_POOL = 20_000  # most texts to choose from
_AHEAD = 5  # questions chosen at once
_BREADTH = 4  # uncertain texts per question, from which those far apart are taken


class Questions:
    """The queue of texts to ask about, ordered by the answers so far.

    `total` is the number of distinct texts; `len` is the number of texts to ask about.

    Parameters
    ----------
    space : Space
        The vectors.
    positions : ndarray of shape (rows,), int64
        Positions of texts to ask about; of more than 20,000, a random 20,000.
    labels : LabelSet
        The labels.
    prototypes : ndarray of shape (labels, dim), float32
        Their unit vectors.
    answers : mapping of int to int
        Label number of each answered text, by position.
    skipped : iterable of int
        Other positions not to ask about again.
    history : sequence of int
        Positions that this person has answered or skipped before, the latest last.
    order : {"typical", "uncertain", "random", "disagreement"}
        "uncertain" asks where the scores of the two best labels are closest, and takes dissimilar texts. "typical"
        first asks about typical texts of unlike groups (see `first_typical`): two for each label, at most 50 in all.
        "disagreement" asks where the answers so far and the label texts most firmly give different labels.
    random_state : int or sequence of int
        Seed of sampling and of the random order.
    """

    def __init__(
        self,
        space: Space,
        positions: npt.NDArray[np.int64],
        labels: LabelSet,
        prototypes: npt.NDArray[np.float32],
        *,
        answers: Mapping[int, int],
        skipped: Iterable[int] = (),
        history: Sequence[int] = (),
        order: Order = "typical",
        random_state: int | Sequence[int] = 42,
    ) -> None:
        if order not in get_args(Order):
            raise UsageError(f"expected an order of {', '.join(get_args(Order))}, found {order!r}")
        rng = np.random.default_rng(random_state)
        distinct = np.unique(positions)
        self.total = len(distinct)
        if len(distinct) > _POOL:
            known = np.intersect1d(distinct, np.array(list(answers), dtype=np.int64))
            distinct = np.union1d(rng.choice(distinct, _POOL, replace=False), known)
        self._positions = distinct
        self._place = {int(position): place for place, position in enumerate(distinct)}
        self._vectors = space.unit_at(distinct)
        self._centred = self._vectors - self._vectors.mean(axis=0)
        self._plain = standardised((self._vectors @ prototypes.T).astype(np.float64))
        self._shuffled = rng.permutation(len(distinct))
        self._order = order
        self.answers = {position: label for position, label in answers.items() if position in self._place}
        self.history = [position for position in history if position in self._place]
        self._skipped = {position for position in skipped if position in self._place}
        self._ahead: list[int] = []
        self._advisor = Advisor(labels, prototypes, self._vectors)
        self._advice: Advice | None = None

    def __len__(self) -> int:
        return len(self._positions)

    @property
    def left(self) -> int:
        """Number of texts left to ask about."""
        return len(self._positions) - len(self._done())

    def next(self) -> int | None:
        """Return the position of the next text; None if all are answered or skipped."""
        self._ahead = [one for one in self._ahead if one not in self.answers and one not in self._skipped]
        if not self._ahead:
            self._ahead = self._choose()
        return self._ahead[0] if self._ahead else None

    def answer(self, position: int, label: int | None) -> None:
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
        """Return what the answers so far are worth; computed again after five answers, or 5% more."""
        count = len(self.answers)
        if self._advice is None or not self._advice.answers <= count < max(5, 0.05 * count) + self._advice.answers:
            self._advice = self._advisor.advise(*self._labelled())
        return self._advice

    def _labelled(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Return the places of answered texts and their labels, the last answer last."""
        pairs = [(self._place[position], label) for position, label in self.answers.items()]
        found = np.array(pairs, dtype=np.int64).reshape(-1, 2)
        return found[:, 0], found[:, 1]

    def _done(self) -> set[int]:
        return {self._place[one] for one in (*self.answers, *self._skipped)}

    def _choose(self) -> list[int]:
        done = self._done()
        rest = np.array([place for place in self._shuffled if place not in done], dtype=np.int64)
        if self._order == "random" or len(rest) <= _AHEAD:
            return [int(one) for one in self._positions[rest[:_AHEAD]]]
        if self._order == "typical":
            found = first_typical(self._vectors, self._shuffled, done, _AHEAD, labels=self._plain.shape[1])
            if found:
                return [int(one) for one in self._positions[found]]
        rows, labels = self._labelled()
        scores = self._plain[rest]
        if len(rows):
            blended = fit_blend(self._plain[rows], self._centred[rows], labels).scores(scores, self._centred[rest])
            scores = blended / max(float(np.std(blended)), 1e-12)
        ordered = np.sort(scores, axis=1)
        doubt = ordered[:, -2] - ordered[:, -1]
        if self._order == "disagreement":
            plain = self._plain[rest]
            differ = plain.argmax(axis=1) != scores.argmax(axis=1)
            firmness = np.sort(plain, axis=1)[:, -1] - np.sort(plain, axis=1)[:, -2] - doubt
            doubt = np.where(differ, firmness, doubt - 1e3)
        candidates = rest[np.argsort(-doubt, kind="stable")[: _AHEAD * _BREADTH]]
        return [int(self._positions[place]) for place in self._apart(candidates)]

    def _apart(self, candidates: npt.NDArray[np.int64]) -> list[int]:
        """Return a few candidates: the first, then repeatedly the one farthest from those taken (k-centre)."""
        vectors = self._vectors[candidates]
        taken = [0]
        nearest = vectors @ vectors[0]
        while len(taken) < min(_AHEAD, len(candidates)):
            nearest[taken] = np.inf
            taken.append(int(np.argmin(nearest)))
            nearest = np.maximum(nearest, vectors @ vectors[taken[-1]])
        return [int(candidates[one]) for one in taken]
