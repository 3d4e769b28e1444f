"""Read and write CSV and TSV."""

import csv
import logging
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import IO, Any

import pyarrow as pa

from embedstore.core.cells import plain_values
from embedstore.core.counts import counted
from embedstore.core.guards import CountedGuard
from embedstore.errors import InputError
from embedstore.tables.base import BATCH_CHARS, BATCH_ROWS, ReadOptions, Survey, TextSource
from embedstore.tables.columns import notes_on
from embedstore.tables.inference import CellTypes

__all__ = ["CSV", "TSV", "DelimitedSource"]

logger = logging.getLogger(__name__)

_SEPARATOR_LINE = re.compile(r"sep=(.)\r?\n?", re.IGNORECASE)  # the first line of some files written for Excel


def _allow_long_fields() -> Callable[[], object]:
    before = csv.field_size_limit(sys.maxsize)
    return lambda: csv.field_size_limit(before)


_LONG_FIELDS = CountedGuard(_allow_long_fields)


class DelimitedSource(TextSource):
    """Rows of delimited fields; the first row holds the column names."""

    def __init__(self, path: Path, name: str, origin: str, options: ReadOptions, delimiter: str) -> None:
        super().__init__(path, name, origin, options)
        self._usual = delimiter
        self._delimiter = options.delimiter or delimiter
        self._swallowed = 0
        self._renamed: list[str] = []

    def survey(self) -> Survey:
        """Read all rows once; return the row count and the column types."""
        rows = 0
        types: CellTypes | None = None
        for table in self._raw():
            types = types or CellTypes(table.column_names, self._options.missing_words)
            types.add(table)
            rows += table.num_rows
        if self._swallowed and self._delimiter != ",":  # texts often hold commas, but rarely tabs
            logger.warning(
                "%s: %d quoted fields hold separators and line breaks, as if they had swallowed rows: if quotes are "
                "ordinary characters in this file, give --no-quoting",
                self.name,
                self._swallowed,
            )
        if types is None:
            raise InputError(f"{self.name} has no rows: expected a header line and at least one row")
        if self._renamed:
            logger.warning("%s: columns without a name of their own are called %s", self.name, ", ".join(self._renamed))
        return Survey(rows, types.schema())

    def batches(self, schema: pa.Schema) -> Iterator[tuple[pa.Table, pa.Table]]:
        """Yield each batch of rows as two tables: as written in the file, and typed."""
        types = CellTypes(schema.names, self._options.missing_words)
        for table in self._raw():
            yield types.without_missing(table), types.typed(table, schema)

    def _raw(self) -> Iterator[pa.Table]:
        # The csv module, not Arrow's reader: it gives the line of an error and reads a row of any size.
        with _LONG_FIELDS, self._open() as stream:
            lines = _Lines(stream)
            self._delimiter = self._options.delimiter or lines.delimiter or self._likely(lines.first)
            quoting: dict[str, Any] = {} if self._options.quoting else {"quoting": csv.QUOTE_NONE}
            reader: Any = csv.reader(
                lines, delimiter=self._delimiter, escapechar=self._options.escape, strict=True, **quoting
            )
            try:
                names = self._names(reader)
                rows: list[list[str]] = []
                chars = 0
                for row in self._rows(reader, lines, len(names)):
                    rows.append(row)
                    chars += sum(map(len, row))
                    if len(rows) == BATCH_ROWS or chars > BATCH_CHARS:
                        yield _table(names, rows)
                        rows, chars = [], 0
            except csv.Error as error:
                raise self._not_csv(error, lines) from error
            if rows:
                yield _table(names, rows)

    def _likely(self, header: str) -> str:
        """Return the format's separator, or the one that a header without any comma has."""
        if self._usual != "," or "," in header or self._options.columns:
            return self._usual
        others = [other for other in ("\t", ";") if other in header]
        return others[0] if len(others) == 1 else self._usual

    def _rows(self, reader: Any, lines: "_Lines", width: int) -> Iterator[list[str]]:
        """Yield the rows after the header; check the number of fields of each."""
        spans = 0
        lines.start = lines.number + 1
        for row in reader:
            if row and len(row) != width:
                raise InputError(
                    f"{self.name}, line {lines.start}: expected {counted(width, 'field')} as in the header, found "
                    f"{len(row)}; mend that line, or give --delimiter or --no-quoting if the file is of that kind"
                )
            if lines.number > lines.start:
                spans += any("\n" in field and self._delimiter in field for field in row)
            lines.start = lines.number + 1
            if row:
                yield row
        self._swallowed = spans

    def _not_csv(self, error: csv.Error, lines: "_Lines") -> InputError:
        """Return the error for a row that the csv module refuses."""
        if lines.ended:
            return InputError(
                f"{self.name}, line {lines.start}: a quoted field begins there and never ends; close the quote, or "
                'give --no-quoting if " is an ordinary character in this file'
            )
        if "expected after" in str(error):
            return InputError(
                f"{self.name}, line {lines.number}: expected a separator after a closing quote, found another "
                "character: double the quotes inside a field, give --escape '\\' if the file has \\\" for them, or "
                '--no-quoting if " is an ordinary character in this file'
            )
        return InputError(f"{self.name}, line {lines.number}: expected CSV, found {error}")

    def _names(self, reader: Any) -> list[str]:
        if self._options.columns:
            return list(self._options.columns)
        header = next((row for row in reader if row), None)
        if header is None:
            raise InputError(f"{self.name} is empty: expected a header line and at least one row")
        names: list[str] = []
        for position, name in enumerate(header):  # the same names as in pandas.read_csv
            base = candidate = name or f"Unnamed: {position}"
            repeat = 0
            while candidate in names:
                repeat += 1
                candidate = f"{base}.{repeat}"
            names.append(candidate)
        self._renamed = [given for given, name in zip(names, header, strict=True) if given != name]
        return names


def _table(names: list[str], rows: list[list[str]]) -> pa.Table:
    return pa.table([pa.array(column, pa.string()) for column in zip(*rows, strict=True)], names=names)


class _Lines:
    """The lines of a stream without a ``sep=`` line, and how far the csv reader has come in them.

    Attributes
    ----------
    delimiter : str
        The separator that a ``sep=`` line names, else "".
    first : str
        The first line, "" if it is a ``sep=`` line.
    number, start : int
        Number from 1 of the line read last, and of the line in which the next row starts.
    ended : bool
        Whether the stream has no more lines.
    """

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream
        first = stream.readline()
        named = _SEPARATOR_LINE.fullmatch(first)
        self.delimiter = named[1] if named else ""
        self.first = "" if named else first
        self.number = int(bool(named))
        self.start = self.number + 1
        self.ended = False

    def __iter__(self) -> Iterator[str]:
        if self.first:
            self.number += 1
            yield self.first
        for line in self._stream:
            self.number += 1
            yield line
        self.ended = True


class _Rows:
    """A stream that ends rows with a line feed alone.

    The csv module quotes a cell with a carriage return only if rows end with one too.
    """

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream

    def write(self, row: str) -> int:
        """Write a row that ends with a carriage return and a line feed."""
        return self._stream.write(row[:-2] + "\n")


class _Delimited:
    """CSV or TSV as a `FileFormat`."""

    def __init__(self, delimiter: str) -> None:
        self._delimiter = delimiter

    def source(self, path: Path, name: str, origin: str, options: ReadOptions) -> DelimitedSource:
        """Return a source for the file."""
        return DelimitedSource(path, name, origin, options, self._delimiter)

    def write(self, tables: Iterable[pa.Table], schema: pa.Schema, path: Path) -> None:
        """Write tables of one schema to a file, under one header line."""
        with path.open("w", encoding="utf-8", newline="") as stream:
            self.write_stream(tables, schema, stream)

    def write_stream(self, tables: Iterable[pa.Table], schema: pa.Schema, stream: IO[str]) -> None:
        """Write tables of one schema to a text stream, under one header line."""
        writer = csv.writer(_Rows(stream), delimiter=self._delimiter, lineterminator="\r\n")
        writer.writerow(schema.names)
        nulls = [notes_on(field).null or "" for field in schema]
        for table in tables:
            columns = [_cells(column, null) for column, null in zip(table.columns, nulls, strict=True)]
            writer.writerows(zip(*columns, strict=True))


CSV, TSV = _Delimited(","), _Delimited("\t")


def _cells(column: pa.ChunkedArray, null: str) -> list[Any]:
    """Return what the csv module writes for a column; it spells plain values as `spelled` does, and faster."""
    cells = plain_values(column)
    return [null if cell is None else cell for cell in cells] if null else cells
