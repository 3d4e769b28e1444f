"""A column as classes to learn and to test on: its values, their order, and which rows are held out."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from embedstore.corpus import Corpus, value_text
from embedstore.errors import InputError

__all__ = ["Split", "classes_of", "given_classes", "split_rows"]

_MOST_CLASSES = 1000


@dataclass(frozen=True, slots=True)
class Split:
    """Rows to learn from and rows to test on.

    Attributes
    ----------
    classes : tuple
        The target's values among the rows to learn from, sorted.
    train_positions, test_positions : ndarray of shape (rows,), int64
        Where the rows' texts are.
    y : ndarray of shape (train rows,), int64
        Class of each row to learn from, as a number.
    given : list of str
        Class of each row to test on, as a text; it may be none of `classes`.
    tested_on : str
        Which rows these are, in words.
    notes : tuple of str
        What was left out.
    """

    classes: tuple[Any, ...]
    train_positions: npt.NDArray[np.int64]
    y: npt.NDArray[np.int64]
    test_positions: npt.NDArray[np.int64]
    given: list[str]
    tested_on: str
    notes: tuple[str, ...]


def split_rows(
    corpus: Corpus,
    target: str,
    test_corpus: Corpus | None,
    *,
    test_size: float,
    random_state: int,
    drop_missing: bool,
) -> Split:
    """Read a target column; take a corpus of its own to test on, or hold out a stratified share of the rows.

    Raises
    ------
    InputError
        If the target is missing in rows, has one class, or looks continuous.
    """
    notes: list[str] = []
    rows, codes, values = given_classes(corpus, target, notes, drop_missing=drop_missing)
    classes = classes_of({values[code] for code in np.unique(codes)}, len(rows), target)
    number = {value: i for i, value in enumerate(classes)}
    y = np.array([number.get(value, -1) for value in values], dtype=np.int64)[codes]
    positions = corpus.positions()
    if test_corpus is None:
        train, test, y, y_test = _split(rows, y, test_size, random_state, classes)
        names = [value_text(value) for value in classes]
        given = [names[i] for i in y_test]
        tested_on = f"{test_size:.0%} of corpus {corpus.name!r}, held out"
        return Split(classes, positions[train], y, positions[test], given, tested_on, tuple(notes))
    test, codes, values = given_classes(test_corpus, target, notes, drop_missing=drop_missing)
    names = [value_text(value) for value in values]
    given = [names[code] for code in codes]
    tested_on = f"corpus {test_corpus.name!r}"
    return Split(classes, positions[rows], y, test_corpus.positions()[test], given, tested_on, tuple(notes))


def given_classes(
    corpus: Corpus, target: str, notes: list[str], *, drop_missing: bool
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], list[Any]]:
    """Return the rows that have a value, the number of each one's value, and the distinct values.

    Shapes (rows,) and (rows,), int64; an `InputError` says how many rows have none unless `drop_missing`.
    """
    column = corpus.column(target)
    try:
        encoded = column.combine_chunks().dictionary_encode()
    except pa.ArrowNotImplementedError:  # of lists and the like
        column = pa.array([None if value is None else str(value) for value in column.to_pylist()], pa.string())
        encoded = column.dictionary_encode()
    # Classes are kept as JSON: a date, a list or the like stands for its text.
    values = [v if isinstance(v, str | int | float | None) else str(v) for v in encoded.dictionary.to_pylist()]
    said = np.array([*(value not in (None, "") and value == value for value in values), False])
    codes = encoded.indices.fill_null(len(values)).to_numpy(zero_copy_only=False).astype(np.int64)
    rows = np.flatnonzero(said[codes])
    missing = len(column) - len(rows)
    if missing and not drop_missing:
        raise InputError(
            f"expected a value of {target!r} in every row of corpus {corpus.name!r}, found "
            f"{missing:,} of {len(column):,} without: leave those rows out with --drop-missing"
        )
    if missing:
        notes.append(
            f"{missing:,} of {len(column):,} rows of corpus {corpus.name!r} have no {target!r} and are left out"
        )
    return rows, codes[rows], values


def classes_of(distinct: set[Any], rows: int, target: str) -> tuple[Any, ...]:
    """Return the classes among the distinct values of `rows` rows, sorted; an `InputError` if they are none."""
    if len(distinct) < 2:
        raise InputError(
            f"expected at least two classes in {target!r}, found {len(distinct)}: "
            f"{', '.join(map(value_text, distinct))}"
        )
    fractional = any(isinstance(value, float) and not value.is_integer() for value in distinct)
    if len(distinct) > _MOST_CLASSES or (len(distinct) > 20 and (fractional or len(distinct) > rows / 2)):
        raise InputError(
            f"{target!r} has {len(distinct):,} distinct values in {rows:,} rows: that is no column of classes"
        )
    numeric = all(isinstance(value, (int, float)) for value in distinct)
    return tuple(sorted(distinct, key=None if numeric else str))


def _split(
    rows: npt.NDArray[np.int64], y: npt.NDArray[np.int64], test_size: float, random_state: int, classes: Sequence[Any]
) -> list[npt.NDArray[np.int64]]:
    from sklearn.model_selection import train_test_split

    counts = np.bincount(y)
    if counts.min() < 2:
        raise InputError(
            "expected at least 2 rows of each class to hold some out, found 1 of "
            f"{value_text(classes[int(counts.argmin())])!r}: give a --test-corpus, or more rows"
        )
    try:
        parts = train_test_split(rows, y, test_size=test_size, stratify=y, random_state=random_state)
    except ValueError as error:
        raise InputError(f"{len(rows)} rows can't be split with a test size of {test_size}: {error}") from error
    return list(parts)
