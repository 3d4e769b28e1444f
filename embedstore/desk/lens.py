"""The labels that a person looks through."""

from dataclasses import dataclass, replace
from typing import Any

from embedstore.core.checks import shown
from embedstore.errors import UsageError
from embedstore.labels.choice import Choice
from embedstore.labels.label_file import SHIPPED
from embedstore.labels.label_set import Labels, LabelSet
from embedstore.tagging.methods import find_method

__all__ = ["Lens", "renamed_labels"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Lens:
    """The labels that a person looks through: what rows are tagged and answered with.

    Parameters
    ----------
    labels : LabelSet, optional
        The labels; without them rows have no tags.
    method : str
        How rows are tagged; see `embedstore.tagging.tag`.
    examples : bool
        Whether the tags learn from answers.
    """

    labels: LabelSet | None = None
    method: str = "cosine"
    examples: bool = False

    @classmethod
    def of(
        cls, labels: "Labels | str | None", method: str = "cosine", *, examples: bool = False, ordinal: bool = False
    ) -> "Lens":
        """Return the lens of labels in any form; a text is the name of a shipped set, never of a file.

        `ordinal` says whether labels that are no shipped set are ordered, the lowest first.
        """
        find_method(method)
        for name, value in (("examples", examples), ("ordinal", ordinal)):
            if not isinstance(value, bool):
                raise UsageError(f"expected true or false for {name}, found {shown(value)}")
        if isinstance(labels, str):
            if labels not in SHIPPED:
                raise UsageError(f"expected a shipped label set of {', '.join(SHIPPED)}, found {shown(labels)}")
            return cls(labels=LabelSet.shipped(labels), method=method, examples=examples)
        chosen = None if labels is None else LabelSet.of(labels)
        if chosen and ordinal:
            chosen = replace(chosen, ordinal=True)
        return cls(labels=chosen, method=method, examples=examples)

    @classmethod
    def from_json(cls, value: Any) -> "Lens":
        """Return the lens in a JSON object with any of ``labels``, ``method``, ``examples`` and ``ordinal``.

        Labels can also be pairs of a name and its descriptions: a browser changes the order of an object whose names
        are numbers.
        """
        if value is None:
            return cls()
        if not isinstance(value, dict) or not {"labels", "method", "examples", "ordinal"}.issuperset(value):
            raise UsageError(f"expected labels, method, examples and ordinal of a lens, found {shown(value)}")
        labels, method = _unpaired(value.get("labels")), value.get("method", "cosine")
        examples, ordinal = value.get("examples", False), value.get("ordinal", False)
        if not isinstance(method, str) or not all(isinstance(one, bool) for one in (examples, ordinal)):
            raise UsageError(
                "expected a lens with the name of a method, and true or false for examples and ordinal, found "
                f"{shown([method, examples, ordinal])}"
            )
        return cls.of(labels, method, examples=examples, ordinal=ordinal)

    def to_json(self) -> dict[str, Any]:
        """Return ``labels`` (pairs of a name and its descriptions) and ``ordinal``, as `from_json` takes them."""
        labels = self.chosen
        pairs = zip(labels.names, labels.texts, strict=True)
        return {"labels": [[name, list(texts)] for name, texts in pairs], "ordinal": labels.ordinal}

    def to_yaml(self) -> str:
        """Return the labels as a label set file; see `LabelSet.to_yaml`."""
        return self.chosen.to_yaml()

    @property
    def choice(self) -> Choice:
        """The labels as a choice; a `UsageError` without labels."""
        return Choice.of(self.chosen)

    @property
    def chosen(self) -> LabelSet:
        """The labels; a `UsageError` without labels."""
        if self.labels is None:
            raise UsageError("expected labels, found none: choose a label set first")
        return self.labels


def renamed_labels(value: Any) -> tuple[tuple[str, str], ...]:
    """Return pairs of an earlier and a present name from a JSON list of pairs.

    Raises
    ------
    UsageError
        If it is something else.
    """
    pairs = value if isinstance(value, list) else [value]
    for pair in pairs:
        if not isinstance(pair, list) or len(pair) != 2 or not all(isinstance(one, str) for one in pair):
            raise UsageError(f"expected pairs of an earlier and a present name of a label, found {shown(value)}")
    return tuple((earlier, present) for earlier, present in pairs)


def _unpaired(labels: Any) -> Any:
    """Return labels as `LabelSet.of` takes them: a mapping in the place of pairs."""
    if not isinstance(labels, list) or not any(isinstance(one, list) for one in labels):
        return labels
    found: dict[str, Any] = {}
    for pair in labels:
        if not isinstance(pair, list) or len(pair) != 2 or not isinstance(pair[0], str):
            raise UsageError(f"expected each label as a name and its descriptions, found {shown(pair)}")
        if pair[0] in found:
            raise UsageError(f"expected every label once, found {pair[0]!r} twice")
        found[pair[0]] = pair[1]
    return found
