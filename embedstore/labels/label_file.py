"""Read label sets from text, YAML and JSON files, and from the package."""

import json
from collections import Counter
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from embedstore.errors import InputError, NotFoundError, UsageError
from embedstore.labels.shares import known_shares, written_share

__all__ = ["SHIPPED", "read_fields", "shipped_fields", "texts_in"]

SHIPPED = ("emotions", "likert5", "polarity", "sentiment", "stars")
"""Names of the label sets shipped with the package."""

_KEYS = {"description", "labels", "name", "ordinal", "shares", "templates"}
_EXPECTED = (
    'a list of names, a mapping such as {"Happy": ["I love it", "What a joy"]}, or a mapping with "labels" and any of '
    "description, name, ordinal, shares, templates"
)


def read_fields(path: Path) -> dict[str, Any]:
    """Return the fields of the label set in a file; see `LabelSet.read`.

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
    return _fields(value, path.stem, f"label file {path}")


@cache
def shipped_fields(name: str) -> dict[str, Any]:
    """Return the fields of a shipped label set, one of `SHIPPED`.

    Raises
    ------
    NotFoundError
        If no shipped set has this name.
    """
    if name not in SHIPPED:
        raise NotFoundError(f"no label set {name!r} is shipped: there are {', '.join(SHIPPED)}")
    from importlib.resources import files

    content = files("embedstore.labels.sets").joinpath(f"{name}.yaml").read_text(encoding="utf-8")
    return _fields(_yaml(content), name, f"the shipped set {name}")


def _fields(value: Any, name: str, place: str) -> dict[str, Any]:
    """Return the fields of a label set from the parsed content of its file."""
    said: Mapping[str, Any] = {}
    if isinstance(value, dict) and (set(value) <= _KEYS - {"shares"} or isinstance(value.get("labels"), (dict, list))):
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
    return {
        "names": tuple(names),
        "texts": tuple(texts),
        "templates": texts_in(said.get("templates", "{}"), place),
        "ordinal": ordinal == "true",
        "name": said.get("name", name),
        "description": said.get("description", ""),
        "shares": _shares(said.get("shares", {}), names, place),
    }


def _shares(value: Any, names: list[str], place: str) -> tuple[float | None, ...]:
    """Return the known share of each label; YAML's numbers come as texts."""
    try:
        return known_shares({name: written_share(str(share)) for name, share in value.items()}, names)
    except UsageError as error:  # it is a ValueError too
        raise InputError(f"{place}: {error}") from error
    except (AttributeError, ValueError) as error:
        raise InputError(f"{place}: expected shares to map labels to numbers, such as {{Good: 0.8}}") from error


def texts_in(value: Any, place: str) -> tuple[str, ...]:
    """Return one text or a list of texts as a tuple; raise an `InputError` with `place` for anything else."""
    several = (value,) if isinstance(value, str) else value
    if not isinstance(several, (list, tuple)) or not all(isinstance(one, str) for one in several):
        raise InputError(f"{place}: expected {_EXPECTED}; found a {type(value).__name__} where texts should be")
    return tuple(several)


def _descriptions(value: Any, place: str) -> tuple[str, ...]:
    """Return the texts of a label; an item ``{shipped: SET, label: NAME}`` means all texts of that label."""
    texts: list[str] = []
    for one in value if isinstance(value, list) else [value]:
        if not isinstance(one, dict) or not {"shipped", "label"} & set(one):
            texts += texts_in([one] if isinstance(one, list) else one, place)
            continue
        if set(one) != {"shipped", "label"}:
            raise InputError(f"{place}: expected {{shipped: SET, label: NAME}}, found the keys {', '.join(one)}")
        if one["shipped"] not in SHIPPED:
            raise InputError(f"{place}: no label set {one['shipped']!r} is shipped: there are {', '.join(SHIPPED)}")
        other = shipped_fields(one["shipped"])
        names = other["names"]
        if one["label"] not in names:
            raise InputError(
                f"{place}: expected a label of {other['name']} ({', '.join(names)}), found {one['label']!r}"
            )
        texts += other["texts"][names.index(one["label"])]
    return tuple(texts)


def _unrepeated(pairs: list[tuple[Any, Any]]) -> dict[Any, Any]:
    """Return a mapping; raise a `ValueError` for a repeated key, whose last value would silently win."""
    key, times = max(Counter(key for key, _ in pairs).items(), key=lambda one: one[1], default=("", 0))
    if times > 1:
        raise ValueError(f"{key!r} stands there {times} times")
    return dict(pairs)


def _short_tag(tag: str) -> str:
    return tag.replace("tag:yaml.org,2002:", "!!", 1)


def _yaml(content: str) -> Any:
    """Parse YAML with every scalar as text, because a label can be called Yes, No or 1.

    Tags, anchors and aliases are refused: they would be read as if they were not there, or stand for any number of
    texts.
    """
    import yaml

    class Loader(yaml.BaseLoader):  # type: ignore[misc]
        """A YAML loader that refuses repeated keys, tags, anchors and aliases."""

        def compose_node(self, parent: Any, index: Any) -> Any:
            event = self.peek_event()
            tag, anchor = getattr(event, "tag", None), getattr(event, "anchor", None)
            if tag or anchor:
                shown = f"the tag {_short_tag(tag)!r}" if tag else f"the anchor or alias {anchor!r}"
                line = event.start_mark.line + 1
                raise ValueError(f"expected texts, lists and mappings alone, found {shown} in line {line}: take it out")
            return super().compose_node(parent, index)

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
