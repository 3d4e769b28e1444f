"""Read and write CSV and TSV."""

import csv
import logging
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import IO, Any

import pyarrow as pa

from embedstore.core.guards import CountedGuard
from embedstore.errors import InputError
from embedstore.tables.base import BATCH_CHARS, BATCH_ROWS, ReadOptions, Survey, TextSource

__all__ = ["CSV", "MISSING", "TSV", "DelimitedSource"]

logger = logging.getLogger(__name__)

MISSING = frozenset(
    [
        "",
        "#N/A",
        "#N/A N/A",
        "#NA",
        "-1.#IND",
        "-1.#QNAN",
        "-NaN",
        "-nan",
        "1.#IND",
        "1.#QNAN",
        "<NA>",
        "N/A",
        "NA",
        "NULL",
        "NaN",
        "None",
        "n/a",
        "nan",
        "null",
    ]
)
"""Cells of a CSV or TSV file that mean a missing value, as in `pandas.read_csv`."""

_INTEGER = r"^(?:0|-?[1-9][0-9]{0,17})$"  # canonical only: 007 and +1 stay text and are written back unchanged
_FLOAT = r"^[+-]?(?:(?:0|[1-9][0-9]*)(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?$|^[+-]?inf$"
_BOOLEAN = r"^(?:True|False)$"


def _allow_long_fields() -> Callable[[], object]:
    before = csv.field_size_limit(sys.maxsize)
    return lambda: csv.field_size_limit(before)


_LONG_FIELDS = CountedGuard(_allow_long_fields)


class DelimitedSource(TextSource):
    """Rows of delimited fields; the first row holds the column names."""

    def __init__(self, path: Path, name: str, origin: str, options: ReadOptions, delimiter: str) -> None:
        super().__init__(path, name, origin, options)
        self._delimiter = options.delimiter or delimiter
        self._swallowed = 0

    def survey(self) -> Survey:
        """Read all rows once; return the row count and the column types."""
        import pyarrow.compute as pc

        rows = 0
        names: list[str] = []
        candidates: list[list[str]] = []
        seen: list[bool] = []
        for table in self._raw():
            if not names:
                names = table.column_names
                candidates = [[_INTEGER, _FLOAT, _BOOLEAN] for _ in names]
                seen = [False] * len(names)
            rows += table.num_rows
            for column, (name, patterns) in enumerate(zip(names, candidates, strict=True)):
                values = table.column(name).drop_null()
                seen[column] = seen[column] or len(values) > 0
                candidates[column] = [
                    p for p in patterns if pc.all(pc.match_substring_regex(values, p)).as_py() in (True, None)
                ]
        if self._swallowed and self._delimiter != ",":  # texts often hold commas, but rarely tabs
            logger.warning(
                "%s: %d quoted fields hold separators and line breaks, as if they had swallowed rows: if quotes are "
                "ordinary characters in this file, give --no-quoting",
                self.name,
                self._swallowed,
            )
        if not rows:
            raise InputError(f"{self.name} has no rows: expected a header line and at least one row")
        types = {_INTEGER: pa.int64(), _FLOAT: pa.float64(), _BOOLEAN: pa.bool_()}
        fields = [
            pa.field(name, types[patterns[0]] if patterns and some else pa.string())
            for name, patterns, some in zip(names, candidates, seen, strict=True)
        ]
        return Survey(rows, pa.schema(fields))

    def batches(self, schema: pa.Schema) -> Iterator[tuple[pa.Table, pa.Table]]:
        """Yield each batch of rows as two tables: as written in the file, and typed."""
        for table in self._raw():
            yield table, table.cast(schema)

    def _raw(self) -> Iterator[pa.Table]:
        # The csv module, not Arrow's reader: it gives the line of an error and reads a row of any size.
        with _LONG_FIELDS, self._open() as stream:
            lines = _Lines(stream)
            quoting = {} if self._options.quoting else {"quoting": csv.QUOTE_NONE}
            reader: Any = csv.reader(lines, delimiter=self._delimiter, **quoting)  # type: ignore[arg-type]
            names = self._names(reader)
            rows: list[list[str]] = []
            chars = 0
            start = reader.line_num + 1
            spans = 0
            for row in reader:
                if lines.ended_early:
                    raise InputError(
                        f"{self.name}, line {start}: a quoted field begins there and never ends; close the quote, or "
                        'give --no-quoting if " is an ordinary character in this file'
                    )
                if len(row) != len(names):
                    if not row:
                        continue
                    raise InputError(
                        f"{self.name}, line {start}: expected {len(names)} fields as in the header, found {len(row)}; "
                        "mend that line, or give --delimiter or --no-quoting if the file is of that kind"
                    )
                if reader.line_num > start:
                    spans += any("\n" in field and self._delimiter in field for field in row)
                start = reader.line_num + 1
                rows.append(row)
                chars += sum(map(len, row))
                if len(rows) == BATCH_ROWS or chars > BATCH_CHARS:
                    yield self._table(names, rows)
                    rows, chars = [], 0
            if rows:
                yield self._table(names, rows)
            self._swallowed = spans

    def _table(self, names: list[str], rows: list[list[str]]) -> pa.Table:
        missing = MISSING if self._options.missing else frozenset({""})
        columns = [
            pa.array([None if v in missing else v for v in column], pa.string()) for column in zip(*rows, strict=True)
        ]
        return pa.table(columns, names=names)

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
        return names


class _Lines:
    """Lines of a stream; `ended_early` is True once the stream has no more lines.

    If the csv reader returns a row after that, the row ends inside a quoted field.
    """

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream
        self.ended_early = False

    def __iter__(self) -> Iterator[str]:
        yield from self._stream
        self.ended_early = True


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
        writer = csv.writer(stream, delimiter=self._delimiter, lineterminator="\n")
        writer.writerow(schema.names)
        for table in tables:
            writer.writerows(zip(*(column.to_pylist() for column in _as_text(table).columns), strict=True))


CSV, TSV = _Delimited(","), _Delimited("\t")


def _as_text(table: pa.Table) -> pa.Table:
    """Return a table with float32 columns as their shortest decimal text: 0.1 stays 0.1."""
    for number, field in enumerate(table.schema):
        if field.type == pa.float32():
            table = table.set_column(number, field.name, table.column(number).cast(pa.string()))
    return table
