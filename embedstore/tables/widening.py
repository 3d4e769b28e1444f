"""One type for a column whose parts were read with several types."""

from typing import Any

import pyarrow as pa

from embedstore.core.cells import shortest, spelled
from embedstore.tables.columns import Notes, is_text, noted, notes_on

__all__ = ["common_field", "large_integers", "widened", "without_missing"]

_EXACT = 2**53  # integers up to here are exact as float64


def large_integers(table: pa.Table) -> set[str]:
    """Return the names of the columns with integers that are not exact as floats."""
    import pyarrow.compute as pc

    found = set()
    for field in table.schema:
        if pa.types.is_integer(field.type) and field.type.bit_width == 64:
            ends = pc.min_max(table.column(field.name)).as_py()
            if max(-(ends["min"] or 0), ends["max"] or 0) > _EXACT:
                found.add(field.name)
    return found


def common_field(one: pa.Field | None, other: pa.Field) -> pa.Field:
    """Return the field that keeps the values of two parts of a column.

    Integers of several widths become integers, and integers beside floats become floats if all of them are exact as
    floats, unless they were typed from text. All other mixtures become text, in which each cell is as it was written.
    """
    if one is None or pa.types.is_null(one.type):
        return other
    if pa.types.is_null(other.type):
        return one
    mine, theirs = notes_on(one), notes_on(other)
    null = mine.null if theirs.null is None else theirs.null
    if is_text(one.type) and is_text(other.type):
        missing = tuple({*mine.missing, *theirs.missing})
        same = one.type == other.type
        return noted(
            one.name, one.type if same else pa.string(), Notes(missing=missing, json=mine.json and theirs.json)
        )
    kept = None
    if mine.null is None or theirs.null is None or mine.null == theirs.null:
        kept = _common_type(
            one.type, other.type, fixed=mine.large or theirs.large or "csv" in (mine.written, theirs.written)
        )
    if kept is not None:
        return noted(
            one.name, kept, Notes(written=mine.written or theirs.written, null=null, large=mine.large or theirs.large)
        )
    missing = tuple({*mine.missing, *theirs.missing, *(word for word in (mine.null, theirs.null) if word)})
    return noted(one.name, pa.string(), Notes(missing=missing))


def _common_type(one: pa.DataType, other: pa.DataType, *, fixed: bool) -> pa.DataType | None:
    """Return the type that holds the numbers of both; None if there is none, or if `fixed` forbids other numbers."""
    if one == other:
        return one
    types = (one, other)
    if all(map(pa.types.is_integer, types)):
        signed = [type_ for type_ in types if pa.types.is_signed_integer(type_)]
        if not signed:
            return pa.uint64()
        return None if pa.uint64() in types else pa.int64()
    numbers = all(pa.types.is_integer(type_) or pa.types.is_floating(type_) for type_ in types)
    return pa.float64() if numbers and not fixed else None


def widened(column: Any, own: pa.Field, field: pa.Field) -> Any:
    """Return a column of a part with the type of the whole column.

    Parameters
    ----------
    column : Array or ChunkedArray
        The column as the part has it.
    own, field : Field
        The field of the part, and the one of the whole from `common_field`.
    """
    if column.type == field.type:
        return column
    if not pa.types.is_string(field.type):
        if pa.types.is_float16(column.type):
            column = spelled(column)
        return shortest(column).cast(field.type)
    notes = notes_on(own)
    texts = spelled(column)
    if pa.types.is_boolean(column.type) and notes.written == "json":
        import pyarrow.compute as pc

        texts = pc.utf8_lower(texts)
    return texts.fill_null(notes.null) if notes.null else texts


def without_missing(column: Any, field: pa.Field) -> Any:
    """Return a column of text with null for the words that mean a missing value."""
    words = notes_on(field).missing
    if not words:
        return column
    import pyarrow.compute as pc

    return pc.if_else(pc.is_in(column, value_set=pa.array(words, pa.string())), pa.scalar(None, column.type), column)
