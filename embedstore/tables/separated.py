"""CSV and TSV as formats, and how they are written; `embedstore.tables.delimited` reads them."""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import pyarrow as pa

from embedstore.core.cells import plain_values
from embedstore.core.floats import float_texts
from embedstore.tables.columns import is_text, notes_on

if TYPE_CHECKING:
    from embedstore.tables.base import ReadOptions, Source

__all__ = ["CSV", "TSV"]

_QUOTE = '"'


class _Separated:
    """CSV or TSV as a `FileFormat`."""

    def __init__(self, delimiter: str) -> None:
        self._delimiter = delimiter

    def source(self, path: Path, name: str, origin: str, options: "ReadOptions") -> "Source":
        """Return a source for the file."""
        from embedstore.tables.delimited import DelimitedSource

        return DelimitedSource(path, name, origin, options, self._delimiter)

    def write(self, tables: Iterable[pa.Table], schema: pa.Schema, path: Path) -> None:
        """Write tables of one schema to a file, under one header line."""
        with path.open("w", encoding="utf-8", newline="") as stream:
            self.write_stream(tables, schema, stream)

    def write_stream(self, tables: Iterable[pa.Table], schema: pa.Schema, stream: IO[str]) -> None:
        """Write tables of one schema to a text stream, under one header line."""
        nulls = [notes_on(field).null or "" for field in schema]
        self._write_rows([self._quoted([name]) for name in schema.names], stream)
        for table in tables:
            columns = zip(table.columns, nulls, strict=True)
            self._write_rows([self._quoted(_texts(column, null)) for column, null in columns], stream)

    def _write_rows(self, columns: list[list[str]], stream: IO[str]) -> None:
        if len(columns) == 1:  # a reader would skip an empty line
            columns = [[cell or '""' for cell in columns[0]]]
        stream.writelines(row + "\n" for row in map(self._delimiter.join, zip(*columns, strict=True)))

    def _quoted(self, cells: list[str]) -> list[str]:
        """Return cells as they are written: in quotes if they have a separator, a quote or a line break."""
        together = "".join(cells)
        if not any(mark in together for mark in (self._delimiter, '"', "\r", "\n")):
            return cells
        marked = re.compile(f'[{self._delimiter}"\r\n]').search
        return [f'"{cell.replace(_QUOTE, 2 * _QUOTE)}"' if marked(cell) else cell for cell in cells]


CSV, TSV = _Separated(","), _Separated("\t")


def _texts(column: pa.ChunkedArray, null: str) -> list[str]:
    """Return a column as `spelled` writes it, with `null` where a value is missing; plain values are written faster."""
    if pa.types.is_float32(column.type) or pa.types.is_float64(column.type):
        cells: list[Any] = [text for chunk in column.chunks for text in float_texts(chunk)]
    else:
        cells = plain_values(column)
        if cells and not is_text(column.type):
            cells = [cell if cell is None else str(cell) for cell in cells]
    return [null if cell is None else cell for cell in cells] if None in cells else cells
