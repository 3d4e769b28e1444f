"""What a tagging method refines: the distinct texts of a corpus, with their similarities to the labels.

The vectors of a large corpus are never held at once: a method learns from a sample of its texts, and then scores the
others a block at a time.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from embedstore.core.counts import counted
from embedstore.labels import learnt
from embedstore.labels.fewshot import Answers
from embedstore.labels.label_set import LabelSet
from embedstore.labels.learnt import Learnt
from embedstore.labels.zeroshot import Refined, VectorsOf
from embedstore.vectors.space import Space

__all__ = ["AllTexts", "Found", "Scored", "places_within"]

_BLOCK = 1 << 15  # texts that are scored together


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """Some of the distinct texts of a corpus, or all, scored by cosine similarity.

    Attributes
    ----------
    labels : LabelSet
        The labels.
    prototypes : ndarray of shape (labels, dim), float32
        Unit vectors of the labels.
    cosines : ndarray of shape (texts, labels), float32
        Cosine similarity of each text to each label.
    vectors : ndarray of shape (texts, dim), float32
        Unit vectors of the texts.
    texts : callable
        Reads and returns the texts.
    vectors_of : callable
        Returns the unit vectors of texts that are not in the corpus, such as label texts.
    shares : sequence of float or None
        Known share of each label.
    answers : Answers or None
        What people said of some texts.
    numbers : ndarray of shape (texts,), int64
        The numbers of the texts among all of the corpus, ascending.
    learnt : Learnt
        What was learnt from other texts of the corpus, or is to be learnt from these.
    """

    labels: LabelSet
    prototypes: npt.NDArray[np.float32]
    cosines: npt.NDArray[np.float32]
    vectors: npt.NDArray[np.float32]
    texts: Callable[[], list[str]]
    vectors_of: VectorsOf
    shares: Sequence[float | None] | None = None
    answers: Answers | None = None
    numbers: npt.NDArray[np.int64] = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    learnt: Learnt = field(default_factory=Learnt)


class Found(NamedTuple):
    """Scores of all texts, shape (texts, n), and notes."""

    scores: npt.NDArray[np.floating]
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AllTexts:
    """The distinct texts of a corpus, scored by cosine similarity; their vectors are in the store.

    `positions` has their positions, ascending; the other attributes are as in `Scored`. If `cosines` is None, they are
    computed from the vectors of each part.
    """

    labels: LabelSet
    prototypes: npt.NDArray[np.float32]
    positions: npt.NDArray[np.int64]
    space: Space
    vectors_of: VectorsOf
    cosines: npt.NDArray[np.float32] | None = None
    shares: Sequence[float | None] | None = None
    answers: Answers | None = None

    def scores(self, scores_of: Callable[[Scored], Found | Refined], *, known: npt.NDArray[np.int64]) -> Found:
        """Return the scores of all texts.

        Up to 100,000 texts are scored at once. Of more texts, a sample of 100,000 is scored so, and then all others by
        what was learnt from these, in float32; a note says so.

        Parameters
        ----------
        scores_of : callable
            Scores some texts; what it learns goes through `Scored.learnt`.
        known : ndarray of int64
            Numbers of texts that something is known of. They are in the sample, or half of it is some of them.
        """
        count, most = len(self.positions), learnt.MOST_LEARNT
        kept = Learnt()
        if count <= most:
            found = scores_of(self._part(np.arange(count), kept))
            return Found(found.scores, found.notes)
        some = _sample(count, known, most)
        first = scores_of(self._part(some, kept))
        scores = np.empty((count, first.scores.shape[1]), dtype=np.float32)
        scores[some] = first.scores
        for numbers in _others(count, some):
            kept.again()
            scores[numbers] = scores_of(self._part(numbers, kept)).scores
        note = f"learnt from a random sample of {len(some):,} of {counted(count, 'distinct text')}"
        return Found(scores, (*first.notes, note))

    def _part(self, numbers: npt.NDArray[np.int64], kept: Learnt) -> Scored:
        positions, answers = self.positions[numbers], self.answers
        if answers is not None:
            there, places = places_within(answers.rows, numbers)
            answers = Answers(places, answers.labels[there])
        vectors = self.space.unit_at(positions)
        return Scored(
            labels=self.labels,
            prototypes=self.prototypes,
            numbers=numbers,
            cosines=vectors @ self.prototypes.T if self.cosines is None else self.cosines[numbers],
            vectors=vectors,
            texts=lambda: self.space.texts.at(positions),
            vectors_of=self.vectors_of,
            shares=self.shares,
            answers=answers,
            learnt=kept,
        )


def places_within(
    rows: npt.NDArray[np.int64], numbers: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.int64]]:
    """Return which rows are among some numbers, and the places of those there.

    Examples
    --------
    >>> places_within(np.array([3, 5, 9]), np.array([5, 7, 9]))
    (array([False,  True,  True]), array([0, 2]))
    """
    there = np.isin(rows, numbers)
    return there, np.searchsorted(numbers, rows[there])


def _sample(count: int, known: npt.NDArray[np.int64], most: int) -> npt.NDArray[np.int64]:
    """Return `most` numbers below `count`, ascending: the known ones, at most half, and others by chance."""
    rng = np.random.default_rng(42)
    if len(known) > most // 2:
        known = rng.choice(known, most // 2, replace=False)
    free = np.ones(count, dtype=bool)
    free[known] = False
    return np.sort(np.concatenate([known, rng.choice(np.flatnonzero(free), most - len(known), replace=False)]))


def _others(count: int, some: npt.NDArray[np.int64]) -> Iterator[npt.NDArray[np.int64]]:
    """Yield the numbers below `count` that are not among `some`, in blocks."""
    free = np.ones(count, dtype=bool)
    free[some] = False
    for start in range(0, count, _BLOCK):
        numbers = start + np.flatnonzero(free[start : start + _BLOCK])
        if len(numbers):
            yield numbers
