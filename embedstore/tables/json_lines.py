"""Read and write JSON: one object per line, or one array of objects."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Any

import pyarrow as pa

from embedstore.core.cells import json_values
from embedstore.errors import InputError
from embedstore.tables.base import BATCH_CHARS, BATCH_ROWS, ReadOptions, Survey, TextSource, first_line
from embedstore.tables.columns import notes_on
from embedstore.tables.values import ValueTypes

__all__ = ["JSONL", "JsonSource"]


class JsonSource(TextSource):
    """JSON objects as rows; see `ValueTypes` for the types of the columns."""

    def survey(self) -> Survey:
        """Read all rows once; return the row count and the column types."""
        rows = 0
        types = ValueTypes()
        for batch in self._raw():
            rows += len(batch)
            types.add_rows(batch)
        if not rows:
            raise InputError(f"{self.name} is empty: expected one JSON object per line")
        return Survey(rows, types.schema())

    def batches(self, schema: pa.Schema) -> Iterator[tuple[pa.Table, pa.Table]]:
        """Yield each batch of rows as two tables: as written in the file, and typed."""
        for batch in self._raw():
            table = ValueTypes.table(batch, schema)
            yield table, table

    def _raw(self) -> Iterator[list[dict[str, Any]]]:
        with self._open() as stream:
            batch: list[dict[str, Any]] = []
            chars = 0
            for number, line in self._rows(stream):
                if not isinstance(line, dict):
                    raise InputError(f"{self.name}, line {number}: expected a JSON object, found {type(line).__name__}")
                batch.append(line)
                chars += sum(len(v) for v in line.values() if isinstance(v, str))
                if len(batch) == BATCH_ROWS or chars > BATCH_CHARS:
                    yield batch
                    batch, chars = [], 0
            if batch:
                yield batch

    def _rows(self, stream: IO[str]) -> Iterator[tuple[int, Any]]:
        for number, line in enumerate(stream, start=1):
            if number == 1 and line.lstrip().startswith("["):  # one array instead of lines
                content = self._parse(line + stream.read(), number)
                yield from ((number, row) for row in content)
                return
            if line.strip():
                yield number, self._parse(line, number)

    def _parse(self, text: str, number: int) -> Any:
        try:
            return json.loads(text)
        except (json.JSONDecodeError, RecursionError) as error:
            raise InputError(
                f"{self.name}, line {number}: expected one JSON object per line, found {first_line(error)}"
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
