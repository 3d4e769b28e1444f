"""Read a column as classes and split its rows for training and testing."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from embedstore.annotations.column import is_annotations, with_annotations
from embedstore.core.counts import counted, form
from embedstore.core.values import value_text
from embedstore.corpora.rows import Corpus
from embedstore.errors import InputError
from embedstore.learning.fitting import TrainOptions
from embedstore.vectors.snapshot import Snapshot

__all__ = ["LabelledRows", "Split", "Target", "classes_of", "read_target", "split_rows"]

_MOST_CLASSES = 1000


@dataclass(frozen=True, slots=True)
class Split:
    """Training rows and test rows.

    Attributes
    ----------
    classes : tuple
        The target's values among the training rows, sorted.
    train_positions, test_positions : ndarray of shape (rows,), int64
        Position of each row's text.
    y : ndarray of shape (train rows,), int64
        Class number of each training row.
    given : list of str
        Class of each test row, as a text; it can be missing from `classes`.
    tested_on : str
        A description of the test rows.
    notes : tuple of str
        Notes on rows left out.
    """

    classes: tuple[Any, ...]
    train_positions: npt.NDArray[np.int64]
    y: npt.NDArray[np.int64]
    test_positions: npt.NDArray[np.int64]
    given: list[str]
    tested_on: str
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Target:
    """A column of classes of one corpus; rows without a value are an error unless `drop_missing` is set."""

    table: Corpus
    name: str
    drop_missing: bool

    @classmethod
    def of(cls, now: Snapshot, target: str, corpus: str | None, *, drop_missing: bool) -> "Target":
        """Return a column of a corpus as a target; for annotations, rows without one are always left out."""
        table = with_annotations(now, now.corpus(corpus), target)
        return cls(table, target, drop_missing or is_annotations(target))

    @classmethod
    def pair(
        cls, now: Snapshot, target: str, corpus: str | None, test_corpus: str | None, options: TrainOptions
    ) -> "tuple[Target, Target | None]":
        """Return the target to train on, and the target of the test corpus (None without a test corpus)."""
        learnt = cls.of(now, target, corpus, drop_missing=options.drop_missing)
        if not test_corpus:
            return learnt, None
        return learnt, cls.of(now, target, test_corpus, drop_missing=options.drop_missing)


@dataclass(frozen=True, slots=True)
class LabelledRows:
    """The rows that have a class.

    Attributes
    ----------
    rows : ndarray of shape (rows,), int64
        Row numbers in the corpus.
    codes : ndarray of shape (rows,), int64
        Index of each row's value in `values`.
    values : list
        The distinct values.
    notes : tuple of str
        A note on the number of rows without a class.
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


def split_rows(target: Target, test: Target | None, options: TrainOptions) -> Split:
    """Split the rows of a target: test on the corpus of `test`, or hold out a stratified share of the rows.

    Raises
    ------
    InputError
        If rows lack the target, or if it has one class or looks continuous.
    """
    given = read_target(target)
    classes, y = given.classes(target.name)
    positions = target.table.positions()
    if test is None:
        size = options.test_size
        learnt, tested, y, y_test = _split(given.rows, y, size, options.random_state, classes)
        names = [value_text(value) for value in classes]
        tested_on = f"{size:.0%} of corpus {target.table.name!r}, held out"
        return Split(
            classes, positions[learnt], y, positions[tested], [names[i] for i in y_test], tested_on, given.notes
        )
    other = read_target(test)
    names = [value_text(value) for value in other.values]
    return Split(
        classes,
        positions[given.rows],
        y,
        test.table.positions()[other.rows],
        [names[code] for code in other.codes],
        f"corpus {test.table.name!r}",
        given.notes + other.notes,
    )


def read_target(target: Target) -> LabelledRows:
    """Return the rows that have a value of the target, and their values.

    Raises
    ------
    InputError
        If rows have no value and `drop_missing` is not set.
    """
    corpus = target.table
    column = corpus.column(target.name)
    try:
        encoded = column.combine_chunks().dictionary_encode()
    except pa.ArrowNotImplementedError:  # lists and other nested types
        column = pa.array([None if value is None else str(value) for value in column.to_pylist()], pa.string())
        encoded = column.dictionary_encode()
    # Classes are stored as JSON, so dates, lists and other types become text.
    values = [v if isinstance(v, str | int | float | None) else str(v) for v in encoded.dictionary.to_pylist()]
    said = np.array([*(value not in (None, "") and value == value for value in values), False])
    codes = encoded.indices.fill_null(len(values)).to_numpy(zero_copy_only=False).astype(np.int64)
    rows = np.flatnonzero(said[codes])
    missing = len(column) - len(rows)
    if missing and not target.drop_missing:
        raise InputError(
            f"expected a value of {target.name!r} in every row of corpus {corpus.name!r}, found "
            f"{missing:,} of {counted(len(column), 'row')} without: leave such rows out with --drop-missing"
        )
    left_out = (
        f"{missing:,} of {counted(len(column), 'row')} of corpus {corpus.name!r} {form(missing, 'has', 'have')} no "
        f"{target.name!r} and {form(missing, 'is', 'are')} left out"
    )
    return LabelledRows(rows, codes[rows], values, (left_out,) if missing else ())


def classes_of(distinct: set[Any], rows: int, target: str) -> tuple[Any, ...]:
    """Return the distinct values of `rows` rows as sorted classes; an `InputError` if they do not look like classes."""
    if len(distinct) < 2:
        raise InputError(
            f"expected at least two classes in {target!r}, found {len(distinct)}: "
            f"{', '.join(map(value_text, distinct))}"
        )
    fractional = any(isinstance(value, float) and not value.is_integer() for value in distinct)
    if len(distinct) > _MOST_CLASSES or (len(distinct) > 20 and (fractional or len(distinct) > rows / 2)):
        raise InputError(
            f"{target!r} has {counted(len(distinct), 'distinct value')} in {counted(rows, 'row')}: that "
            "is no column of classes"
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
        raise InputError(
            f"{counted(len(rows), 'row')} can't be split with a test size of {test_size}: {error}"
        ) from error
    return list(parts)
