"""Tables in memory: what speaks Arrow, pandas frames, and rows or columns of Python values."""

import datetime
import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from embedstore.core.columns import is_missing
from embedstore.core.counts import counted
from embedstore.core.parsing import first_line
from embedstore.core.values import value_text
from embedstore.errors import InputError
from embedstore.tables.base import ReadOptions, too_much
from embedstore.tables.nesting import check_nesting
from embedstore.tables.values import ValueTypes

__all__ = ["ACCEPTED", "table_of"]

logger = logging.getLogger(__name__)

_USUAL = ReadOptions()
ACCEPTED = (
    "a DataFrame, an Arrow table, another object with __arrow_c_stream__ (Polars, DuckDB), rows as dicts, a dict of "
    "columns, a list of texts, or paths of files"
)
"""The tables that are accepted, in words."""

_JSON_TYPES = (str, int, float, bool, list, dict, tuple, type(None))
_REFUSED = (pa.ArrowException, OverflowError, UnicodeEncodeError, TypeError, ValueError)


def table_of(table: Any, column: str = "text", options: ReadOptions = _USUAL) -> pa.Table:
    """Return an Arrow table for a table in memory.

    Parameters
    ----------
    table : object
        A pandas frame, anything with the PyCapsule protocol of Arrow, rows as dicts, a dict of columns, or texts.
    column : str
        Name of the column if `table` is only texts.
    options : ReadOptions
        What is allowed.

    Raises
    ------
    InputError
        If `table` is no table, or a column can't be kept.
    """
    if isinstance(table, pa.Table):
        return table
    if isinstance(table, np.ndarray) and table.ndim != 1:
        raise InputError(f"expected {ACCEPTED}, found an array of {counted(table.ndim, 'dimension')}")
    if isinstance(table, pa.Array | pa.ChunkedArray):
        return pa.table({column: table})
    if hasattr(table, "to_frame") and not hasattr(table, "columns"):  # a Series of pandas or of Polars
        frame = table.to_frame(column) if getattr(table, "name", None) in (None, "") else table.to_frame()
        return table_of(frame, column, options)
    if hasattr(table, "columns") and hasattr(table, "itertuples"):
        return _from_pandas(table, options)
    if hasattr(table, "__arrow_c_stream__") or hasattr(table, "__arrow_c_array__"):
        return _from_arrow(table)
    if hasattr(table, "with_format") and hasattr(table, "features"):  # a data set of Hugging Face
        return table.with_format("arrow")[:]
    if isinstance(table, Mapping):
        return _from_columns(table, options)
    if isinstance(table, Iterable) and not isinstance(table, str | bytes):
        return _from_rows(list(table), type(table).__name__, column, options)
    raise InputError(f"expected {ACCEPTED}, found {type(table).__name__}")


def _from_arrow(table: Any) -> pa.Table:
    try:
        if hasattr(table, "__arrow_c_stream__"):
            return pa.RecordBatchReader.from_stream(table).read_all()
        return pa.Table.from_batches([pa.record_batch(table)])
    except (pa.ArrowException, TypeError) as error:
        raise InputError(f"expected a table of Arrow, found {type(table).__name__}: {first_line(error)}") from error


def _from_rows(rows: list[Any], found: str, column: str, options: ReadOptions) -> pa.Table:
    if rows and all(isinstance(row, Mapping) for row in rows):
        names = dict.fromkeys(name for row in rows for name in row)
        if len(names) > options.max_columns:
            most = counted(options.max_columns, "column")
            raise too_much("the table", most, f"{len(names):,}", "columns")
        return _from_columns({name: [row.get(name) for row in rows] for name in names}, options)
    if rows and all(isinstance(row, str) or is_missing(row) for row in rows):
        return _from_columns({column: [None if is_missing(row) else row for row in rows]}, options)
    wanted = Mapping if rows and isinstance(rows[0], Mapping) else str
    number, odd = next(((n, row) for n, row in enumerate(rows) if not isinstance(row, wanted)), (0, None))
    said = f"{found} with {type(odd).__name__} as number {number + 1}" if rows else f"an empty {found}"
    raise InputError(f"expected {ACCEPTED}, found {said}")


def _from_columns(columns: Mapping[Any, Any], options: ReadOptions) -> pa.Table:
    fields, arrays = [], []
    for name, values in columns.items():
        if isinstance(values, str | bytes | Mapping) or not isinstance(values, Iterable):
            raise InputError(f"expected a list of values for column {str(name)!r}, found {type(values).__name__}")
        listed = list(values)
        check_nesting(str(name), listed, options)
        field, array = _column(str(name), listed)
        fields.append(field)
        arrays.append(array)
    if len(set(map(len, arrays))) > 1:
        said = ", ".join(f"{len(array):,} in {field.name!r}" for array, field in zip(arrays, fields, strict=True))
        raise InputError(f"expected columns with equally many values, found {said}")
    return pa.table(arrays, schema=pa.schema(fields))


def _column(name: str, values: list[Any]) -> tuple[pa.Field, pa.Array]:
    """Return a column of Python values: in a type of Arrow's if JSON lacks it (dates, decimals), else as from JSON."""
    if not all(isinstance(value, _JSON_TYPES) for value in values) and _of_one_kind(values):
        try:
            array = _as_arrow(values)
        except _REFUSED:
            pass
        else:
            if not pa.types.is_nested(array.type):
                return pa.field(name, array.type), array
    return _as_json(name, values)


def _as_arrow(values: Iterable[Any]) -> pa.Array:
    # Without the missing values themselves: Arrow ends the interpreter for a NaT of NumPy that has no unit.
    return pa.array([None if is_missing(value) else value for value in values], from_pandas=True)


def _of_one_kind(values: Iterable[Any]) -> bool:
    """Return whether no value becomes another in a column of Arrow: dates beside times would, and so would zones."""
    kinds = {_kind(value) for value in values if not is_missing(value)}
    zoned = any(isinstance(kind, tuple) and kind[0] is datetime.time and kind[1] for kind in kinds)
    return not zoned and (len(kinds) < 2 or kinds <= {int, float})


def _kind(value: Any) -> Any:
    if isinstance(value, datetime.datetime):
        return datetime.datetime, str(value.tzinfo)
    if isinstance(value, datetime.time):
        return datetime.time, str(value.tzinfo) if value.tzinfo else ""
    return type(value.item()) if isinstance(value, np.generic) else type(value)


def _as_json(name: str, values: Sequence[Any]) -> tuple[pa.Field, pa.Array]:
    types = ValueTypes()
    types.add_column(name, values)
    field = types.schema().field(0)
    return field, ValueTypes.column(values, field)


def _from_pandas(frame: Any, options: ReadOptions) -> pa.Table:
    columns = [_from_series(str(name), frame.iloc[:, number], options) for number, name in enumerate(frame.columns)]
    return pa.table([array for _, array in columns], schema=pa.schema([field for field, _ in columns]))


def _from_series(name: str, series: Any, options: ReadOptions) -> tuple[pa.Field, Any]:
    if series.dtype == object:
        check_nesting(name, series, options)
    if str(series.dtype).startswith(("period", "interval")):  # Arrow has only their numbers
        series = series.astype(object).map(str, na_action="ignore")
    mixed = series.dtype == object and not _of_one_kind(series)
    try:
        array = None if mixed else _as_arrow(series) if series.dtype == object else pa.Array.from_pandas(series)
    except _REFUSED:
        array = None
    if array is None:
        logger.warning("column %r holds values of several types, or of one that tables lack: they become text", name)
        return _as_json(name, [None if is_missing(value) else value_text(value) for value in series])
    if series.dtype == object and _has_structs(array.type) and not _same(array.to_pylist(), series.tolist()):
        return _as_json(name, series.tolist())  # dicts with other keys: Arrow would give all of them all keys
    return pa.field(name, array.type), array


def _has_structs(type_: pa.DataType) -> bool:
    if pa.types.is_nested(type_) and not pa.types.is_struct(type_):
        return any(_has_structs(type_.field(number).type) for number in range(type_.num_fields))
    return bool(pa.types.is_struct(type_))


def _same(one: list[Any], other: list[Any]) -> bool:
    try:
        return bool(one == other)
    except ValueError:  # cells are arrays of NumPy, which have no ragged dicts
        return True
