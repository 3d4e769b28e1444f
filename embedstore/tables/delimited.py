"""Read CSV and TSV; `embedstore.tables.separated` writes them."""

import csv
import itertools
import logging
import re
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa

from embedstore.core.counts import counted, listed
from embedstore.core.guards import CountedGuard
from embedstore.errors import InputError
from embedstore.tables.base import BATCH_CHARS, BATCH_ROWS, VALUE_WEIGHT, ReadOptions, Survey, TextSource, too_much
from embedstore.tables.inference import CellTypes

__all__ = ["DelimitedSource"]

logger = logging.getLogger(__name__)

_LARGE = 1 << 22  # characters of a row after which the csv reader is made anew
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
            logger.warning("%s: columns without a name of their own are called %s", self.name, listed(self._renamed))
        return Survey(rows, types.schema())

    def batches(self, schema: pa.Schema) -> Iterator[tuple[pa.Table, pa.Table]]:
        """Yield each batch of rows as two tables: as written in the file, and typed."""
        types = CellTypes(schema.names, self._options.missing_words)
        for table in self._raw():
            yield types.without_missing(table), types.typed(table, schema)

    def _raw(self) -> Iterator[pa.Table]:
        # The csv module, not Arrow's reader: it gives the line of an error and reads a row of any size.
        with _LONG_FIELDS, self._open() as stream:
            lines = _Lines(self._lines(stream), self._options, self.name)
            self._delimiter = lines.delimiter = self._options.delimiter or lines.named or self._likely(lines.first)
            parsed = self._parsed(lines)
            try:
                names = self._names(parsed)
                rows: list[list[str]] = []
                weight = 0
                for row in self._rows(parsed, lines, len(names)):
                    size = sum(map(len, row))
                    if size > self._options.max_cell:
                        longest = max(range(len(row)), key=lambda number: len(row[number]))
                        self._check_cell(len(row[longest]), names[longest])
                    rows.append(row)
                    weight += size + VALUE_WEIGHT * len(row)
                    if len(rows) == BATCH_ROWS or weight > BATCH_CHARS:
                        table = _table(names, rows)
                        rows, row, weight = [], [], 0  # a batch is not kept while the next one is read
                        yield table
            except csv.Error as error:
                raise self._not_csv(error, lines) from error
            if rows:
                yield _table(names, rows)

    def _parsed(self, lines: "_Lines") -> Iterator[list[str]]:
        quoting: dict[str, Any] = {} if self._options.quoting else {"quoting": csv.QUOTE_NONE}
        begin = partial(
            csv.reader,
            iter(lines),
            delimiter=self._delimiter,
            escapechar=self._options.escape,
            strict=True,
            **quoting,
        )
        reader = begin()
        while (row := next(reader, None)) is not None:
            if lines.size > _LARGE:  # the buffer of a reader takes 4 to 8 bytes a character, and never becomes smaller
                reader = begin()
            lines.size = lines.fields = 0
            yield row

    def _likely(self, header: str) -> str:
        """Return the format's separator, or the one that a header without any comma has."""
        if self._usual != "," or "," in header or self._options.columns:
            return self._usual
        others = [other for other in ("\t", ";") if other in header]
        return others[0] if len(others) == 1 else self._usual

    def _rows(self, parsed: Iterator[list[str]], lines: "_Lines", width: int) -> Iterator[list[str]]:
        """Yield the rows after the header; check the number of fields of each."""
        spans = 0
        lines.start = lines.number + 1
        for row in parsed:
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

    def _names(self, parsed: Iterator[list[str]]) -> list[str]:
        if self._options.columns:
            return list(self._options.columns)
        header = next((row for row in parsed if row), None)
        if header is None:
            raise InputError(f"{self.name} is empty: expected a header line and at least one row")
        names: dict[str, None] = {}
        repeats: dict[str, int] = {}
        for position, name in enumerate(header):  # the same names as in pandas.read_csv
            base = candidate = name or f"Unnamed: {position}"
            while candidate in names:
                repeats[base] = repeats.get(base, 0) + 1
                candidate = f"{base}.{repeats[base]}"
            names[candidate] = None
        self._renamed = [given for given, name in zip(names, header, strict=True) if given != name]
        return list(names)


def _table(names: list[str], rows: list[list[str]]) -> pa.Table:
    return pa.table([pa.array(column, pa.string()) for column in zip(*rows, strict=True)], names=names)


class _Lines:
    """The lines of a stream without a ``sep=`` line, and how far the csv reader has come in them.

    Attributes
    ----------
    named : str
        The separator that a ``sep=`` line names, else "".
    delimiter : str
        The separator that is in effect.
    first : str
        The first line, "" if it is a ``sep=`` line.
    number, start : int
        Number from 1 of the line read last, and of the line in which the next row starts.
    size, fields : int
        Characters, and fields at most, of the row that is being read.
    ended : bool
        Whether the stream has no more lines.
    """

    def __init__(self, lines: Iterator[str], options: ReadOptions, name: str) -> None:
        self._lines = lines
        self._options = options
        self._name = name
        first = next(lines, "")
        named = _SEPARATOR_LINE.fullmatch(first)
        self.named = self.delimiter = named[1] if named else ""
        self.first = "" if named else first
        self.number = int(bool(named))
        self.start = self.number + 1
        self.size = self.fields = 0
        self.ended = False

    def __iter__(self) -> Iterator[str]:
        lines = itertools.chain([self.first] if self.first else [], self._lines)
        self.first = ""
        for line in lines:
            self.number += 1
            inside = self.size > 0
            self.size += len(line)
            self.fields += line.count(self.delimiter)
            if self.size > self._options.max_row:
                raise self._more("character", self._options.max_row, "row")
            if self.fields >= self._options.max_columns:  # perhaps: separators in a text count too, so far
                self.fields = self._separators(line, inside)
                if self.fields >= self._options.max_columns:
                    raise self._more("field", self._options.max_columns, "columns")
            yield line
        self.ended = True

    def _more(self, noun: str, most: int, cap: str) -> InputError:
        return too_much(f"{self._name}, line {self.start}", f"{counted(most, noun)} in a row", "more", cap)

    def _separators(self, line: str, inside: bool) -> int:
        """Return the number of separators of a line that are not in quotes; `inside` if it may begin in some."""
        if self._options.escape:
            line = re.sub(re.escape(self._options.escape) + r"(?s:.)", "", line)
        if not self._options.quoting:
            return line.count(self.delimiter)
        return min(re.sub(r'"[^"]*+"?', "", text).count(self.delimiter) for text in (line, '"' * inside + line))
