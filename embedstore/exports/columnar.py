"""A Lance dataset: a table on disk with versions; a second export adds the rows that are not there yet."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa

from embedstore.core.parsing import first_line
from embedstore.errors import EmbedstoreError, OutputError
from embedstore.exports.base import DESCRIPTION, TargetOptions, Written, as_part, needed
from embedstore.exports.rows import Rows
from embedstore.tables.folders import check_folder_place

__all__ = ["LANCE"]

_VERSIONS = "_versions"
_UNFINISHED = {"data", "_transactions", "_deletions", _VERSIONS}  # what a killed first export can leave


class _Lance:
    """Columns as in `Rows`; each export is one version of the dataset, so it is there whole or not at all."""

    def check(self, place: str, options: TargetOptions) -> None:
        """Check that the dataset can be made, or that there is one."""
        needed("lance", "lance", "lance")
        path = Path(place)
        if not _is_begun(path) and not _is_dataset(path):
            check_folder_place(path)

    def write(self, rows: Rows, place: str, options: TargetOptions) -> Written:
        """Make the dataset, or add the rows with other ids than those that are there."""
        lance = needed("lance", "lance", "lance")
        more: dict[str, Any] = {"max_rows_per_file": options.rows_per_file} if options.rows_per_file else {}
        counted = _Counted(iter(()))
        try:
            if not _is_dataset(Path(place)):
                counted = _Counted(rows.batches())
                lance.write_dataset(_reader(rows.schema, counted), place, mode="create", **more)
                return Written(len(rows))
            found = lance.dataset(place)
            schema = found.schema
            rows.description.check_same((schema.metadata or {}).get(DESCRIPTION.encode()), place)
            _check_columns(schema, rows.schema, place)
            known = found.to_table(columns=["id"]).column("id").combine_chunks()
            counted = _Counted(as_part(rows.batches(), known))
            if (first := next(counted, None)) is not None:  # no version without a row
                lance.write_dataset(_reader(rows.schema, _from(first, counted)), found, mode="append", **more)
            return Written(counted.rows, len(known))
        except (OSError, ValueError, RuntimeError, pa.ArrowException) as error:
            if counted.error is not None:  # of the store: Lance gives it another type
                raise counted.error from None
            if isinstance(error, EmbedstoreError):
                raise
            raise OutputError(f"can't write {place}: {first_line(error)}") from error


class _Counted:
    """Batches, the number of their rows so far, and the error that ended them."""

    def __init__(self, batches: Iterator[pa.RecordBatch]) -> None:
        self._batches = batches
        self.rows = 0
        self.error: Exception | None = None

    def __iter__(self) -> "_Counted":
        return self

    def __next__(self) -> pa.RecordBatch:
        try:
            batch = next(self._batches)
        except StopIteration:
            raise
        except Exception as error:
            self.error = error
            raise
        self.rows += len(batch)
        return batch


def _from(first: pa.RecordBatch, others: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    yield first
    yield from others


def _reader(schema: pa.Schema, batches: Iterator[pa.RecordBatch]) -> pa.RecordBatchReader:
    return pa.RecordBatchReader.from_batches(schema, batches)


def _is_dataset(path: Path) -> bool:
    versions = path / _VERSIONS
    return versions.is_dir() and any(versions.iterdir())


def _is_begun(path: Path) -> bool:
    """Return whether a folder is empty, or holds what a killed first export left."""
    return path.is_dir() and not path.is_symlink() and {one.name for one in path.iterdir()} <= _UNFINISHED


def _check_columns(there: pa.Schema, mine: pa.Schema, place: str) -> None:
    """Refuse rows with other columns than those that are there."""
    if [(field.name, field.type) for field in there] != [(field.name, field.type) for field in mine]:
        raise OutputError(
            f"can't add to {place}: expected its columns {', '.join(there.names)}, found {', '.join(mine.names)}; "
            "choose another name"
        )


LANCE = _Lance()
