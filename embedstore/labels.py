"""Label sets: names, the texts that stand for each, and the files that they are written in."""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from embedstore.errors import InputError, NotFoundError, UsageError
from embedstore.vectors import unit_rows

__all__ = ["SHIPPED", "LabelSet", "Labels"]

SHIPPED = ("emotions", "likert5", "polarity", "sentiment", "stars")

_KEYS = {"description", "labels", "name", "ordinal", "templates"}
_MOST_TEXTS = 10_000
_EXPECTED = (
    'a list of names, a mapping such as {"Happy": ["I love it", "What a joy"]}, or a mapping with "labels" and any of '
    "description, name, ordinal, templates"
)


@dataclass(frozen=True, slots=True)
class LabelSet:
    """Names of labels, and for each the texts that stand for it.

    Parameters
    ----------
    names : tuple of str
        At least two, distinct, not blank.
    texts : tuple of tuple of str
        For each label its descriptions; by default its name alone.
    templates : tuple of str
        Each description is put into each template, in the place of ``{}``.
    ordinal : bool
        Whether the labels are in order, the lowest first, as on a Likert scale.
    name, description : str
        What the set is called, and what it is for.

    Raises
    ------
    UsageError
        If a name is blank or repeated, or there are fewer than two.

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

    def __post_init__(self) -> None:
        count = sum(map(len, self.texts)) * len(self.templates)
        if count > _MOST_TEXTS:
            raise UsageError(
                f"expected at most {_MOST_TEXTS:,} descriptions times templates in a label set, found {count:,}"
            )
        wrong = [name for name in self.names if not isinstance(name, str)]
        if wrong:
            raise UsageError(f"expected labels to be texts, found {wrong[0]!r}")
        if any(not name.strip() for name in self.names):
            raise UsageError("expected every label to have a name, found a blank one")
        name, times = max(Counter(self.names).items(), key=lambda one: one[1], default=("", 0))
        if times > 1:
            raise UsageError(f"expected every label once, found {name!r} {times} times")
        if len(self.names) < 2:
            raise UsageError(f"expected at least two labels to choose from, found {', '.join(self.names) or 'none'}")
        if any(not texts or any(not text.strip() for text in texts) for texts in self.texts):
            raise UsageError("expected every label to have at least one text, and none blank")
        wrong = [template for template in self.templates if "{}" not in template]
        if wrong or not self.templates:
            raise UsageError(f"expected templates with {{}} for the description, found {', '.join(wrong) or 'none'}")

    @classmethod
    def of(cls, labels: "Labels") -> "LabelSet":
        """Return the set in which every label stands for itself, or for its descriptions; a set as it is.

        Examples
        --------
        >>> LabelSet.of({"Bad": ["dirty", "loud"], "Good": "clean"}).texts
        (('dirty', 'loud'), ('clean',))
        """
        if isinstance(labels, LabelSet):
            return labels
        if isinstance(labels, Mapping):
            try:
                return cls(tuple(labels), tuple(_several(texts, "labels") for texts in labels.values()))
            except InputError as error:
                raise UsageError(str(error)) from error
        if isinstance(labels, str) or not isinstance(labels, Iterable):
            found = f"one text {labels!r}" if isinstance(labels, str) else f"a {type(labels).__name__}"
            raise UsageError(f"expected a list of labels, found {found}")
        names = tuple(labels)
        return cls(names, tuple((name,) for name in names))

    @classmethod
    def named(cls, name: str | Path) -> "LabelSet":
        """Return the set in a file, or, where there is no such file, the shipped one of that name."""
        if str(name) in SHIPPED and not Path(name).exists():
            return cls.shipped(str(name))
        return cls.read(Path(name))

    @classmethod
    @cache
    def shipped(cls, name: str) -> "LabelSet":
        """Return a label set that the package ships: one of `SHIPPED`."""
        if name not in SHIPPED:
            raise NotFoundError(f"no label set {name!r} is shipped: there are {', '.join(SHIPPED)}")
        content = files("embedstore.labelsets").joinpath(f"{name}.yaml").read_text(encoding="utf-8")
        return cls._from(_yaml(content), name, f"the shipped set {name}")

    @classmethod
    def read(cls, path: Path) -> "LabelSet":
        """Read a label set from a file.

        A text file has a label a line; blank lines and those that begin with # are passed over. YAML and JSON
        have a list of names, a mapping of names to a description or a list of them, or a mapping with ``labels`` (one
        of these two) and with ``templates``, ``ordinal``, ``name`` and ``description`` besides. Among the descriptions
        of a label, ``{shipped: SET, label: NAME}`` stands for those of a label of a shipped set.

        Raises
        ------
        InputError
            If the file is missing or holds something else.
        """
        try:
            content = path.read_text(encoding="utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
            advice = f"; shipped sets are {', '.join(SHIPPED)}" if isinstance(error, FileNotFoundError) else ""
            raise InputError(f"label file {path} can't be read: {reason}{advice}") from error
        kind = path.suffix.lower()
        value: Any
        if kind in (".json", ".yaml", ".yml"):
            try:
                value = json.loads(content, object_pairs_hook=_unrepeated) if kind == ".json" else _yaml(content)
            except (ValueError, RecursionError) as error:
                form = "JSON" if kind == ".json" else "YAML"
                raise InputError(f"label file {path} is not {form}: {' '.join(str(error).split())}") from error
        else:
            lines = [line.strip() for line in content.split("\n")]
            value = [line for line in lines if line and not line.startswith("#")]
        try:
            return cls._from(value, path.stem, f"label file {path}")
        except UsageError as error:
            raise InputError(f"label file {path}: {error}") from error

    @classmethod
    def _from(cls, value: Any, name: str, place: str) -> "LabelSet":
        said: Mapping[str, Any] = {}
        if isinstance(value, dict) and (set(value) <= _KEYS or isinstance(value.get("labels"), (dict, list))):
            if wrong := [key for key in value if key not in _KEYS]:
                raise InputError(f"{place}: expected the keys {', '.join(sorted(_KEYS))}, found {wrong[0]!r}")
            said, value = value, value.get("labels")
        if isinstance(value, list) and all(isinstance(one, str) for one in value):
            names: list[str] = list(value)
            texts: list[tuple[str, ...]] = [(one,) for one in value]
        elif isinstance(value, dict) and all(isinstance(one, str) for one in value):
            names, texts = list(value), [_descriptions(one, place) for one in value.values()]
        else:
            raise InputError(f"{place}: expected {_EXPECTED}")
        ordinal = str(said.get("ordinal", False)).lower()
        if ordinal not in ("true", "false"):
            raise InputError(f"{place}: expected ordinal to be true or false, found {ordinal[:40]!r}")
        for key in ("name", "description"):
            if not isinstance(said.get(key, ""), str):
                raise InputError(f"{place}: expected {key} to be a text, found a {type(said[key]).__name__}")
        return cls(
            tuple(names),
            tuple(texts),
            _several(said.get("templates", "{}"), place),
            ordinal == "true",
            said.get("name", name),
            said.get("description", ""),
        )

    @property
    def bare(self) -> bool:
        """Whether every label stands for itself, without a description."""
        return self.texts == tuple((name,) for name in self.names)

    def described(self) -> "LabelSet":
        """Return this set, or, if it has names alone and a shipped set knows them all, with that set's descriptions.

        Examples
        --------
        >>> len(LabelSet.of(["Positive", "Negative"]).described().texts[0]) > 50
        True
        """
        if not self.bare:
            return self
        for known in sorted(map(LabelSet.shipped, SHIPPED), key=lambda one: len(one.names)):  # the one that fits best
            texts = {name.lower(): texts for name, texts in zip(known.names, known.texts, strict=True)}
            if all(name.lower() in texts for name in self.names):
                order = [name.lower() for name in self.names]
                ordinal = known.ordinal and order in (list(texts), list(texts)[::-1])
                return replace(self, texts=tuple(texts[name.lower()] for name in self.names), ordinal=ordinal)
        return self

    def to_yaml(self) -> str:
        """Return the set as the content of a file that `read` understands."""
        import yaml

        said: dict[str, Any] = {"description": self.description} if self.description else {}
        if self.ordinal:
            said["ordinal"] = True
        if self.templates != ("{}",):
            said["templates"] = list(self.templates)
        said["labels"] = {name: list(texts) for name, texts in zip(self.names, self.texts, strict=True)}
        return str(yaml.safe_dump(said, sort_keys=False, allow_unicode=True, width=120))

    def prompts(self) -> list[list[str]]:
        """Return for each label the texts that are encoded for it: its descriptions in every template."""
        return [[template.replace("{}", text) for text in texts for template in self.templates] for texts in self.texts]

    def prototypes(self, vectors_of: Callable[[Sequence[str]], npt.NDArray[np.float32]]) -> npt.NDArray[np.float32]:
        """Return one unit vector per label, shape (labels, dim): the normalised mean of its texts' vectors."""
        prompts = self.prompts()
        vectors = vectors_of([text for texts in prompts for text in texts])
        ends = np.cumsum([len(texts) for texts in prompts])
        means = np.stack([part.mean(axis=0) for part in np.split(vectors, ends[:-1])])
        single = np.array([len(texts) == 1 for texts in prompts])[:, None]
        # One text's vector is its label's prototype as it stands.
        return np.asarray(np.where(single, means, unit_rows(means)), dtype=np.float32)


Labels = LabelSet | Sequence[str] | Mapping[str, str | Sequence[str]]
"""What stands for a label set: one, names, or names with their descriptions."""


def _several(value: Any, place: str) -> tuple[str, ...]:
    several = (value,) if isinstance(value, str) else value
    if not isinstance(several, (list, tuple)) or not all(isinstance(one, str) for one in several):
        raise InputError(f"{place}: expected {_EXPECTED}; found a {type(value).__name__} where texts should be")
    return tuple(several)


def _descriptions(value: Any, place: str) -> tuple[str, ...]:
    """Return a label's texts; an item ``{shipped: SET, label: NAME}`` stands for all texts of that label."""
    texts: list[str] = []
    for one in value if isinstance(value, list) else [value]:
        if not isinstance(one, dict) or not {"shipped", "label"} & set(one):
            texts += _several([one] if isinstance(one, list) else one, place)
            continue
        if set(one) != {"shipped", "label"}:
            raise InputError(f"{place}: expected {{shipped: SET, label: NAME}}, found the keys {', '.join(one)}")
        if one["shipped"] not in SHIPPED:
            raise InputError(f"{place}: no label set {one['shipped']!r} is shipped: there are {', '.join(SHIPPED)}")
        other = LabelSet.shipped(one["shipped"])
        if one["label"] not in other.names:
            raise InputError(
                f"{place}: expected a label of {other.name} ({', '.join(other.names)}), found {one['label']!r}"
            )
        texts += other.texts[other.names.index(one["label"])]
    return tuple(texts)


def _unrepeated(pairs: list[tuple[Any, Any]]) -> dict[Any, Any]:
    """Return a mapping; what is repeated is refused, because the second would silently win."""
    key, times = max(Counter(key for key, _ in pairs).items(), key=lambda one: one[1], default=("", 0))
    if times > 1:
        raise ValueError(f"{key!r} stands there {times} times")
    return dict(pairs)


def _yaml(content: str) -> Any:
    """Parse YAML in which every scalar is a text: a label may be called Yes, No or 1."""
    import yaml

    class Loader(yaml.BaseLoader):  # type: ignore[misc]
        """Refuses what is repeated."""

        def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
            keys = [getattr(key, "value", None) for key, _ in node.value]
            _unrepeated([(key, None) for key in keys if isinstance(key, str)])
            return dict(super().construct_mapping(node, deep))

    try:
        return yaml.load(content, Loader)  # noqa: S506  a BaseLoader builds texts, lists and mappings only
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f" in line {mark.line + 1}" if mark else ""
        raise ValueError(f"{getattr(error, 'problem', None) or error}{place}") from error
