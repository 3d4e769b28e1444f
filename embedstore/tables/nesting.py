"""How deep and how large Python values are, before they are handed to what follows them without a limit."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from embedstore.core.counts import counted
from embedstore.core.values import clip
from embedstore.tables.base import VALUE_WEIGHT, ReadOptions, too_much

__all__ = ["check_nesting"]


def check_nesting(name: str, values: Iterable[Any], options: ReadOptions) -> None:
    """Refuse a column with a value that is too deep or too large; Arrow ends the interpreter for a list in itself.

    Parameters
    ----------
    name : str
        The name of the column.
    values : iterable
        Its values.
    options : ReadOptions
        What is allowed.

    Raises
    ------
    InputError
        If a value has more levels of lists and objects than `options` allow, or is too large.
    """
    where = f"column {clip(name, 60)!r}"
    for value in values:
        if _is_nested(value):
            _check(value, where, options)


def _check(value: Any, where: str, options: ReadOptions) -> None:
    level: dict[int, Any] = {id(value): value}
    times = Counter(level.keys())  # a list that stands at several places is written as often
    weight = 0
    for _ in range(options.max_depth):
        below: dict[int, Any] = {}
        there: Counter[int] = Counter()
        for key, one in level.items():
            children = [*one.values(), *one] if isinstance(one, Mapping) else list(one)
            weight += VALUE_WEIGHT * len(children) * times[key]
            for child in children:
                if _is_nested(child):
                    below[id(child)] = child
                    there[id(child)] += times[key]
        if weight > options.max_row:
            raise too_much(where, f"{counted(options.max_row, 'character')} in a row", "more", "row")
        if not below:
            return
        level, times = below, there
    raise too_much(where, f"{counted(options.max_depth, 'level')} of lists and objects", "more", "depth")


def _is_nested(value: Any) -> bool:
    return isinstance(value, list | tuple | Mapping | set | frozenset) or (
        isinstance(value, np.ndarray) and value.dtype == object and value.ndim > 0
    )
