"""Parquet: one file, or a folder of files with some of the rows each."""

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa

from embedstore.exports.base import TargetOptions, Written
from embedstore.exports.rows import Rows
from embedstore.tables.folders import check_folder_place, published_folder
from embedstore.tables.outputs import check_place, published

__all__ = ["PARQUET", "check_parquet", "write_file", "write_files", "write_parquet"]


def check_parquet(place: str, options: TargetOptions) -> None:
    """Check that the file can be written; or the folder, if there are to be several files."""
    (check_folder_place if options.rows_per_file else check_place)(Path(place))


def write_parquet(
    batches: Iterator[pa.RecordBatch], schema: pa.Schema, count: int, place: str, options: TargetOptions
) -> None:
    """Write rows to one file, or to a folder of files ``part-00000-of-00003.parquet``."""
    if options.rows_per_file:
        with published_folder(Path(place)) as folder:
            write_files(batches, schema, count, folder, "part", options.rows_per_file)
    else:
        with published(Path(place)) as temp:
            write_file(batches, schema, temp)


def write_files(
    batches: Iterator[pa.RecordBatch], schema: pa.Schema, count: int, folder: Path, name: str, rows_per_file: int
) -> int:
    """Write rows to files ``NAME-00000-of-00003.parquet``; return the number of files.

    Parameters
    ----------
    batches : iterator of RecordBatch
        The rows.
    schema : Schema
        Their columns.
    count : int
        Number of all rows.
    folder : Path
        Where the files go.
    name : str
        The beginning of their names.
    rows_per_file : int
        Rows of each file; the last one may have fewer.
    """
    files = max(1, -(-count // rows_per_file))
    left = _Left(batches)
    for number in range(files):
        write_file(left.take(rows_per_file), schema, folder / f"{name}-{number:05}-of-{files:05}.parquet")
    return files


def write_file(batches: Iterator[pa.RecordBatch], schema: pa.Schema, path: Path) -> None:
    """Write rows to one file, compressed with zstd; a batch is a row group."""
    from pyarrow import parquet

    with parquet.ParquetWriter(path, schema, compression="zstd") as writer:
        for batch in batches:
            writer.write_batch(batch)


class _Left:
    """The rows that are still to be written."""

    def __init__(self, batches: Iterator[pa.RecordBatch]) -> None:
        self._batches = batches
        self._rest: pa.RecordBatch | None = None

    def take(self, rows: int) -> Iterator[pa.RecordBatch]:
        """Yield the next rows, so many or fewer."""
        while rows and (batch := self._rest or next(self._batches, None)):
            taken = batch.slice(0, rows)
            self._rest = batch.slice(rows) if len(batch) > rows else None
            rows -= len(taken)
            yield taken


class _Parquet:
    """Columns as in `Rows`, the description in the metadata of the schema."""

    def check(self, place: str, options: TargetOptions) -> None:
        """Check that the file or folder can be written."""
        check_parquet(place, options)

    def write(self, rows: Rows, place: str, options: TargetOptions) -> Written:
        """Write the file or folder."""
        write_parquet(rows.batches(), rows.schema, len(rows), place, options)
        return Written(len(rows))


PARQUET = _Parquet()
