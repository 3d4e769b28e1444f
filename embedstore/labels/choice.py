"""The label set that an answer chose from, identified by its labels."""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from embedstore.labels.label_file import SHIPPED
from embedstore.labels.label_set import LabelSet

__all__ = ["Choice", "joined_labels", "labels_in"]

_SEVERAL = "any of: "  # begins the text of a choice of several labels


@dataclass(frozen=True, slots=True)
class Choice:
    r"""The label set that a person chose from.

    Two choices are the same if their labels are the same, whatever the names of the sets. Files store a choice as text:
    the name of a shipped set, or the labels separated by ``|``. The name of the set and ``=`` precede the labels, if
    the set has a name. ``any of:`` precedes both, if a text can have several of the labels. That is another choice than
    the choice of one of them: its answers are lists of labels (`joined_labels`).

    Parameters
    ----------
    name : str
        Name of the set; can be "".
    labels : tuple of str
        Its labels; empty if unknown.
    text : str
        Its form in files and tables.
    several : bool
        Whether a text can have several of the labels, or none.

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
    several: bool = False

    @classmethod
    def of(cls, labels: LabelSet) -> "Choice":
        """Return the choice of a label set."""
        if labels.name in SHIPPED and set(labels.names) == set(LabelSet.shipped(labels.name).names):
            text = labels.name
        else:
            joined = "|".join(map(_escaped, labels.names))
            text = f"{_escaped(labels.name)} = {joined}" if labels.name else joined
        if labels.several:
            text = _SEVERAL + text
        elif text.startswith(_SEVERAL):
            text = text.replace(":", r"\:", 1)
        return cls(labels.name, labels.names, text, labels.several)

    @classmethod
    @lru_cache(maxsize=1024)
    def read(cls, text: str, *, several: bool = True) -> "Choice":
        """Parse a choice from its text; without `several`, it is a choice of one label whatever it begins with."""
        several = several and text.startswith(_SEVERAL)
        bare = text.removeprefix(_SEVERAL) if several else text
        if bare in SHIPPED:
            return cls(bare, LabelSet.shipped(bare).names, text, several)
        head, equals, rest = bare.partition(" = ")
        names = [_plain(one) for one in re.findall(r"(?:\\[\\|=:]|[^|])+", rest or bare)]
        if len(names) < 2 and not several:
            return cls(text, (), text)
        return cls(_plain(head) if equals else "", tuple(names), text, several)

    def __str__(self) -> str:
        return self.text

    @property
    def key(self) -> "frozenset[str] | str | tuple[frozenset[str]]":
        """Identity of the choice: its labels, or its name if they are unknown; in a tuple if it is one of several."""
        return _key_of(self.labels, self.name, self.several)

    def same_as(self, other: "Choice") -> bool:
        """Return whether both choices have the same `key`."""
        return self.key == other.key

    def matches_name(self, name: str) -> bool:
        """Return whether `name` can mean this choice: its text, its own name, or its labels."""
        bare, asked = self.text.removeprefix(_SEVERAL), name.removeprefix(_SEVERAL)
        named = Choice.read(_SEVERAL + asked if self.several else name)
        return asked in (bare, _plain(bare.partition(" = ")[0])) or self.same_as(named)

    def could_choose_from(self, labels: LabelSet, label: str) -> bool:
        """Return whether this can be a choice between the labels of a set, given the chosen label or labels.

        If its labels are unknown, it is one if it has no name or the set's name, or if `label` is in the set.
        """
        if self.several != labels.several:
            return False
        if self.labels:
            return set(self.labels) == set(labels.names)
        return self.name in ("", labels.name) or label in labels.names


@lru_cache(maxsize=1024)
def _key_of(labels: tuple[str, ...], name: str, several: bool) -> "frozenset[str] | str | tuple[frozenset[str]]":
    named = frozenset(labels)
    return (named,) if several else named or name


def joined_labels(labels: Iterable[str]) -> str:
    """Return several labels as the text of one answer: a JSON list, sorted, each once.

    Examples
    --------
    >>> joined_labels(["b", "a", "b"]), joined_labels([])
    ('["a", "b"]', '[]')
    """
    return json.dumps(sorted(set(labels)), ensure_ascii=False)


def labels_in(text: str) -> tuple[str, ...] | None:
    """Return the labels in the text of an answer of `joined_labels`; None if it is none.

    Examples
    --------
    >>> labels_in('["a", "b"]'), labels_in("[]"), labels_in("a")
    (('a', 'b'), (), None)
    """
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return tuple(found) if isinstance(found, list) and all(isinstance(one, str) for one in found) else None


def _escaped(name: str) -> str:
    return re.sub(r"([\\|=])", r"\\\1", name)


def _plain(name: str) -> str:
    return re.sub(r"\\([\\|=:])", r"\1", name)
