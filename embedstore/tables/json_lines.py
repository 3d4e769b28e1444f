"""Read and write JSON: one object per line, or one array of objects."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Any

import pyarrow as pa

from embedstore.errors import InputError
from embedstore.tables.base import BATCH_CHARS, BATCH_ROWS, ReadOptions, Survey, TextSource, first_line

__all__ = ["JSONL", "JsonSource"]


class JsonSource(TextSource):
    """JSON objects as rows; a column without a common type keeps its values as JSON text."""

    def survey(self) -> Survey:
        """Read all rows once; return the row count and the column types."""
        rows = 0
        kinds: dict[str, set[type]] = {}
        for batch in self._raw():
            rows += len(batch)
            for row in batch:
                for name, value in row.items():
                    kinds.setdefault(name, set()).add(_kind(value))
        if not rows:
            raise InputError(f"{self.name} is empty: expected one JSON object per line")
        return Survey(rows, pa.schema([pa.field(name, _json_type(found)) for name, found in kinds.items()]))

    def batches(self, schema: pa.Schema) -> Iterator[tuple[pa.Table, pa.Table]]:
        """Yield each batch of rows as two tables: as written in the file, and typed."""
        for batch in self._raw():
            table = pa.table([_json_column(batch, field) for field in schema], schema=schema)
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


def _kind(value: object) -> type:
    if isinstance(value, int) and not isinstance(value, bool) and not -(2**63) <= value < 2**63:
        return str
    return type(value)


def _json_type(kinds: set[type]) -> pa.DataType:
    kinds = kinds - {type(None)}
    for members, type_ in (({bool}, pa.bool_()), ({int}, pa.int64()), ({int, float}, pa.float64())):
        if kinds and kinds <= members:
            return type_
    return pa.string()


def _json_column(batch: list[dict[str, Any]], field: pa.Field) -> pa.Array:
    values = [row.get(field.name) for row in batch]
    if pa.types.is_string(field.type):
        values = [v if v is None or isinstance(v, str) else json.dumps(v, ensure_ascii=False) for v in values]
        try:
            return pa.array(values, pa.string())
        except UnicodeEncodeError as error:
            raise InputError(
                f"column {field.name!r} holds half of a surrogate pair ({error.object[error.start]!r}), "
                "which is no Unicode text"
            ) from error
    return pa.array(values, field.type)


class _JsonLines:
    """JSON lines as a `FileFormat`."""

    def source(self, path: Path, name: str, origin: str, options: ReadOptions) -> JsonSource:
        """Return a source for the file."""
        return JsonSource(path, name, origin, options)

    def write(self, tables: Iterable[pa.Table], schema: pa.Schema, path: Path) -> None:
        """Write one JSON object per row."""
        with path.open("w", encoding="utf-8", newline="") as stream:
            for table in tables:
                for row in _shortest(table).to_pylist():
                    stream.write(json.dumps(row, ensure_ascii=False, default=str) + "\n")


JSONL = _JsonLines()


def _shortest(table: pa.Table) -> pa.Table:
    """Widen float32 columns through their shortest decimal form: 0.1 stays 0.1."""
    for number, field in enumerate(table.schema):
        if field.type == pa.float32():
            column: Any = table.column(number).cast(pa.string()).cast(pa.float64())
            table = table.set_column(number, field.name, column)
    return table
