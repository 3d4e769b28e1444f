"""Ask a person about one text at a time; each answer is on disk before the next question."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any, NamedTuple

import numpy as np

from embedstore.annotations.advice import Advice
from embedstore.annotations.annotation import Annotation
from embedstore.annotations.answers import answer_at
from embedstore.annotations.log import all_answers, identified, keep, undo_of
from embedstore.annotations.queue import Queue
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

    A call that ended in an error can be made again: if its answer or undo is in the store all the same, it counts once.

    Parameters
    ----------
    snapshot : callable
        Opens the newest state of the store.
    questions : Queue
        The queue of texts to ask about.
    labels : LabelSet
        The labels to choose from.
    held : mapping of int to Annotation
        Current answers and skips of this person, by position.
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
        questions: Queue[Any],
        labels: LabelSet,
        held: Mapping[int, Annotation],
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
        self._held = dict(held)
        self._fresh: set[int] = set()  # positions with a label of this session
        self._in_doubt: list[Annotation] = []  # what calls that ended in an error may have committed, the latest last

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

    def ahead(self, count: int) -> list[int]:
        """Return the positions of the next texts to ask about in order, at most `count`."""
        return self._questions.ahead(count)

    @property
    def answers(self) -> dict[int, Any]:
        """Label of each labelled text, by position; a tuple of labels if a text can have several."""
        return {position: self.shown(said) for position, said in self._questions.answers.items()}

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

    def advice(self) -> Advice | None:
        """Return the accuracy to expect on the other texts, and whether more answers pay; None below ten answers."""
        return self._questions.advice()

    def recorded(self, one: Annotation) -> Any:
        """Return an answer as the questions record it: the number of its label."""
        return self.labels.names.index(one.label)

    def shown(self, said: Any) -> Any:
        """Return the label of what `recorded` returns."""
        return self.labels.names[said]

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
        self.give(label)

    def skip(self) -> None:
        """Go to the next question without an answer; this one is not asked again.

        Raises
        ------
        UsageError
            If no question is left.
        """
        self.give("")

    def undo(self) -> bool:
        """Take back this person's last answer or skip, even of an earlier session; return whether there was one."""
        with self._snapshot() as now:
            before = self._committed(now)
            if before is None or before.action != "undo":
                if before:
                    self._record(before)
                last = self._questions.last()
                if last is None:
                    return False
                self._commit(now, undo_of(self._held[last]))
        self._record_undo()
        return True

    def give(self, label: str) -> None:
        """Store an answer as its text, "" for a skip; see `answer` and `skip`."""
        position = self._questions.next()
        if position is None:
            raise UsageError("expected an answer to a question, found no question left: end the session")
        with self._snapshot() as now:
            made = answer_at(now, position, label, self._choice, self.who, self._corpus)
            before = self._committed(now)
            if before and before.action == "undo":
                self._record_undo()
                before = None
            made = before if before and before.label == label else self._commit(now, made, instead_of=before)
        self._record(made, position)

    def _committed(self, now: Snapshot) -> Annotation | None:
        """Return the answer or undo that is in the store although the call that made it ended in an error."""
        ids = {one.id for one in all_answers(now)} if self._in_doubt else set()
        found = [one for one in self._in_doubt if one.id in ids]
        self._in_doubt = []
        return found[-1] if found else None

    def _commit(self, now: Snapshot, one: Annotation, instead_of: Annotation | None = None) -> Annotation:
        made = identified([undo_of(instead_of), one] if instead_of else [one])
        try:
            keep(now, made)
        except BaseException:  # the disk can fail after the manifest is there, and Ctrl-C can come
            self._in_doubt = [instead_of, *made] if instead_of else made
            raise
        return made[-1]

    def _record(self, one: Annotation, position: int | None = None) -> None:
        place = self._questions.next() if position is None else position
        assert place is not None, "an answer without a question"
        self._questions.answer(place, self.recorded(one) if one.label else None)
        self._held[place] = one
        if one.label:
            self._fresh.add(place)
            self.given += 1

    def _record_undo(self) -> None:
        place = self._questions.undo()
        del self._held[place]
        self.given -= place in self._fresh
        self._fresh.discard(place)
