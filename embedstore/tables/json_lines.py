"""Read and write JSON: one object per line, or one array of objects."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Any

import pyarrow as pa

from embedstore.core.cells import json_values
from embedstore.core.counts import counted
from embedstore.core.parsing import first_line
from embedstore.errors import EmbedstoreError, InputError
from embedstore.tables.base import BATCH_CHARS, BATCH_ROWS, ReadOptions, Survey, TextSource, too_much
from embedstore.tables.columns import notes_on
from embedstore.tables.json_parts import Elements, weight_of
from embedstore.tables.values import ValueTypes

__all__ = ["JSONL", "JsonSource"]

_ABSENT = 8  # bytes that a key takes in a row that lacks it


class JsonSource(TextSource):
    """JSON objects as rows; see `ValueTypes` for the types of the columns."""

    _escapes = False

    def survey(self) -> Survey:
        """Read all rows once; return the row count and the column types."""
        rows = 0
        types = ValueTypes()
        for batch in self._raw(0):
            rows += len(batch)
            types.add_rows(batch)
            self._check_keys(types.width)
        if not rows:
            raise InputError(f"{self.name} is empty: expected one JSON object per line")
        return Survey(rows, types.schema())

    def batches(self, schema: pa.Schema) -> Iterator[tuple[pa.Table, pa.Table]]:
        """Yield each batch of rows as two tables: as written in the file, and typed."""
        for batch in self._raw(_ABSENT * len(schema)):
            table = ValueTypes.table(batch, schema)
            yield table, table

    def _raw(self, least: int) -> Iterator[list[dict[str, Any]]]:
        """Yield the rows in batches; each row weighs `least` beside what is written in it."""
        batch: list[dict[str, Any]] = []
        weight = 0
        with self._open() as stream:
            for row, size in self._parsed(stream):
                if not isinstance(row, dict):
                    found = type(row).__name__
                    raise InputError(f"{self.name}, {self.place}: expected a JSON object, found {found}")
                self._check_keys(len(row))
                if self._escapes:
                    self._check_text(row)
                if size > self._options.max_cell:
                    for name, value in row.items():
                        self._check_cell(len(value) if isinstance(value, str) else 0, name)
                batch.append(row)
                weight += size + least
                if len(batch) == BATCH_ROWS or weight > BATCH_CHARS:
                    full, batch, weight = batch, [], 0
                    yield full
            if batch:
                yield batch

    def _check_keys(self, count: int) -> None:
        most = self._options.max_columns
        if count > most:
            raise too_much(f"{self.name}, {self.place}", f"{counted(most, 'column')}", f"{count:,}", "columns")

    def _check_text(self, row: dict[str, Any]) -> None:
        try:
            json.dumps(row, ensure_ascii=False).encode()
        except UnicodeEncodeError as error:
            raise InputError(
                f"{self.name}, {self.place}: expected Unicode text, found half of a surrogate pair "
                f"({error.object[error.start]!r}): remove it"
            ) from error

    def _rows(self, stream: IO[str]) -> Iterator[tuple[Any, int]]:
        """Yield each value, and its weight."""
        for line in self._lines(stream):
            if self._line == 1 and line.lstrip().startswith("["):  # one array instead of lines
                yield from Elements(line, stream, check=self._checked, moved=self._moved)
            elif line.strip():
                size = self._checked(line)
                yield json.loads(line), size

    def _moved(self, lines: int) -> None:
        self._line += lines

    def _checked(self, text: str) -> int:
        """Return the weight of a row; refuse one that is too large or too deep, before it is parsed."""
        self._escapes = "\\ud" in text or "\\uD" in text  # of surrogates, which are Unicode text in pairs only
        size, depth = weight_of(text, self._options.max_row, self._options.max_depth)
        if size > self._options.max_row:
            raise self._too_long()
        if depth > self._options.max_depth:
            most = counted(self._options.max_depth, "level")
            raise too_much(f"{self.name}, {self.place}", f"{most} of lists and objects", f"{depth:,}", "depth")
        return size

    def _parsed(self, stream: IO[str]) -> Iterator[tuple[Any, int]]:
        try:
            yield from self._rows(stream)
        except (UnicodeError, EmbedstoreError):
            raise
        except (ValueError, RecursionError) as error:
            raise InputError(
                f"{self.name}, {self.place}: expected one JSON object per line, found {first_line(error)}"
            ) from error


class _JsonLines:
    """JSON lines as a `FileFormat`."""

    def source(self, path: Path, name: str, origin: str, options: ReadOptions) -> JsonSource:
        """Return a source for the file."""
        return JsonSource(path, name, origin, options)

    def write(self, tables: Iterable[pa.Table], schema: pa.Schema, path: Path) -> None:
        """Write one JSON object per row."""
        names = schema.names
        documents = [notes_on(field).json for field in schema]
        with path.open("w", encoding="utf-8", newline="") as stream:
            for table in tables:
                columns = [
                    [None if cell is None else json.loads(cell) for cell in column.to_pylist()]
                    if document
                    else json_values(column)
                    for column, document in zip(table.columns, documents, strict=True)
                ]
                for row in zip(*columns, strict=True):
                    line = json.dumps(dict(zip(names, row, strict=True)), ensure_ascii=False, allow_nan=False)
                    stream.write(line + "\n")


JSONL = _JsonLines()
