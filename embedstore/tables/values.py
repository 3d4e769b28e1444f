"""Types of the columns of rows of Python values: from JSON, from dicts, from lists and from sheets."""

import decimal
import json
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from embedstore.core.cells import json_text
from embedstore.core.columns import is_missing
from embedstore.core.parsing import first_line
from embedstore.core.values import clip, value_text
from embedstore.errors import InputError
from embedstore.tables.columns import Notes, noted, notes_on

__all__ = ["ValueTypes"]

_EXACT = 2**53  # integers up to here are exact as float64
_SHOWN = 60  # characters of a name or a reason in a message
_DIGITS = 38  # of the widest decimal that all programs read


class ValueTypes:
    """The types of columns of Python values, found by a look at all rows.

    One type of scalars gives that type; integers above 64 bits become decimals. Integers and floats together are floats
    if no digit is lost by it. A column of lists and dicts holds a JSON document in each cell. A column with any other
    mixture is text: strings as they are, and the other values as JSON writes them.
    """

    def __init__(self) -> None:
        self._columns: dict[str, _Kinds] = {}

    def add_rows(self, rows: Sequence[dict[str, Any]]) -> None:
        """Look at rows; a key that a row lacks is missing there."""
        for row in rows:
            for name, value in row.items():
                self._of(name).add(value)

    @property
    def width(self) -> int:
        """The number of columns so far."""
        return len(self._columns)

    def add_column(self, name: str, values: Sequence[Any]) -> None:
        """Look at the values of a column."""
        kinds = self._of(name)
        for value in values:
            kinds.add(value)

    def _of(self, name: str) -> "_Kinds":
        return self._columns.setdefault(name, _Kinds())

    def schema(self) -> pa.Schema:
        """Return the columns, in the order in which they were met."""
        return pa.schema([kinds.field(name) for name, kinds in self._columns.items()])

    @staticmethod
    def table(rows: Sequence[dict[str, Any]], schema: pa.Schema) -> pa.Table:
        """Return rows as a table of a schema."""
        found: dict[str, list[Any]] = {}
        for number, row in enumerate(rows):  # not by column: rows can have few of many keys
            for name, value in row.items():
                if name not in found:
                    found[name] = [None] * len(rows)
                found[name][number] = value
        return pa.table(
            [
                ValueTypes.column(found[field.name], field) if field.name in found else pa.nulls(len(rows), field.type)
                for field in schema
            ],
            schema=schema,
        )

    @staticmethod
    def column(values: Sequence[Any], field: pa.Field) -> pa.Array:
        """Return values as a column of a field's type.

        Raises
        ------
        InputError
            If a text is no Unicode text, or a value has no text.
        """
        try:
            return _array(values, field)
        except UnicodeEncodeError as error:
            raise InputError(
                f"column {field.name!r} holds half of a surrogate pair ({error.object[error.start]!r}), "
                "which is no Unicode text"
            ) from error
        except (pa.ArrowException, ValueError, TypeError, OverflowError, ArithmeticError, RecursionError) as error:
            raise InputError(
                f"column {clip(field.name, _SHOWN)!r} holds a value that can't be kept: "
                f"{clip(first_line(error), _SHOWN)}"
            ) from error


def _array(values: Sequence[Any], field: pa.Field) -> pa.Array:
    values = [_plain(value) for value in values]
    if pa.types.is_floating(field.type):
        values = [float(value) if isinstance(value, str) else value for value in values]
    if pa.types.is_string(field.type):
        documents = notes_on(field).json
        values = [
            value if isinstance(value, str) and not documents else None if is_missing(value) else _text(value)
            for value in values
        ]
    elif pa.types.is_decimal(field.type):
        values = [None if value is None else decimal.Decimal(value) for value in values]
    return pa.array(values, field.type)


class _Infinite:
    """The kind of a number that JSON has no way to write but as text."""


_INFINITIES = ("Infinity", "-Infinity")


class _Kinds:
    """The kinds of the values of one column."""

    def __init__(self) -> None:
        self._found: set[type] = set()
        self._low = self._high = 0

    def add(self, value: Any) -> None:
        """Look at one value."""
        value = _plain(value)
        if value is None:
            return
        kind = _Infinite if isinstance(value, str) and value in _INFINITIES else type(value)
        self._found.add(kind)
        if kind is int:
            self._low, self._high = min(self._low, value), max(self._high, value)

    def field(self, name: str) -> pa.Field:
        """Return the field that keeps all values."""
        found = self._found - ({_Infinite} if self._found <= {int, float, _Infinite} else set())
        if found == {int} == self._found:
            return pa.field(name, self._integer())
        if found and found <= {int, float} and self._low >= -_EXACT and self._high <= _EXACT:
            return pa.field(name, pa.float64())
        if found == {bool}:
            return noted(name, pa.bool_(), Notes(written="json"))
        return noted(name, pa.string(), Notes(json=bool(found) and found <= {list, dict}))

    def _integer(self) -> pa.DataType:
        if self._low >= -(2**63) and self._high < 2**63:
            return pa.int64()
        if self._low >= 0 and self._high < 2**64:
            return pa.uint64()
        return pa.decimal128(_DIGITS, 0) if max(-self._low, self._high) < 10**_DIGITS else pa.string()


_TYPES = (str, type(None), int, float, bool, list, dict)


def _plain(value: Any) -> Any:
    """Return a value of NumPy as Python's, a tuple as a list, and a value that JSON lacks as text."""
    if type(value) in _TYPES:
        return value
    if isinstance(value, np.generic):
        return _plain(value.item())
    if isinstance(value, np.ndarray | tuple):
        return list(value)
    if isinstance(value, str):
        return str.__str__(value)
    kinds: tuple[Any, ...] = (int, float, list, dict)
    for kind in kinds:  # a subclass, such as an enum or a counter
        if isinstance(value, kind):
            return kind(value)
    return None if is_missing(value) else value_text(value)


def _text(value: Any) -> str:
    if isinstance(value, float) and math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    try:
        return json_text(value)
    except (TypeError, ValueError, RecursionError):
        return json.dumps(value, ensure_ascii=False, default=value_text)
