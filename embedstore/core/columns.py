"""A column of texts, in any of the forms in which Python's libraries hold one."""

import decimal
import sys
from collections.abc import Iterator
from typing import Any

from embedstore.core.checks import column_values, shown
from embedstore.core.counts import counted
from embedstore.errors import InputError, UsageError

__all__ = ["column_names", "is_missing", "texts_of"]


def column_names(table: Any) -> list[str]:
    """Return the names of a frame's or table's columns; an empty list for anything else, or if a name is no text."""
    names = getattr(table, "column_names", None)  # Arrow; the `columns` of its tables are arrays
    if names is None:
        names = getattr(table, "columns", [])
    listed = list(names)
    return listed if all(isinstance(name, str) for name in listed) else []


def is_missing(value: Any) -> bool:
    """Return whether a cell is missing: None, NaN, NA or NaT.

    Examples
    --------
    >>> is_missing(None), is_missing(float("nan")), is_missing("")
    (True, True, False)
    """
    if value is None or isinstance(value, str):
        return value is None
    pandas = sys.modules.get("pandas")  # NA and NaT exist only if it is loaded
    if pandas is not None and pandas.api.types.is_scalar(value):
        return bool(pandas.isna(value))
    return isinstance(value, float | decimal.Decimal) and value != value


def texts_of(column: Any) -> list[str]:
    """Return a column of texts as a list of str; a missing text is ''.

    Parameters
    ----------
    column : one-dimensional collection of str, or a frame, table or array with one column
        A list, a tuple, a NumPy array, a series or array of pandas or polars, an Arrow array; or a pandas or polars
        frame, a two-dimensional NumPy array or an Arrow table.

    Raises
    ------
    InputError
        If it is something else, has more than one column, or has a value that is neither a text nor missing.

    Examples
    --------
    >>> texts_of(["a", None])
    ['a', '']
    """
    if isinstance(column, Iterator):  # `fit` would use it up, and `transform` find nothing
        raise InputError(f"expected a list of texts for X, found {shown(column)}: put it in a list")
    try:
        values = column_values("X", _only_column(column))
    except UsageError as error:
        raise InputError(str(error)) from error
    found = []
    for number, value in enumerate(values):
        if isinstance(value, str):
            found.append(str(value))
        elif is_missing(value):
            found.append("")
        else:
            raise InputError(
                f"expected texts, found {shown(value)} as number {number + 1}: give one column of str, such as "
                "frame['text'], and turn other values into str first"
            )
    return found


def _only_column(table: Any) -> Any:
    """Return the column of a table with one column; return anything else unchanged."""
    shape: Any = getattr(table, "shape", ())
    if len(shape) != 2:
        return table
    if shape[1] != 1:
        raise InputError(
            f"expected one column of texts, found {counted(shape[1], 'column')}: choose one, such as frame['text']"
        )
    if hasattr(table, "iloc"):  # pandas
        return table.iloc[:, 0]
    if hasattr(table, "column"):  # Arrow
        return table.column(0)
    if hasattr(table, "to_series"):  # polars
        return table.to_series(0)
    return table[:, 0] if hasattr(table, "tolist") else table
