"""Columns as text and as JSON: the one place that says how a cell of each Arrow type is written.

========================  =====================================================  ==========================
type                      text                                                   JSON
========================  =====================================================  ==========================
string                    as it is                                               string
boolean                   ``True``, ``False``                                    true, false
integer                   digits                                                 number
float                     the shortest digits that give the same value again     number; null for NaN;
                          (float32 and float16: in their own precision)          ``"Infinity"``, ``"-Infinity"``
decimal                   all its digits                                         number if it has no fraction,
                                                                                 else the text
date, time, timestamp     ISO 8601 with a space, in the column's time zone       the text
duration                  ISO 8601 in seconds, ``PT1.5S``                        the text
binary                    base64                                                 the text
list, struct, map         JSON                                                   array, object; a map with
                                                                                 other keys than strings: pairs
========================  =====================================================  ==========================
"""

import base64
import json
import math
import uuid
from collections.abc import Callable, Sequence
from typing import Any, cast

import numpy as np
import pyarrow as pa

from embedstore.core.arrays import decoded
from embedstore.core.floats import single_text

__all__ = ["array_of", "json_text", "json_values", "plain_values", "shared_values", "shortest", "spelled"]

_CELLS = 1 << 16  # that become Python values at once
_SECONDS_OF = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
_MOST_OF_STRINGS = 2**31  # bytes of one array of strings
_PLAIN_YEARS = 4_000_000_000  # seconds from 1970 to 2096 and back to 1843: Arrow's time zones are right there


def spelled(column: Any) -> pa.Array:
    """Return a column as text, null where it is null; see the table above.

    Parameters
    ----------
    column : Array or ChunkedArray
        A column of any type.

    Examples
    --------
    >>> spelled(pa.array([True, None])).to_pylist(), spelled(pa.array([[1, None]])).to_pylist()
    (['True', None], ['[1, null]'])
    """
    if isinstance(column, pa.ChunkedArray):
        return pa.concat_arrays([pa.array([], pa.string()), *map(spelled, column.chunks)])
    array = _stored(column)
    type_ = array.type
    if pa.types.is_string(type_):
        return array
    if pa.types.is_large_string(type_):
        return _with_short_ends(array)
    if pa.types.is_null(type_) or pa.types.is_string_view(type_):
        return array.cast(pa.string())
    if pa.types.is_integer(type_):
        return array.cast(pa.string())
    return _mapped(array, _speller(array))


def _with_short_ends(array: Any) -> pa.Array:
    """Return a large_string array as string. `cast`, which would import all of Arrow's functions, is for large ones."""
    missing, ends, content = array.buffers()
    if not len(array) or content is None:
        return pa.nulls(len(array), pa.string()) if array.null_count == len(array) else array.cast(pa.string())
    places = np.frombuffer(ends, dtype=np.int64, count=array.offset + len(array) + 1)
    if places[-1] >= _MOST_OF_STRINGS:
        return array.cast(pa.string())
    short = pa.py_buffer(places.astype(np.int32))
    return pa.StringArray.from_buffers(len(array), short, content, missing, -1, array.offset)


def plain_values(column: Any) -> list[Any]:
    """Return the cells as str, int, float, bool or None; a cell of another type is given as text.

    Parameters
    ----------
    column : Array or ChunkedArray
        A column of any type.
    """
    type_ = column.type
    if any(test(type_) for test in (pa.types.is_string, pa.types.is_boolean, pa.types.is_integer, pa.types.is_null)):
        return list(column.to_pylist())
    if pa.types.is_floating(type_) and not pa.types.is_float16(type_):
        return list(shortest(column).to_pylist())
    return list(spelled(column).to_pylist())


def shared_values(column: Any) -> list[Any]:
    """Return the cells as `plain_values` does, equal texts as one object: for long columns that repeat a few texts."""
    one: dict[str, str] = {}
    starts = range(0, len(column), _CELLS)
    cells = (value for start in starts for value in plain_values(column.slice(start, _CELLS)))
    return [one.setdefault(value, value) if isinstance(value, str) else value for value in cells]


def array_of(values: Sequence[Any]) -> pa.Array:
    """Return values of one type of `plain_values` as a column; Arrow itself takes no integers above 63 bits."""
    large = any(isinstance(value, int) and value >= 2**63 for value in values)
    return pa.array(values, pa.uint64() if large else None)


def shortest(column: Any) -> Any:
    """Return a float32 column as the float64 numbers with the same shortest digits: 0.1 stays 0.1."""
    return column.cast(pa.string()).cast(pa.float64()) if column.type == pa.float32() else column


def json_text(value: Any) -> str:
    """Return a value of Python's JSON types as valid JSON text; NaN is null, and infinities are strings."""
    return json.dumps(_valid(value), ensure_ascii=False)


def json_values(column: Any) -> list[Any]:
    """Return the cells as values of Python's JSON types; see the table above.

    Parameters
    ----------
    column : Array or ChunkedArray
        A column of any type.

    Examples
    --------
    >>> json_values(pa.array([{"a": [1.5, float("inf")]}]))
    [{'a': [1.5, 'Infinity']}]
    """
    if isinstance(column, pa.ChunkedArray):
        return [value for chunk in column.chunks for value in json_values(chunk)]
    array = _stored(column)
    type_ = array.type
    if pa.types.is_boolean(type_) or pa.types.is_integer(type_) or pa.types.is_null(type_):
        return list(array.to_pylist())
    if pa.types.is_floating(type_):
        if pa.types.is_float16(type_):
            return [None if text is None else _valid(float(text)) for text in spelled(array).to_pylist()]
        return [_valid(value) for value in shortest(array).to_pylist()]
    if pa.types.is_decimal(type_) and type_.scale <= 0:
        return [None if value is None else int(value) for value in array.to_pylist()]
    if pa.types.is_struct(type_):
        return _objects(array)
    if pa.types.is_map(type_):
        return _maps(array)
    if pa.types.is_nested(type_):
        return _lists(array)
    return list(spelled(array).to_pylist())


def _stored(array: Any) -> Any:
    """Return an array without dictionary, run-end encoding or extension type."""
    if isinstance(array, pa.DictionaryArray):
        if pa.types.is_string_view(array.type.value_type):  # Arrow can't decode these
            array = pa.DictionaryArray.from_arrays(array.indices, array.dictionary.cast(pa.string()))
        return _stored(decoded(array))
    if isinstance(array, pa.RunEndEncodedArray):
        import pyarrow.compute as pc

        return _stored(pc.run_end_decode(array))
    if isinstance(array.type, pa.BaseExtensionType):
        name = getattr(array.type, "extension_name", "")
        if name == "arrow.uuid":
            return _mapped(array.storage, lambda value: str(uuid.UUID(bytes=value)))
        storage = _stored(array.storage)
        return storage.cast(pa.bool_()) if name == "arrow.bool8" else storage
    return array


def _mapped(array: Any, write: Callable[[Any], str]) -> pa.Array:
    values = _python_values(array)
    return pa.array([None if value is None else write(value) for value in values], pa.string())


def _python_values(array: Any) -> list[Any]:
    """Return the cells as Python values; times as numbers of their unit, because Python's types can't hold them all."""
    type_ = array.type
    if pa.types.is_date32(type_) or pa.types.is_time32(type_):
        return list(array.cast(pa.int32()).to_pylist())
    if pa.types.is_temporal(type_):
        return list(array.cast(pa.int64()).to_pylist())
    return json_values(array) if pa.types.is_nested(type_) else list(array.to_pylist())


def _speller(array: Any) -> Callable[[Any], str]:
    """Return the function that writes one value of `_python_values`."""
    type_ = array.type
    if pa.types.is_boolean(type_):
        return str
    if pa.types.is_float16(type_):
        return lambda value: str(np.float16(value))
    if pa.types.is_float32(type_):
        return single_text
    if pa.types.is_floating(type_):
        return repr
    if pa.types.is_decimal(type_):
        return lambda value: format(value, "f")
    if pa.types.is_date32(type_):
        return lambda value: str(np.datetime64(value, "D"))
    if pa.types.is_date64(type_):
        return lambda value: str(np.datetime64(value, "ms").astype("datetime64[D]"))
    if pa.types.is_time(type_):
        return lambda value: _moment(value, type_.unit)[11:]
    if pa.types.is_timestamp(type_):
        return _zoned(type_) if type_.tz else lambda value: _moment(value, type_.unit)
    if pa.types.is_duration(type_):
        return lambda value: _duration(value, type_.unit)
    if pa.types.is_nested(type_):
        return json_text
    return lambda value: base64.b64encode(value).decode("ascii")


def _moment(value: int, unit: str) -> str:
    """Return a number of units since 1970 as ISO 8601 with a space, without zeros at the end of the fraction."""
    text = str(np.datetime64(value, cast(Any, unit))).replace("T", " ")
    return text.rstrip("0").rstrip(".") if "." in text else text


def _zoned(type_: Any) -> Callable[[int], str]:
    import pyarrow.compute as pc

    factor = _SECONDS_OF[type_.unit]

    def write(value: int) -> str:
        if abs(value) > _PLAIN_YEARS * factor:
            return _moment(value, type_.unit) + "+00:00"
        instant = pa.scalar(value, type_)
        local = pc.local_timestamp(instant).cast(pa.int64()).as_py()
        minutes, seconds = divmod(abs(local - value) // factor, 60)
        offset = f"{minutes // 60:02}:{minutes % 60:02}" + (f":{seconds:02}" if seconds else "")
        return f"{_moment(local, type_.unit)}{'-' if local < value else '+'}{offset}"

    return write


def _duration(value: int, unit: str) -> str:
    whole, part = divmod(abs(value), _SECONDS_OF[unit])
    digits = str(part).zfill(len(str(_SECONDS_OF[unit])) - 1).rstrip("0") if part else ""
    return f"{'-' if value < 0 else ''}PT{whole}{'.' + digits if digits else ''}S"


def _valid(value: Any) -> Any:
    """Return a JSON value without the numbers that JSON lacks."""
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, dict):
        return {name: _valid(one) for name, one in value.items()}
    return [_valid(one) for one in value] if isinstance(value, list) else value


def _objects(array: Any) -> list[Any]:
    names = [field.name for field in array.type]
    columns = [json_values(column) for column in array.flatten()]
    rows = [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]
    return [row if there else None for row, there in zip(rows, array.is_valid().to_pylist(), strict=True)]


def _maps(array: Any) -> list[Any]:
    keys, items = json_values(array.keys), json_values(array.items)
    starts = array.offsets.to_pylist()
    found: list[Any] = []
    for start, end, there in zip(starts, starts[1:], array.is_valid().to_pylist(), strict=False):
        pairs = list(zip(keys[start:end], items[start:end], strict=True))
        named = len({key for key, _ in pairs if isinstance(key, str)}) == len(pairs)
        found.append((dict(pairs) if named else [list(pair) for pair in pairs]) if there else None)
    return found


def _lists(array: Any) -> list[Any]:
    """Return the cells of a list array of any kind: the lengths of the lists cut the flat values."""
    values = json_values(array.flatten())
    found: list[Any] = []
    start = 0
    for there, length in zip(array.is_valid().to_pylist(), _lengths(array), strict=True):
        found.append(values[start : start + length] if there else None)
        start += length if there else 0
    return found


def _lengths(array: Any) -> list[int]:
    import pyarrow.compute as pc

    return [length or 0 for length in pc.list_value_length(array).to_pylist()]
