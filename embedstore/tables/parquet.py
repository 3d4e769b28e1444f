"""Read and write Parquet files."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa

from embedstore.core.counts import counted
from embedstore.core.parsing import first_line
from embedstore.core.values import clip
from embedstore.errors import InputError
from embedstore.tables.arrow import kept, kept_schema
from embedstore.tables.base import (
    BATCH_CHARS,
    BATCH_ROWS,
    FREE_BYTES,
    FileSource,
    ReadOptions,
    Survey,
    too_much,
)
from embedstore.tables.batching import pieces, text_sizes
from embedstore.tables.columns import is_text

__all__ = ["PARQUET", "ParquetSource"]

_PROBED = 32  # rows that are read to estimate the size in memory


class ParquetSource(FileSource):
    """A Parquet file, read in batches that are bounded in rows and in bytes."""

    def __init__(self, path: Path, name: str, origin: str, options: ReadOptions) -> None:
        super().__init__(path, name, origin)
        self._options = options
        self.place = ""

    def survey(self) -> Survey:
        """Return the row count and the column types; refuse a file that would fill the memory."""
        with self._opened() as file:
            self._check_expansion(file)
            return Survey(file.metadata.num_rows, kept_schema(file.schema_arrow.remove_metadata(), self.name))

    def batches(self, schema: pa.Schema) -> Iterator[tuple[pa.Table, pa.Table]]:
        """Yield each batch of rows as two tables, which are the same for Parquet."""
        with self._opened() as file:
            texts = [field.name for field in file.schema_arrow if _is_expanded(field.type)]
        row = 0
        # A text that stands once in the file can be in each row: rows get it as a number, and whole in small pieces.
        with self._opened(texts) as file:
            for number in range(file.metadata.num_row_groups):
                for batch in file.iter_batches(batch_size=self._rows_at_once(file, number), row_groups=[number]):
                    batch.validate(full=True)
                    for piece in pieces(pa.Table.from_batches([batch])):
                        self.place = f"from row {row + 1:,} on"
                        self._check_cells(piece)
                        table = kept(piece, schema, self.name)
                        row += table.num_rows
                        yield table, table

    def _rows_at_once(self, file: Any, number: int) -> int:
        """Return how many rows of a group fill a batch."""
        group = file.metadata.row_group(number)
        filling = BATCH_CHARS * int(group.num_rows) // max(1, int(group.total_byte_size))
        return max(1, min(BATCH_ROWS, filling))

    def _check_cells(self, table: pa.Table) -> None:
        """Refuse a table with a text that is too large."""
        most = self._options.max_cell
        for name, column in zip(table.column_names, table.columns, strict=True):
            if table.num_rows and (is_text(column.type) or _is_expanded(column.type)):
                size = int(text_sizes(column).max())
                if size > most:
                    where = f"{size:,} in column {clip(name, 60)!r}"
                    raise too_much(f"{self.name}, {self.place}", f"{counted(most, 'byte')} in a cell", where, "cell")

    def _check_expansion(self, file: Any) -> None:
        """Refuse a small file that becomes gigabytes in memory, by its metadata and its first rows."""
        size = self._path.stat().st_size
        most = FREE_BYTES + self._options.max_expansion * size
        # Not the sizes of the columns: a look at a damaged column ends the interpreter.
        groups = [file.metadata.row_group(number) for number in range(file.metadata.num_row_groups)]
        expanded = sum(group.total_byte_size for group in groups)
        if expanded <= most and file.metadata.num_rows:
            first = next(file.iter_batches(batch_size=_PROBED), None)
            if first is not None:
                expanded = max(expanded, first.nbytes * file.metadata.num_rows // max(1, first.num_rows))
        if expanded > most:
            raise too_much(
                f"{self.name}, of {counted(size, 'byte')}",
                f"{counted(most, 'byte')} in memory",
                f"about {expanded:,}",
                "expansion",
            )

    @contextmanager
    def _opened(self, texts: Sequence[str] = ()) -> Iterator[Any]:
        """Open the file, with columns of texts as dictionaries; turn what Arrow says into an `InputError`."""
        from pyarrow import parquet

        what = "is not a Parquet file"
        try:
            with parquet.ParquetFile(self._path, read_dictionary=list(texts)) as file:
                what = "is damaged"
                yield file
        except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
            raise InputError(f"{self.name} {what}: {first_line(error)}") from error


def _is_expanded(type_: pa.DataType) -> bool:
    """Return whether a column of a type can be read as a dictionary."""
    return bool(pa.types.is_string(type_) or pa.types.is_binary(type_))


class _Parquet:
    """Parquet as a `FileFormat`."""

    def source(self, path: Path, name: str, origin: str, options: ReadOptions) -> ParquetSource:
        """Return a source for the file; of the options, Parquet needs the caps alone."""
        return ParquetSource(path, name, origin, options)

    def write(self, tables: Iterable[pa.Table], schema: pa.Schema, path: Path) -> None:
        """Write tables of one schema, compressed with zstd."""
        from pyarrow import parquet

        with parquet.ParquetWriter(path, schema, compression="zstd") as writer:
            for table in tables:
                writer.write_table(table)


PARQUET = _Parquet()
