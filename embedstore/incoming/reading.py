"""Read given vectors with the texts of their rows, once, and refuse what is no vector."""

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from embedstore.core.counts import counted, form
from embedstore.core.masks import distinct
from embedstore.core.spec import StoredDtype
from embedstore.core.system import explained
from embedstore.core.unit import unit_rows
from embedstore.core.values import is_blank
from embedstore.corpora.keyed import keys_of
from embedstore.corpora.templates import Template
from embedstore.errors import InputError, OutputError
from embedstore.incoming.arrays import Beside
from embedstore.incoming.columns import WithoutVectors, array_of
from embedstore.incoming.ids import NamedIds
from embedstore.storage.keys import SortedKeys, once
from embedstore.storage.segments import KEY_DTYPE
from embedstore.tables import Source

__all__ = ["Given", "Tables", "read_given"]

_SAMPLED = 16  # texts for the model, as many as there are canaries
_UNIT = 1e-3  # how far the length of a unit vector may be from 1
_AT_ONCE = 4096  # vectors

Floats = npt.NDArray[np.float32]
Numbers = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tables:
    """The rows of given vectors.

    Attributes
    ----------
    sources : sequence of Source
        The tables.
    beside : Beside or None
        The vectors of their rows; None if they stand in a column.
    ids : NamedIds or None
        The ids of the vectors beside them; None if these are in the order of the rows.
    id, text, template
        As in `embedstore.corpora.add`.
    """

    sources: Sequence[Source]
    beside: Beside | None
    ids: NamedIds | None
    id: str | None
    text: str | Sequence[str]
    template: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """Vectors with their texts; rows without a vector are not counted among the rows here.

    Attributes
    ----------
    vectors : ndarray of shape (n, dim)
        The vectors as they were given, mapped.
    numbers : ndarray of shape (rows,), int64, or None
        The number of each row's vector; None if they are in the order of the rows.
    file : str
        What messages call the vectors, "" if they are those of a column.
    rows_read : int
        Rows of the tables, with those that have no vector.
    without : int
        Rows that have a text and no vector.
    texts : SortedKeys
        The key of each distinct text, with the first row that has it.
    places : ndarray of shape (rows,)
        The place of each row's text among them.
    blank : ndarray of bool, shape (rows,)
        Which rows have a blank text.
    sample : tuple of (int, str)
        Rows and their texts, spread over all, for the model.
    shortest, longest : float
        The least and the largest length of a vector.
    """

    vectors: npt.NDArray[Any]
    numbers: Numbers | None
    file: str
    rows_read: int
    without: int
    texts: SortedKeys
    places: npt.NDArray[np.intp]
    blank: npt.NDArray[np.bool_]
    sample: tuple[tuple[int, str], ...]
    shortest: float
    longest: float

    @property
    def unused(self) -> int:
        """Number of vectors that belong to no row."""
        return 0 if self.numbers is None else len(self.vectors) - len(distinct(self.numbers))

    @property
    def unit(self) -> bool:
        """Whether all vectors have unit length."""
        return self.shortest >= 1 - _UNIT and self.longest <= 1 + _UNIT

    @property
    def lengths(self) -> str:
        """The least and the largest length of a vector, for messages."""
        least, most = f"{self.shortest:.4g}", f"{self.longest:.4g}"
        return f"the length {least}" if least == most else f"lengths from {least} to {most}"

    def at(self, rows: npt.NDArray[Any], *, normalized: bool) -> Floats:
        """Return the vectors of some rows, shape (n, dim), float32, of unit length if they are to be normalised."""
        found = np.asarray(self.vectors[rows if self.numbers is None else self.numbers[rows]])
        if normalized and not self.unit:
            found = unit_rows(found.astype(np.float64))
        return np.asarray(found, dtype=np.float32)

    def named(self, *rows: int) -> str:
        """Return what messages call some rows: in a file of vectors, theirs."""
        numbers = [row if self.numbers is None else int(self.numbers[row]) for row in rows]
        shown = " and ".join(f"{number + 1:,}" for number in numbers)
        return f"{form(len(rows), 'row', 'rows')} {shown}{f' of {self.file}' if self.file else ''}"

    @property
    def keys(self) -> npt.NDArray[np.bytes_]:
        """The key of each distinct text: shape (n,), dtype S16."""
        pairs = np.stack([self.texts.first, self.texts.rest], axis=1).astype(">u8")
        return np.ascontiguousarray(pairs).view(KEY_DTYPE).ravel()


def read_given(tables: Tables, *, dtype: StoredDtype, seed: int) -> Given:
    """Read rows and their vectors once.

    Parameters
    ----------
    tables : Tables
        The rows.
    dtype : {"float32", "float16"}
        The dtype that the vectors will be stored in.
    seed : int
        The random seed of the sample.

    Raises
    ------
    InputError
        If a table can't be read, a row has no vector, or a vector is not finite, all zeros, or of another length.
    OutputError
        If there is no room for a copy of the vectors.
    """
    surveys = [source.survey() for source in tables.sources]
    rows = sum(survey.rows for survey in surveys)
    numbers = tables.ids.numbers(tables.sources, tables.id) if tables.ids else None
    beside = tables.beside
    if beside is not None and numbers is None and len(beside.array) != rows:
        raise InputError(
            f"expected a vector for each row, found {counted(len(beside.array), 'vector')} in {beside.name} and "
            f"{counted(rows, 'row')} in {', '.join(source.name for source in tables.sources)}; if some rows have no "
            "vector, say with --ids FILE whose vectors these are"
        )
    reader = _Reader(tables, rows, numbers, dtype, seed)
    with closing(reader):
        for source, survey in zip(tables.sources, surveys, strict=True):
            reader.read(source, survey.schema)
        return reader.given()


class _Batch(NamedTuple):
    """Rows with their vectors, shape (n, dim), and rows without; `told` returns what messages call one that has."""

    raw: pa.Table
    vectors: Floats
    told: Callable[[int], str]
    others: pa.Table


class _Reader:
    """What was read so far: keys, blank rows, the sample, lengths, and a copy of the vectors if they need one."""

    def __init__(self, tables: Tables, rows: int, numbers: Numbers | None, dtype: StoredDtype, seed: int) -> None:
        self._tables = tables
        self._numbers = numbers
        self._rows_read = rows
        self._without = 0
        self._most = float(np.finfo(dtype).max)
        self._dtype = dtype
        self._copy = _Copy() if tables.beside is None else None
        with_vector = rows if numbers is None else int(np.count_nonzero(numbers >= 0))
        bounds = np.linspace(0, with_vector, _SAMPLED + 1).astype(np.int64)
        drawn = np.random.default_rng(seed).random(_SAMPLED)
        self._wanted = sorted(
            {int(low + at * (high - low)) for at, low, high in zip(drawn, bounds[:-1], bounds[1:], strict=True)}
        )
        self._sample: list[tuple[int, str]] = []
        self._keys: list[npt.NDArray[np.bytes_]] = []
        self._blank: list[npt.NDArray[np.bool_]] = []
        self._shortest, self._longest = np.inf, 0.0
        self._row = 0
        self._first = 0

    def read(self, source: Source, schema: pa.Schema) -> None:
        """Read one table, after its survey."""
        template = Template.choose(self._tables.text, schema.names, self._tables.template)
        if unknown := [name for name in template.columns if name not in schema.names]:
            raise InputError(f"{source.name} has no column {unknown[0]!r}: it has {', '.join(schema.names)}")
        for raw, vectors, told, others in self._batches(source, schema):
            texts = template.fill(raw)
            self._without += sum(not is_blank(text) for text in template.fill(others))
            self._check(vectors, told)
            if self._copy is not None:
                self._copy.add(vectors, told)
            self._keys.append(keys_of(texts))
            self._blank.append(np.fromiter(map(is_blank, texts), bool, len(texts)))
            self._take_sample(texts)
            self._row += len(texts)

    def close(self) -> None:
        """Close the copy; what is mapped stays."""
        if self._copy is not None:
            self._copy.close()

    def given(self) -> Given:
        """Return what was read."""
        keys = np.concatenate(self._keys) if self._keys else np.empty(0, dtype=KEY_DTYPE)
        texts, places = once(keys)
        beside, numbers = self._tables.beside, self._numbers
        copied = self._copy.mapped() if self._copy is not None else None
        vectors = copied if beside is None else beside.array
        assert vectors is not None
        return Given(
            vectors=vectors,
            numbers=None if numbers is None else numbers[numbers >= 0],
            file=beside.name if beside else "",
            rows_read=self._rows_read,
            without=self._without,
            texts=texts,
            places=places,
            blank=np.concatenate(self._blank) if self._blank else np.empty(0, dtype=bool),
            sample=tuple(self._sample),
            shortest=float(self._shortest),
            longest=float(self._longest),
        )

    def _batches(self, source: Source, schema: pa.Schema) -> Iterator[_Batch]:
        if isinstance(source, WithoutVectors):
            row = 0
            for raw, _, column in source.with_vectors():
                vectors = _floats(array_of(column, row, source.name))
                yield _Batch(raw, vectors, partial(_row_of, source.name, row), raw.slice(0, 0))
                row += raw.num_rows
            return
        beside, row = self._tables.beside, 0
        assert beside is not None
        for raw, _ in source.batches(schema):
            here = slice(self._first, self._first + raw.num_rows)
            numbers = np.arange(here.start, here.stop) if self._numbers is None else self._numbers[here]
            kept, others = np.flatnonzero(numbers >= 0), np.flatnonzero(numbers < 0)
            numbers = numbers[kept]
            vectors = beside.array[here] if self._numbers is None else beside.array[numbers]

            def told(at: int, numbers: Numbers = numbers, rows: Numbers = kept + row) -> str:
                return f"{beside.name}, row {numbers[at] + 1:,} (row {rows[at] + 1:,} of {source.name})"

            rows, rest = (raw.take(kept), raw.take(others)) if len(others) else (raw, raw.slice(0, 0))
            yield _Batch(rows, _floats(vectors), told, rest)
            self._first, row = here.stop, row + raw.num_rows

    def _check(self, vectors: Floats, told: Callable[[int], str]) -> None:
        lengths = np.linalg.norm(vectors.astype(np.float64), axis=1)
        faults = [
            ("is not made of finite numbers", ~np.isfinite(lengths)),
            ("is all zeros", lengths == 0),
            (f"is too large for {self._dtype}", np.abs(vectors).max(axis=1, initial=0) > self._most),
        ]
        for fault, wrong in faults:
            if wrong.any():
                at = int(np.flatnonzero(wrong)[0])
                raise InputError(f"{told(at)}: its vector {fault}: make it again, or leave the row out")
        self._shortest = min(self._shortest, lengths.min(initial=np.inf))
        self._longest = max(self._longest, lengths.max(initial=0))

    def _take_sample(self, texts: Sequence[str]) -> None:
        """Take the first row with a text at or after each row that is wanted."""
        while self._wanted and self._wanted[0] < self._row + len(texts):
            start = max(0, self._wanted[0] - self._row)
            found = next((at for at in range(start, len(texts)) if not self._blank[-1][at]), None)
            if found is None:
                return  # it can be in the next batch
            self._sample.append((self._row + found, texts[found]))
            self._wanted = [row for row in self._wanted if row > self._row + found]


class _Copy:
    """A copy of the vectors of a column, in a temporary file that has no name: they are needed in another order."""

    def __init__(self) -> None:
        self._stream = tempfile.TemporaryFile(prefix="embedstore-")  # noqa: SIM115  it is mapped later
        self._rows, self._dimension = 0, 0

    def add(self, vectors: Floats, told: Callable[[int], str]) -> None:
        """Append vectors; refuse those that are not as long as the first."""
        if not len(vectors):
            return
        if self._rows and vectors.shape[1] != self._dimension:
            raise InputError(
                f"{told(0)}: expected {counted(self._dimension, 'number')} as in the vectors before it, found "
                f"{vectors.shape[1]:,}"
            )
        try:
            self._stream.write(np.ascontiguousarray(vectors).data)
        except OSError as error:
            action = "can't keep a copy of the vectors (TMPDIR says where) in"
            plain = OSError(error.errno, error.strerror)
            raise OutputError(explained(plain, tempfile.gettempdir(), action=action)) from error
        self._rows += len(vectors)
        self._dimension = vectors.shape[1]

    def close(self) -> None:
        """Close the file; what is mapped stays."""
        self._stream.close()

    def mapped(self) -> Floats:
        """Return all vectors, mapped: shape (rows, dim)."""
        self._stream.flush()
        if not self._rows:
            return np.empty((0, 1), dtype=np.float32)
        shape = (self._rows, self._dimension)
        return np.memmap(self._stream, dtype=np.float32, mode="r", shape=shape)


def _row_of(name: str, first: int, at: int) -> str:
    return f"{name}, row {first + at + 1:,}"


def _floats(vectors: npt.NDArray[Any]) -> Floats:
    with np.errstate(over="ignore", invalid="ignore"):  # what becomes infinite is refused
        return np.asarray(vectors, dtype=np.float32)
