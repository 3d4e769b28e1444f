"""Choose the next text to ask a person about."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from embedstore.annotations.advice import Advice, Advisor
from embedstore.annotations.queue import AHEAD, Queue, doubt_of
from embedstore.labels.fewshot import BlendModel, fit_blend
from embedstore.labels.label_set import LabelSet
from embedstore.labels.zeroshot import standardised
from embedstore.vectors.space import Space

__all__ = ["Order", "Questions"]

Order = Literal["typical", "uncertain", "random", "disagreement"]

_LEARNT = 5_000  # most answers that the order of questions learns from
_BREADTH = 4  # uncertain texts per question, from which those far apart are taken


class Questions(Queue[int]):
    """The queue of texts to ask about, ordered by the answers so far; see `Queue` for what is not named here.

    Parameters
    ----------
    labels : LabelSet
        The labels.
    prototypes : ndarray of shape (labels, dim), float32
        Their unit vectors.
    answers : mapping of int to int
        Label number of each answered text, by position.
    order : {"typical", "uncertain", "random", "disagreement"}
        "uncertain" asks where the scores of the two best labels are closest, and takes dissimilar texts. "typical"
        first asks about typical texts of unlike groups (see `first_typical`): two for each label, at most 50 in all.
        "disagreement" asks where the answers so far and the label texts most firmly give different labels.
    about : int, optional
        Number of a label. Texts that get it by the answers so far come first, the least certain at first; then those of
        other labels that are nearest to it.
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
        about: int | None = None,
        random_state: int | Sequence[int] = 42,
    ) -> None:
        super().__init__(
            space,
            positions,
            len(prototypes),
            get_args(Order),
            answers=answers,
            skipped=skipped,
            history=history,
            order=order,
            random_state=random_state,
        )
        self._about = about
        self._plain = standardised((self._vectors @ prototypes.T).astype(np.float64))
        self._advisor = Advisor(labels, prototypes, self._vectors)
        self._advice: Advice | None = None
        self._model: BlendModel | None = None
        self._learnt: dict[int, int] = {}

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

    def _fitted(self) -> BlendModel:
        """Return the model that has learnt from the answers so far, or from a random 5,000 of more."""
        if self._model is None or self._learnt != self.answers:
            rows, labels = self._labelled()
            if len(rows) > _LEARNT:
                some = np.sort(np.random.default_rng(0).choice(len(rows), _LEARNT, replace=False))
                rows, labels = rows[some], labels[some]
            self._model = fit_blend(self._plain[rows], self._advisor.centred[rows], labels)
            self._learnt = dict(self.answers)
        return self._model

    def chosen(self, rest: npt.NDArray[np.int64]) -> list[int]:
        """Return the places of uncertain texts that are unlike each other, or of those where answers disagree."""
        scores = self._plain[rest]
        if self.answers:
            blended = self._fitted().scores(scores, self._advisor.centred[rest])
            scores = blended / max(float(np.std(blended)), 1e-12)
        ordered = np.sort(scores, axis=1)
        doubt = ordered[:, -2] - ordered[:, -1]
        if self._about is not None:
            doubt = doubt_of(scores[:, self._about] - np.delete(scores, self._about, axis=1).max(axis=1))
        elif self._order == "disagreement":
            plain = self._plain[rest]
            differ = plain.argmax(axis=1) != scores.argmax(axis=1)
            firmness = np.sort(plain, axis=1)[:, -1] - np.sort(plain, axis=1)[:, -2] - doubt
            doubt = np.where(differ, firmness, doubt - 1e3)
        candidates = rest[np.argsort(-doubt, kind="stable")[: AHEAD * _BREADTH]]
        return self._apart(candidates)

    def _apart(self, candidates: npt.NDArray[np.int64]) -> list[int]:
        """Return a few candidates: the first, then repeatedly the one farthest from those taken (k-centre)."""
        vectors = self._vectors[candidates]
        taken = [0]
        nearest = vectors @ vectors[0]
        while len(taken) < min(AHEAD, len(candidates)):
            nearest[taken] = np.inf
            taken.append(int(np.argmin(nearest)))
            nearest = np.maximum(nearest, vectors @ vectors[taken[-1]])
        return [int(candidates[one]) for one in taken]
