"""Arrow tables in memory, and Parquet files."""

import hashlib
from collections.abc import Iterator
from typing import Any

import pyarrow as pa

from embedstore.errors import InputError
from embedstore.tables.base import BATCH_ROWS, FileSource, Survey, first_line

__all__ = ["ArrowSource", "ParquetSource"]

_LEAST_EXPANSION = 1_000_000_000  # bytes that any file may come to
_MOST_EXPANSION = 1000
_PROBED = 32  # rows


class ArrowSource:
    """An Arrow table in memory: what pandas frames and Python rows become."""

    def __init__(self, table: pa.Table, *, name: str = "the table") -> None:
        self.name = name
        self.origin = ""
        self._table = table

    def digest(self) -> str:
        """Return the SHA-256 of the table's Arrow stream."""
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, self._table.schema) as writer:
            writer.write_table(self._table)
        return hashlib.sha256(sink.getvalue()).hexdigest()

    def survey(self) -> Survey:
        """Return row count and schema."""
        return Survey(self._table.num_rows, self._table.schema)

    def batches(self, schema: pa.Schema) -> Iterator[tuple[pa.Table, pa.Table]]:
        """Yield slices of the table."""
        for start in range(0, self._table.num_rows, BATCH_ROWS):
            part = self._table.slice(start, BATCH_ROWS)
            yield part, part


class ParquetSource(FileSource):
    """A Parquet file, read by runs of rows."""

    def survey(self) -> Survey:
        """Look whether the rows would fill the memory; return the row count and the column types."""
        with self._open() as file:
            self._check_expansion(file)
            return Survey(file.metadata.num_rows, file.schema_arrow.remove_metadata())

    def batches(self, schema: pa.Schema) -> Iterator[tuple[pa.Table, pa.Table]]:
        """Yield runs of rows twice: as written in the file, and typed."""
        with self._open() as file:
            try:
                for batch in file.iter_batches(batch_size=BATCH_ROWS):
                    table = pa.Table.from_batches([batch]).replace_schema_metadata(None)
                    yield table, table
            except (pa.ArrowException, OSError) as error:
                raise InputError(f"{self.name} is damaged: {first_line(error)}") from error

    def _check_expansion(self, file: Any) -> None:
        """Refuse a file of which a few bytes become gigabytes: by what it says, and by its first rows."""
        size = self._path.stat().st_size
        most = _LEAST_EXPANSION + _MOST_EXPANSION * size
        groups = [file.metadata.row_group(number) for number in range(file.metadata.num_row_groups)]
        columns = [group.column(number) for group in groups for number in range(group.num_columns)]
        expanded = sum(column.total_uncompressed_size for column in columns)
        if expanded <= most and file.metadata.num_rows:
            try:
                first = next(file.iter_batches(batch_size=_PROBED))
            except (pa.ArrowException, OSError, StopIteration) as error:
                raise InputError(f"{self.name} is damaged: {first_line(error)}") from error
            expanded = max(expanded, first.nbytes * file.metadata.num_rows // max(1, first.num_rows))
        if expanded > most:
            raise InputError(
                f"{self.name} has {size:,} bytes and becomes about {expanded:,} in memory, more than {_MOST_EXPANSION} "
                "times as many: it is refused; write it anew as CSV if its rows are meant"
            )

    def _open(self) -> Any:
        from pyarrow import parquet

        try:
            return parquet.ParquetFile(self._path)
        except (pa.ArrowException, OSError) as error:
            raise InputError(f"{self.name} is not a Parquet file: {first_line(error)}") from error
