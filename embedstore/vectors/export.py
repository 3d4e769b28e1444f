"""Export vectors with their ids for other programs: npy, Parquet or HDF5."""

import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from embedstore.core.values import value_text
from embedstore.corpora.rows import Corpus
from embedstore.errors import OutputError
from embedstore.tables.outputs import check_place, published_together
from embedstore.tables.separated import CSV
from embedstore.vectors.snapshot import Snapshot
from embedstore.vectors.space import Space

__all__ = ["export_vectors"]

_ROWS = 16_384


def export_vectors(now: Snapshot, path: str | Path, *, corpus: str | None = None, space: str | None = None) -> int:
    """Write one vector per row of a corpus, with its id; return the number of rows.

    Parameters
    ----------
    now : Snapshot
        The state of the store.
    path : path
        ``.npy`` (float32, (rows, dim); the ids beside it as ``.ids.csv``), ``.parquet`` (columns id and vector) or
        ``.h5`` (datasets id and vectors). Vectors and ids are never of two exports: if one is killed between the two
        files, there are no ids.
    corpus : str, optional
        Corpus to export; by default the only one, else ``train``.
    space : str, optional
        Key or model name of the vectors.

    Raises
    ------
    OutputError
        If the suffix is unknown, or the file can't be written.
    """
    path = Path(path)
    table = now.corpus(corpus)
    vectors = now.space(space, covering=[table])
    writers: dict[str, Callable[..., None]] = {
        ".npy": _export_npy,
        ".parquet": _export_parquet,
        ".h5": _export_hdf5,
    }
    if path.suffix not in writers:
        raise OutputError(f"can't export to {path}: expected a name that ends in {', '.join(writers)}")
    check_place(path)
    vectors.require(table.positions(), table.name)
    beside = [path.with_suffix(".ids.csv")] if path.suffix == ".npy" else []
    with published_together(path, *beside, wait=now.wait) as temps:
        writers[path.suffix](vectors, table, *temps)
    return len(table)


def _vector_runs(space: Space, corpus: Corpus) -> Iterator[tuple[int, np.ndarray[Any, Any]]]:
    positions = corpus.positions()
    for start in range(0, len(positions), _ROWS):
        yield start, space.at(positions[start : start + _ROWS], corpus.name)


def _export_npy(space: Space, corpus: Corpus, temp: Path, temp_of_ids: Path) -> None:
    header = {"descr": "<f4", "fortran_order": False, "shape": (len(corpus), space.dimension)}
    with temp.open("wb") as stream:  # not a mapped file: on a full disk that ends the process
        np.lib.format.write_array_header_1_0(stream, header)
        for _, vectors in _vector_runs(space, corpus):
            stream.write(np.ascontiguousarray(vectors, "<f4").data)
    ids = pa.table({"id": corpus.ids()})
    CSV.write([ids], ids.schema, temp_of_ids)


def _export_parquet(space: Space, corpus: Corpus, temp: Path) -> None:
    from pyarrow import parquet

    ids = corpus.ids()
    schema = pa.schema([("id", ids.type), ("vector", pa.list_(pa.float32(), space.dimension))])
    with parquet.ParquetWriter(temp, schema) as writer:
        for start, vectors in _vector_runs(space, corpus):
            flat = pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), space.dimension)
            chunk = ids.slice(start, len(vectors)).combine_chunks()
            writer.write_table(pa.table([chunk, flat], schema=schema))


def _export_hdf5(space: Space, corpus: Corpus, temp: Path) -> None:
    import h5py

    ids = corpus.ids()
    numbers = pa.types.is_integer(ids.type) or pa.types.is_floating(ids.type)
    with temp.open("w+b", buffering=0) as stream, _Unfailing(stream) as steady, h5py.File(steady, "w") as container:
        if numbers:
            container.create_dataset("id", data=ids.to_numpy())
        else:
            container.create_dataset("id", data=list(map(value_text, ids.to_pylist())), dtype=h5py.string_dtype())
        out = container.create_dataset("vectors", shape=(len(corpus), space.dimension), dtype="<f4")
        for start, vectors in _vector_runs(space, corpus):
            out[start : start + len(vectors)] = vectors
        container.attrs["encoder_key"] = space.key


class _Unfailing(io.RawIOBase):
    """A file for libhdf5, which ends the process where a write of its own fails: the error is raised by `close`."""

    def __init__(self, stream: io.FileIO) -> None:
        self._stream = stream
        self._error: OSError | None = None

    def write(self, content: Any) -> int:
        """Write all, or take a write that fails as done."""
        left = memoryview(content)
        try:
            while left and not self._error:
                left = left[self._stream.write(left) :]
        except OSError as error:
            self._error = error
        return len(content)

    def readinto(self, content: Any) -> int:
        """Read; what could not be written reads as zeros."""
        read = self._stream.read(len(content))
        content[:] = read.ljust(len(content), b"\0")
        return len(content)

    def seek(self, place: int, whence: int = io.SEEK_SET) -> int:
        """Move to a place."""
        return self._stream.seek(place, whence)

    def tell(self) -> int:
        """Return the place."""
        return self._stream.tell()

    def truncate(self, size: int | None = None) -> int:
        """Set the size."""
        return self._stream.truncate(size)

    def close(self) -> None:
        """Raise the first error."""
        super().close()
        error, self._error = self._error, None
        if error:
            raise error
