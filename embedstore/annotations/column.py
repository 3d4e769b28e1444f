"""Annotations as a corpus column, for every place that takes a column of given labels."""

from dataclasses import replace

import numpy as np
import pyarrow as pa

from embedstore.core.counts import counted
from embedstore.corpora.rows import Corpus
from embedstore.errors import InputError
from embedstore.labels.label_set import LabelSet
from embedstore.vectors.snapshot import Snapshot

__all__ = ["ANNOTATIONS", "answered_rows", "is_annotations", "no_answers", "with_annotations"]

ANNOTATIONS = "annotations"
"""Name of the column of people's answers; "annotations:NAME" has only the answers with one label set."""


def is_annotations(target: str) -> bool:
    """Return whether a column name means annotations: "annotations" or "annotations:LABEL SET".

    Examples
    --------
    >>> is_annotations("annotations:polarity"), is_annotations("stars")
    (True, False)
    """
    return target.partition(":")[0] == ANNOTATIONS


def with_annotations(
    now: Snapshot, table: Corpus, target: str | None, labels: LabelSet | None = None, *, several: bool = False
) -> Corpus:
    """Return a corpus with the column `target`; if this name means annotations, the column is added.

    If the corpus has its own column of this name, that column is used.

    Parameters
    ----------
    now : Snapshot
        The state of the store.
    table : Corpus
        The corpus.
    target : str or None
        Name of the column.
    labels : LabelSet, optional
        Only answers that chose from these labels count.
    several : bool
        Whether answers of several labels count, or those of one. A column of several has JSON lists.

    Raises
    ------
    InputError
        If there are no answers yet, or the answers are of several label sets.
    """
    if target is None or not is_annotations(target) or target in table.schema.names:
        return table
    called = target.partition(":")[2]
    column = answered_rows(now, table, labels, called=called, several=several)
    if column is None:
        raise no_answers(now, table, labels, called=called, several=several, otherwise="import annotations")
    return table.with_column(target, column)


def no_answers(
    now: Snapshot,
    table: Corpus,
    labels: LabelSet | None = None,
    *,
    called: str = "",
    several: bool = False,
    otherwise: str,
) -> InputError:
    """Return the error for a corpus without answers; it says so if there are answers of the other form.

    Parameters
    ----------
    now, table, labels, called, several
        See `answered_rows`, which returned None.
    otherwise : str
        What to do instead of annotating rows.
    """
    count = _rows_of_other_form(now, table, labels, called, several=several)
    between = f" with the labels {', '.join(labels.names)}" if labels else ""
    if not count:
        how = "annotate --multi" if several else "annotate"
        return InputError(
            f"no row of corpus {table.name!r} was annotated yet{between}: run `embedstore {how}`, or {otherwise}"
        )
    if several:
        return InputError(
            f"expected answers of several labels a text{between}, found {counted(count, 'row')} of corpus "
            f"{table.name!r}, answered with one label: leave --multi out"
        )
    return InputError(
        f"expected answers of one label a text{between}, found {counted(count, 'row')} of corpus {table.name!r}, "
        "answered with several labels: `tag` and `train` take them with --multi; `annotate` without it asks for one"
    )


def _rows_of_other_form(now: Snapshot, table: Corpus, labels: LabelSet | None, called: str, *, several: bool) -> int:
    """Return the number of rows with answers of one label a text if `several`, else with answers of several."""
    from embedstore.annotations.log import answers_to, current_answers

    others = [one for one in current_answers(now) if one.action == "label" and one.choice.several != several]
    if labels:
        others = answers_to(others, replace(labels, several=not several))
    if called:
        others = [one for one in others if one.choice.matches_name(called)]
    places = now.texts.positions_of([one.text for one in others])
    return int(np.isin(table.positions(), list(places.values())).sum())


def answered_rows(
    now: Snapshot, table: Corpus, labels: LabelSet | None = None, *, called: str = "", several: bool = False
) -> pa.ChunkedArray | None:
    """Return the annotated label of each row, null if there is none, shape (rows,); None if no row has a label.

    Parameters
    ----------
    now, table, labels, several
        See `with_annotations`.
    called : str
        Name of the label set whose answers count; "" if there is only one label set.

    Raises
    ------
    InputError
        If the answers are of several label sets, or none is of the set `called`.
    """
    import shlex

    from embedstore.annotations.log import answers_to, current_answers, majority_labels

    answers = [one for one in current_answers(now) if one.choice.several == several]
    if labels:
        answers = answers_to(answers, labels)
    sets = {one.choice.key: one.choice for one in answers if one.action == "label"}
    there = "; ".join(shlex.quote(str(choice)) for choice in sets.values())
    if called:
        answers = [one for one in answers if one.choice.matches_name(called)]
        if sets and not answers:
            if _rows_of_other_form(now, table, labels, called, several=several):
                raise no_answers(now, table, labels, called=called, several=several, otherwise="annotate other rows")
            raise InputError(f"no annotations are of a label set {called!r}: there are {there}")
        sets = {key: choice for key, choice in sets.items() if choice.matches_name(called)}
    if len(sets) > 1 and not labels:
        raise InputError(
            "the annotations are of several label sets: say which, as "
            f"{shlex.quote(f'{ANNOTATIONS}:{next(iter(sets.values()))}')}; there are {there}"
        )
    said, _ = majority_labels(answers)
    places = now.texts.positions_of(said)
    names = sorted({said[key] for key in places})
    number_of = {name: number for number, name in enumerate(names)}
    numbers = np.full(len(now.texts), -1, dtype=np.int32)
    for key, position in places.items():
        numbers[position] = number_of[said[key]]
    of_rows = numbers[table.positions()]
    if not (of_rows >= 0).any():
        return None
    column = pa.DictionaryArray.from_arrays(pa.array(of_rows, mask=of_rows < 0), pa.array(names, pa.string()))
    return pa.chunked_array([column.dictionary_decode()])
