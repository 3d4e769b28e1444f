"""Several labels a text: read them from a column, and score predicted ones."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from embedstore.core.cells import json_values, shared_values
from embedstore.core.counts import counted, form, listed
from embedstore.core.lists import SEPARATOR, json_list
from embedstore.core.values import clean, value_text
from embedstore.errors import InputError, UsageError
from embedstore.reports.gold import labels_of
from embedstore.reports.metrics import report_lines

if TYPE_CHECKING:
    from embedstore.reports.pictures import Panel

__all__ = [
    "OTHERS",
    "GivenLabels",
    "MultilabelReport",
    "distinct_cells",
    "given_labels",
    "members_report",
    "multilabel_report",
    "values_in",
]

OTHERS = "*"
"""In a mapping: every value that has no entry of its own and is no label."""

_NAMED = 6  # values that a message names

Membership = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class GivenLabels:
    """The labels that a column gives to rows.

    Attributes
    ----------
    members : ndarray of bool, shape (rows, labels)
        Whether a row has a label.
    known : ndarray of bool, shape (rows,)
        Whether a row has a value. A row with an empty list is known to have no label.
    """

    members: Membership
    known: npt.NDArray[np.bool_]


def values_in(
    column: Any, *, name: str, separator: str | None = None, labels: Sequence[str] = ()
) -> list[list[str] | None]:
    """Return the values in each cell of a column; None for a cell without a value.

    A cell is a list, a JSON list (if all cells of the column are), or a text with a separator between the values. Space
    around a value is taken off.

    Parameters
    ----------
    column : Array or ChunkedArray
        A column of lists, of texts, or of another type.
    name : str
        Its name.
    separator : str, optional
        What stands between the values of a text; by default `SEPARATOR`.
    labels : sequence of str
        Values that must not be torn apart.

    Raises
    ------
    InputError
        If there is a separator for a column of lists, or the separator stands in a label.

    Examples
    --------
    >>> values_in(pa.array(["a; b", None, ""]), name="tags"), values_in(pa.array(['["a; b"]', "[]"]), name="tags")
    ([['a', 'b'], None, None], [['a; b'], []])
    """
    if separator is not None and not separator.strip():
        raise UsageError(f"expected a separator of labels such as ';', found {separator!r}")
    lists = json_values(column) if pa.types.is_nested(column.type) else _json_lists(shared_values(column))
    if lists is None:
        cut = SEPARATOR if separator is None else separator.strip()
        if torn := [label for label in labels if cut in label]:
            raise InputError(
                f"the label {torn[0]!r} holds {cut!r}, which stands between two labels in column {name!r}: give "
                "another --separator, or a column of lists"
            )
        cells = cache(lambda text: _stripped(text.split(cut)) if text.strip() else None)  # equal cells are one list
        return [cells(value_text(value)) for value in shared_values(column)]
    if separator is not None:
        raise InputError(f"column {name!r} holds lists, which have no separator: leave --separator out")
    return [None if values is None else _stripped(values) for values in lists]


def distinct_cells(cells: Sequence[list[str] | None]) -> tuple[list[list[str] | None], npt.NDArray[np.int64]]:
    """Return the distinct lists in the cells of a column in their first order, and each cell's number among them.

    Each list is looked at once, and not once in each row: a large column has few of them.
    """
    of_object: dict[int, int] = {}  # equal cells are mostly one object, which is found faster than by its values
    number_of: dict[tuple[str, ...] | None, int] = {}
    distinct: list[list[str] | None] = []
    for values in cells:
        if id(values) not in of_object:
            key = None if values is None else tuple(values)
            if key not in number_of:
                number_of[key] = len(distinct)
                distinct.append(values)
            of_object[id(values)] = number_of[key]
    return distinct, np.fromiter((of_object[id(values)] for values in cells), np.int64, len(cells))


def _json_lists(cells: Sequence[Any]) -> list[Any] | None:
    """Return the lists in cells of JSON; None if a cell holds something else, or all are blank."""
    found: list[Any] = []
    for cell in cells:
        text = value_text(cell).strip()
        found.append(json_list(text) if text else None)
        if text and found[-1] is None:
            return None
    return found if any(values is not None for values in found) else None


def _stripped(values: Any) -> list[str]:
    texts = [value_text(value).strip() for value in values]
    return [text for text in texts if text]


def given_labels(
    column: Any,
    labels: Sequence[str],
    mapping: Mapping[str, list[str]],
    *,
    name: str,
    separator: str | None = None,
) -> GivenLabels:
    """Return the labels that a column gives to rows.

    Parameters
    ----------
    column, name, separator
        See `values_in`.
    labels : sequence of str
        All labels.
    mapping : mapping of str to list of str
        The labels that a value stands for, as `parse_map` returns them. A value without an entry stands for the label
        of the same name; the entry `OTHERS` is for all other values.

    Raises
    ------
    InputError
        If a value is no label and has no entry, if no row has a value, or if a label holds the separator.
    """
    cells = values_in(column, name=name, separator=separator, labels=labels)

    @cache
    def numbers_of(value: str) -> list[int] | None:
        found = labels_of(value, labels, mapping)
        found = mapping.get(OTHERS) if found is None else found
        return None if found is None else [labels.index(label) for label in found]

    distinct, cell_of_row = distinct_cells(cells)
    members = np.zeros((len(distinct), len(labels)), dtype=bool)
    unknown: dict[str, None] = {}
    for row, values in enumerate(distinct):
        for value in values or ():
            numbers = numbers_of(value)
            if numbers is None:
                unknown[value] = None
            else:
                members[row, numbers] = True
    if unknown:
        values = list(unknown)
        raise InputError(
            f"column {name!r} holds {listed(values, _NAMED)}, which {form(len(values), 'is', 'are')} none of the "
            f"labels {', '.join(labels)}: say what each stands for with --map {shlex.quote(values[0] + '=LABEL')}, "
            f"or for no label with --map {shlex.quote(values[0] + '=')} (--map {shlex.quote(OTHERS + '=')}: all of "
            "them), or say with --separator what stands between two labels"
        )
    known = np.array([values is not None for values in distinct], dtype=bool)
    if not known.any():
        raise InputError(f"expected labels in column {name!r}, found no row with a value: choose another column")
    return GivenLabels(members[cell_of_row], known[cell_of_row])


def check_threshold(threshold: float | None) -> None:
    """Raise a `UsageError` if a threshold is not above 0 and below 1."""
    if threshold is not None and not 0 < threshold < 1:
        raise UsageError(f"expected a threshold above 0 and below 1, found {threshold}")


def above(probability: npt.NDArray[np.floating[Any]], threshold: float) -> tuple[Membership, tuple[str, ...]]:
    """Return which labels are at least as probable as the threshold, shape (rows, labels), and notes."""
    members = np.asarray(probability >= threshold, dtype=bool)
    none = int(np.count_nonzero(~members.any(axis=1)))
    return members, (f"no label applies to {none:,} of {counted(len(members), 'row')}",) if none else ()


@dataclass(frozen=True, slots=True)
class MultilabelReport:
    """Metrics of predictions where a row can have several labels, or none.

    Attributes
    ----------
    text : str
        scikit-learn's classification report.
    micro_f1, macro_f1 : float
        From 0 to 1. Micro-F1 counts every pair of a row and a label alike, macro-F1 every label that was given or
        predicted.
    subset_accuracy : float
        Share of the rows with exactly the given labels.
    hamming_loss : float
        Share of the pairs of a row and a label that are wrong.
    labels : tuple of str
        The labels that were given or predicted.
    counts : ndarray of shape (labels, 3), int64
        For each of them, the rows that were given it, that it was predicted for, and both.
    rows, left_out : int
        Number of scored rows, and of rows whose labels are not known.
    """

    text: str
    micro_f1: float
    macro_f1: float
    subset_accuracy: float
    hamming_loss: float
    labels: tuple[str, ...]
    counts: npt.NDArray[np.int64]
    rows: int
    left_out: int = 0

    def __str__(self) -> str:
        return self.text

    def to_json(self) -> dict[str, Any]:
        """Return the metrics as a JSON object."""
        table = self.table()
        return {
            "micro_f1": self.micro_f1,
            "macro_f1": self.macro_f1,
            "subset_accuracy": self.subset_accuracy,
            "hamming_loss": self.hamming_loss,
            "rows": self.rows,
            "left_out": self.left_out,
            "labels": {row.pop("label"): row for row in table.to_pylist()},
        }

    @property
    def headline(self) -> str:
        """The figure that a title names."""
        return f"micro-F1 {self.micro_f1:.3f}"

    def figures(self) -> dict[str, float]:
        """Return the figures over all labels, by name."""
        return {name: getattr(self, name) for name in ("micro_f1", "macro_f1", "subset_accuracy", "hamming_loss")}

    def table(self) -> pa.Table:
        """Return one row per label: label, precision, recall, f1 (float64, from 0 to 1), rows (int64)."""
        given, predicted, both = self.counts.T
        columns = {
            "label": pa.array(self.labels, pa.string()),
            "precision": both / np.maximum(predicted, 1),
            "recall": both / np.maximum(given, 1),
            "f1": 2 * both / np.maximum(given + predicted, 1),
            "rows": pa.array(given),
        }
        return pa.table(columns)

    def lines(self, width: int | None = None) -> list[str]:
        """Return the lines of the report, laid out for a terminal of this width."""
        exact = f"all labels of a row right {self.subset_accuracy:.4f}, Hamming loss {self.hamming_loss:.4f}"
        return [*report_lines(self.text, width), "", exact]

    def panels(self) -> "list[Panel]":
        """Return what to draw: the F1 of each label."""
        from embedstore.reports.pictures import Bars

        f1 = self.table().column("f1").to_numpy()
        none = np.full(len(f1), np.nan)
        return [Bars(self.labels, f1, none, none, f"F1 (micro {self.micro_f1:.3f}, macro {self.macro_f1:.3f})")]


def multilabel_report(
    given: Membership, predicted: Membership, labels: Sequence[str], *, left_out: int = 0
) -> MultilabelReport:
    """Score predicted labels against given ones.

    Parameters
    ----------
    given, predicted : ndarray of bool, shape (rows, labels)
        Whether a row has a label.
    labels : sequence of str
        Their names.
    left_out : int
        Number of rows whose labels are not known, to include in the report.
    """
    from sklearn import metrics

    counts = np.stack([given.sum(axis=0), predicted.sum(axis=0), (given & predicted).sum(axis=0)], axis=1)
    seen = np.flatnonzero(counts[:, 0] + counts[:, 1])
    names = tuple(labels[number] for number in seen.tolist())
    # scikit-learn takes a single column for two classes: there is always one column more, which no label has.
    spare = np.zeros((len(given), 1), dtype=bool)
    text = "no row was given a label, and none was predicted"
    if len(seen):
        text = metrics.classification_report(
            np.hstack([given, spare]).astype(np.int8),
            np.hstack([predicted, spare]).astype(np.int8),
            labels=seen,
            target_names=list(map(clean, names)),
            digits=4,
            zero_division=0.0,
        )
    # "samples avg" counts a row without labels that got none as wrong.
    kept = [line for line in text.rstrip().split("\n") if not line.lstrip().startswith("samples avg")]
    either = counts[:, 0] + counts[:, 1]
    return MultilabelReport(
        text="\n".join(kept),
        micro_f1=float(2 * counts[:, 2].sum() / max(1, either.sum())),
        macro_f1=float(np.mean(2 * counts[seen, 2] / either[seen])) if len(seen) else 0.0,
        subset_accuracy=float(metrics.accuracy_score(np.hstack([given, spare]), np.hstack([predicted, spare]))),
        hamming_loss=float(np.mean(given != predicted)) if given.size else 0.0,
        labels=names,
        counts=counts[seen].astype(np.int64),
        rows=len(given),
        left_out=left_out,
    )


def members_report(given: GivenLabels, members: Membership, labels: Sequence[str]) -> MultilabelReport | None:
    """Score the predicted labels of the rows whose labels are known; None if there are no such rows."""
    known = given.known
    left_out = int(np.count_nonzero(~known))
    return multilabel_report(given.members[known], members[known], labels, left_out=left_out) if known.any() else None
