"""Reports of predictions against given labels, with scikit-learn."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from embedstore.corpus import value_text
from embedstore.errors import InputError

__all__ = [
    "Intervals",
    "Ordinal",
    "Report",
    "intervals",
    "map_gold",
    "ordinal_report",
    "paired_interval",
    "parse_map",
    "report",
]

_RESAMPLES = 1000


@dataclass(frozen=True, slots=True)
class Ordinal:
    """What predictions are worth on labels that are in order.

    Attributes
    ----------
    error : float
        Mean absolute error, in steps of the scale.
    within_one : float
        Share of rows that are off by one step at most.
    polarity : float
        Share of the rows given a label of the lower or upper half whose prediction is of the same half.
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
    """What predictions are worth.

    Attributes
    ----------
    text : str
        scikit-learn's classification report.
    accuracy, macro_f1 : float
        From 0 to 1; macro-F1 over the classes that were given or predicted.
    classes : tuple of str
        Rows and columns of `confusion`.
    confusion : ndarray of shape (classes, classes), int64
        Counts; rows are the given classes, columns the predicted.
    rows, left_out : int
        Rows that were scored, and rows without a given label.
    ordinal : Ordinal or None
        Further figures, where the labels are in order.
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
        """Return the figures as a JSON object."""
        return {
            "accuracy": self.accuracy,
            "macro_f1": self.macro_f1,
            "rows": self.rows,
            "left_out": self.left_out,
            "classes": list(self.classes),
            "confusion": self.confusion.tolist(),
            **({"ordinal": asdict(self.ordinal)} if self.ordinal else {}),
        }

    def confusion_text(self) -> str:
        """Return the confusion matrix as a table of text."""
        width = max(8, *(len(name) for name in self.classes)) + 2
        head = "given \\ predicted".ljust(width + 8) + "".join(name.rjust(width) for name in self.classes)
        lines = [
            name.ljust(width + 8) + "".join(f"{count:,}".rjust(width) for count in row)
            for name, row in zip(self.classes, self.confusion.tolist(), strict=True)
        ]
        return "\n".join([head, *lines])


def report(given: Sequence[str], predicted: Sequence[str], *, order: Sequence[str] = (), left_out: int = 0) -> Report:
    """Compare predictions with given labels.

    Parameters
    ----------
    given, predicted : sequence of str
        One per row.
    order : sequence of str
        Of the classes; those that are not in it come after it, sorted.
    left_out : int
        Rows that had no given label, to be told with the figures.
    """
    from sklearn import metrics

    found = set(given) | set(predicted)
    classes = [name for name in order if name in found] + sorted(found.difference(order))
    place = {name: number for number, name in enumerate(classes)}
    confusion = np.zeros((len(classes), len(classes)), dtype=np.int64)
    np.add.at(confusion, ([place[name] for name in given], [place[name] for name in predicted]), 1)
    text = metrics.classification_report(given, predicted, labels=classes, digits=4, zero_division=0.0)
    return Report(
        text=text.rstrip(),
        accuracy=float(np.trace(confusion) / max(1, len(given))),
        macro_f1=float(np.mean(2 * np.diag(confusion) / (confusion.sum(axis=0) + confusion.sum(axis=1)))),
        classes=tuple(classes),
        confusion=confusion,
        rows=len(given),
        left_out=left_out,
    )


@dataclass(frozen=True, slots=True)
class Intervals:
    """95% intervals: lower and upper end for accuracy and for macro-F1."""

    accuracy: tuple[float, float]
    macro_f1: tuple[float, float]


def intervals(found: Report, *, random_state: int = 42) -> Intervals:
    """Return percentile bootstrap intervals of a report's figures, over 1,000 resamples of its rows.

    Rows of one cell of the confusion matrix can't be told apart, so drawing rows with replacement is
    drawing the cells from a multinomial distribution (Efron and Tibshirani 1993, chapter 13).
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
    """Return the 95% bootstrap interval of the mean of a gain of -1, 0 or 1 per row, shape (n,)."""
    counts = np.array([np.count_nonzero(gain == value) for value in (-1, 0, 1)])
    draws = np.random.default_rng(random_state).multinomial(len(gain), counts / len(gain), size=_RESAMPLES)
    return _middle((draws[:, 2] - draws[:, 0]) / len(gain))


def _middle(values: npt.NDArray[np.float64]) -> tuple[float, float]:
    low, high = np.percentile(values, [2.5, 97.5])
    return float(low), float(high)


def parse_map(pairs: Sequence[str], labels: Sequence[str]) -> dict[str, list[str]]:
    """Read ``VALUE=LABEL`` pairs; a value may stand for several labels, several for one, ``VALUE=`` for none.

    Raises
    ------
    InputError
        If a pair has no "=", names an unknown label, or puts one into two groups.
    """
    mapping: dict[str, list[str]] = {}
    for pair in pairs:
        value, equals, label = pair.partition("=")
        if not equals:
            raise InputError(f"expected --map VALUE=LABEL, found {pair!r}")
        if label and label not in labels:
            raise InputError(f"--map {pair}: {label!r} is none of the labels {', '.join(labels)}")
        mapping.setdefault(value, []).extend([label] if label else [])
    groups: dict[str, list[str]] = {}
    for members in mapping.values():
        for label in members:
            if groups.setdefault(label, members) != members:
                raise InputError(f"--map puts the label {label!r} into two different groups of labels")
    return mapping


def map_gold(
    gold: Sequence[object], predicted: Sequence[str], labels: Sequence[str], mapping: dict[str, list[str]]
) -> Report:
    """Score predicted labels against a column of the table.

    Parameters
    ----------
    gold : sequence of object
        The column's values; rows without one are left out.
    predicted : sequence of str
        The label of each row.
    labels : sequence of str
        All labels.
    mapping : dict of str to list of str
        Labels that a value stands for; a value without an entry stands for the label of its name.
        Where a value stands for several, a prediction of any of them counts as right.

    Raises
    ------
    InputError
        If a value stands for no label.
    """
    names: dict[str, str] = {}
    group = {label: label for label in labels}
    for key, members in mapping.items():
        names[key] = " | ".join(members)
        group.update(dict.fromkeys(members, names[key]))
    given: list[str] = []
    kept: list[str] = []
    for value, label in zip(gold, predicted, strict=True):
        shown = value_text(value)
        name = names.get(shown, shown if shown in labels else None)
        if shown and name is None:
            raise InputError(
                f"the gold column holds {shown!r}, which is none of the labels {', '.join(labels)}: say what it "
                f"stands for with --map {shown}=LABEL, or leave such rows out with --map {shown}="
            )
        if shown and name:
            given.append(name)
            kept.append(group[label])
    if not given:
        raise InputError("the gold column holds no value that stands for a label")
    return report(given, kept, order=list(dict.fromkeys(group.values())), left_out=len(gold) - len(given))


def ordinal_report(
    gold: Sequence[object], predicted: Sequence[str], labels: Sequence[str], mapping: dict[str, list[str]]
) -> Ordinal:
    """Score predicted labels on their scale; see `map_gold` for the parameters.

    Where a value stands for several labels, the nearest of them counts.
    """
    place = {label: number for number, label in enumerate(labels)}
    middle = (len(labels) - 1) / 2
    steps, halves = [], []
    for value, label in zip(gold, predicted, strict=True):
        shown = value_text(value)
        members = [place[name] for name in mapping.get(shown, [shown] if shown in place else [])]
        if members:
            nearest = min(members, key=lambda number: abs(number - place[label]))
            steps.append(abs(nearest - place[label]))
            if (mean := float(np.mean(members))) != middle:
                halves.append((mean > middle) == (place[label] > middle) and place[label] != middle)
    return Ordinal(
        float(np.mean(steps)), float(np.mean(np.array(steps) <= 1)), float(np.mean(halves)) if halves else float("nan")
    )
