"""Read sheets of Excel and of LibreOffice."""

import importlib.util
import json
import subprocess
import sys
from collections.abc import Container, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import IO, Any

import pyarrow as pa

from embedstore.core.counts import counted
from embedstore.core.values import clip, value_text
from embedstore.errors import InputError, MissingExtraError, OutputError
from embedstore.tables.base import (
    BATCH_CHARS,
    BATCH_ROWS,
    FREE_BYTES,
    VALUE_WEIGHT,
    FileSource,
    ReadOptions,
    Survey,
    too_much,
)
from embedstore.tables.columns import Notes, noted, notes_on
from embedstore.tables.values import ValueTypes
from embedstore.tables.widening import without_missing

__all__ = ["EXCEL", "ExcelSource"]

_SHOWN = 300  # characters of what the reader says


class ExcelSource(FileSource):
    """A sheet: the first row holds the column names; numbers, booleans and texts are typed by it, dates are text."""

    def __init__(self, path: Path, name: str, origin: str, options: ReadOptions) -> None:
        super().__init__(path, name, origin)
        self._options = options
        self._row = 0

    @property
    def place(self) -> str:
        """The row that was read last."""
        return f"row {self._row:,} of the sheet" if self._row else ""

    def survey(self) -> Survey:
        """Read all rows once; return the row count and the column types."""
        count = 0
        columns: list[_Column] = []
        for names, rows in self._batches():
            columns = columns or [_Column(name, self._options.missing_words) for name in names]
            for column, values in zip(columns, zip(*rows, strict=True), strict=True):
                column.add(values)
            count += len(rows)
        if not count:
            raise InputError(f"{self.name} has no rows: expected a row of column names and at least one row")
        return Survey(count, pa.schema([column.field() for column in columns]))

    def batches(self, schema: pa.Schema) -> Iterator[tuple[pa.Table, pa.Table]]:
        """Yield each batch of rows as two tables: without missing words (for texts), and typed."""
        for _, rows in self._batches():
            cells = zip(*rows, strict=True)
            columns = [self._column(values, field) for values, field in zip(cells, schema, strict=True)]
            raw = [without_missing(column, field) for column, field in zip(columns, schema, strict=True)]
            yield pa.table(raw, schema=schema), pa.table(columns, schema=schema)

    def _column(self, values: Sequence[Any], field: pa.Field) -> pa.Array:
        if not pa.types.is_string(field.type):
            values = [None if isinstance(value, str) else value for value in values]
        return ValueTypes.column(values, field)

    def _batches(self) -> Iterator[tuple[list[str], list[list[Any]]]]:
        """Yield the names of the columns, and rows that are not empty."""
        names = list(self._options.columns or ())
        rows: list[list[Any]] = []
        weight = 0
        for cells, size in self._rows():
            if not names:
                names = [
                    f"Unnamed: {number}" if name is None else value_text(name) for number, name in enumerate(cells)
                ]
                continue
            if len(cells) != len(names):
                raise InputError(f"{self.name}: expected {counted(len(names), 'column')} as named, found {len(cells)}")
            if any(value is not None for value in cells):
                rows.append(cells)
                weight += size
                if len(rows) == BATCH_ROWS or weight > BATCH_CHARS:
                    yield names, rows
                    rows, weight = [], 0
        if rows:
            yield names, rows

    def _rows(self) -> Iterator[tuple[list[Any], int]]:
        """Yield the cells of each row of the sheet, and their weight."""
        self._row = 0
        with self._reader() as lines:
            for line in iter(partial(lines.readline, self._options.max_row + 1), b""):
                if len(line) > self._options.max_row:
                    raise self._too_much("row", f"{counted(self._options.max_row, 'character')} in a row", "more")
                cells = json.loads(line)
                if isinstance(cells, dict):
                    raise self._refusal(cells)
                self._row += 1
                if len(cells) > self._options.max_columns:
                    raise self._too_much("columns", counted(self._options.max_columns, "column"), f"{len(cells):,}")
                longest = max((len(cell) for cell in cells if isinstance(cell, str)), default=0)
                if longest > self._options.max_cell:
                    most = f"{counted(self._options.max_cell, 'character')} in a cell"
                    raise self._too_much("cell", most, f"{longest:,}")
                yield cells, len(line) + VALUE_WEIGHT * len(cells)

    def _too_much(self, cap: str, most: str, found: str) -> InputError:
        return too_much(f"{self.name}, {self.place}" if self._row else self.name, most, found, cap)

    def _refusal(self, said: dict[str, Any]) -> InputError:
        if "sheets" in said:
            named = ", ".join(said["sheets"])
            return InputError(f"{self.name} has no sheet {self._options.sheet!r}: choose one of {named} with --sheet")
        return InputError(f"{self.name} is no sheet of Excel or LibreOffice: {clip(str(said['error']), _SHOWN)}")

    @contextmanager
    def _reader(self) -> Iterator[IO[bytes]]:
        """Start the process that reads the sheet; yield what it writes; refuse the sheet if it ended otherwise."""
        if importlib.util.find_spec("python_calamine") is None:
            raise MissingExtraError(
                f"{self.name}: a sheet is read by python-calamine: pip install 'embedstore[excel]', or save it as CSV"
            )
        most = FREE_BYTES + self._options.max_expansion * self._path.stat().st_size
        words: list[str | Path] = [
            sys.executable,
            "-P",
            "-m",
            "embedstore.tables.sheets",
            self._path,
            self._options.sheet or "",
            str(most),
        ]
        with subprocess.Popen(  # noqa: S603 (our own module)
            words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        ) as process:
            if process.stdout is None:
                raise AssertionError("there is a pipe")
            try:
                yield process.stdout
            except BaseException:
                process.kill()
                raise
            if process.wait():
                raise too_much(
                    self.name,
                    f"a sheet of Excel or LibreOffice that fits {counted(most, 'byte')} of memory",
                    "one that is damaged, or larger",
                    "expansion",
                )


class _Column:
    """What is known of a column after some of its rows."""

    def __init__(self, name: str, missing: Container[str]) -> None:
        self._name = name
        self._missing = missing
        self._types = ValueTypes()
        self._words: set[str] = set()
        self._empty = False

    def add(self, values: Sequence[Any]) -> None:
        """Look at the values of a batch."""
        words = {value for value in values if isinstance(value, str) and value in self._missing}
        self._types.add_column(
            self._name, [value for value in values if not (isinstance(value, str) and value in words)]
        )
        self._words |= words
        self._empty = self._empty or None in values

    def field(self) -> pa.Field:
        """Return the field that keeps all values."""
        field = self._types.schema().field(0)
        if pa.types.is_string(field.type) or len(self._words) + self._empty > 1:
            return noted(self._name, pa.string(), Notes(missing=tuple(self._words)))
        return noted(self._name, field.type, replace(notes_on(field), null=next(iter(self._words), None)))


class _Excel:
    """Sheets as a `FileFormat` that is only read."""

    def source(self, path: Path, name: str, origin: str, options: ReadOptions) -> ExcelSource:
        """Return a source for the file."""
        return ExcelSource(path, name, origin, options)

    def write(self, tables: Iterable[pa.Table], schema: pa.Schema, path: Path) -> None:
        """Refuse: no file name leads here."""
        raise OutputError(f"can't write {path}: sheets are only read")


EXCEL = _Excel()
