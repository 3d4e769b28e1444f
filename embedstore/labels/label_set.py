"""Label sets: the names of labels, and the texts that describe each label."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from embedstore.core.checks import column_values, shown
from embedstore.core.unit import unit_rows
from embedstore.core.values import is_blank, is_unicode
from embedstore.errors import InputError, UsageError
from embedstore.labels.label_file import SHIPPED, read_fields, shipped_fields, texts_in
from embedstore.labels.shares import known_shares

__all__ = ["LabelSet", "Labels"]

_MOST_TEXTS = 10_000


@dataclass(frozen=True, slots=True)
class LabelSet:
    """The names of labels, and the texts that describe each label.

    Parameters
    ----------
    names : tuple of str
        At least two (one, if a text can have several), distinct, not blank.
    texts : tuple of tuple of str
        Texts of each label: its descriptions, or its name alone.
    templates : tuple of str
        Each description replaces ``{}`` in each template.
    ordinal : bool
        Whether the labels are ordered, the lowest first, as on a Likert scale.
    name, description : str
        Name and purpose of the set.
    several : bool
        Whether a text can have several of the labels, or none. One label is then enough.
    shares : tuple of float or None
        The known share of each label among the texts, None for an unknown one; or an empty tuple.

    Raises
    ------
    UsageError
        If a name is blank or repeated, there are too few labels, or the shares can't be those of the labels.

    Examples
    --------
    >>> LabelSet.of(["Negative", "Positive"]).texts
    (('Negative',), ('Positive',))
    """

    names: tuple[str, ...]
    texts: tuple[tuple[str, ...], ...]
    templates: tuple[str, ...] = ("{}",)
    ordinal: bool = False
    name: str = ""
    description: str = ""
    several: bool = False
    shares: tuple[float | None, ...] = ()

    def __post_init__(self) -> None:
        parts = (self.names, self.texts, self.templates, *(self.texts if isinstance(self.texts, tuple) else ()))
        if not all(isinstance(part, tuple) for part in parts) or len(self.texts) != len(self.names):
            raise UsageError("expected tuples of names, texts (one tuple for each name) and templates: use LabelSet.of")
        count = sum(map(len, self.texts)) * len(self.templates)
        if count > _MOST_TEXTS:
            raise UsageError(
                f"expected at most {_MOST_TEXTS:,} descriptions times templates in a label set, found {count:,}"
            )
        wrong = [name for name in self.names if not isinstance(name, str)]
        if wrong:
            raise UsageError(f"expected labels to be texts, found {wrong[0]!r}")
        said = (
            self.name,
            self.description,
            *self.names,
            *self.templates,
            *chain.from_iterable(self.texts),
        )
        wrong = [one for one in said if not is_unicode(one)]
        if wrong:
            raise UsageError(f"expected texts that UTF-8 can encode, found {shown(wrong[0])}")
        if any(map(is_blank, self.names)):
            raise UsageError("expected every label to have a name, found a blank one")
        name, times = max(Counter(self.names).items(), key=lambda one: one[1], default=("", 0))
        if times > 1:
            raise UsageError(f"expected every label once, found {name!r} {times} times")
        if len(self.names) < (1 if self.several else 2):
            least = "a label" if self.several else "at least two labels to choose from"
            raise UsageError(f"expected {least}, found {', '.join(self.names) or 'none'}")
        if any(not texts or any(map(is_blank, texts)) for texts in self.texts):
            raise UsageError("expected every label to have at least one text, and none blank")
        wrong = [template for template in self.templates if "{}" not in template]
        if wrong or not self.templates:
            raise UsageError(f"expected templates with {{}} for the description, found {', '.join(wrong) or 'none'}")
        if not isinstance(self.shares, tuple) or len(self.shares) not in (0, len(self.names)):
            raise UsageError("expected a tuple with a share or None for each label, or none: use with_shares")
        if any(self.shares) and self.several:
            raise UsageError("shares are those of labels that exclude each other: leave shares or several labels out")
        known_shares(self.known, self.names)

    @property
    def known(self) -> dict[str, float]:
        """The known shares, by label."""
        pairs = zip(self.names, self.shares, strict=True) if self.shares else ()
        return {name: share for name, share in pairs if share is not None}

    def with_shares(self, given: Mapping[str, float]) -> "LabelSet":
        """Return the set with known shares of some labels, instead of its own."""
        return replace(self, shares=known_shares(given, self.names))

    @classmethod
    def of(cls, labels: "Labels", *, several: bool = False) -> "LabelSet":
        """Return a label set from names, from names with descriptions, or from a `LabelSet`.

        `several` says whether a text can have several of the labels.

        Examples
        --------
        >>> LabelSet.of({"Bad": ["dirty", "loud"], "Good": "clean"}).texts
        (('dirty', 'loud'), ('clean',))
        """
        if isinstance(labels, LabelSet):
            return labels if labels.several == several else replace(labels, several=several)
        if isinstance(labels, Mapping):
            try:
                texts = tuple(texts_in(one, "labels") for one in labels.values())
                return cls(tuple(labels), texts, several=several)
            except InputError as error:
                raise UsageError(str(error)) from error
        if isinstance(labels, str):
            advice = f"for a label file or a shipped set, give LabelSet.named({labels!r})"
            raise UsageError(f"expected a list of labels, found one text {labels!r}: {advice}")
        if not isinstance(labels, Iterable):
            raise UsageError(f"expected a list of labels, found a {type(labels).__name__}")
        names = tuple(column_values("labels", labels))
        return cls(names, tuple((name,) for name in names), several=several)

    @classmethod
    def named(cls, name: str | Path, *, several: bool = False) -> "LabelSet":
        """Return the set in a file; if there is no such file, the shipped set of that name; see `of` for `several`."""
        if str(name) in SHIPPED and not Path(name).exists():
            return cls.of(cls.shipped(str(name)), several=several)
        return cls.read(Path(name), several=several)

    @classmethod
    @cache
    def shipped(cls, name: str) -> "LabelSet":
        """Return a shipped label set, one of `SHIPPED`."""
        return cls(**shipped_fields(name))

    @classmethod
    def read(cls, path: str | Path, *, several: bool = False) -> "LabelSet":
        """Read a label set from a file; see `of` for `several`.

        A text file has one label per line; blank lines and lines that begin with # are skipped. A YAML or JSON file
        has one of three forms: a list of names; a mapping of names to a description or a list of descriptions; or a
        mapping with ``labels`` (in one of the first two forms) and any of ``templates``, ``ordinal``, ``name``,
        ``description`` and ``shares`` (a mapping of labels to their known shares).
        A description ``{shipped: SET, label: NAME}`` means all descriptions of that label of a shipped set.

        Raises
        ------
        InputError
            If the file is missing or holds something else.
        """
        try:
            return cls(**read_fields(Path(path)), several=several)
        except UsageError as error:
            raise InputError(f"label file {path}: {error}") from error

    @property
    def bare(self) -> bool:
        """Whether every label has its name as its only text."""
        return self.texts == tuple((name,) for name in self.names)

    def described(self) -> "LabelSet":
        """Return the set with the descriptions of a shipped set, if it is bare and that set has all its names.

        Otherwise return the set unchanged.

        Examples
        --------
        >>> len(LabelSet.of(["Positive", "Negative"]).described().texts[0]) > 50
        True
        """
        if not self.bare:
            return self
        for known in sorted(map(LabelSet.shipped, SHIPPED), key=lambda one: len(one.names)):  # the best fit first
            texts = {name.lower(): texts for name, texts in zip(known.names, known.texts, strict=True)}
            if all(name.lower() in texts for name in self.names):
                order = [name.lower() for name in self.names]
                ordinal = known.ordinal and order in (list(texts), list(texts)[::-1])
                return replace(self, texts=tuple(texts[name.lower()] for name in self.names), ordinal=ordinal)
        return self

    def to_yaml(self) -> str:
        """Return the set as YAML that `read` accepts."""
        return _as_yaml(self)

    def prompts(self) -> list[list[str]]:
        """Return the texts to encode for each label: its descriptions in every template."""
        return [[template.replace("{}", text) for text in texts for template in self.templates] for texts in self.texts]

    def prototypes(self, vectors_of: Callable[[Sequence[str]], npt.NDArray[np.float32]]) -> npt.NDArray[np.float32]:
        """Return one unit vector per label, shape (labels, dim): the normalised mean of its texts' vectors."""
        prompts = self.prompts()
        vectors = vectors_of([text for texts in prompts for text in texts])
        ends = np.cumsum([len(texts) for texts in prompts])
        means = np.stack([part.mean(axis=0) for part in np.split(vectors, ends[:-1])])
        single = np.array([len(texts) == 1 for texts in prompts])[:, None]
        # A label with one text gets that text's vector unchanged.
        return np.asarray(np.where(single, means, unit_rows(means)), dtype=np.float32)


Labels = LabelSet | Sequence[str] | Mapping[str, str | Sequence[str]]
"""Accepted forms of a label set: a `LabelSet`, names, or names with descriptions."""


def _as_yaml(labels: LabelSet) -> str:
    import yaml

    said: dict[str, Any] = {"description": labels.description} if labels.description else {}
    if labels.ordinal:
        said["ordinal"] = True
    if labels.templates != ("{}",):
        said["templates"] = list(labels.templates)
    if labels.shares:
        said["shares"] = labels.known
    said["labels"] = {name: list(texts) for name, texts in zip(labels.names, labels.texts, strict=True)}
    breaks = "\x85\u2028\u2029\ufeff"  # PyYAML writes these as they are, and does not read them so
    plain = yaml.safe_dump(said, sort_keys=False, allow_unicode=True, width=120)
    if any(one in plain for one in breaks):
        plain = yaml.safe_dump(said, sort_keys=False, width=120)
    return str(plain)
