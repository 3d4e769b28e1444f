"""The labels that a person looks through."""

from dataclasses import dataclass
from typing import Any

from embedstore.core.checks import shown
from embedstore.errors import UsageError
from embedstore.labels.choice import Choice
from embedstore.labels.label_file import SHIPPED
from embedstore.labels.label_set import Labels, LabelSet
from embedstore.tagging.methods import find_method

__all__ = ["Lens"]


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
    def of(cls, labels: "Labels | str | None", method: str = "cosine", *, examples: bool = False) -> "Lens":
        """Return the lens of labels in any form; a text is the name of a shipped set, never of a file."""
        find_method(method)
        if not isinstance(examples, bool):
            raise UsageError(f"expected true or false for examples, found {shown(examples)}")
        if isinstance(labels, str):
            if labels not in SHIPPED:
                raise UsageError(f"expected a shipped label set of {', '.join(SHIPPED)}, found {shown(labels)}")
            return cls(labels=LabelSet.shipped(labels), method=method, examples=examples)
        return cls(labels=None if labels is None else LabelSet.of(labels), method=method, examples=examples)

    @classmethod
    def from_json(cls, value: Any) -> "Lens":
        """Return the lens in a JSON object with any of ``labels``, ``method`` and ``examples``."""
        if value is None:
            return cls()
        if not isinstance(value, dict) or not {"labels", "method", "examples"}.issuperset(value):
            raise UsageError(f"expected labels, method and examples of a lens, found {shown(value)}")
        return cls.of(value.get("labels"), value.get("method", "cosine"), examples=value.get("examples", False))

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
