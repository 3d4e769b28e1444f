"""What to ask a person next, and how good the answers so far would be at telling the rest."""

from collections.abc import Iterable, Mapping
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from embedstore.errors import UsageError
from embedstore.fewshot import blend
from embedstore.space import Space
from embedstore.vectors import unit_rows
from embedstore.zeroshot import standardised

__all__ = ["Order", "Questions"]

Order = Literal["uncertain", "random", "disagreement"]

_POOL = 20_000  # texts that are looked at
_AHEAD = 5  # questions that are chosen at once
_BREADTH = 4  # times as many uncertain texts as are asked, from which those far apart are taken


class Questions:
    """The next text to ask about, in the light of all answers.

    Parameters
    ----------
    space : Space
        The vectors.
    positions : ndarray of shape (rows,), int64
        Texts that may be asked; a random 20,000 of them where there are more.
    prototypes : ndarray of shape (labels, dim), float32
        The labels' unit vectors.
    answers : mapping of int to int
        Text position to label number, as far as known.
    skipped : iterable of int
        Positions not to ask again.
    order : {"uncertain", "random", "disagreement"}
        "uncertain" asks where the two best labels are nearest to each other, and takes texts that are unlike each
        other; "disagreement" where the answers so far and the label texts say different things most firmly.
    random_state : int
        Seed of sampling and of the random order.
    """

    def __init__(
        self,
        space: Space,
        positions: npt.NDArray[np.int64],
        prototypes: npt.NDArray[np.float32],
        *,
        answers: Mapping[int, int],
        skipped: Iterable[int] = (),
        order: Order = "uncertain",
        random_state: int = 42,
    ) -> None:
        if order not in get_args(Order):
            raise UsageError(f"expected an order of {', '.join(get_args(Order))}, found {order!r}")
        rng = np.random.default_rng(random_state)
        distinct = np.unique(positions)
        if len(distinct) > _POOL:
            known = np.array([p for p in answers if p in set(distinct.tolist())], dtype=np.int64)
            distinct = np.union1d(rng.choice(distinct, _POOL, replace=False), known)
        self._positions = distinct
        self._place = {int(position): place for place, position in enumerate(distinct)}
        vectors = space.at(distinct)
        self._vectors = vectors if space.spec.normalized else unit_rows(vectors)
        self._plain = standardised((self._vectors @ prototypes.T).astype(np.float64))
        self._shuffled = rng.permutation(len(distinct))
        self._order = order
        self.answers = dict(answers)
        self._skipped = set(skipped)
        self._ahead: list[int] = []

    def __len__(self) -> int:
        return len(self._positions)

    @property
    def left(self) -> int:
        """Number of texts that may still be asked."""
        return len(self._positions) - len(self._done())

    def next(self) -> int | None:
        """Return the position of the text to ask about, or None when all are answered."""
        self._ahead = [one for one in self._ahead if one not in self.answers and one not in self._skipped]
        if not self._ahead:
            self._ahead = self._choose()
        return self._ahead[0] if self._ahead else None

    def answer(self, position: int, label: int | None) -> None:
        """Take an answer in; None means that the text was skipped."""
        if label is None:
            self._skipped.add(position)
        else:
            self.answers[position] = label

    def forget(self, position: int) -> None:
        """Take an answer back, and ask about that text next."""
        self.answers.pop(position, None)
        self._skipped.discard(position)
        self._ahead.insert(0, position)

    def accuracy(self) -> tuple[float, int] | None:
        """Return the share of answers that those to other texts foretell (five folds), and their number.

        None below ten answers.
        """
        rows, labels = self._labelled()
        if len(rows) < 10 or len(np.unique(labels)) < 2:
            return None
        scores = blend(self._plain, self._vectors, rows, labels)
        return float(np.mean(scores[rows].argmax(axis=1) == labels)), len(rows)

    def _labelled(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        pairs = [(self._place[position], label) for position, label in self.answers.items() if position in self._place]
        found = np.array(sorted(pairs), dtype=np.int64).reshape(-1, 2)
        return found[:, 0], found[:, 1]

    def _done(self) -> set[int]:
        return {self._place[one] for one in (*self.answers, *self._skipped) if one in self._place}

    def _choose(self) -> list[int]:
        done = self._done()
        rest = np.array([place for place in self._shuffled if place not in done], dtype=np.int64)
        if self._order == "random" or len(rest) <= _AHEAD:
            return [int(one) for one in self._positions[rest[:_AHEAD]]]
        rows, labels = self._labelled()
        scores = blend(self._plain, self._vectors, rows, labels)
        ordered = np.sort(scores[rest], axis=1)
        doubt = ordered[:, -2] - ordered[:, -1]
        if self._order == "disagreement":
            plain = self._plain[rest]
            differ = plain.argmax(axis=1) != scores[rest].argmax(axis=1)
            firmness = np.sort(plain, axis=1)[:, -1] - np.sort(plain, axis=1)[:, -2] - doubt
            doubt = np.where(differ, firmness, doubt - 1e3)
        candidates = rest[np.argsort(-doubt, kind="stable")[: _AHEAD * _BREADTH]]
        return [int(self._positions[place]) for place in self._apart(candidates)]

    def _apart(self, candidates: npt.NDArray[np.int64]) -> list[int]:
        """Return a few of the candidates, the first and then always the one farthest from those taken (k-centre)."""
        vectors = self._vectors[candidates]
        taken = [0]
        nearest = vectors @ vectors[0]
        while len(taken) < min(_AHEAD, len(candidates)):
            nearest[taken] = np.inf
            taken.append(int(np.argmin(nearest)))
            nearest = np.maximum(nearest, vectors @ vectors[taken[-1]])
        return [int(candidates[one]) for one in taken]
