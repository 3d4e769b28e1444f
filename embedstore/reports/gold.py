"""Score labels against a gold column; ``VALUE=LABEL`` pairs map the column's values to labels."""

import shlex
from collections.abc import Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from embedstore.core.counts import form, listed
from embedstore.core.lists import may_hold_several
from embedstore.core.values import same_value, value_text
from embedstore.errors import InputError

if TYPE_CHECKING:
    from embedstore.reports.metrics import Ordinal, Report

__all__ = ["GoldMap", "as_pairs", "labels_of", "map_gold", "missing_notes", "ordinal_report", "parse_map"]

_NAMED = 6  # values that a message names

GoldMap = Mapping[str, str | Sequence[str]] | Sequence[str]
"""The labels that values stand for: a dict, or ``VALUE=LABEL`` pairs."""


def parse_map(given: GoldMap, labels: Sequence[str], *, grouped: bool = True) -> dict[str, list[str]]:
    """Return the labels of each value.

    A value can have several labels, and a label several values. A value can have no label: ``VALUE=`` in pairs, "" or
    None in a dict. Values are compared as `same_value` does: ``3`` and ``3.0`` are one. If `grouped`, values with
    several labels have the same ones, because the labels of a value are then alternatives.

    Raises
    ------
    InputError
        If a pair has no "=", names an unknown label, or puts a label into two groups although they are `grouped`.

    Examples
    --------
    >>> parse_map(["1=bad", "2=good", "3="], ["bad", "good"])
    {'1': ['bad'], '2': ['good'], '3': []}
    >>> parse_map({1: "bad", 2: "good", 3: None}, ["bad", "good"])
    {'1': ['bad'], '2': ['good'], '3': []}
    """
    mapping: dict[str, list[str]] = {}
    for value, label in _pairs(given):
        if label and label not in labels:
            raise InputError(f"--map {value}={label}: {label!r} is none of the labels {', '.join(labels)}")
        mapping.setdefault(same_value(value, mapping) or value, []).extend([label] if label else [])
    groups: dict[str, list[str]] = {}
    for members in mapping.values() if grouped else ():
        for label in members:
            if groups.setdefault(label, members) != members:
                raise InputError(
                    f"expected each label in one group of labels, found {label!r} in {' | '.join(groups[label])!r} and "
                    f"in {' | '.join(members)!r}: values with several labels must have the same ones in --map"
                )
    return mapping


def _pairs(given: GoldMap) -> list[tuple[str, str]]:
    if hasattr(given, "to_dict"):  # a Series of pandas
        given = given.to_dict()
    if isinstance(given, Mapping):
        for value, names in given.items():
            if not (names is None or isinstance(names, str | list | tuple)):
                raise InputError(f"expected a label, a list of labels or None for the value {value!r}, found {names!r}")
        members = {
            value_text(value): [names] if names is None or isinstance(names, str) else list(names)
            for value, names in given.items()
        }
        return [(value, value_text(name)) for value, names in members.items() for name in names or [""]]
    if isinstance(given, str):
        raise InputError(f"expected a dict of values and labels, or a list of VALUE=LABEL, found {given!r}")
    for pair in given:
        if "=" not in pair:
            raise InputError(f"expected --map VALUE=LABEL, found {pair!r}")
    return [(value, label) for value, _, label in (pair.partition("=") for pair in given)]


def as_pairs(given: GoldMap) -> list[str]:
    """Return a mapping as ``VALUE=LABEL`` pairs."""
    return [f"{value}={label}" for value, label in _pairs(given)]


def labels_of(shown: str, labels: Sequence[str], mapping: Mapping[str, list[str]]) -> list[str] | None:
    """Return the labels that a value of a gold column stands for; None if it is not mapped and no label.

    Parameters
    ----------
    shown : str
        The value as text.
    labels : sequence of str
        All labels.
    mapping : mapping of str to list of str
        Labels of each value, as `parse_map` returns them. A value without an entry has the label of the same name.
    """
    mapped = same_value(shown, mapping)
    if mapped is not None:
        return mapping[mapped]
    label = same_value(shown, labels)
    return None if label is None else [label]


def missing_notes(words: Mapping[str, int], column: str) -> tuple[str, ...]:
    """Return a note on the words of a gold column that mean a missing value; no note if there are none.

    Examples
    --------
    >>> missing_notes({"None": 3}, "pain")
    ("words of 'pain' that mean a missing value: None (3); `add --keep-missing-words` takes them as values",)
    """
    said = ", ".join(f"{word} ({count:,})" for word, count in words.items())
    if not said:
        return ()
    return (f"words of {column!r} that mean a missing value: {said}; `add --keep-missing-words` takes them as values",)


def map_gold(
    gold: Sequence[object],
    predicted: Sequence[str],
    labels: Sequence[str],
    mapping: dict[str, list[str]],
    *,
    column: str,
) -> "Report":
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
    column : str
        Name of the column.

    Raises
    ------
    InputError
        If a value has no entry and is not a label, or if no row has a label.
    """
    from embedstore.reports.metrics import report

    group = {label: label for label in labels}
    for members in mapping.values():
        group.update(dict.fromkeys(members, " | ".join(members)))

    @cache
    def name_of(shown: str) -> str | None:
        found = labels_of(shown, labels, mapping)
        return None if found is None else group[found[0]] if found else ""

    unknown = sorted({shown for shown in map(value_text, gold) if shown and name_of(shown) is None})
    if unknown:
        raise InputError(
            f"column {column!r} holds {listed(unknown, _NAMED)}, which {form(len(unknown), 'is', 'are')} none of the "
            f"labels {', '.join(labels)}: say what each stands for with --map {shlex.quote(unknown[0] + '=LABEL')}, or "
            f"leave such rows out with --map {shlex.quote(unknown[0] + '=')}"
            + ("; `tag --multi` takes several labels in a cell" if any(map(may_hold_several, unknown)) else "")
        )
    given: list[str] = []
    kept: list[str] = []
    for value, label in zip(gold, predicted, strict=True):
        shown = value_text(value)
        name = name_of(shown) if shown else ""
        if name:
            given.append(name)
            kept.append(group[label])
    if not given:
        raise InputError(
            f"expected labels in column {column!r}, found no value that stands for one: choose another column"
        )
    return report(given, kept, order=list(dict.fromkeys(group.values())), left_out=len(gold) - len(given))


def ordinal_report(
    gold: Sequence[object], predicted: Sequence[str], labels: Sequence[str], mapping: dict[str, list[str]]
) -> "Ordinal":
    """Score predicted labels as steps of a scale; see `map_gold` for the parameters.

    If a value has several labels, the one nearest to the prediction counts.
    """
    from embedstore.reports.metrics import Ordinal

    place = {label: number for number, label in enumerate(labels)}
    middle = (len(labels) - 1) / 2
    steps, halves = [], []

    @cache
    def places_of(shown: str) -> list[int]:
        return [place[name] for name in (labels_of(shown, labels, mapping) if shown else None) or ()]

    for value, label in zip(gold, predicted, strict=True):
        members = places_of(value_text(value))
        if members:
            nearest = min(members, key=lambda number: abs(number - place[label]))
            steps.append(abs(nearest - place[label]))
            if (mean := float(np.mean(members))) != middle:
                halves.append((mean > middle) == (place[label] > middle) and place[label] != middle)
    return Ordinal(
        float(np.mean(steps)), float(np.mean(np.array(steps) <= 1)), float(np.mean(halves)) if halves else float("nan")
    )
