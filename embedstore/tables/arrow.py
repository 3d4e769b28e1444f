"""Arrow tables in memory as a source of rows, and the Arrow types that a store keeps."""

import hashlib
import io
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa

from embedstore.core.parsing import first_line
from embedstore.errors import InputError
from embedstore.tables.base import Survey
from embedstore.tables.batching import pieces

__all__ = ["ArrowSource", "kept", "kept_schema"]


class ArrowSource:
    """An Arrow table in memory; pandas frames and Python rows are converted to one."""

    def __init__(self, table: pa.Table, *, name: str = "the table") -> None:
        self.name = name
        self.origin = ""
        self._table = table

    def digest(self) -> str:
        """Return the SHA-256 of the table's Arrow stream."""
        sink = _Hashed()
        with pa.PythonFile(sink, mode="w") as stream, pa.ipc.new_stream(stream, self._table.schema) as writer:
            writer.write_table(self._table)
        return sink.hash.hexdigest()

    def survey(self) -> Survey:
        """Return the row count and the types that are kept; refuse a column that can't be kept."""
        schema = kept_schema(self._table.schema, self.name)
        for part in pieces(self._table):
            kept(part, schema, self.name)
        return Survey(self._table.num_rows, schema)

    def batches(self, schema: pa.Schema) -> Iterator[tuple[pa.Table, pa.Table]]:
        """Yield slices of the table."""
        for piece in pieces(self._table):
            part = kept(piece, schema, self.name)
            yield part, part


class _Hashed(io.RawIOBase):
    """A file that keeps only the hash of what is written to it."""

    def __init__(self) -> None:
        super().__init__()
        self.hash = hashlib.sha256()

    def writable(self) -> bool:
        """Say that this can be written."""
        return True

    def write(self, content: Any) -> int:
        """Hash the next bytes."""
        self.hash.update(content)
        return len(content)


def kept_schema(schema: pa.Schema, name: str) -> pa.Schema:
    """Return the types in which a store keeps the columns of a table.

    Values and types stay, with these exceptions. Dictionaries of other things than text, run-end encoded columns and
    views are kept as plain columns. Seconds become milliseconds, which Parquet has.

    Raises
    ------
    InputError
        If a column is of a type that Parquet can't hold; the message has the column and the reason.
    """
    return pa.schema([field.with_type(_kept_type(field.type, field.name, name)) for field in schema])


def _kept_type(type_: pa.DataType, column: str, name: str) -> pa.DataType:
    def of(inner: pa.DataType) -> pa.DataType:
        return _kept_type(inner, column, name)

    types = pa.types
    if types.is_union(type_) or types.is_interval(type_) or (types.is_struct(type_) and not type_.num_fields):
        raise InputError(
            f"{name}: column {column!r} is of the type {type_}, which can't be kept: leave it out or convert it to text"
        )
    if types.is_run_end_encoded(type_):
        return of(type_.value_type)
    if types.is_dictionary(type_):
        text = any(test(type_.value_type) for test in (types.is_string, types.is_large_string, types.is_string_view))
        return pa.dictionary(pa.int32(), pa.string(), type_.ordered) if text else of(type_.value_type)
    if isinstance(type_, pa.BaseExtensionType):
        return type_ if type_.extension_name.startswith("arrow.") else of(type_.storage_type)
    if types.is_string_view(type_):
        return pa.string()
    if types.is_binary_view(type_):
        return pa.binary()
    if types.is_struct(type_):
        return pa.struct([field.with_type(of(field.type)) for field in type_])
    if types.is_map(type_):
        return pa.map_(of(type_.key_type), of(type_.item_type))
    if types.is_fixed_size_list(type_):
        return pa.list_(of(type_.value_type), type_.list_size)
    if types.is_large_list(type_) or types.is_large_list_view(type_):
        return pa.large_list(of(type_.value_type))
    if types.is_nested(type_):
        return pa.list_(of(type_.value_type))
    return _ON_DISK.get(
        type_, pa.timestamp("ms", type_.tz) if types.is_timestamp(type_) and type_.unit == "s" else type_
    )


_ON_DISK = {pa.date64(): pa.date32(), pa.time32("s"): pa.time32("ms")}


def kept(table: Any, schema: pa.Schema, name: str) -> pa.Table:
    """Return a table in the types of `kept_schema`.

    Raises
    ------
    InputError
        If a value does not fit into the type of its column; the message has the column and the reason.
    """
    columns = []
    for column, field in zip(table.columns, schema, strict=True):
        try:
            columns.append(column if column.type == field.type else _converted(column, field.type))
        except (pa.ArrowException, NotImplementedError) as error:
            raise InputError(
                f"{name}: column {field.name!r} of the type {column.type} can't be kept: {first_line(error)}; convert "
                "it to another type, for example to text"
            ) from error
    return pa.table(columns, schema=schema)


def _converted(column: Any, type_: pa.DataType) -> Any:
    if isinstance(column.type, pa.BaseExtensionType):
        return pa.chunked_array([chunk.storage for chunk in column.chunks], column.type.storage_type).cast(type_)
    if pa.types.is_run_end_encoded(column.type):
        import pyarrow.compute as pc

        return pa.chunked_array([pc.run_end_decode(chunk) for chunk in column.chunks], column.type.value_type)
    if pa.types.is_dictionary(column.type):
        return pa.chunked_array([_dictionary_of(chunk, type_) for chunk in column.chunks], type_)
    if pa.types.is_list_view(column.type) or pa.types.is_large_list_view(column.type):
        return pa.chunked_array([_list_of(chunk) for chunk in column.chunks]).cast(type_)
    return column.cast(type_)


def _dictionary_of(array: Any, type_: pa.DataType) -> pa.Array:
    if not pa.types.is_dictionary(type_):
        return array.dictionary_decode().cast(type_)
    values, indices = array.dictionary.cast(type_.value_type), array.indices.cast(type_.index_type)
    return pa.DictionaryArray.from_arrays(indices, values, ordered=type_.ordered)


def _list_of(array: Any) -> pa.Array:
    """Return a list view as a list; Arrow's own cast makes lists that can't be written."""
    import pyarrow.compute as pc

    lengths = pc.fill_null(pc.list_value_length(array), 0).to_numpy(zero_copy_only=False)
    offsets = pa.array(np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)]))
    mask = pc.is_null(array)
    return pa.LargeListArray.from_arrays(offsets, array.flatten(), mask=mask)
