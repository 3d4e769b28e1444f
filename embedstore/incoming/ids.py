"""Ids of vectors that stand beside a table: which row each vector belongs to."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from embedstore.core.counts import counted
from embedstore.core.names import nearest_hint
from embedstore.core.parsing import first_line
from embedstore.core.values import value_text
from embedstore.corpora.keyed import keys_of
from embedstore.errors import InputError
from embedstore.incoming.arrays import Beside
from embedstore.storage.keys import SortedKeys, halves, once
from embedstore.storage.segments import KEY_DTYPE
from embedstore.tables import ReadOptions, Source, file_source

__all__ = ["NamedIds", "ids_beside", "ids_file"]

_ID = "id"  # the column, or the key, under which exports write ids
_SHOWN = 40  # characters of an id


class NamedIds(NamedTuple):
    """The ids of vectors.

    Attributes
    ----------
    keys : SortedKeys
        The key of each id, with the number of its vector.
    name : str
        What messages call them: the name of their file.
    """

    keys: SortedKeys
    name: str

    def numbers(self, sources: Sequence[Source], column: str | None) -> npt.NDArray[np.int64]:
        """Return the number of each row's vector, -1 where no vector has its id: shape (rows,).

        Parameters
        ----------
        sources : sequence of Source
            The tables.
        column : str or None
            Their column of ids; by default ids are the numbers of rows, from 0.

        Raises
        ------
        InputError
            If there is no such column, or no row has an id that a vector has.
        """
        found: list[npt.NDArray[np.int64]] = []
        rows = 0
        for source in sources:
            schema = source.survey().schema
            if column is not None and column not in schema.names:
                raise InputError(f"{source.name} has no column {column!r}: {nearest_hint(column, schema.names)}")
            for raw, _ in source.batches(schema):
                ids = range(rows, rows + raw.num_rows) if column is None else raw.column(column).to_pylist()
                found.append(self.keys.find(*halves(_keys(ids))))
                rows += raw.num_rows
        numbers = np.concatenate(found) if found else np.empty(0, dtype=np.int64)
        if rows and (numbers < 0).all():
            tables = ", ".join(source.name for source in sources)
            where = f"the column {column!r} of {tables}" if column else f"the numbers of the rows of {tables}"
            raise InputError(
                f"none of the ids in {self.name} is among {where}: name the column that has them with --id, or the "
                "file of the right ids with --ids"
            )
        return numbers


def ids_file(vectors: Any) -> Path | None:
    """Return the file of ids that an export wrote beside a file of vectors, if it is there."""
    if not isinstance(vectors, str | Path):
        return None
    path = Path(vectors)
    beside = path.with_suffix(".ids.csv") if path.suffix == ".npy" else path.with_name(f"{path.name}.json")
    return beside if beside.is_file() else None


def ids_beside(given: Any, beside: Beside) -> NamedIds:
    """Read the ids of vectors.

    Parameters
    ----------
    given : path or sequence
        The ids in the order of the vectors; or a table that has them in its column `id`, or in its only column; or the
        JSON beside a FAISS index.
    beside : Beside
        The vectors.

    Raises
    ------
    InputError
        If there are more or fewer ids than vectors, or two are equal, or one is missing.
    """
    name = str(given) if isinstance(given, str | Path) else "the ids"
    keys = _read(Path(given), name) if isinstance(given, str | Path) else _keys(given)
    if len(keys) != len(beside.array):
        raise InputError(
            f"expected an id for each vector, found {counted(len(keys), 'id')} in {name} and "
            f"{counted(len(beside.array), 'vector')} in {beside.name}"
        )
    found, places = once(keys)
    firsts = found.position[places]
    if len(found.first) < len(keys):
        row = int(np.flatnonzero(firsts != np.arange(len(keys)))[0])
        raise InputError(f"{name}: rows {firsts[row] + 1:,} and {row + 1:,} have the same id: an id names one vector")
    return NamedIds(found, name)


def _keys(ids: Iterable[object]) -> npt.NDArray[np.bytes_]:
    return keys_of([value_text(one) for one in ids])


def _read(path: Path, name: str) -> npt.NDArray[np.bytes_]:
    """Return the keys of the ids in a file."""
    if path.suffix == ".json":
        return _keys(_of_json(path, name))
    source = file_source(path, ReadOptions(), name=name, origin=str(path.resolve()))
    schema = source.survey().schema
    column = schema.names[0] if len(schema.names) == 1 else _ID
    if column not in schema.names:
        raise InputError(f"{name}: expected ids in a column {_ID!r} or in its only column, found {schema.names}")
    parts: list[npt.NDArray[np.bytes_]] = []
    rows = 0
    for raw, _ in source.batches(schema):
        ids = raw.column(column).to_pylist()
        if (gap := next((row for row, one in enumerate(ids) if one in (None, "")), None)) is not None:
            raise InputError(f"{name}, row {rows + gap + 1:,}: it has no id: give it one")
        parts.append(_keys(ids))
        rows += raw.num_rows
    return np.concatenate(parts) if parts else np.empty(0, dtype=KEY_DTYPE)


def _of_json(path: Path, name: str) -> list[Any]:
    try:
        found = json.loads(path.read_bytes())["ids"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise InputError(f"{name}: expected JSON with a list of ids under 'ids' ({first_line(error)})") from error
    if not isinstance(found, list) or not all(isinstance(one, str | int | float) for one in found):
        raise InputError(f"{name}: expected a list of texts or numbers under 'ids', found something else")
    return found
