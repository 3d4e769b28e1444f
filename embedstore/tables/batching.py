"""Cut tables into batches that are bounded in rows and in bytes."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from embedstore.tables.base import BATCH_CHARS, BATCH_ROWS
from embedstore.tables.columns import is_text

__all__ = ["pieces", "text_sizes"]


def pieces(table: pa.Table) -> Iterator[pa.Table]:
    """Yield slices of a table in order, none with more than `BATCH_ROWS` rows, or `BATCH_CHARS` bytes beside its first.

    Texts count as they are without a dictionary: a store keeps each text as a whole.
    """
    for first in range(0, table.num_rows, BATCH_ROWS):
        part = table.slice(first, BATCH_ROWS)
        ends = np.cumsum(_row_sizes(part))
        start = 0
        while start < part.num_rows:
            before = ends[start - 1] if start else 0
            end = max(start + 1, int(np.searchsorted(ends, before + BATCH_CHARS, side="right")))
            yield part.slice(start, end - start)
            start = end


def text_sizes(column: Any) -> npt.NDArray[np.int64]:
    """Return the number of bytes of each text or value of a column of texts or bytes, 0 for a missing one."""
    import pyarrow.compute as pc

    sizes = [np.zeros(0, dtype=np.int64)]
    for chunk in column.chunks if isinstance(column, pa.ChunkedArray) else [column]:
        if pa.types.is_dictionary(chunk.type):
            of_values = pc.fill_null(_lengths(chunk.dictionary), 0)
            sizes.append(np.asarray(pc.fill_null(of_values.take(chunk.indices), 0), dtype=np.int64))
        else:
            sizes.append(np.asarray(pc.fill_null(_lengths(chunk), 0), dtype=np.int64))
    return np.concatenate(sizes)


def _lengths(array: Any) -> Any:
    import pyarrow.compute as pc

    views = {pa.string_view(): pa.large_string(), pa.binary_view(): pa.large_binary()}
    return pc.binary_length(array.cast(views.get(array.type, array.type)))


def _row_sizes(table: pa.Table) -> npt.NDArray[np.int64]:
    """Return about how many bytes each row takes."""
    sizes = np.zeros(table.num_rows, dtype=np.int64)
    for column in table.columns:
        if is_text(column.type):
            sizes += text_sizes(column)
        elif table.num_rows:
            sizes += column.nbytes // table.num_rows
    return sizes
