"""The labels that a person looks through."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from embedstore.core.checks import shown
from embedstore.errors import UsageError
from embedstore.labels.choice import Choice
from embedstore.labels.label_file import SHIPPED
from embedstore.labels.label_set import Labels, LabelSet
from embedstore.tagging.methods import find_method

__all__ = ["Lens", "renamed_labels"]


_FIELDS = ("labels", "method", "examples", "ordinal", "min_confidence", "shares")


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
    min_confidence : float, optional
        Rows with less confidence have no tag. The confidence is calibrated on what people said, if that is enough.
    """

    labels: LabelSet | None = None
    method: str = "cosine"
    examples: bool = False
    min_confidence: float | None = None

    @classmethod
    def of(
        cls,
        labels: "Labels | str | None",
        method: str = "cosine",
        *,
        examples: bool = False,
        ordinal: bool = False,
        min_confidence: float | None = None,
        shares: Mapping[str, float] | None = None,
    ) -> "Lens":
        """Return the lens of labels in any form; a text is the name of a shipped set, never of a file.

        `ordinal` says whether labels that are no shipped set are ordered, the lowest first; `shares` are known shares
        of the labels, for all methods but "cosine".
        """
        if not isinstance(method, str):
            raise UsageError(f"expected the name of a method, found {shown(method)}")
        find_method(method)
        for name, value in (("examples", examples), ("ordinal", ordinal)):
            if not isinstance(value, bool):
                raise UsageError(f"expected true or false for {name}, found {shown(value)}")
        if min_confidence is not None and not _is_share(min_confidence):
            raise UsageError(f"expected a least confidence from 0 to 1, found {shown(min_confidence)}")
        if isinstance(labels, str):
            if labels not in SHIPPED:
                raise UsageError(f"expected a shipped label set of {', '.join(SHIPPED)}, found {shown(labels)}")
            chosen: LabelSet | None = LabelSet.shipped(labels)
        else:
            chosen = None if labels is None else LabelSet.of(labels)
            if chosen and ordinal:
                chosen = replace(chosen, ordinal=True)
        if shares is not None:
            chosen = _with_shares(chosen, shares)
        return cls(labels=chosen, method=method, examples=examples, min_confidence=min_confidence)

    @classmethod
    def from_json(cls, value: Any) -> "Lens":
        """Return the lens in a JSON object with any of the arguments of `of`.

        Labels can also be pairs of a name and its descriptions: a browser changes the order of an object whose names
        are numbers.
        """
        if value is None:
            return cls()
        if not isinstance(value, dict) or not set(_FIELDS).issuperset(value):
            raise UsageError(f"expected a lens with any of {', '.join(_FIELDS)}, found {shown(value)}")
        return cls.of(**{**value, "labels": _unpaired(value.get("labels"))})

    def to_json(self) -> dict[str, Any]:
        """Return ``labels`` (pairs of a name and descriptions), ``ordinal`` and ``shares``, for `from_json`."""
        labels = self.chosen
        pairs = zip(labels.names, labels.texts, strict=True)
        return {
            "labels": [[name, list(texts)] for name, texts in pairs],
            "ordinal": labels.ordinal,
            "shares": labels.known,
        }

    def to_yaml(self) -> str:
        """Return the labels as a label set file; see `LabelSet.to_yaml`."""
        return self.chosen.to_yaml()

    @property
    def hangs_on_answers(self) -> bool:
        """Whether answers can change the tags: they learn from them, or their confidence is calibrated on them."""
        return self.examples or self.min_confidence is not None

    @property
    def known_shares(self) -> dict[str, float]:
        """The known shares that the method uses, by label."""
        return self.chosen.known if find_method(self.method).takes_shares else {}

    def with_confidence(self, least: float | None) -> "Lens":
        """Return the lens with another least confidence; at 0 every row has a tag and a confidence."""
        return replace(self, min_confidence=least)

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


def _with_shares(labels: LabelSet | None, shares: Any) -> LabelSet | None:
    if not isinstance(shares, Mapping):
        raise UsageError(f"expected shares to map labels to numbers, found {shown(shares)}")
    return labels.with_shares(shares) if labels else None


def _is_share(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1


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
