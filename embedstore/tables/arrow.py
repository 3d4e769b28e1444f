"""Arrow tables in memory as a source of rows."""

import hashlib
from collections.abc import Iterator

import pyarrow as pa

from embedstore.tables.base import BATCH_ROWS, Survey

__all__ = ["ArrowSource"]


class ArrowSource:
    """An Arrow table in memory; pandas frames and Python rows are converted to one."""

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
        """Return the row count and the schema."""
        return Survey(self._table.num_rows, self._table.schema)

    def batches(self, schema: pa.Schema) -> Iterator[tuple[pa.Table, pa.Table]]:
        """Yield slices of the table."""
        for start in range(0, self._table.num_rows, BATCH_ROWS):
            part = self._table.slice(start, BATCH_ROWS)
            yield part, part
