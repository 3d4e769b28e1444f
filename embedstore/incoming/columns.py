"""The column of vectors in a table: take it out of the rows that a store keeps, and read it as an array."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from embedstore.core.counts import listed
from embedstore.core.names import nearest_hint
from embedstore.errors import InputError
from embedstore.tables import Source, Survey
from embedstore.tables.columns import is_text

__all__ = ["WithoutVectors", "array_of"]


class WithoutVectors:
    """A table without its column of vectors, which go into a space and not into the corpus.

    Parameters
    ----------
    source : Source
        The table.
    column : str
        The name of the column.
    """

    def __init__(self, source: Source, column: str) -> None:
        self.name = source.name
        self.origin = source.origin
        self._source = source
        self._column = column
        self._schema: pa.Schema | None = None

    def digest(self) -> str:
        """Return the SHA-256 of the content, as 64 hex digits."""
        return self._source.digest()

    def survey(self) -> Survey:
        """Return the row count and the types of the other columns.

        Raises
        ------
        InputError
            If there is no such column, or it holds no lists of floats.
        """
        survey = self._source.survey()
        names = survey.schema.names
        if self._column not in names:
            raise InputError(f"{self.name} has no column {self._column!r}: {nearest_hint(self._column, names)}")
        type_ = survey.schema.field(self._column).type
        if not _are_vectors(type_):
            able = [field.name for field in survey.schema if _are_vectors(field.type)]
            advice = f"lists of floats are in {listed(able)}"
            if not able:
                advice = "no column holds any; vectors stand in a Parquet file, a Lance dataset or a .npy file (--rows)"
            raise InputError(
                f"{self.name}: expected lists of floats in column {self._column!r}, found "
                f"{'text' if is_text(type_) else type_}: {advice}"
            )
        self._schema = survey.schema
        return Survey(survey.rows, survey.schema.remove(names.index(self._column)))

    def batches(self, schema: pa.Schema) -> Iterator[tuple[pa.Table, pa.Table]]:
        """Yield each batch of rows as two tables without the vectors."""
        for raw, typed, _ in self.with_vectors():
            yield raw, typed

    def with_vectors(self) -> Iterator[tuple[pa.Table, pa.Table, pa.ChunkedArray]]:
        """Yield each batch of rows as two tables without the vectors, and the vectors beside them."""
        whole = self._schema or self._source.survey().schema
        for raw, typed in self._source.batches(whole):
            vectors = typed.column(self._column)
            yield raw.drop_columns([self._column]), typed.drop_columns([self._column]), vectors


def array_of(column: pa.ChunkedArray, first: int, name: str) -> npt.NDArray[Any]:
    """Return a column of lists of floats as an array, shape (n, dim).

    Parameters
    ----------
    column : ChunkedArray
        The lists.
    first : int
        The number of its first row, from 0, for messages.
    name : str
        The name of the table, for messages.

    Raises
    ------
    InputError
        If a row has no vector, a vector has no number at some place, or two have different lengths.
    """
    found: list[npt.NDArray[Any]] = []
    for chunk in column.chunks:
        if not len(chunk):
            continue
        lists = chunk.storage if isinstance(chunk.type, pa.BaseExtensionType) else chunk
        if lists.null_count:
            row = first + int(np.flatnonzero(~np.asarray(lists.is_valid()))[0])
            raise InputError(f"{name}, row {row + 1:,}: it has no vector: leave the row out, or give it one")
        fixed = pa.types.is_fixed_size_list(lists.type)
        lengths = np.array([lists.type.list_size]) if fixed else np.diff(np.asarray(lists.offsets))
        dimension = found[0].shape[1] if found else int(lengths[0])
        if (lengths != dimension).any() or not dimension:
            row = int(np.flatnonzero((lengths != dimension) | (lengths == 0))[0])
            raise InputError(
                f"{name}, row {first + row + 1:,}: expected {dimension:,} numbers as in the vectors before it, and at "
                f"least one, found {int(lengths[row]):,}"
            )
        values = lists.flatten()
        if values.null_count:
            row = first + int(np.flatnonzero(~np.asarray(values.is_valid()))[0]) // dimension
            raise InputError(f"{name}, row {row + 1:,}: a number of its vector is missing: make the file again")
        found.append(values.to_numpy().reshape(-1, dimension))
        first += len(chunk)
    return np.concatenate(found) if len(found) != 1 else found[0]


def _are_vectors(type_: pa.DataType) -> bool:
    """Return whether a type is that of lists of floats."""
    type_ = type_.storage_type if isinstance(type_, pa.BaseExtensionType) else type_
    lists = pa.types.is_list(type_) or pa.types.is_large_list(type_) or pa.types.is_fixed_size_list(type_)
    return bool(lists and pa.types.is_floating(type_.value_type))
