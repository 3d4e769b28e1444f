"""Tables of what people said, read and checked before anything of them is kept."""

import logging
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import pyarrow as pa

from embedstore.annotations import Annotation, choices
from embedstore.corpus import value_text
from embedstore.errors import InputError
from embedstore.labels import LabelSet
from embedstore.tables import ReadOptions, sources_of

__all__ = ["answer_rows", "check_contradictions", "check_labels", "news"]

logger = logging.getLogger(__name__)

_TEXTS = ("label", "label_set", "who", "when", "corpus", "text")


def answer_rows(table: Any) -> list[dict[str, Any]]:
    """Return the rows of a table of answers: id as it is, and label, label_set, who, when, corpus and text as texts.

    They are taken as they are written: a label may be called None, NA or 1.0.

    Raises
    ------
    InputError
        If there is no column id or label, or a time is none.
    """
    rows: list[dict[str, Any]] = []
    for source in sources_of(table, ReadOptions(missing=False)):
        schema = source.survey().schema
        if missing := [name for name in ("id", "label") if name not in schema.names]:
            raise InputError(f"expected annotations with columns id and label, {source.name} has no {missing[0]!r}")
        for written, typed in source.batches(schema):
            columns = {name: _texts(written, name) for name in _TEXTS}
            ids = typed.column("id").to_pylist()
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
    return [value_text(value) for value in table.column(name).to_pylist()]


def check_labels(rows: Sequence[dict[str, Any]], labels: LabelSet | None) -> None:
    """Raise an `InputError` if a label is none of those that there were to choose from."""
    for number, row in enumerate(rows, start=1):
        among = choices(row["label_set"])
        names: Sequence[str] = sorted(among) if isinstance(among, frozenset) else labels.names if labels else ()
        if row["label"] and names and row["label"] not in names:
            raise InputError(
                f"row {number} of the annotations holds the label {row['label']!r}, which is none of "
                f"{', '.join(names)}: change it there, or give the label set that has it"
            )


def check_contradictions(answers: Iterable[Annotation]) -> None:
    """Raise an `InputError` if one person calls a text by two labels of a set."""
    said: dict[Any, Annotation] = {}
    for one in answers:
        before = said.setdefault(one.question, one)
        if before.label != one.label:
            raise InputError(
                f"the annotations call row {one.row!r} {before.label!r} and {one.label!r}, by the same person: leave "
                "one of them; nothing was kept"
            )


def news(answers: Iterable[Annotation], standing: Iterable[Annotation]) -> list[Annotation]:
    """Return the answers that neither stand already nor are older than what the same person said since."""
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
