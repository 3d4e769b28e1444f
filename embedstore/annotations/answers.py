"""Make annotations from a text's position or from the rows of a table."""

from dataclasses import replace
from typing import Any

import numpy as np

from embedstore.annotations.annotation import Action, Annotation
from embedstore.annotations.log import current_answers
from embedstore.core.checks import shown
from embedstore.core.counts import counted, form
from embedstore.core.values import value_text
from embedstore.corpora.rows import Corpus
from embedstore.errors import InputError, NotFoundError, UsageError
from embedstore.labels.choice import Choice, joined_labels, labels_in
from embedstore.labels.label_set import LabelSet
from embedstore.storage.segments import text_key
from embedstore.vectors.snapshot import Snapshot

__all__ = ["answer_at", "answers_in", "standing_at"]


def answer_at(now: Snapshot, position: int, label: str, choice: Choice, who: str, corpus: str | None) -> Annotation:
    """Return an answer to the text at a position, with its corpus and row; label "" means a skip.

    If the choice is one of several labels, `label` is their list as `joined_labels` writes it.

    Raises
    ------
    UsageError
        If there is no such text, or the label is not in the choice.
    """
    chosen = labels_in(label) if choice.several and label else (label,) if label else ()
    if chosen is None or (choice.labels and not set(choice.labels).issuperset(chosen)):
        wrong = next((one for one in chosen or () if one not in choice.labels), label)
        kind = "labels of" if choice.several else "one of"
        raise UsageError(f"expected {kind} {', '.join(choice.labels)}, found {shown(wrong)}")
    label = joined_labels(chosen) if choice.several and label else label
    key = _key_at(now, position)
    table = now.whole.corpus(corpus)  # a text that was asked about may no longer be among the rows of a condition
    rows, _ = table.rows_at(np.array([position]))
    row = value_text(table.ids_at(rows[:1])[0]) if len(rows) else ""
    action: Action = "label" if label else "skip"
    return Annotation(text=key, label=label, choice=choice, action=action, who=who, corpus=table.name, row=row)


def standing_at(now: Snapshot, position: int, choice: Choice, who: str) -> Annotation | None:
    """Return a person's current answer or skip on the text at a position; None if there is none.

    Raises
    ------
    UsageError
        If there is no such text.
    """
    asked = Annotation(text=_key_at(now, position), label="", choice=choice, who=who).question
    return next((one for one in current_answers(now) if one.question == asked), None)


def answers_in(
    now: Snapshot, rows: list[dict[str, Any]], labels: LabelSet | None, corpus: str | None, who: str
) -> list[Annotation]:
    """Return the answers in a table's rows; raise an `InputError` if rows are missing in the store."""
    keys = [text_key(row["text"]).hex() if row["text"] else "" for row in rows]
    places = now.texts.positions_of([key for key in keys if key])
    answers, gone = [], []
    for row, key in zip(rows, keys, strict=True):
        table = now.corpus(row["corpus"] or corpus)
        position = places.get(key) if key else _position_of(table, row["id"])
        if position is None:
            gone.append(value_text(row["id"]))
            continue
        choice = Choice.read(row["label_set"]) if row["label_set"] or labels is None else Choice.of(labels)
        made = answer_at(now, position, row["label"], choice, row["who"] or who, table.name)
        answers.append(replace(made, when=row["when"], id=row["answer_id"]))
    if gone:
        raise InputError(
            f"{len(gone):,} of {counted(len(rows), 'annotation')} "
            f"{form(len(gone), 'is of a row that is', 'are of rows that are')} "
            f"not in the store, {shown(gone[0])} first: take {form(len(gone), 'it', 'them')} out of the file, or add "
            f"the {form(len(gone), 'row', 'rows')}; nothing was kept"
        )
    return answers


def _key_at(now: Snapshot, position: int) -> str:
    if not 0 <= position < len(now.texts):
        raise UsageError(f"expected the position of a text, from 0 to {len(now.texts) - 1}, found {position}")
    (key,) = now.texts.keys_at(np.array([position]))
    return key


def _position_of(table: Corpus, id_: Any) -> int | None:
    try:
        return int(table.positions()[table.row_of(id_)])
    except NotFoundError:
        return None
