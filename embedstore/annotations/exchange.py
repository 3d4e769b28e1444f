"""Import and export tables of answers; a table is checked before any answer is stored."""

import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

import numpy as np
import pyarrow as pa

from embedstore.annotations.annotation import Annotation
from embedstore.annotations.log import current_answers, fold_answers, identified
from embedstore.core.cells import plain_values
from embedstore.core.checks import shown
from embedstore.core.lists import may_hold_several
from embedstore.core.spec import canonical_json
from embedstore.core.values import value_text
from embedstore.errors import InputError, UsageError
from embedstore.labels.choice import Choice, joined_labels, labels_in
from embedstore.labels.label_set import LabelSet
from embedstore.reports.multilabel import values_in
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
    "checked_rows",
    "new_answers",
    "without_guards",
]

_TEXTS = ("label", "label_set", "who", "when", "corpus", "text", "answer_id")
_ID = re.compile(r"[0-9a-f]{32}|")


def answer_rows(table: Any) -> list[dict[str, Any]]:
    """Return the rows of a table of answers: the id of the row in its own type, and all other columns as strings.

    The strings are those written in the table: a label can be called None, NA or 1.0.

    Raises
    ------
    InputError
        If there is no column id or label, or a time or the id of an answer is invalid.
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
                f"expected a time such as 2026-01-31T12:00:00+00:00 in column when, found {shown(row['when'])}"
            ) from error
        if not _ID.fullmatch(row["answer_id"]):
            raise InputError(
                f"expected 32 hexadecimal digits, as an export has them, in column answer_id, found "
                f"{shown(row['answer_id'])}: leave that column out if it means something else"
            )
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


def _of_several(rows: Sequence[dict[str, Any]], labels: LabelSet | None, separator: str | None) -> list[dict[str, Any]]:
    """Return rows whose cells without a label set are read as any number of labels.

    Parameters
    ----------
    rows : sequence of dict
        Rows as `answer_rows` returns them.
    labels : LabelSet, optional
        The labels of rows without a label set.
    separator : str, optional
        What stands between the labels in a text, if the cells are no JSON lists; by default ``;``.

    Raises
    ------
    InputError
        If a row has a label set of which a text gets one label, or a label holds the separator.
    """
    for number, row in enumerate(rows, start=1):
        if row["label"] and row["label_set"] and not Choice.read(row["label_set"]).several:
            raise InputError(
                f"row {number} of the annotations is of the label set {shown(row['label_set'])}, which gives a text "
                "one label: leave --multi out, or take the column label_set out of the file"
            )
    free = [number for number, row in enumerate(rows) if not row["label_set"]]
    cells = pa.array([rows[number]["label"] for number in free], pa.string())
    names = labels.names if labels else ()
    found = list(rows)
    for number, chosen in zip(free, values_in(cells, name="label", separator=separator, labels=names), strict=True):
        found[number] = {**rows[number], "label": "" if chosen is None else joined_labels(chosen)}
    return found


def checked_rows(
    rows: Sequence[dict[str, Any]], labels: LabelSet | None, *, several: bool, separator: str | None
) -> list[dict[str, Any]]:
    """Return the rows of a table that have a label, after a check that it is in its label set; see `_of_several`.

    Raises
    ------
    UsageError
        If a row has no label set, and there are no labels; or if there is a separator without `several`.
    InputError
        If a label is not in its label set.
    """
    if separator is not None and not several:
        raise UsageError("a separator goes with several labels a text: give --multi too")
    if labels is None and not all(row["label_set"] for row in rows if row["label"]):
        raise UsageError("expected labels (-l, --labels) to choose from, or a column label_set that names them")
    rows = _of_several(rows, labels, separator) if several else rows
    _check_labels(rows, labels)
    return [row for row in rows if row["label"]]


def _check_labels(rows: Sequence[dict[str, Any]], labels: LabelSet | None) -> None:
    """Raise an `InputError` if a label is not in its label set."""
    for number, row in enumerate(rows, start=1):
        choice = Choice.read(row["label_set"]) if row["label_set"] or labels is None else Choice.of(labels)
        names: Sequence[str] = sorted(choice.labels) or (labels.names if labels else ())
        chosen = labels_in(row["label"]) if choice.several and row["label"] else (row["label"],)
        if row["label"] and names and (chosen is None or not set(names).issuperset(chosen)):
            wrong = next((one for one in chosen or () if one not in names), row["label"])
            raise InputError(
                f"row {number} of the annotations holds the label {shown(wrong)}, which is none of "
                f"{', '.join(names)}: change it there, or give the label set that has it"
                + ("" if choice.several or not may_hold_several(wrong) else "; with --multi, a cell has several labels")
            )


def check_contradictions(answers: Iterable[Annotation]) -> None:
    """Raise an `InputError` if one person gives a text two labels of one set."""
    said: dict[Any, Annotation] = {}
    for one in answers:
        before = said.setdefault(one.question, one)
        if before.label != one.label:
            raise InputError(
                f"the annotations call row {shown(one.row)} {shown(before.label)} and {shown(one.label)}, by the same "
                "person: leave one of them; nothing was kept"
            )


def new_answers(answers: Iterable[Annotation], log: Sequence[Annotation]) -> list[Annotation]:
    """Return the answers of a table that a log does not have, each with an id.

    A log has an answer if one in it has the same id, or the same text, person, choice, label and time. It may have been
    replaced or taken back since, so an old table changes nothing. Times are never compared: an answer that the log does
    not have is a correction, and the newest by its commit. An answer without an id and a time is new unless it stands.
    """
    known = {one.id: one for one in log if one.id}
    said = {_said(one) for one in log}
    stands = {one.question: one.label for one in fold_answers(log)}
    found = []
    for one in answers:
        if one.id in known:
            if _is_same(known[one.id], one):
                continue
            one = replace(one, id=_derived_id(one))  # a row that was edited after its export
        elif _said(one) in said if one.when else stands.get(one.question) == one.label:
            continue
        elif one.when and not one.id:
            one = replace(one, id=_derived_id(one))  # the same in every import, so that two at once count once
        if one.id in known:
            continue
        (one,) = identified([one])
        known[one.id] = one
        said.add(_said(one))
        stands[one.question] = one.label
        found.append(one)
    return found


def _is_same(kept: Annotation, one: Annotation) -> bool:
    return (kept.question, kept.label) == (one.question, one.label) and (not one.when or _said(kept) == _said(one))


def _said(one: Annotation) -> tuple[object, ...]:
    """Return the question, the label, and the time as an instant: tables write it in several ways."""
    try:
        return one.question, one.label, datetime.fromisoformat(one.when)
    except ValueError:
        return one.question, one.label, one.when


def _derived_id(one: Annotation) -> str:
    choice = sorted(one.choice.labels) or one.choice.name
    content = canonical_json(
        [one.id, one.text, one.who, [choice] if one.choice.several else choice, one.label, one.when]
    )
    return hashlib.sha256(content).hexdigest()[:32]


class AnswerTable(TableResult):
    """Answers of people, one per row.

    The columns are corpus, id, label, label_set, who, when, disagreement ("yes" or ""), text and answer_id; all are
    strings. The text is null if the store no longer has it. The id of an answer is "" if an earlier release stored it.
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
        "answer_id": [one.id if _ID.fullmatch(one.id) else "" for one in answers],
    }
    return AnswerTable(pa.table({name: pa.array(values, pa.string()) for name, values in columns.items()}))
