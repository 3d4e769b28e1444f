"""Read a column as classes."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from embedstore.annotations.column import is_annotations, with_annotations
from embedstore.core.blank import Blank, blank_notes, no_text
from embedstore.core.cells import plain_values, shortest, spelled
from embedstore.core.counts import counted, form
from embedstore.core.lists import hold_several
from embedstore.core.values import value_key, value_text
from embedstore.corpora.rows import Corpus
from embedstore.errors import InputError
from embedstore.learning.fitting import TrainOptions
from embedstore.vectors.snapshot import Snapshot

__all__ = ["LabelledRows", "Target", "as_number", "classes_of", "left_out_notes", "read_target"]

_MOST_CLASSES = 1000
_SEVERAL = "seem to hold several labels each, and count as one class: `train` and `tag` take them apart with --multi"
_NAMED = 10  # spellings that a note names


@dataclass(frozen=True, slots=True)
class Target:
    """A column of classes of one corpus; rows without a value are an error unless `drop_missing` is set.

    `answerable` is a mask of the rows to use, shape (rows,): those whose text is not blank, or all.
    """

    table: Corpus
    name: str
    drop_missing: bool
    answerable: npt.NDArray[np.bool_]

    @classmethod
    def of(
        cls,
        now: Snapshot,
        target: str,
        corpus: str | None,
        *,
        drop_missing: bool,
        blank: Blank,
        several: bool = False,
    ) -> "Target":
        """Return a column of a corpus as a target; for annotations, rows without one are always left out.

        `several` says whether the annotations are those of several labels a text.
        """
        table = with_annotations(now, now.corpus(corpus), target, several=several)
        answerable = now.texts.answerable(table.positions(), blank)
        return cls(table, target, drop_missing or is_annotations(target), answerable)

    @classmethod
    def pair(
        cls,
        now: Snapshot,
        target: str,
        corpus: str | None,
        test_corpus: str | None,
        options: TrainOptions,
        blank: Blank,
        *,
        several: bool = False,
    ) -> "tuple[Target, Target | None]":
        """Return the target to train on, and the target of the test corpus (None without a test corpus)."""
        how: dict[str, Any] = {"drop_missing": options.drop_missing, "blank": blank, "several": several}
        learnt = cls.of(now, target, corpus, **how)
        return learnt, cls.of(now, target, test_corpus, **how) if test_corpus else None


@dataclass(frozen=True, slots=True)
class LabelledRows:
    """The rows of a target that have a class and a text.

    Attributes
    ----------
    rows : ndarray of shape (rows,), int64
        Row numbers in the corpus.
    codes : ndarray of shape (rows,), int64
        Index of each row's value in `values`.
    values : list
        The distinct values.
    notes : tuple of str
        Notes on the numbers of rows without a text, and without a class.
    """

    rows: npt.NDArray[np.int64]
    codes: npt.NDArray[np.int64]
    values: list[Any]
    notes: tuple[str, ...]

    def classes(self, target: str) -> tuple[tuple[Any, ...], npt.NDArray[np.int64]]:
        """Return the sorted classes and each row's class number, shape (rows,), int64; see `classes_of`."""
        classes = classes_of({self.values[code] for code in np.unique(self.codes)}, len(self.rows), target)
        number = {value: i for i, value in enumerate(classes)}
        return classes, np.array([number.get(value, -1) for value in self.values], dtype=np.int64)[self.codes]


def read_target(target: Target) -> LabelledRows:
    """Return the answerable rows that have a value of the target, and their values.

    Raises
    ------
    InputError
        If answerable rows have no value and `drop_missing` is not set, or all texts are blank.
    """
    corpus = target.table
    answerable = int(np.count_nonzero(target.answerable))
    if len(corpus) and not answerable:
        raise no_text(corpus.name, len(corpus))
    column = corpus.column(target.name)
    # Classes are stored as JSON, so dates, lists and other types become text.
    typed = shortest(column)
    typed = typed if _is_plain(typed.type) else spelled(typed)
    encoded = (typed.combine_chunks() if isinstance(typed, pa.ChunkedArray) else typed).dictionary_encode()
    values = plain_values(encoded.dictionary)
    said = np.array([*(value not in (None, "") and value == value for value in values), False])
    codes = encoded.indices.fill_null(len(values)).to_numpy(zero_copy_only=False).astype(np.int64)
    rows = np.flatnonzero(said[codes] & target.answerable)
    words = list(corpus.missing_words(target.name)) if len(rows) < answerable else []
    them = f"{', '.join(words)} {form(len(words), 'means', 'mean')} a missing value"
    meant = f" ({them}: `add --keep-missing-words` takes such words as classes)" if words else ""
    notes = left_out_notes(target, len(rows), rule=meant, meant=meant)
    merged, more = _same_classes(values, said)
    here = [value_text(values[code]) for code in np.unique(codes[rows])]
    notes += (f"cells of {target.name!r} {_SEVERAL}",) if hold_several(here) else ()
    return LabelledRows(rows, merged[codes[rows]], values, notes + more)


def left_out_notes(target: Target, known: int, *, rule: str = "", meant: str = "") -> tuple[str, ...]:
    """Return notes on the rows of a target without a text or without a value.

    Parameters
    ----------
    target : Target
        The target.
    known : int
        Number of answerable rows that have a value.
    rule, meant : str
        What the error, and the note, say of rows without a value.

    Raises
    ------
    InputError
        If answerable rows have no value and `drop_missing` is not set.
    """
    corpus, answerable = target.table, int(np.count_nonzero(target.answerable))
    notes = blank_notes(len(corpus) - answerable, len(corpus), corpus=corpus.name)
    missing = answerable - known
    if not missing:
        return notes
    if not target.drop_missing:
        raise InputError(
            f"expected a value of {target.name!r} in every row of corpus {corpus.name!r}, found {missing:,} of "
            f"{counted(len(corpus), 'row')} without{rule}: leave such rows out with --drop-missing"
        )
    return (
        *notes,
        f"{missing:,} of {counted(len(corpus), 'row')} of corpus {corpus.name!r} {form(missing, 'has', 'have')} no "
        f"{target.name!r} and {form(missing, 'is', 'are')} left out{meant}",
    )


def _is_plain(type_: pa.DataType) -> bool:
    tests = (pa.types.is_string, pa.types.is_integer, pa.types.is_boolean, pa.types.is_float64)
    return any(test(type_) for test in tests)


def _same_classes(values: Sequence[Any], said: npt.NDArray[np.bool_]) -> tuple[npt.NDArray[np.int64], tuple[str, ...]]:
    """Return the number of the value that each value stands for (1 and 1.0 are one class), and notes.

    A note names the spellings of one class, another one classes that differ in capital letters or outer spaces only.
    """
    texts = [value_text(value) for value in values]
    first: dict[str, int] = {}
    merged = np.array([first.setdefault(value_key(text), number) for number, text in enumerate(texts)], dtype=np.int64)
    notes: tuple[str, ...] = ()
    if spellings := [
        f"{texts[one]!r} and {text!r}" for one, text in zip(merged, texts, strict=True) if texts[one] != text
    ]:
        notes += (f"spellings of one class: {'; '.join(spellings[:_NAMED])}",)
    stripped: dict[str, str] = {}
    for text in (text for text, held in zip(texts, said, strict=False) if held):
        other = stripped.setdefault(text.strip().casefold(), text)
        if value_key(other) != value_key(text):
            notes += (f"two classes that differ in capital letters or outer spaces only: {other!r} and {text!r}",)
    return merged, notes


def classes_of(distinct: set[Any], rows: int, target: str) -> tuple[Any, ...]:
    """Return the distinct values of `rows` rows as sorted classes; an `InputError` if they do not look like classes."""
    if len(distinct) < 2:
        raise InputError(
            f"expected at least two classes in {target!r}, found {len(distinct)}: "
            f"{', '.join(map(value_text, distinct))}; choose another column, or add rows of another class"
        )
    numbers = {value: as_number(value) for value in distinct}
    numeric = None not in numbers.values()
    fractional = numeric and not all(float(number or 0).is_integer() for number in numbers.values())
    if len(distinct) > _MOST_CLASSES or (len(distinct) > 20 and (fractional or len(distinct) > rows / 2)):
        raise InputError(
            f"{target!r} has {counted(len(distinct), 'distinct value')} in {counted(rows, 'row')}: that "
            "is no column of classes; choose another column"
            + (f"; its cells {_SEVERAL}" if hold_several([*map(value_text, distinct)]) else "")
        )
    return tuple(sorted(distinct, key=lambda value: ((numbers[value] or 0) if numeric else 0, str(value))))


def as_number(value: Any) -> float | None:
    """Return a value as a number, as it is typed or written; None if it is none."""
    try:
        return float(value)
    except (ValueError, OverflowError):
        return None
