"""Check the arguments of a public call against its annotations, once, and say what to pass.

NumPy's numbers become Python's. Several texts can be in a list, a tuple, a pandas or polars series, a NumPy array or an
Arrow array; they become a list.
"""

import dataclasses
import inspect
import numbers
import types
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from functools import wraps
from os import PathLike
from pathlib import Path
from typing import Any, Literal, ParamSpec, TypeVar, Union, get_args, get_origin

from embedstore.core.counts import counted
from embedstore.core.values import clip
from embedstore.errors import UsageError

__all__ = ["as_number", "at_least", "check_arguments", "check_fields", "checked", "column_values", "shown", "texts"]

Parameters = ParamSpec("Parameters")
Answer = TypeVar("Answer")

_SHOWN = 60  # characters of a value in a message
_NUMBERS: dict[Any, tuple[str, Any]] = {int: ("a whole number", numbers.Integral), float: ("a number", numbers.Real)}


def at_least(name: str, value: float, least: int) -> None:
    """Raise a `UsageError` if a number is not `least` or more."""
    if not value >= least:
        raise UsageError(f"expected a {name} of {least} or more, found {value}")


def as_number(name: str, value: Any) -> float:
    """Return a number as a float; raise a `UsageError` if it is none."""
    return float(_checked(name, value, float))


def shown(value: object) -> str:
    """Return a value as a message shows it, on one line.

    Examples
    --------
    >>> shown("a"), shown(1.0), shown([1, 2])
    ("'a'", '1.0', 'a list')
    """
    simple = value is None or isinstance(value, (str, bytes, numbers.Number))
    return clip(repr(value), _SHOWN) if simple else f"a {type(value).__name__}"


def column_values(name: str, values: object) -> list[Any]:
    """Return the values of a one-dimensional collection as a list of Python objects.

    Parameters
    ----------
    name : str
        The name of the argument, for the error message.
    values : iterable
        A list, tuple, series, array or another iterable.

    Raises
    ------
    UsageError
        If `values` is a single text, bytes, a mapping, a set, a table, or no collection at all.
    """
    if isinstance(values, str):
        raise UsageError(f"expected a list of texts for {name}, found one text {shown(values)}: put it in a list")
    dimensions = getattr(values, "ndim", 1)
    is_table = dimensions != 1 or hasattr(values, "columns") or hasattr(values, "column_names")
    if isinstance(values, (bytes, bytearray, Mapping, Set)) or not isinstance(values, Iterable) or is_table:
        found = counted(dimensions, "dimension") if dimensions != 1 else shown(values)
        raise UsageError(
            f"expected a list of texts for {name}, found {found}: give a list, a series or an array of str"
        )
    for convert in ("to_pylist", "tolist", "to_list"):  # Arrow; NumPy and pandas; polars
        if hasattr(values, convert):
            return list(getattr(values, convert)())
    return list(values)


def texts(name: str, values: object) -> list[str]:
    """Return a one-dimensional collection of texts as a list of str; see `column_values`.

    Raises
    ------
    UsageError
        If it is no such collection, or if one of its values is no text.

    Examples
    --------
    >>> texts("query", ("a", "b"))
    ['a', 'b']
    """
    found = column_values(name, values)
    for number, value in enumerate(found):
        if not isinstance(value, str):
            raise UsageError(f"expected texts for {name}, found {shown(value)} as number {number + 1}: give str only")
    return [str(value) for value in found]


def check_arguments(
    signature: inspect.Signature, arguments: tuple[Any, ...], options: Mapping[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return the arguments of a call after a check against the signature's annotations.

    Parameters
    ----------
    signature : Signature
        The signature, without ``self``.
    arguments, options
        Positional and keyword arguments. A call that does not fit the signature is returned as it is, so that Python
        can say what is wrong.

    Raises
    ------
    UsageError
        If an argument has a wrong type.
    """
    try:
        bound = signature.bind(*arguments, **options)
    except TypeError:
        return arguments, dict(options)
    for name, value in bound.arguments.items():
        bound.arguments[name] = _checked(name, value, signature.parameters[name].annotation)
    return bound.args, bound.kwargs


def checked(function: Callable[Parameters, Answer]) -> Callable[Parameters, Answer]:
    """Decorate a function or method: its arguments are checked against its annotations; see `check_arguments`."""
    signature = inspect.signature(function)

    @wraps(function)
    def method(*arguments: Parameters.args, **options: Parameters.kwargs) -> Answer:
        positional, named = check_arguments(signature, arguments, options)
        return function(*positional, **named)

    return method


def check_fields(instance: Any) -> None:
    """Check the fields of a frozen dataclass against their annotations; call it from ``__post_init__``.

    Raises
    ------
    UsageError
        If a field has a wrong type.
    """
    for field in dataclasses.fields(instance):
        value = _checked(field.name, getattr(instance, field.name), field.type)
        object.__setattr__(instance, field.name, value)


def _checked(name: str, value: Any, annotation: Any) -> Any:
    """Return the value as the first alternative of the annotation takes it."""
    is_union = get_origin(annotation) in (Union, types.UnionType)
    alternatives = list(get_args(annotation)) if is_union else [annotation]
    if value is None and (types.NoneType in alternatives or None in alternatives):
        return None
    if any(hasattr(one, "of") for one in alternatives):  # a class that is made of other forms checks them itself
        return value
    wanted = []
    for alternative in alternatives:
        found = _as(alternative, name, value)
        if found is not _REFUSED:
            return found
        wanted.append(_description(alternative))
    kinds = " or ".join(kind for kind in wanted if kind)
    raise UsageError(f"expected {kinds} for {name}, found {shown(value)}")


_REFUSED = object()


def _as(kind: Any, name: str, value: Any) -> Any:
    """Return the value as a kind of value, or `_REFUSED`."""
    if kind in (types.NoneType, None):
        return _REFUSED
    if kind is bool:
        return bool(value) if isinstance(value, bool) or type(value).__name__ in ("bool", "bool_") else _REFUSED
    if kind in _NUMBERS:
        fits = isinstance(value, _NUMBERS[kind][1]) and not isinstance(value, bool)
        return (value.item() if hasattr(value, "item") else value) if fits else _REFUSED
    if kind is str or get_origin(kind) is Literal:
        return str(value) if isinstance(value, str) else _REFUSED
    if kind is Path:
        return value if isinstance(value, (str, PathLike)) else _REFUSED
    if _is_texts(kind):
        return texts(name, value) if get_origin(kind) is Sequence else tuple(texts(name, value))
    if get_origin(kind) is Mapping or kind is Mapping:
        return value if isinstance(value, Mapping) else _REFUSED
    if get_origin(kind) is Callable:
        return value if callable(value) else _REFUSED
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        return value if isinstance(value, kind) else _REFUSED
    return value


def _is_texts(kind: Any) -> bool:
    return (get_origin(kind), get_args(kind)) in ((Sequence, (str,)), (tuple, (str, ...)))


def _description(kind: Any) -> str:
    if kind in (types.NoneType, None):
        return ""
    if kind in _NUMBERS:
        return _NUMBERS[kind][0]
    if kind is bool:
        return "True or False"
    if kind is Path:
        return "a path"
    if get_origin(kind) is Mapping or kind is Mapping:
        return "a mapping (dict)"
    if get_origin(kind) is Callable:
        return "a function"
    if isinstance(kind, type) and kind is not str:
        return f"an object of {kind.__name__}"
    return "a text"
