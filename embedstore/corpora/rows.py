"""A stored corpus: the user's columns, and the position of each row's text."""

import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from copy import copy
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pyarrow import parquet

from embedstore.core.arrays import array_from
from embedstore.core.cells import array_of, plain_values, spelled
from embedstore.core.counts import counted
from embedstore.core.guards import Lock
from embedstore.core.masks import mask_of
from embedstore.core.names import nearest_hint
from embedstore.core.seek import place_of_number, place_of_text
from embedstore.core.values import same_value, value_text
from embedstore.errors import DamagedStoreError, EmbedstoreError, InputError, NotFoundError
from embedstore.storage.listed import open_file
from embedstore.storage.records import CorpusRecord
from embedstore.tables.columns import Notes, notes_on, with_large
from embedstore.tables.widening import common_field, widened, without_missing

__all__ = ["LARGE", "POSITION", "Corpus", "id_array"]

POSITION = "embedstore_text_position"
"""The column of a corpus file that holds the position of each row's text."""

LARGE = b"embedstore_large_integers"
"""The key in a corpus file's metadata of the names of columns with integers that are not exact as floats."""

_BATCH_ROWS = 65_536
_ASKED = 3  # number of times that a few ids are read from the file; after that, all ids are kept in memory
_INTEGER = re.compile(r"0|-?[1-9][0-9]{0,17}")


class Corpus:
    """A named, ordered table of rows; columns are read on demand.

    Parameters
    ----------
    root : Path
        The store.
    name : str
        The corpus' name.
    record : CorpusRecord
        The corpus' record in the manifest.

    Attributes
    ----------
    root, name, record
        As given.
    """

    def __init__(self, root: Path, name: str, record: CorpusRecord) -> None:
        self.root = root
        self.name = name
        self.record = record
        self._parts = _Parts(root, record)
        self._schema: pa.Schema | None = None
        self._positions: npt.NDArray[np.int64] | None = None
        self._ids: pa.ChunkedArray | None = None
        self._asked = 0
        self._lock = Lock()  # one thread reads a column; the others wait for it
        self._added: dict[str, pa.ChunkedArray] = {}

    def with_column(self, name: str, values: pa.ChunkedArray) -> "Corpus":
        """Return the same rows with one more column; `column` returns it, `batches` does not."""
        other = copy(self)
        other._added = {**self._added, name: values}
        return other

    def __len__(self) -> int:
        return self.record.rows

    def __repr__(self) -> str:
        return f"<Corpus {self.name!r}: {counted(len(self), 'row')}, text {self.record.template}>"

    @property
    def schema(self) -> pa.Schema:
        """The user's columns and their types, in order."""
        with self._lock.held():
            if self._schema is None:
                self._schema = self._parts.schema()
            return self._schema

    def require(self, *columns: str) -> None:
        """Raise an `InputError`, which lists the existing columns, unless all of `columns` exist."""
        for column in columns:
            if column not in self.schema.names:
                raise InputError(
                    f"corpus {self.name!r} has no column {column!r}: {nearest_hint(column, self.schema.names)}"
                )

    def batches(self, columns: Sequence[str] | None = None) -> Iterator[pa.Table]:
        """Yield the rows in order as tables of bounded size; the position column is always the last.

        Columns of text have missing words as they were written.
        """
        names = self.schema.names if columns is None else list(columns)
        fields = list(self.schema) if columns is None else [self.schema.field(name) for name in names]
        schema = pa.schema([*fields, pa.field(POSITION, pa.int64())])
        for file in self._parts:
            own = {field.name: field for field in file.schema_arrow}  # each look at the schema parses it
            present = [name for name in names if name in own]
            for batch in self._parts.batches(file, [*present, POSITION]):
                with self._parts.sound():
                    held = dict(zip(batch.schema.names, batch.columns, strict=True))
                    arrays = [
                        widened(held[field.name], own[field.name], field)
                        if field.name in own
                        else pa.nulls(batch.num_rows, field.type)
                        for field in fields
                    ]
                    table = pa.table([*arrays, batch.column(POSITION)], schema=schema)
                yield table

    def table(self, columns: Sequence[str] | None = None) -> pa.Table:
        """Return all of the user's columns, or only `columns`, as one Arrow table."""
        tables = list(self.batches(columns))
        if not tables:
            return self.schema.empty_table().select(self.schema.names if columns is None else columns)
        return pa.concat_tables(tables).drop_columns([POSITION])

    def column(self, name: str) -> pa.ChunkedArray:
        """Return one column, null where a value is missing.

        Raises
        ------
        InputError
            If there is no such column.
        """
        if name in self._added:
            return self._added[name]
        self.require(name)
        values = self.table([name]).column(name)
        with self._parts.sound():
            return without_missing(values, self.schema.field(name))

    def missing_words(self, name: str) -> dict[str, int]:
        """Return how often each word that means a missing value is in a column."""
        notes = notes_on(self.schema.field(name)) if name in self.schema.names else Notes()
        if notes.null:
            gone = self.table([name]).column(name).null_count
            return {notes.null: gone} if gone else {}
        if not notes.missing:
            return {}
        values = self.table([name]).column(name)
        with self._parts.sound():
            counts = Counter(values.to_pylist())
            return {word: counts[word] for word in notes.missing if counts[word]}

    def positions(self) -> npt.NDArray[np.int64]:
        """Return the position of each row's text: shape (rows,), read-only."""
        with self._lock.held():
            if self._positions is None:
                parts = [batch.column(POSITION).to_numpy() for batch in self.batches([])]
                positions = np.concatenate(parts) if parts else np.empty(0, dtype=np.int64)
                positions.setflags(write=False)
                self._positions = positions
            return self._positions

    def ids(self) -> pa.ChunkedArray:
        """Return the id of each row: its value in the id column, or its number from 0."""
        if not self.record.id_column:
            return pa.chunked_array([array_from(np.arange(len(self.positions())))])
        with self._lock.held():
            if self._ids is None:
                ids = self.column(self.record.id_column)
                self._ids = ids if _is_plain(ids.type) else pa.chunked_array([spelled(ids)])
            return self._ids

    def row_of(self, id_: object) -> int:
        """Return the number (from 0) of the row with the given id; see `same_value` for when ids are the same.

        Raises
        ------
        NotFoundError
            If there is no such row.
        """
        wanted = value_text(id_)
        if not self.record.id_column:
            if wanted.isdecimal() and len(wanted) < 20 and int(wanted) < len(self):
                return int(wanted)
            raise NotFoundError(
                f"corpus {self.name!r} has no row {wanted!r}: its rows are numbered 0 to {len(self) - 1}"
            )
        ids = self.ids()
        row = -1
        if wanted and (pa.types.is_string(ids.type) or pa.types.is_large_string(ids.type)):
            row = place_of_text(ids, wanted)
        elif pa.types.is_int64(ids.type) and _INTEGER.fullmatch(wanted):
            row = place_of_number(ids, int(wanted))
        if row < 0:  # ids of other types, and other spellings
            texts = [value_text(one) for one in plain_values(ids)]
            found = wanted if wanted in texts else same_value(wanted, texts)
            row = -1 if found is None else texts.index(found)
        if row >= 0:
            return row
        raise NotFoundError(f"corpus {self.name!r} has no row with {self.record.id_column} {wanted!r}")

    def place_of(self, row: int) -> int:
        """Return the place of a row of the whole corpus among the rows of this object; -1 if it is not there."""
        return row

    def rows_at(self, positions: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Return the rows whose text is at one of `positions`, and their positions: two arrays of one shape."""
        own = self.positions()
        wanted = mask_of(positions, 1 + max(own.max(initial=0), positions.max(initial=0)))
        rows = np.flatnonzero(wanted[own])
        return rows, own[rows]

    def numbers_of(self, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Return the numbers of rows in the whole corpus; see `SelectedCorpus`."""
        return rows

    def ids_at(self, rows: npt.NDArray[np.int64]) -> list[Any]:
        """Return the ids of a few rows, in the order of `rows`; only the row groups that hold them are read."""
        if not self.record.id_column:
            return list(rows.tolist())
        with self._lock.held():
            self._asked += 1
        if self._ids is not None or self._asked > _ASKED:
            return [self.ids()[row].as_py() for row in rows.tolist()]
        field = self.schema.field(self.record.id_column)
        if not _is_plain(field.type):
            return [self.ids()[row].as_py() for row in rows.tolist()]
        unique, inverse = np.unique(rows, return_inverse=True)
        found = self._parts.values(field, unique)
        return [found[number] for number in inverse]


class _Parts:
    """The Parquet files of a corpus; any fault in a file raises a `DamagedStoreError`.

    They are read by the calling thread alone. A thread of Arrow lets go of the bytes of a Python stream after the rows
    have been returned, and takes Python's lock for that: when Python ends meanwhile, the process aborts.
    """

    def __init__(self, root: Path, record: CorpusRecord) -> None:
        self._root = root
        self._record = record

    def __iter__(self) -> Iterator[Any]:
        """Yield each file, open, in order."""
        for part in self._record.parts:
            path = self._root / part.file.path
            with open_file(self._root, part.file) as stream:
                with self.sound(path):
                    file = parquet.ParquetFile(stream, pre_buffer=False, page_checksum_verification=True)
                    position = file.schema_arrow.field(POSITION)
                    if position.type != pa.int64() or file.metadata.num_rows != part.rows:
                        raise _altered(path)
                yield file

    def schema(self) -> pa.Schema:
        """Return the user's columns and their types, in order."""
        found: dict[str, pa.Field] = {}
        for file in self:
            with self.sound():
                large = json.loads((file.metadata.metadata or {}).get(LARGE, b"[]"))
                for field in file.schema_arrow:
                    own = with_large(field) if field.name in large else field
                    found[field.name] = common_field(found.get(field.name), own)
        found.pop(POSITION, None)
        if self._record.parts and self._record.id_column and self._record.id_column not in found:
            raise DamagedStoreError(
                f"the manifest gives a corpus the id column {self._record.id_column!r}, which its table lacks: "
                "restore it from a backup"
            )
        return pa.schema(list(found.values()))

    def values(self, field: pa.Field, rows: npt.NDArray[np.int64]) -> list[Any]:
        """Return the values of a column in a few rows, in ascending order; only the row groups with them are read."""
        found: list[Any] = []
        start = 0
        for file in self:
            for group in range(file.metadata.num_row_groups):
                end = start + file.metadata.row_group(group).num_rows
                low, high = np.searchsorted(rows, [start, end])
                if low < high:
                    column = self._group(file, group, field.name)
                    with self.sound():
                        own = file.schema_arrow
                        values = widened(column, own.field(field.name), field) if field.name in own.names else column
                        found += [values[int(row)].as_py() for row in rows[low:high] - start]
                start = end
        return found

    def _group(self, file: Any, number: int, column: str) -> Any:
        """Return a column of a row group, null where the file lacks it."""
        with self.sound():
            if column not in file.schema_arrow.names:
                return pa.nulls(file.metadata.row_group(number).num_rows)
            table = file.read_row_group(number, columns=[column], use_threads=False)
            table.validate(full=True)
            return table.column(0)

    def batches(self, file: Any, columns: list[str]) -> Iterator[Any]:
        """Yield columns of a file in batches of rows; the last is `POSITION`."""
        with self.sound():
            for batch in file.iter_batches(batch_size=_BATCH_ROWS, columns=columns, use_threads=False):
                batch.validate(full=True)
                positions = batch.column(POSITION)
                ends = positions.to_numpy() if not positions.null_count else np.array([-1])
                least, most = ends.min(initial=0), ends.max(initial=-1)
                if least < 0 or (self._record.texts is not None and most >= self._record.texts):
                    raise _altered(self._root / "corpora")
                yield batch

    @contextmanager
    def sound(self, path: Path | None = None) -> Iterator[None]:
        """Turn whatever the reading of a file raises into a `DamagedStoreError`."""
        try:
            yield
        except EmbedstoreError:
            raise
        except Exception as error:  # Arrow, and what takes its values, raise errors of any kind for a file made up
            raise _altered(path or self._root / "corpora") from error


def _altered(path: Path) -> DamagedStoreError:
    return DamagedStoreError(f"{path} was altered: `embedstore verify` says which files to restore from a backup")


def id_array(ids: Sequence[Any]) -> pa.Array:
    """Return ids as a column: in their own type if all have the same type, otherwise as text.

    Examples
    --------
    >>> id_array([1, "b"]).to_pylist()
    ['1', 'b']
    """
    if len({type(value) for value in ids}) == 1:
        return array_of(ids)
    return pa.array([value_text(value) for value in ids], pa.string())


def _is_plain(type_: pa.DataType) -> bool:
    return any(test(type_) for test in (pa.types.is_string, pa.types.is_integer, pa.types.is_float64))
