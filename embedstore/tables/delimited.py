"""CSV and TSV."""

import csv
import logging
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import pyarrow as pa

from embedstore.errors import InputError
from embedstore.tables.base import BATCH_CHARS, BATCH_ROWS, ReadOptions, Survey, TextSource

__all__ = ["MISSING", "DelimitedSource"]

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
"""Cells of a CSV or TSV file that stand for a missing value: those of `pandas.read_csv`."""

_INTEGER = r"^(?:0|-?[1-9][0-9]{0,17})$"  # canonical, so that 007 and +1 stay text and come out as they went in
_FLOAT = r"^[+-]?(?:(?:0|[1-9][0-9]*)(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?$|^[+-]?inf$"
_BOOLEAN = r"^(?:True|False)$"


class DelimitedSource(TextSource):
    """Rows of fields between delimiters, the first row their names."""

    def __init__(self, path: Path, name: str, origin: str, options: ReadOptions, delimiter: str) -> None:
        super().__init__(path, name, origin, options)
        self._delimiter = options.delimiter or delimiter
        self._swallowed = 0

    def survey(self) -> Survey:
        """Read everything once; return the row count and the column types."""
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
        if self._swallowed and self._delimiter != ",":  # texts hold commas, but hardly tabs
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
        """Yield runs of rows twice: as written in the file, and typed."""
        for table in self._raw():
            yield table, table.cast(schema)

    def _raw(self) -> Iterator[pa.Table]:
        # The csv module, not Arrow's reader: it names the line of a fault and takes a row of any size.
        csv.field_size_limit(sys.maxsize)
        with self._open() as stream:
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
        for position, name in enumerate(header):  # named as pandas.read_csv names them
            base = candidate = name or f"Unnamed: {position}"
            repeat = 0
            while candidate in names:
                repeat += 1
                candidate = f"{base}.{repeat}"
            names.append(candidate)
        return names


class _Lines:
    """Lines of a stream; knows when the csv reader asked for one more line inside a quoted field."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream
        self.ended_early = False

    def __iter__(self) -> Iterator[str]:
        yield from self._stream
        self.ended_early = True
