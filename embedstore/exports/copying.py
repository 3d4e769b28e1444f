"""Rows in the binary form of PostgreSQL's COPY, and the types of their columns.

The form is described in PostgreSQL's documentation of COPY ("Binary Format"). A `vector` or `halfvec` is a length (two
bytes), two unused bytes, and the numbers.
"""

import struct
from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime
from typing import Any

import numpy as np
import pyarrow as pa

from embedstore.core.cells import json_text, json_values, spelled
from embedstore.errors import InputError
from embedstore.exports.base import vectors_of

__all__ = ["HEADER", "TRAILER", "copied", "sql_type"]

HEADER = b"PGCOPY\n\xff\r\n\x00" + bytes(8)
"""What COPY begins with: a signature, flags and the length of an extension."""

TRAILER = b"\xff\xff"
"""What COPY ends with."""

_NULL = b"\xff\xff\xff\xff"
_DAYS = (date(2000, 1, 1) - date(1970, 1, 1)).days
_MICROSECONDS = int(datetime(2000, 1, 1, tzinfo=UTC).timestamp()) * 1_000_000


def sql_type(type_: pa.DataType) -> str:
    """Return the type that a column has in PostgreSQL.

    Examples
    --------
    >>> sql_type(pa.list_(pa.float16(), 384)), sql_type(pa.int32()), sql_type(pa.decimal128(9, 2))
    ('halfvec(384)', 'bigint', 'text')
    """
    if pa.types.is_fixed_size_list(type_) and type_.value_type in (pa.float32(), pa.float16()):
        return f"{'halfvec' if pa.types.is_float16(type_.value_type) else 'vector'}({type_.list_size})"
    return _kind(type_)[0]


def copied(batch: pa.RecordBatch) -> bytes:
    """Return the rows of a batch in the binary form, between `HEADER` and `TRAILER`; the last column is the vectors.

    Raises
    ------
    InputError
        If a text has the character U+0000, which PostgreSQL can't hold.
    """
    fields = [list(_fields(batch.column(name), name, batch)) for name in batch.schema.names[:-1]]
    vectors = vectors_of(batch)
    size = vectors.shape[1] * vectors.itemsize
    head = struct.pack("!ihh", 4 + size, vectors.shape[1], 0)
    numbers = np.ascontiguousarray(vectors, vectors.dtype.newbyteorder(">")).tobytes()
    count = struct.pack("!h", batch.num_columns)
    return b"".join(
        count + b"".join(row) + head + numbers[number * size : (number + 1) * size]
        for number, row in enumerate(zip(*fields, strict=True))
    )


def _kind(type_: pa.DataType) -> tuple[str, Callable[[Any], Iterable[Any]], Callable[[Any], bytes]]:
    """Return the type in PostgreSQL, and the functions that give the values of a column and write a value."""
    if pa.types.is_boolean(type_):
        return "boolean", _plainly, lambda value: struct.pack("!i?", 1, value)
    if pa.types.is_integer(type_) and type_ != pa.uint64():
        return "bigint", _plainly, lambda value: struct.pack("!iq", 8, value)
    if pa.types.is_floating(type_):
        return "double precision", _plainly, lambda value: struct.pack("!id", 8, value)
    if pa.types.is_date32(type_):
        return "date", _days, lambda value: struct.pack("!ii", 4, value - _DAYS)
    if pa.types.is_timestamp(type_) and type_.unit != "ns":
        name = "timestamp with time zone" if type_.tz else "timestamp without time zone"
        return name, _microseconds, lambda value: struct.pack("!iq", 8, value - _MICROSECONDS)
    if pa.types.is_nested(type_):
        return "jsonb", _json, lambda value: _sized(b"\x01" + value.encode())
    return "text", lambda column: spelled(column).to_pylist(), lambda value: _sized(value.encode())


def _fields(column: Any, name: str, batch: pa.RecordBatch) -> Iterable[bytes]:
    kind, values, written = _kind(column.type)
    for row, value in enumerate(values(column)):
        if isinstance(value, str) and ("\x00" in value or (kind == "jsonb" and "\\u0000" in value)):
            raise InputError(
                f"PostgreSQL can't hold the character U+0000, which is in the column {name!r} of the row "
                f"{batch.column('id')[row].as_py()!r}: take it out, or leave the row out with --where"
            )
        yield _NULL if value is None else written(value)


def _sized(value: bytes) -> bytes:
    return struct.pack("!i", len(value)) + value


def _plainly(column: Any) -> Iterable[Any]:
    return list(column.to_pylist())


def _days(column: Any) -> Iterable[Any]:
    return list(column.cast(pa.int32()).to_pylist())


def _microseconds(column: Any) -> Iterable[Any]:
    return list(column.cast(pa.timestamp("us", column.type.tz)).cast(pa.int64()).to_pylist())


def _json(column: Any) -> Iterable[Any]:
    return (None if value is None else json_text(value) for value in json_values(column))
