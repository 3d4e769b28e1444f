"""Label many rows in one action, and take the action back whole."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from embedstore.annotations.annotation import Annotation, present
from embedstore.annotations.log import all_answers, current_answers, keep, undo_of
from embedstore.core.values import value_text
from embedstore.corpora.rows import Corpus
from embedstore.errors import InputError, UsageError
from embedstore.labels.choice import Choice
from embedstore.vectors.snapshot import Snapshot

__all__ = ["Answers", "answer_rows", "answers_of", "id_of_one", "keep_once", "take_back"]


def answer_rows(
    now: Snapshot,
    table: Corpus,
    rows: npt.NDArray[np.int64],
    label: str,
    choice: Choice,
    *,
    who: str,
    action: str,
    keys: Sequence[str] | None = None,
) -> int:
    """Give the texts of rows a label, all in one commit; return the number of texts.

    Equal texts are one text. Rows without a text are left out. The same action counts once, however often it is sent:
    the id of each answer is made of the action's name and the text.

    Parameters
    ----------
    now, table : Snapshot, Corpus
        The state of the store and the corpus.
    rows : ndarray of shape (n,), int64
        Row numbers.
    label : str
        One of the labels of `choice`; "" for a skip.
    choice : Choice
        The labels to choose from.
    who : str
        Name of the person.
    action : str
        Name of the action; no two actions have the same.
    keys : sequence of str, optional
        The keys of the texts that the rows had when they were shown.

    Raises
    ------
    UsageError
        If the label is unknown, or the action has no name.
    InputError
        If the rows have other texts by now.
    """
    if label and label not in choice.labels:
        raise UsageError(f"expected one of {', '.join(choice.labels)}, found {label!r}")
    if not action:
        raise UsageError("expected a name for the action, found none")
    positions = table.positions()[rows]
    if keys is not None and now.texts.keys_at(positions) != list(keys):
        raise InputError("the rows have other texts than they had when they were shown: load the page again")
    kept = now.texts.answerable(positions)
    positions, first = np.unique(positions[kept], return_index=True)
    rows = rows[kept][first]
    of_texts = now.texts.keys_at(positions)
    when = present()
    answers = [
        Annotation(
            text=key,
            label=label,
            choice=choice,
            action="label" if label else "skip",
            who=who,
            when=when,
            corpus=table.name,
            row=value_text(id_),
            id=_id_of(action, key),
        )
        for key, id_ in zip(of_texts, _ids(table, rows), strict=True)
    ]
    keep_once(now, answers)
    return len(answers)


def keep_once(now: Snapshot, answers: Sequence[Annotation]) -> None:
    """Commit answers together, without those whose id is in the log already."""
    done = {one.id for one in answers}.intersection(one.id for one in all_answers(now))
    keep(now, [one for one in answers if one.id not in done])


def take_back(now: Snapshot, action: str) -> int:
    """Take all answers of an action back, in one commit; return the number of texts. Earlier answers count again."""
    answers = {one.id: one for one in all_answers(now) if one.id in _ids_of(action, one)}
    gone = {one.takes_back for one in all_answers(now) if one.action == "undo"}
    when = present()
    keep(now, [undo_of(one, when=when) for id_, one in answers.items() if id_ not in gone])
    return len({one.text for one in answers.values()})


@dataclass(frozen=True, slots=True)
class Answers:
    """What people said of a text: label by person, "" for a skip."""

    by: dict[str, str]

    @property
    def agreed(self) -> bool:
        """Whether all who gave a label gave the same one."""
        return len({label for label in self.by.values() if label}) <= 1


def answers_of(now: Snapshot, keys: Sequence[str], choice: Choice) -> dict[str, Answers]:
    """Return what people said of some texts, by text key; texts without an answer are left out."""
    wanted = set(keys)
    found: dict[str, dict[str, str]] = {}
    for one in current_answers(now):
        if one.text in wanted and one.choice.same_as(choice):
            found.setdefault(one.text, {})[one.who] = one.label
    return {key: Answers(by) for key, by in found.items()}


def _ids(table: Corpus, rows: npt.NDArray[np.int64]) -> list[object]:
    if len(rows) < 1000:
        return table.ids_at(rows)
    return list(table.ids().take(rows).to_pylist())


def id_of_one(action: str, key: str, who: str) -> str:
    """Return the id of one person's answer, in an action that gives the answers of several people."""
    return _id_of(action, f"{key} {who}")


def _ids_of(action: str, one: Annotation) -> tuple[str, str]:
    """Return the ids that an answer of an action can have."""
    return _id_of(action, one.text), id_of_one(action, one.text, one.who)


def _id_of(action: str, key: str) -> str:
    return hashlib.sha256(f"{action} {key}".encode()).hexdigest()[:32]
