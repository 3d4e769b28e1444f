"""Ask a person about one text at a time; each answer is on disk before the next question."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import NamedTuple

import numpy as np

from embedstore.annotations.answers import answer_at, undo_at
from embedstore.annotations.log import keep
from embedstore.annotations.order import Questions
from embedstore.core.checks import checked
from embedstore.errors import UsageError
from embedstore.labels.choice import Choice
from embedstore.labels.label_set import LabelSet
from embedstore.vectors.snapshot import Snapshot

__all__ = ["AnnotationSession", "Question"]


class Question(NamedTuple):
    """A text to label, and its position in the store."""

    position: int
    text: str


class AnnotationSession:
    """Questions to one person, and the answers; made by ``store.annotations.session(labels)``.

    Parameters
    ----------
    snapshot : callable
        Opens the newest state of the store.
    questions : Questions
        The queue of texts to ask about.
    labels : LabelSet
        The labels to choose from.
    who : str
        Name of the person who answers.
    corpus : str or None
        Corpus of the texts.
    notes : tuple of str
        Notes on rows that are left out.

    Attributes
    ----------
    labels, who, notes
        As given.
    given : int
        Number of labels given in this session, without those taken back.
    """

    def __init__(
        self,
        snapshot: Callable[[], AbstractContextManager[Snapshot]],
        questions: Questions,
        labels: LabelSet,
        *,
        who: str,
        corpus: str | None,
        notes: tuple[str, ...] = (),
    ) -> None:
        self.labels = labels
        self.who = who
        self.notes = notes
        self.given = 0
        self._snapshot = snapshot
        self._choice = Choice.of(labels)
        self._questions = questions
        self._corpus = corpus
        self._kept: list[bool] = []  # per answer of this session: True for a label, False for a skip

    def __repr__(self) -> str:
        return f"<AnnotationSession: {len(self._questions.answers):,} answered, {self.left:,} left>"

    def __len__(self) -> int:
        return len(self._questions)

    @property
    def question(self) -> Question | None:
        """The next text to ask about; None if all are answered or skipped."""
        position = self._questions.next()
        if position is None:
            return None
        with self._snapshot() as now:
            return Question(position, now.texts.at(np.array([position]))[0])

    @property
    def answers(self) -> dict[int, str]:
        """Label of each labelled text, by position."""
        return {position: self.labels.names[number] for position, number in self._questions.answers.items()}

    @property
    def left(self) -> int:
        """Number of texts left to ask about."""
        return self._questions.left

    @property
    def total(self) -> int:
        """Number of distinct texts to choose from; at most 20,000 of them are asked about."""
        return self._questions.total

    @property
    def history(self) -> list[int]:
        """Positions of the texts that this person has answered or skipped, the latest last."""
        return list(self._questions.history)

    def accuracy(self) -> tuple[float, int] | None:
        """Return the out-of-fold accuracy of the answers, and their number; None below ten answers."""
        return self._questions.accuracy()

    @checked
    def answer(self, label: str) -> None:
        """Store an answer to the question, and go to the next question.

        Raises
        ------
        UsageError
            If the label is not in the label set, or no question is left.
        """
        if not label:
            raise UsageError(f"expected one of {', '.join(self.labels.names)}, found a blank label: use skip() to skip")
        self._keep(label)

    def skip(self) -> None:
        """Go to the next question without an answer; this one is not asked again.

        Raises
        ------
        UsageError
            If no question is left.
        """
        self._keep("")

    def undo(self) -> bool:
        """Take back this person's last answer or skip, even of an earlier session; return whether there was one."""
        last = self._questions.last()
        if last is None:
            return False
        with self._snapshot() as now:
            keep(now, [undo_at(now, last, self._choice, self.who)])
        self._questions.undo()
        self.given -= bool(self._kept and self._kept.pop())
        return True

    def _keep(self, label: str) -> None:
        position = self._questions.next()
        if position is None:
            raise UsageError("expected an answer to a question, found no question left: end the session")
        with self._snapshot() as now:
            keep(now, [answer_at(now, position, label, self._choice, self.who, self._corpus)])
        self._questions.answer(position, self.labels.names.index(label) if label else None)
        self._kept.append(bool(label))
        self.given += bool(label)
