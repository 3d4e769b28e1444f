"""Import and export tables of answers; a table is checked before any answer is stored."""

import logging
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import numpy as np
import pyarrow as pa

from embedstore.annotations.log import Annotation, current_answers
from embedstore.core.cells import plain_values
from embedstore.core.values import value_text
from embedstore.errors import InputError
from embedstore.labels.choice import Choice
from embedstore.labels.label_set import LabelSet
from embedstore.storage.segments import text_key
from embedstore.tables import ReadOptions, sources_of
from embedstore.tables.result import TableResult
from embedstore.tables.write import spreadsheet_unsafe
from embedstore.vectors.snapshot import Snapshot

__all__ = [
    "AnswerTable",
    "answer_rows",
    "answer_table",
    "check_contradictions",
    "check_labels",
    "new_answers",
    "without_guards",
]

logger = logging.getLogger(__name__)

_TEXTS = ("label", "label_set", "who", "when", "corpus", "text")


def answer_rows(table: Any) -> list[dict[str, Any]]:
    """Return the rows of a table of answers: id in its own type; label, label_set, who, when, corpus, text as strings.

    The strings are those written in the table: a label can be called None, NA or 1.0.

    Raises
    ------
    InputError
        If there is no column id or label, or a time is invalid.
    """
    rows: list[dict[str, Any]] = []
    for source in sources_of(table, ReadOptions(missing=())):
        schema = source.survey().schema
        if missing := [name for name in ("id", "label") if name not in schema.names]:
            raise InputError(f"expected annotations with columns id and label, {source.name} has no {missing[0]!r}")
        for written, typed in source.batches(schema):
            columns = {name: _texts(written, name) for name in _TEXTS}
            ids = plain_values(typed.column("id"))
            rows += [
                {"id": id_, **dict(zip(columns, values, strict=True))}
                for id_, *values in zip(ids, *columns.values(), strict=True)
            ]
    for row in rows:
        try:
            if row["when"] and datetime.fromisoformat(row["when"]).tzinfo is None:
                raise ValueError
        except ValueError as error:
            raise InputError(
                f"expected a time such as 2026-01-31T12:00:00+00:00 in column when, found {row['when']!r}"
            ) from error
    return rows


def _texts(table: pa.Table, name: str) -> list[str]:
    if name not in table.schema.names:
        return [""] * table.num_rows
    return [value_text(value) for value in plain_values(table.column(name))]


def without_guards(now: Snapshot, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the rows of a table as they were before it was written with `spreadsheet_safe`.

    A table was written so if a cell looks so, and if no text that looks so is in the store as it stands.
    """
    plain = [
        {name: spreadsheet_unsafe(cell) if isinstance(cell, str) else cell for name, cell in row.items()}
        for row in rows
    ]
    if plain == rows:
        return rows
    guarded = [row["text"] for row, other in zip(rows, plain, strict=True) if row["text"] != other["text"]]
    return rows if now.texts.positions_of([text_key(text).hex() for text in guarded]) else plain


def check_labels(rows: Sequence[dict[str, Any]], labels: LabelSet | None) -> None:
    """Raise an `InputError` if a label is not in its label set."""
    for number, row in enumerate(rows, start=1):
        names: Sequence[str] = sorted(Choice.read(row["label_set"]).labels) or (labels.names if labels else ())
        if row["label"] and names and row["label"] not in names:
            raise InputError(
                f"row {number} of the annotations holds the label {row['label']!r}, which is none of "
                f"{', '.join(names)}: change it there, or give the label set that has it"
            )


def check_contradictions(answers: Iterable[Annotation]) -> None:
    """Raise an `InputError` if one person gives a text two labels of one set."""
    said: dict[Any, Annotation] = {}
    for one in answers:
        before = said.setdefault(one.question, one)
        if before.label != one.label:
            raise InputError(
                f"the annotations call row {one.row!r} {before.label!r} and {one.label!r}, by the same person: leave "
                "one of them; nothing was kept"
            )


def new_answers(answers: Iterable[Annotation], standing: Iterable[Annotation]) -> list[Annotation]:
    """Return the answers that are not current already, and not older than the same person's current answer."""
    stands = {one.question: one for one in standing}
    found, older = [], 0
    for one in answers:
        before = stands.get(one.question)
        if before and before.label == one.label:
            continue
        if before and one.when and datetime.fromisoformat(one.when) < datetime.fromisoformat(before.when):
            older += 1
            continue
        found.append(one)
    if older:
        logger.warning("annotations that are older than the same person's answer that stands are left out: %d", older)
    return found


class AnswerTable(TableResult):
    """Answers of people, one per row.

    The columns are corpus, id, label, label_set, who, when, disagreement ("yes" or "") and text; all are strings. The
    text is null if the store no longer has it.
    """

    def summary(self) -> dict[str, Any]:
        """Return the number of answers, and of answers that disagree with another."""
        split = sum(value == "yes" for value in self.table.column("disagreement").to_pylist())
        return {"annotations": len(self), "disagreeing": split}


def answer_table(
    now: Snapshot, *, corpus: str | None = None, who: str | None = None, disagreements: bool = False
) -> AnswerTable:
    """Return the current answers as a table that `answer_rows` reads.

    Parameters
    ----------
    now : Snapshot
        The state of the store.
    corpus, who : str, optional
        Only answers to texts found in this corpus; only answers of this person.
    disagreements : bool
        Only answers to texts that got different labels of one label set.
    """
    answers = [one for one in current_answers(now) if one.action == "label"]
    said: dict[Any, set[str]] = {}
    for one in answers:
        said.setdefault((one.text, one.choice.key), set()).add(one.label)
    split = {asked for asked, labels in said.items() if len(labels) > 1}
    if disagreements:
        answers = [one for one in answers if (one.text, one.choice.key) in split]
        answers.sort(key=lambda one: (one.text, one.who))
    name = None if corpus is None else now.corpus(corpus).name
    answers = [one for one in answers if name in (None, one.corpus) and who in (None, one.who)]
    places = now.texts.positions_of([one.text for one in answers])
    texts = dict(zip(places, now.texts.at(np.array(list(places.values()), dtype=np.int64)), strict=True))
    columns = {
        "corpus": [one.corpus for one in answers],
        "id": [one.row for one in answers],
        "label": [one.label for one in answers],
        "label_set": [one.choice.text for one in answers],
        "who": [one.who for one in answers],
        "when": [one.when for one in answers],
        "disagreement": ["yes" if (one.text, one.choice.key) in split else "" for one in answers],
        "text": [texts.get(one.text) for one in answers],
    }
    return AnswerTable(pa.table({name: pa.array(values, pa.string()) for name, values in columns.items()}))
