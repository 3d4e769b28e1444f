"""The label set that an answer chose from, identified by its labels."""

import re
from dataclasses import dataclass
from functools import lru_cache

from embedstore.labels.label_file import SHIPPED
from embedstore.labels.label_set import LabelSet

__all__ = ["Choice"]


@dataclass(frozen=True, slots=True)
class Choice:
    r"""The label set that a person chose from.

    Two choices are the same if their labels are the same, whatever the names of the sets. Files store a choice as text:
    the name of a shipped set, or the labels separated by ``|``. The name of the set and ``=`` precede the labels, if
    the set has a name.

    Parameters
    ----------
    name : str
        Name of the set; can be "".
    labels : tuple of str
        Its labels; empty if unknown.
    text : str
        Its form in files and tables.

    Examples
    --------
    >>> print(Choice.of(LabelSet.of(["a|b", "x = 1"])))
    a\|b|x \= 1
    >>> Choice.read("polarity").same_as(Choice.read("mine = Negative|Positive"))
    True
    """

    name: str = ""
    labels: tuple[str, ...] = ()
    text: str = ""

    @classmethod
    def of(cls, labels: LabelSet) -> "Choice":
        """Return the choice of a label set."""
        if labels.name in SHIPPED and set(labels.names) == set(LabelSet.shipped(labels.name).names):
            return cls(labels.name, labels.names, labels.name)
        joined = "|".join(map(_escaped, labels.names))
        return cls(labels.name, labels.names, f"{_escaped(labels.name)} = {joined}" if labels.name else joined)

    @classmethod
    @lru_cache(maxsize=1024)
    def read(cls, text: str) -> "Choice":
        """Parse a choice from its text."""
        if text in SHIPPED:
            return cls(text, LabelSet.shipped(text).names, text)
        head, equals, rest = text.partition(" = ")
        names = [_plain(one) for one in re.findall(r"(?:\\[\\|=]|[^|])+", rest or text)]
        if len(names) < 2:
            return cls(text, (), text)
        return cls(_plain(head) if equals else "", tuple(names), text)

    def __str__(self) -> str:
        return self.text

    @property
    def key(self) -> frozenset[str] | str:
        """Identity of the choice: its labels, or its name if the labels are unknown."""
        return frozenset(self.labels) or self.name

    def same_as(self, other: "Choice") -> bool:
        """Return whether both choices have the same `key`."""
        return self.key == other.key

    def matches_name(self, name: str) -> bool:
        """Return whether `name` can mean this choice: its text, its own name, or its labels."""
        return name in (self.text, _plain(self.text.partition(" = ")[0])) or self.same_as(Choice.read(name))

    def could_choose_from(self, labels: LabelSet, label: str) -> bool:
        """Return whether this can be a choice between the labels of a set, given the chosen label.

        If its labels are unknown, it is one if it has no name or the set's name, or if `label` is in the set.
        """
        if self.labels:
            return set(self.labels) == set(labels.names)
        return self.name in ("", labels.name) or label in labels.names


def _escaped(name: str) -> str:
    return re.sub(r"([\\|=])", r"\\\1", name)


def _plain(name: str) -> str:
    return re.sub(r"\\([\\|=])", r"\1", name)
