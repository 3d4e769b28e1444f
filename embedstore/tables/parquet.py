"""Read and write Parquet files."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa

from embedstore.core.counts import counted
from embedstore.errors import InputError
from embedstore.tables.arrow import kept, kept_schema
from embedstore.tables.base import BATCH_ROWS, FileSource, ReadOptions, Survey, first_line

__all__ = ["PARQUET", "ParquetSource"]

_LEAST_EXPANSION = 1_000_000_000  # bytes in memory that every file is allowed
_MOST_EXPANSION = 1000
_PROBED = 32  # rows that are read to estimate the size in memory


class ParquetSource(FileSource):
    """A Parquet file, read in batches of rows."""

    def survey(self) -> Survey:
        """Return the row count and the column types; refuse a file that would fill the memory."""
        with self._open() as file, self._sound():
            self._check_expansion(file)
            return Survey(file.metadata.num_rows, kept_schema(file.schema_arrow.remove_metadata(), self.name))

    def batches(self, schema: pa.Schema) -> Iterator[tuple[pa.Table, pa.Table]]:
        """Yield each batch of rows as two tables, which are the same for Parquet."""
        with self._open() as file, self._sound():
            for batch in file.iter_batches(batch_size=BATCH_ROWS):
                batch.validate(full=True)
                table = kept(pa.Table.from_batches([batch]), schema, self.name)
                yield table, table

    def _check_expansion(self, file: Any) -> None:
        """Refuse a small file that becomes gigabytes in memory, by its metadata and its first rows."""
        size = self._path.stat().st_size
        most = _LEAST_EXPANSION + _MOST_EXPANSION * size
        # Not the sizes of the columns: a look at a damaged column ends the interpreter.
        groups = [file.metadata.row_group(number) for number in range(file.metadata.num_row_groups)]
        expanded = sum(group.total_byte_size for group in groups)
        if expanded <= most and file.metadata.num_rows:
            first = next(file.iter_batches(batch_size=_PROBED))
            expanded = max(expanded, first.nbytes * file.metadata.num_rows // max(1, first.num_rows))
        if expanded > most:
            raise InputError(
                f"{self.name} has {counted(size, 'byte')} and becomes about {expanded:,} in memory, "
                f"more than {_MOST_EXPANSION} "
                "times as many: it is refused; write it anew as CSV if its rows are meant"
            )

    @contextmanager
    def _sound(self) -> Iterator[None]:
        """Turn what Arrow says of a damaged file into an `InputError`."""
        try:
            yield
        except InputError:
            raise
        except (pa.ArrowException, OSError, UnicodeDecodeError, StopIteration) as error:
            raise InputError(f"{self.name} is damaged: {first_line(error)}") from error

    def _open(self) -> Any:
        from pyarrow import parquet

        try:
            return parquet.ParquetFile(self._path)
        except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
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
