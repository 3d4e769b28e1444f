"""Score labels against a gold column; ``VALUE=LABEL`` pairs map the column's values to labels."""

from collections.abc import Sequence

import numpy as np

from embedstore.core.values import value_text
from embedstore.errors import InputError
from embedstore.reports.metrics import Ordinal, Report, report

__all__ = ["map_gold", "ordinal_report", "parse_map"]


def parse_map(pairs: Sequence[str], labels: Sequence[str]) -> dict[str, list[str]]:
    """Return the labels of each value, from ``VALUE=LABEL`` pairs.

    A value can have several labels, and a label several values. ``VALUE=`` gives a value no label.

    Raises
    ------
    InputError
        If a pair has no "=", names an unknown label, or puts a label into two groups.
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
    """Score predicted labels against a gold column.

    Parameters
    ----------
    gold : sequence of object
        The column's values; rows without a value are left out.
    predicted : sequence of str
        The predicted label of each row.
    labels : sequence of str
        All labels.
    mapping : dict of str to list of str
        Labels of each value, as `parse_map` returns them. A value without an entry has the label of the same name.
        If a value has several labels, a prediction of any of them is correct.

    Raises
    ------
    InputError
        If a value has no entry and is not a label, or if no row has a label.
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
    """Score predicted labels as steps of a scale; see `map_gold` for the parameters.

    If a value has several labels, the one nearest to the prediction counts.
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
