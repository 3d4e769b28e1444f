"""The rows of an export: ids, texts, columns, tags and vectors, a batch at a time."""

from collections.abc import Callable, Iterator
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from embedstore.core.arrays import decoded
from embedstore.core.blank import Blank, no_text
from embedstore.core.spec import StoredDtype
from embedstore.corpora.rows import POSITION, Corpus
from embedstore.errors import OutputError
from embedstore.exports.base import DESCRIPTION, VECTOR, Description
from embedstore.tables.columns import is_text
from embedstore.tables.widening import without_missing
from embedstore.vectors.snapshot import Snapshot
from embedstore.vectors.space import Space

if TYPE_CHECKING:
    from embedstore.reports.predictions import Predictions

__all__ = ["Content", "Rows"]

_LEAST, _MOST = 64, 16_384  # rows of a batch
_BYTES = 1 << 25  # of the vectors of a batch


class Content(NamedTuple):
    """What is exported of each row.

    Attributes
    ----------
    dtype : {"float32", "float16"}
        Type of the numbers of a vector.
    blank : {"skip", "answer"}
        Whether rows with a blank text are left out.
    bare : bool
        Whether there are ids and vectors alone.
    tags : Predictions or None
        Tags of the corpus; their columns follow those of the corpus.
    reserved : tuple of str
        More names that columns of the corpus may not have.
    """

    dtype: StoredDtype = "float32"
    blank: Blank = "skip"
    bare: bool = False
    tags: "Predictions | None" = None
    reserved: tuple[str, ...] = ()


class Rows:
    """Rows with vectors, in the order of the corpus, as Arrow record batches of bounded size.

    The columns are `id`, `text`, the columns of the corpus that are neither, tags, and `vector`. A column of the corpus
    with the name of one of the others is renamed to ``NAME_input``.

    Parameters
    ----------
    now : Snapshot
        The state of the store.
    table : Corpus
        The rows.
    space : Space
        The vectors.
    content : Content
        What is exported of each row.
    on_progress : callable, optional
        Called with the numbers of rows that are done and of all rows.

    Attributes
    ----------
    now, table, space
        As given.
    description : Description
        What the vectors are.
    positions : ndarray of shape (rows,), int64
        Position of the text of each row that is exported.
    """

    def __init__(
        self,
        now: Snapshot,
        table: Corpus,
        space: Space,
        content: Content,
        *,
        on_progress: Callable[[int, int], None] | None = None,
    ) -> None:
        self.now = now
        self.table = table
        self.space = space
        dtype, blank, bare, tags, reserved = content
        self.description = Description.of(now, table, space, dtype)
        self._kept = now.texts.answerable(table.positions(), blank)
        if len(table) and not self._kept.any():
            raise no_text(table.name, len(table))
        self.positions = table.positions()[self._kept]
        space.require(self.positions, table.name)
        self._ids = table.ids()
        self._dtype = np.dtype(dtype)
        self._tags = {} if bare or tags is None else {name: tags.column(name) for name in _new_names(tags)}
        self._columns = [] if bare else _columns(table, {"id", "text", VECTOR, *reserved, *self._tags})
        self._bare = bare
        self._on_progress = on_progress

    def __len__(self) -> int:
        return len(self.positions)

    @property
    def left_out(self) -> int:
        """Number of rows that are left out because their text is blank."""
        return len(self._kept) - len(self)

    @cached_property
    def schema(self) -> pa.Schema:
        """Names and types of the columns; the description is in its metadata."""
        fields = [pa.field("id", self._ids.type)]
        if not self._bare:
            fields.append(pa.field("text", pa.string()))
        fields += [pa.field(name, _kept_type(field.type)) for name, field in self._columns]
        fields += [pa.field(name, _decoded_type(column.type)) for name, column in self._tags.items()]
        number = pa.float16() if self._dtype == np.float16 else pa.float32()
        fields.append(pa.field(VECTOR, pa.list_(number, self.space.dimension)))
        return pa.schema(fields, metadata={DESCRIPTION: self.description.json()})

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Yield the rows in order."""
        step = max(_LEAST, min(_MOST, _BYTES // (4 * self.space.dimension)))
        start = done = 0
        for table in self.table.batches([field.name for _, field in self._columns]):
            for low in range(0, table.num_rows, step):
                piece = table.slice(low, step)
                rows = np.flatnonzero(self._kept[start + low : start + low + piece.num_rows])
                if len(rows):
                    yield self._batch(piece, start + low, rows)
                    done += len(rows)
                    if self._on_progress:
                        self._on_progress(done, len(self))
            start += table.num_rows

    def _batch(self, piece: pa.Table, start: int, rows: npt.NDArray[np.int64]) -> pa.RecordBatch:
        positions = piece.column(POSITION).to_numpy()[rows]
        arrays: list[Any] = [self._ids.slice(start, piece.num_rows)]
        arrays += [
            without_missing(column, field) for (_, field), column in zip(self._columns, piece.columns[:-1], strict=True)
        ]
        arrays += [_plain(column.slice(start, piece.num_rows)) for column in self._tags.values()]
        if len(rows) < piece.num_rows:
            arrays = [array.take(pa.array(rows)) for array in arrays]
        if not self._bare:
            arrays.insert(1, pa.array(self.now.texts.at(positions), pa.string()))
        arrays.append(self._vectors(positions))
        whole = [_one(array, field.type) for array, field in zip(arrays, self.schema, strict=True)]
        return pa.record_batch(whole, schema=self.schema)

    def _vectors(self, positions: npt.NDArray[np.int64]) -> pa.Array:
        vectors = self.space.at(positions, self.table.name)
        if self._dtype == np.float16:
            with np.errstate(over="ignore"):
                vectors = vectors.astype(np.float16)
            if not np.isfinite(vectors).all():
                raise OutputError("can't write float16: a number of a vector is above 65,504; export float32")
        return pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), self.space.dimension)


def _columns(table: Corpus, taken: set[str]) -> list[tuple[str, pa.Field]]:
    """Return the columns that are neither the id nor the text, and the names that they get."""
    found = []
    known = set(table.schema.names)
    for field in table.schema:
        is_the_text = table.record.template == f"{{{field.name}}}" and is_text(field.type)
        if field.name == table.record.id_column or is_the_text:
            continue
        name = field.name
        while name in taken or (name != field.name and name in known):
            name += "_input"
        taken.add(name)
        found.append((name, field))
    return found


def _new_names(tags: "Predictions") -> list[str]:
    return list(tags.schema.names[len(tags.corpus.schema.names) :])


def _decoded_type(type_: pa.DataType) -> pa.DataType:
    """Return the type of a column after `decoded`."""
    return type_.value_type if pa.types.is_dictionary(type_) else type_


def _plain(column: pa.Array) -> pa.Array:
    return decoded(column) if pa.types.is_dictionary(column.type) else column


def _kept_type(type_: pa.DataType) -> pa.DataType:
    return pa.string() if pa.types.is_null(type_) else type_


def _one(array: Any, type_: pa.DataType) -> pa.Array:
    """Return a column as one array of a type."""
    whole = array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array
    if isinstance(whole, pa.ChunkedArray):  # too large for one
        whole = pa.concat_arrays(whole.chunks)
    return whole if whole.type == type_ else whole.cast(type_)
