"""Read and write Parquet files."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa

from embedstore.core.counts import counted
from embedstore.errors import InputError
from embedstore.tables.base import BATCH_ROWS, FileSource, ReadOptions, Survey, first_line

__all__ = ["PARQUET", "ParquetSource"]

_LEAST_EXPANSION = 1_000_000_000  # bytes in memory that every file is allowed
_MOST_EXPANSION = 1000
_PROBED = 32  # rows that are read to estimate the size in memory


class ParquetSource(FileSource):
    """A Parquet file, read in batches of rows."""

    def survey(self) -> Survey:
        """Return the row count and the column types; refuse a file that would fill the memory."""
        with self._open() as file:
            self._check_expansion(file)
            return Survey(file.metadata.num_rows, file.schema_arrow.remove_metadata())

    def batches(self, schema: pa.Schema) -> Iterator[tuple[pa.Table, pa.Table]]:
        """Yield each batch of rows as two tables, which are the same for Parquet."""
        with self._open() as file:
            try:
                for batch in file.iter_batches(batch_size=BATCH_ROWS):
                    table = pa.Table.from_batches([batch]).replace_schema_metadata(None)
                    yield table, table
            except (pa.ArrowException, OSError) as error:
                raise InputError(f"{self.name} is damaged: {first_line(error)}") from error

    def _check_expansion(self, file: Any) -> None:
        """Refuse a small file that becomes gigabytes in memory, by its metadata and its first rows."""
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
                f"{self.name} has {counted(size, 'byte')} and becomes about {expanded:,} in memory, "
                f"more than {_MOST_EXPANSION} "
                "times as many: it is refused; write it anew as CSV if its rows are meant"
            )

    def _open(self) -> Any:
        from pyarrow import parquet

        try:
            return parquet.ParquetFile(self._path)
        except (pa.ArrowException, OSError) as error:
            raise InputError(f"{self.name} is not a Parquet file: {first_line(error)}") from error


class _Parquet:
    """Parquet as a `FileFormat`."""

    def source(self, path: Path, name: str, origin: str, options: ReadOptions) -> ParquetSource:
        """Return a source for the file; Parquet needs no options."""
        return ParquetSource(path, name, origin)

    def write(self, tables: Iterable[pa.Table], schema: pa.Schema, path: Path) -> None:
        """Write tables of one schema, compressed with zstd."""
        from pyarrow import parquet

        with parquet.ParquetWriter(path, schema, compression="zstd") as writer:
            for table in tables:
                writer.write_table(table)


PARQUET = _Parquet()
