"""Write tables to files; the suffix decides the format."""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import pyarrow as pa

from embedstore.errors import OutputError
from embedstore.tables.formats import FORMATS, find_format
from embedstore.tables.outputs import check_place, published

__all__ = ["output_format", "spreadsheet_safe", "spreadsheet_unsafe", "write_table"]

_FORMULA = r"^('*[=+\-@\t\r\n])"  # with the apostrophes of a text itself, so that one can be taken away again
_NUMBER = r"^[+-]?[0-9][0-9.,]*(?:[eE][+-]?[0-9]+)?$"


def output_format(path: Path) -> str:
    """Return the format for a file name, after a check that the file can be written.

    Raises
    ------
    OutputError
        If the suffix is unknown, or no file can be written there; see `embedstore.tables.outputs.check_place`.
    """
    check_place(path)
    suffixes = {suffix: name for name, entry in FORMATS.items() for suffix in entry.writes}
    format_ = suffixes.get(path.suffix.lower())
    if format_ is None:
        raise OutputError(f"can't tell the format of {path}: expected a name that ends in {', '.join(suffixes)}")
    return format_


def write_table(tables: Iterable[pa.Table], schema: pa.Schema, path: Path) -> None:
    """Write tables of one schema, in order, to the file `path`; its suffix decides the format.

    Raises
    ------
    OutputError
        If the file can't be written; an earlier file of that name stays unchanged.
    """
    format_ = find_format(output_format(path))
    with published(path) as temp:
        format_.write(tables, schema, temp)


def spreadsheet_safe(tables: Iterable[pa.Table], schema: pa.Schema) -> tuple[Iterator[pa.Table], pa.Schema]:
    """Return the tables and the schema without texts that a spreadsheet program would read as a formula.

    A text or column name that begins with one of ``= + - @``, a tab or a line break gets an apostrophe before it
    (OWASP, "CSV Injection"), unless it is a number.
    """
    import pyarrow.compute as pc

    names = [_guarded(name) for name in schema.names]
    schema = pa.schema([field.with_name(name) for field, name in zip(schema, names, strict=True)])

    def guarded() -> Iterator[pa.Table]:
        for table in tables:
            columns = [
                pc.if_else(
                    pc.match_substring_regex(column, _NUMBER),
                    column,
                    pc.replace_substring_regex(column, _FORMULA, r"'\1"),
                )
                if pa.types.is_string(column.type) or pa.types.is_large_string(column.type)
                else column
                for column in table.columns
            ]
            yield pa.table(columns, schema=schema)

    return guarded(), schema


def spreadsheet_unsafe(text: str) -> str:
    """Return a text as it was before `spreadsheet_safe`.

    Examples
    --------
    >>> spreadsheet_unsafe("'=1+1"), spreadsheet_unsafe("'quoted'")
    ('=1+1', "'quoted'")
    """
    return text[1:] if text.startswith("'") and _guarded(text[1:]) == text else text


def _guarded(text: str) -> str:
    return text if re.match(_NUMBER, text) else re.sub(_FORMULA, r"'\1", text)
