"""Metrics of predictions against given classes: scikit-learn's report, intervals, ordinal metrics."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from embedstore.core.layout import matrix, table, wide
from embedstore.core.values import clean

if TYPE_CHECKING:
    from embedstore.reports.pictures import Panel

__all__ = ["Intervals", "Ordinal", "Report", "intervals", "paired_interval", "report", "report_lines"]

_RESAMPLES = 1000
_HEAD = "given \\ predicted"
_FIGURES = 40  # characters of scikit-learn's four columns of figures, at the end of each line


@dataclass(frozen=True, slots=True)
class Ordinal:
    """Metrics of predictions on ordered labels.

    Attributes
    ----------
    error : float
        Mean absolute error, in steps of the scale.
    within_one : float
        Share of rows that are off by at most one step.
    polarity : float
        Among rows with a given label in the lower or upper half of the scale, the share predicted in the same half.
    """

    error: float
    within_one: float
    polarity: float

    def __str__(self) -> str:
        return (
            f"mean absolute error {self.error:.4f} steps, within one step {self.within_one:.4f}, "
            f"right half of the scale {self.polarity:.4f}"
        )


@dataclass(frozen=True, slots=True)
class Report:
    """Metrics of predictions.

    Attributes
    ----------
    text : str
        scikit-learn's classification report.
    accuracy, macro_f1 : float
        From 0 to 1; macro-F1 is over the classes that were given or predicted.
    classes : tuple of str
        Classes in the order of the rows and columns of `confusion`.
    confusion : ndarray of shape (classes, classes), int64
        Counts; rows are the given classes, columns the predicted ones.
    rows, left_out : int
        Number of scored rows, and of rows without a given label.
    ordinal : Ordinal or None
        Ordinal metrics, if the labels are ordered.
    """

    text: str
    accuracy: float
    macro_f1: float
    classes: tuple[str, ...]
    confusion: npt.NDArray[np.int64]
    rows: int
    left_out: int = 0
    ordinal: Ordinal | None = None

    def __str__(self) -> str:
        return self.text

    def to_json(self) -> dict[str, Any]:
        """Return the metrics as a JSON object."""
        return {
            "accuracy": self.accuracy,
            "macro_f1": self.macro_f1,
            "rows": self.rows,
            "left_out": self.left_out,
            "classes": list(self.classes),
            "confusion": self.confusion.tolist(),
            **({"ordinal": asdict(self.ordinal)} if self.ordinal else {}),
        }

    def table(self) -> pa.Table:
        """Return one row per class: class, precision, recall, f1 (float64, from 0 to 1), rows (int64)."""
        hits = np.diag(self.confusion)
        given, predicted = self.confusion.sum(axis=1), self.confusion.sum(axis=0)
        columns = {
            "class": pa.array(self.classes, pa.string()),
            "precision": hits / np.maximum(predicted, 1),
            "recall": hits / np.maximum(given, 1),
            "f1": 2 * hits / np.maximum(given + predicted, 1),
            "rows": given,
        }
        return pa.table(columns)

    def confusion_text(self) -> str:
        """Return the confusion matrix as a text table."""
        classes = [clean(name) for name in self.classes]
        width = max(8, *map(len, classes)) + 2
        head = _HEAD.ljust(width + 8) + "".join(name.rjust(width) for name in classes)
        lines = [
            name.ljust(width + 8) + "".join(f"{count:,}".rjust(width) for count in row)
            for name, row in zip(classes, self.confusion.tolist(), strict=True)
        ]
        return "\n".join([head, *lines])

    def lines(self, width: int | None = None) -> list[str]:
        """Return the lines of the report, of the confusion matrix and of the ordinal metrics.

        Parameters
        ----------
        width : int, optional
            Columns of the terminal: a table that is wider is laid out otherwise. By default it is left as it is.
        """
        ordinal = [str(self.ordinal)] if self.ordinal else []
        confusion = self.confusion_text().split("\n")
        narrow = matrix(confusion, _HEAD, self.classes, self.classes, self.confusion.tolist(), width=width)
        return [*report_lines(self.text, width), "", *narrow, *ordinal]

    @property
    def headline(self) -> str:
        """The figure that a title names."""
        return f"accuracy {self.accuracy:.3f}"

    def figures(self) -> dict[str, float]:
        """Return the figures over all classes, by name."""
        return {"accuracy": self.accuracy, "macro_f1": self.macro_f1}

    def panels(self) -> "list[Panel]":
        """Return what to draw: the confusion matrix."""
        from embedstore.reports.pictures import Confusion

        return [Confusion(self.classes, self.confusion)]


def report(given: Sequence[str], predicted: Sequence[str], *, order: Sequence[str] = (), left_out: int = 0) -> Report:
    """Score predictions against given labels.

    Parameters
    ----------
    given, predicted : sequence of str
        One per row.
    order : sequence of str
        Order of the classes; other classes come after these, sorted.
    left_out : int
        Number of rows without a given label, to include in the report.
    """
    from sklearn import metrics

    found = set(given) | set(predicted)
    classes = [name for name in order if name in found] + sorted(found.difference(order))
    place = {name: number for number, name in enumerate(classes)}
    # Numbers take a fraction of the memory of texts in scikit-learn.
    rows, columns = (np.fromiter((place[name] for name in names), np.int32, len(names)) for names in (given, predicted))
    confusion = np.zeros((len(classes), len(classes)), dtype=np.int64)
    np.add.at(confusion, (rows, columns), 1)
    text = metrics.classification_report(
        rows,
        columns,
        labels=list(range(len(classes))),
        target_names=list(map(clean, classes)),
        digits=4,
        zero_division=0.0,
    )
    return Report(
        text=text.rstrip(),
        accuracy=float(np.trace(confusion) / max(1, len(given))),
        macro_f1=float(np.mean(2 * np.diag(confusion) / (confusion.sum(axis=0) + confusion.sum(axis=1)))),
        classes=tuple(classes),
        confusion=confusion,
        rows=len(given),
        left_out=left_out,
    )


def report_lines(text: str, width: int | None) -> list[str]:
    """Return the lines of scikit-learn's report; where they are wider than `width`, as a table that fits."""
    lines = text.split("\n")
    if width is None or max(map(wide, lines)) <= width or len(lines) == 1:
        return lines
    starts = range(-_FIGURES, 0, 10)
    rows = [
        (line[:-_FIGURES].strip(), *(line[start : start + 10 or None].strip() for start in starts))
        for line in lines
        if line
    ]
    return table(rows, "<>>>>", width=width)


@dataclass(frozen=True, slots=True)
class Intervals:
    """95% intervals of accuracy and macro-F1: lower and upper end."""

    accuracy: tuple[float, float]
    macro_f1: tuple[float, float]


def intervals(found: Report, *, random_state: int = 42) -> Intervals:
    """Return percentile bootstrap intervals of a report's metrics, over 1,000 resamples of its rows.

    The rows in one cell of the confusion matrix are interchangeable, so drawing rows with replacement is the same as
    drawing cell counts from a multinomial distribution (Efron and Tibshirani 1993, chapter 13).
    """
    given, predicted = np.nonzero(found.confusion)
    cells = found.confusion[given, predicted]
    right, classes = given == predicted, len(found.classes)
    draws = np.random.default_rng(random_state).multinomial(found.rows, cells / found.rows, size=_RESAMPLES)
    f1 = np.empty(_RESAMPLES)
    for number, counts in enumerate(draws):
        hits = np.bincount(given[right], weights=counts[right], minlength=classes)
        seen = np.bincount(given, weights=counts, minlength=classes)
        seen += np.bincount(predicted, weights=counts, minlength=classes)
        f1[number] = np.mean(2 * hits[seen > 0] / seen[seen > 0])
    accuracy = draws[:, right].sum(axis=1) / found.rows
    return Intervals(_middle(accuracy), _middle(f1))


def paired_interval(gain: npt.NDArray[np.int64], *, random_state: int = 42) -> tuple[float, float]:
    """Return the 95% bootstrap interval of the mean gain; `gain` is -1, 0 or 1 per row, shape (n,)."""
    counts = np.array([np.count_nonzero(gain == value) for value in (-1, 0, 1)])
    draws = np.random.default_rng(random_state).multinomial(len(gain), counts / len(gain), size=_RESAMPLES)
    return _middle((draws[:, 2] - draws[:, 0]) / len(gain))


def _middle(values: npt.NDArray[np.float64]) -> tuple[float, float]:
    low, high = np.percentile(values, [2.5, 97.5])
    return float(low), float(high)
