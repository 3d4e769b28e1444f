"""Tables out: CSV, TSV, JSONL, Parquet, to a stream or as a file that appears whole or not at all."""

import csv
import json
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Literal, cast

import pyarrow as pa

from embedstore.errors import OutputError
from embedstore.storage import files

__all__ = [
    "OutputFormat",
    "check_place",
    "output_format",
    "published",
    "spreadsheet_safe",
    "write_stream",
    "write_table",
]

_FORMULA = r"^([=+\-@\t\r\n])"
OutputFormat = Literal["csv", "tsv", "jsonl", "parquet"]
_SUFFIXES = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
    ".pq": "parquet",
}


def output_format(path: Path) -> OutputFormat:
    """Return the format that a file name asks for; look whether the file can be written.

    Raises
    ------
    OutputError
        If the suffix is unknown, the folder is missing, or the path is a folder.
    """
    format_ = _SUFFIXES.get(path.suffix.lower())
    if format_ is None:
        raise OutputError(f"can't tell the format of {path}: expected a name that ends in {', '.join(_SUFFIXES)}")
    check_place(path)
    return cast(OutputFormat, format_)


def check_place(path: Path) -> None:
    """Raise an `OutputError` unless a file can be put at `path`: its folder is there, and it is none itself."""
    if not path.parent.is_dir():
        raise OutputError(f"can't write {path}: there is no folder {path.parent}; make it first")
    if path.is_dir():
        raise OutputError(f"can't write {path}: it is a folder")


@contextmanager
def published(path: Path) -> Iterator[Path]:
    """Give a temp path beside `path`, and rename it to `path` when the block ends without an error."""
    try:
        with files.staged(path.parent, path.suffix) as temp:
            yield temp
            files.replace(temp, path)
    except PermissionError as error:
        raise OutputError(f"can't write {path}: {error.strerror}") from error


def write_table(tables: Iterable[pa.Table], schema: pa.Schema, path: Path) -> None:
    """Write tables of one schema, one after the other, to the file `path`; its suffix picks the format.

    Raises
    ------
    OutputError
        If the file can't be written; an earlier file of that name is then as it was.
    """
    format_ = output_format(path)
    with published(path) as temp:
        if format_ == "parquet":
            from pyarrow import parquet

            with parquet.ParquetWriter(temp, schema, compression="zstd") as writer:
                for table in tables:
                    writer.write_table(table)
        else:
            with temp.open("w", encoding="utf-8", newline="") as stream:
                write_stream(tables, schema, stream, format_)


def write_stream(
    tables: Iterable[pa.Table],
    schema: pa.Schema,
    stream: IO[str],
    format_: Literal["csv", "tsv", "jsonl"] = "csv",
) -> None:
    """Write tables of one schema to a text stream, header first (CSV and TSV)."""
    if format_ == "jsonl":
        for table in tables:
            for row in _shortest(table).to_pylist():
                stream.write(json.dumps(row, ensure_ascii=False, default=str) + "\n")
        return
    writer = csv.writer(stream, delimiter="\t" if format_ == "tsv" else ",", lineterminator="\n")
    writer.writerow(schema.names)
    for table in tables:
        writer.writerows(zip(*(column.to_pylist() for column in _as_text(table).columns), strict=True))


def spreadsheet_safe(tables: Iterable[pa.Table], schema: pa.Schema) -> tuple[Iterator[pa.Table], pa.Schema]:
    """Return tables and schema in which no text can be taken for a formula by a spreadsheet program.

    A text that begins with one of ``= + - @``, a tab or a line break gets an apostrophe before it (OWASP, "CSV
    Injection").
    """
    import pyarrow.compute as pc

    names = [re.sub(_FORMULA, r"'\1", name) for name in schema.names]
    schema = pa.schema([field.with_name(name) for field, name in zip(schema, names, strict=True)])

    def guarded() -> Iterator[pa.Table]:
        for table in tables:
            columns = [
                pc.replace_substring_regex(column, _FORMULA, r"'\1")
                if pa.types.is_string(column.type) or pa.types.is_large_string(column.type)
                else column
                for column in table.columns
            ]
            yield pa.table(columns, schema=schema)

    return guarded(), schema


def _shortest(table: pa.Table) -> pa.Table:
    """Widen float32 through its shortest decimal form: 0.1 stays 0.1."""
    for number, field in enumerate(table.schema):
        if field.type == pa.float32():
            column: Any = table.column(number).cast(pa.string()).cast(pa.float64())
            table = table.set_column(number, field.name, column)
    return table


def _as_text(table: pa.Table) -> pa.Table:
    for number, field in enumerate(table.schema):
        if field.type == pa.float32():
            table = table.set_column(number, field.name, table.column(number).cast(pa.string()))
    return table
