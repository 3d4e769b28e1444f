"""Cells that hold several values in one text: a JSON list, or values with a separator."""

import json
from collections import Counter
from collections.abc import Collection
from typing import Any

__all__ = ["SEPARATOR", "hold_several", "json_list", "may_hold_several"]

SEPARATOR = ";"
"""What stands between the values in a text, if nothing else is asked for."""


def json_list(text: str) -> list[Any] | None:
    """Return the list in a text of JSON; None if it holds none.

    Examples
    --------
    >>> json_list('["a", 1]'), json_list("[a]"), json_list("1")
    (['a', 1], None, None)
    """
    if not text.lstrip().startswith("["):
        return None
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, list) else None


def may_hold_several(text: str) -> bool:
    """Return whether a text is a JSON list or has a separator."""
    return SEPARATOR in text or json_list(text) is not None


def hold_several(texts: Collection[str]) -> bool:
    """Return whether some of the distinct texts of a column seem to hold several values.

    These are JSON lists, and texts with a separator between parts that stand in other texts too.

    Examples
    --------
    >>> hold_several(["a;b", "a", "b"]), hold_several(["a;b", "c"]), hold_several(["[]", "c"])
    (True, False, True)
    """
    parts_of = [{part.strip() for part in text.split(SEPARATOR)} for text in texts]
    seen = Counter(part for parts in parts_of for part in parts)
    apart = any(len(parts) > 1 and all(seen[part] > 1 for part in parts) for parts in parts_of)
    return apart or any(json_list(text) is not None for text in texts)
