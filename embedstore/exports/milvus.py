"""Parquet for the bulk insert of Milvus: id, text, vector, and all other columns as its dynamic field."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa

from embedstore.core.cells import json_text, json_values, spelled
from embedstore.core.counts import counted
from embedstore.errors import InputError
from embedstore.exports.base import TargetOptions, Written, vectors_of
from embedstore.exports.parquet import check_parquet, write_parquet
from embedstore.exports.rows import Rows

__all__ = ["MILVUS"]

_META = "$meta"
_MOST = 65_535  # bytes of a VARCHAR


class _Milvus:
    """The columns ``id`` (Int64 or VarChar), ``text``, ``vector`` and ``$meta``."""

    def check(self, place: str, options: TargetOptions) -> None:
        """Check that the file or folder can be written."""
        check_parquet(place, options)

    def write(self, rows: Rows, place: str, options: TargetOptions) -> Written:
        """Write the file or folder."""
        schema = _schema(rows.schema, rows.description.dtype)
        write_parquet(_batches(rows, schema), schema, len(rows), place, options)
        return Written(len(rows))


def _schema(schema: pa.Schema, dtype: str) -> pa.Schema:
    id_type = pa.int64() if pa.types.is_integer(schema.field("id").type) else pa.string()
    # The bytes of float16 are how Milvus reads a FLOAT16_VECTOR.
    number = pa.uint8() if dtype == "float16" else pa.float32()
    text = [("text", pa.string())] if "text" in schema.names else []
    meta = [(_META, pa.string())] if len(schema) > 3 else []
    return pa.schema([("id", id_type), *text, ("vector", pa.list_(number)), *meta], metadata=schema.metadata)


def _batches(rows: Rows, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    others = [name for name in rows.schema.names if name not in ("id", "text", "vector")]
    for batch in rows.batches():
        ids, vectors = batch.column("id"), vectors_of(batch)
        columns: list[Any] = [spelled(ids) if pa.types.is_string(schema.field("id").type) else ids.cast(pa.int64())]
        if "text" in schema.names:
            columns.append(batch.column("text"))
            _check_lengths(columns)
        flat = np.ascontiguousarray(vectors).view(np.uint8) if vectors.dtype == np.float16 else vectors
        ends = np.arange(0, flat.size + 1, flat.shape[1], dtype=np.int32)
        columns.append(pa.ListArray.from_arrays(pa.array(ends), pa.array(flat.ravel())))
        if others:
            values = zip(*(json_values(batch.column(name)) for name in others), strict=True)
            columns.append(pa.array([json_text(dict(zip(others, row, strict=True))) for row in values], pa.string()))
        yield pa.record_batch(columns, schema=schema)


def _check_lengths(columns: list[Any]) -> None:
    """Refuse an id or a text that is longer than Milvus takes."""
    for column in columns:
        if pa.types.is_string(column.type):
            for row, value in enumerate(column.to_pylist()):
                if value and len(value) > _MOST // 4 and len(value.encode()) > _MOST:
                    found = counted(len(value.encode()), "byte")
                    raise InputError(
                        f"Milvus takes at most {_MOST:,} bytes of a text, found {found} in the row "
                        f"{columns[0][row].as_py()!r}: leave it out with --where, or the texts with --bare"
                    )


MILVUS = _Milvus()
