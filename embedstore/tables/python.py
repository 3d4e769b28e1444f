"""Tables in memory: what speaks Arrow, pandas frames, and rows or columns of Python values."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pyarrow as pa

from embedstore.core.values import value_text
from embedstore.errors import InputError
from embedstore.tables.base import first_line
from embedstore.tables.values import ValueTypes

__all__ = ["ACCEPTED", "table_of"]

logger = logging.getLogger(__name__)

ACCEPTED = (
    "a DataFrame, an Arrow table, another object with __arrow_c_stream__ (Polars, DuckDB), rows as dicts, a dict of "
    "columns, a list of texts, or paths of files"
)
"""The tables that are accepted, in words."""

_JSON_TYPES = (str, int, float, bool, list, dict, tuple, type(None))
_REFUSED = (pa.ArrowException, OverflowError, UnicodeEncodeError, TypeError, ValueError)


def table_of(table: Any, column: str = "text") -> pa.Table:
    """Return an Arrow table for a table in memory.

    Parameters
    ----------
    table : object
        A pandas frame, anything with the PyCapsule protocol of Arrow, rows as dicts, a dict of columns, or texts.
    column : str
        Name of the column if `table` is only texts.

    Raises
    ------
    InputError
        If `table` is no table, or a column can't be kept.
    """
    if isinstance(table, pa.Table):
        return table
    if isinstance(table, pa.Array | pa.ChunkedArray):
        return pa.table({column: table})
    if hasattr(table, "to_frame") and not hasattr(table, "columns"):  # a Series of pandas or of Polars
        frame = table.to_frame(column) if getattr(table, "name", None) in (None, "") else table.to_frame()
        return table_of(frame, column)
    if hasattr(table, "columns") and hasattr(table, "itertuples"):
        return _from_pandas(table)
    if hasattr(table, "__arrow_c_stream__") or hasattr(table, "__arrow_c_array__"):
        return _from_arrow(table)
    if hasattr(table, "with_format") and hasattr(table, "features"):  # a data set of Hugging Face
        return table.with_format("arrow")[:]
    if isinstance(table, Mapping):
        return _from_columns(table)
    if isinstance(table, Iterable) and not isinstance(table, str | bytes):
        return _from_rows(list(table), type(table).__name__, column)
    raise InputError(f"expected {ACCEPTED}, found {type(table).__name__}")


def _from_arrow(table: Any) -> pa.Table:
    try:
        if hasattr(table, "__arrow_c_stream__"):
            return pa.RecordBatchReader.from_stream(table).read_all()
        return pa.Table.from_batches([pa.record_batch(table)])
    except (pa.ArrowException, TypeError) as error:
        raise InputError(f"expected a table of Arrow, found {type(table).__name__}: {first_line(error)}") from error


def _from_rows(rows: list[Any], found: str, column: str) -> pa.Table:
    if rows and all(isinstance(row, Mapping) for row in rows):
        names = dict.fromkeys(name for row in rows for name in row)
        return _from_columns({name: [row.get(name) for row in rows] for name in names})
    if rows and all(row is None or row != row or isinstance(row, str) for row in rows):
        return _from_columns({column: rows})
    odd = next((type(row).__name__ for row in rows if not isinstance(row, Mapping)), "")
    raise InputError(f"expected {ACCEPTED}, found " + (f"{found} of {odd}" if rows else f"an empty {found}"))


def _from_columns(columns: Mapping[Any, Any]) -> pa.Table:
    fields, arrays = [], []
    for name, values in columns.items():
        if isinstance(values, str | bytes | Mapping) or not isinstance(values, Iterable):
            raise InputError(f"expected a list of values for column {str(name)!r}, found {type(values).__name__}")
        field, array = _column(str(name), list(values))
        fields.append(field)
        arrays.append(array)
    if len(set(map(len, arrays))) > 1:
        said = ", ".join(f"{len(array):,} in {field.name!r}" for array, field in zip(arrays, fields, strict=True))
        raise InputError(f"expected columns with equally many values, found {said}")
    return pa.table(arrays, schema=pa.schema(fields))


def _column(name: str, values: list[Any]) -> tuple[pa.Field, pa.Array]:
    """Return a column of Python values: in a type of Arrow's if JSON lacks it (dates, decimals), else as from JSON."""
    if not all(isinstance(value, _JSON_TYPES) for value in values):
        try:
            array = pa.array(values, from_pandas=True)
        except _REFUSED:
            pass
        else:
            if not pa.types.is_nested(array.type):
                return pa.field(name, array.type), array
    return _as_json(name, values)


def _as_json(name: str, values: Sequence[Any]) -> tuple[pa.Field, pa.Array]:
    types = ValueTypes()
    types.add_column(name, values)
    field = types.schema().field(0)
    return field, ValueTypes.column(values, field)


def _from_pandas(frame: Any) -> pa.Table:
    columns = [_from_series(str(name), frame.iloc[:, number]) for number, name in enumerate(frame.columns)]
    return pa.table([array for _, array in columns], schema=pa.schema([field for field, _ in columns]))


def _from_series(name: str, series: Any) -> tuple[pa.Field, Any]:
    if str(series.dtype).startswith(("period", "interval")):  # Arrow has only their numbers
        series = series.astype(object).map(str, na_action="ignore")
    try:
        array = pa.Array.from_pandas(series)
    except _REFUSED:
        logger.warning("column %r holds values of several types: they are kept as text", name)
        texts = [value if isinstance(value, str) else _printed(value) for value in series]
        return _as_json(name, texts)
    if pa.types.is_nested(array.type) and not _same(array.to_pylist(), series.tolist()):
        return _as_json(name, series.tolist())  # dicts with other keys: Arrow would give all of them all keys
    return pa.field(name, array.type), array


def _same(one: list[Any], other: list[Any]) -> bool:
    try:
        return bool(one == other)
    except ValueError:  # cells are arrays of NumPy, which have no ragged dicts
        return True


def _printed(value: Any) -> str | None:
    import pandas as pd

    missing = pd.isna(value)
    return None if isinstance(missing, bool) and missing else value_text(value)
