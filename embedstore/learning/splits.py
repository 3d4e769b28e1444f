"""Split the rows of a target into those to train on and those to test on."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from embedstore.core.counts import counted, form, listed
from embedstore.core.memory import require_memory
from embedstore.core.parsing import first_line
from embedstore.core.values import same_value, value_text
from embedstore.errors import InputError
from embedstore.learning.fitting import TrainOptions
from embedstore.learning.targets import LabelledRows, Target, read_target

__all__ = ["Split", "both_notes", "split_rows"]

_A_ROW = 100  # bytes that are held of a row


@dataclass(frozen=True, slots=True)
class Split:
    """Training rows and test rows.

    Attributes
    ----------
    target : str
        The column of the classes.
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

    target: str
    classes: tuple[Any, ...]
    train_positions: npt.NDArray[np.int64]
    y: npt.NDArray[np.int64]
    test_positions: npt.NDArray[np.int64]
    given: list[str]
    tested_on: str
    notes: tuple[str, ...]

    def some(self, learnt: npt.NDArray[np.int64], tested: npt.NDArray[np.int64]) -> "Split":
        """Return the split with some of its training rows, and some of its test rows."""
        return replace(
            self,
            train_positions=self.train_positions[learnt],
            y=self.y[learnt],
            test_positions=self.test_positions[tested],
            given=[self.given[row] for row in tested.tolist()],
        )

    def without(self, values: Collection[str]) -> "Split":
        """Return the split without the rows of some classes, with a note on their number.

        Parameters
        ----------
        values : collection of str
            The classes as texts; `same_value` compares them.

        Raises
        ------
        InputError
            If fewer than two classes, or no test rows, are left.
        """
        if not values:
            return self
        gone = [same_value(value_text(value), values) is not None for value in self.classes]
        learnt = ~np.array(gone)[self.y]
        tested = [row for row, value in enumerate(self.given) if same_value(value, values) is None]
        if learnt.all() and len(tested) == len(self.given):
            return self
        kept = [number for number, out in enumerate(gone) if not out]
        if len(kept) < 2 or not tested:
            raise InputError(
                f"expected at least two classes of {self.target!r}, with test rows, that --map leaves in, found "
                f"{listed([value_text(self.classes[number]) for number in kept]) or 'none'}: leave fewer out"
            )
        rows = len(self.given) - len(tested), int(np.count_nonzero(~learnt))
        note = (
            f"--map leaves {listed(sorted(values))} out: {counted(rows[0], 'test row')} and "
            f"{counted(rows[1], 'training row')}, for every method"
        )
        return replace(
            self,
            classes=tuple(self.classes[number] for number in kept),
            train_positions=self.train_positions[learnt],
            y=np.searchsorted(kept, self.y[learnt]),
            test_positions=self.test_positions[tested],
            given=[self.given[row] for row in tested],
            notes=(*self.notes, note),
        )


def split_rows(target: Target, test: Target | None, options: TrainOptions) -> Split:
    """Split the rows of a target: test on the corpus of `test`, or hold out a stratified share of the rows.

    Raises
    ------
    InputError
        If rows lack the target, or if it has one class or looks continuous.
    """
    count = sum(len(one.table) for one in (target, test) if one)
    require_memory(_A_ROW * count, f"the classes of {counted(count, 'row')}", "take fewer rows (--where)")
    given = read_target(target)
    classes, y = given.classes(target.name)
    positions = target.table.positions()
    if test is None:
        size = options.test_size
        learnt, tested, y, y_test = _split(given.rows, y, size, options.random_state, classes)
        names = [value_text(value) for value in classes]
        tested_on = f"{size:.0%} of corpus {target.table.name!r}, held out"
        return Split(
            target.name,
            classes,
            positions[learnt],
            y,
            positions[tested],
            [names[i] for i in y_test],
            tested_on,
            given.notes + both_notes(positions[learnt], positions[tested]),
        )
    other = read_target(test)
    names, notes = _names_of_test(classes, other, target, test)
    learnt, tested = positions[given.rows], test.table.positions()[other.rows]
    return Split(
        target.name,
        classes,
        learnt,
        y,
        tested,
        [names[code] for code in other.codes],
        f"corpus {test.table.name!r}",
        given.notes + other.notes + notes + both_notes(learnt, tested),
    )


def both_notes(learnt: npt.NDArray[np.int64], tested: npt.NDArray[np.int64]) -> tuple[str, ...]:
    """Return a note if some test rows have the text of a training row, given the positions of the texts of each."""
    both = int(np.count_nonzero(np.isin(tested, learnt)))
    if not both:
        return ()
    rows = f"{both:,} of {counted(len(tested), 'test row')} {form(both, 'has', 'have')}"
    return (f"{rows} a text that is also a training row's: figures are better than on new texts",)


def _names_of_test(
    classes: Sequence[Any], other: LabelledRows, target: Target, test: Target
) -> tuple[list[str], tuple[str, ...]]:
    """Return each test value as the class that it is, and a note if the two corpora have other classes.

    Raises
    ------
    InputError
        If no class is in both.
    """
    learnt = [value_text(value) for value in classes]
    names = [same_value(text, learnt) or text for text in map(value_text, other.values)]
    tested = {names[code] for code in np.unique(other.codes)}
    if tested.isdisjoint(learnt):
        raise InputError(
            f"expected classes of {target.name!r} that corpora {target.table.name!r} and {test.table.name!r} share, "
            f"found {listed(learnt)} in one and {listed(sorted(tested))} in the other"
        )
    missing, unknown = sorted(set(learnt) - tested), sorted(tested - set(learnt))
    notes = ((f"classes that corpus {test.table.name!r} lacks: {listed(missing)}",) if missing else ()) + (
        (f"classes that were not learnt, so that their rows count as wrong: {listed(unknown)}",) if unknown else ()
    )
    return names, notes


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
            f"{counted(len(rows), 'row')} can't be split with a test size of {test_size} ({first_line(error)}): "
            "choose another --test-size"
        ) from error
    return list(parts)
