"""Tables from a name to a ``module:object``, which is imported when it is looked up."""

from collections.abc import Mapping
from importlib import import_module
from typing import Any

from embedstore.errors import UsageError

__all__ = ["look_up"]


def look_up(table: Mapping[str, str], name: str, what: str) -> Any:
    """Import and return the object that a table gives for a name.

    Parameters
    ----------
    table : mapping of str to str
        Maps each name to its ``module:object``.
    name : str
        The name to look up.
    what : str
        The kind of thing that is named, with its article, for the error message.

    Raises
    ------
    UsageError
        If the table has no such name.

    Examples
    --------
    >>> look_up({"unit": "embedstore.core.unit:unit_rows"}, "unit", "a function").__name__
    'unit_rows'
    """
    if name not in table:
        raise UsageError(f"expected {what} of {', '.join(table)}, found {name!r}")
    module, _, attribute = table[name].partition(":")
    return getattr(import_module(module), attribute)
