"""Export vectors with their ids for other programs: npy, Parquet or HDF5."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from embedstore.core.values import value_text
from embedstore.corpora.rows import Corpus
from embedstore.errors import OutputError
from embedstore.tables.write import check_place, published, write_table
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
        ``.h5`` (datasets id and vectors).
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
    writers: dict[str, Callable[[Path, Space, Corpus, Path], None]] = {
        ".npy": _export_npy,
        ".parquet": _export_parquet,
        ".h5": _export_hdf5,
    }
    if path.suffix not in writers:
        raise OutputError(f"can't export to {path}: expected a name that ends in {', '.join(writers)}")
    check_place(path)
    vectors.require(table.positions(), table.name)
    with published(path) as temp:
        writers[path.suffix](temp, vectors, table, path)
    return len(table)


def _vector_runs(space: Space, corpus: Corpus) -> Iterator[tuple[int, np.ndarray[Any, Any]]]:
    positions = corpus.positions()
    for start in range(0, len(positions), _ROWS):
        yield start, space.at(positions[start : start + _ROWS], corpus.name)


def _export_npy(temp: Path, space: Space, corpus: Corpus, path: Path) -> None:
    out = np.lib.format.open_memmap(temp, mode="w+", dtype=np.float32, shape=(len(corpus), space.dimension))
    for start, vectors in _vector_runs(space, corpus):
        out[start : start + len(vectors)] = vectors
    out.flush()
    ids = pa.table({"id": corpus.ids()})
    write_table([ids], ids.schema, path.with_suffix(".ids.csv"))


def _export_parquet(temp: Path, space: Space, corpus: Corpus, path: Path) -> None:
    from pyarrow import parquet

    ids = corpus.ids()
    schema = pa.schema([("id", ids.type), ("vector", pa.list_(pa.float32(), space.dimension))])
    with parquet.ParquetWriter(temp, schema) as writer:
        for start, vectors in _vector_runs(space, corpus):
            flat = pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), space.dimension)
            chunk = ids.slice(start, len(vectors)).combine_chunks()
            writer.write_table(pa.table([chunk, flat], schema=schema))


def _export_hdf5(temp: Path, space: Space, corpus: Corpus, path: Path) -> None:
    import h5py

    ids = corpus.ids()
    numbers = pa.types.is_integer(ids.type) or pa.types.is_floating(ids.type)
    with h5py.File(temp, "w") as container:
        if numbers:
            container.create_dataset("id", data=ids.to_numpy())
        else:
            container.create_dataset("id", data=list(map(value_text, ids.to_pylist())), dtype=h5py.string_dtype())
        out = container.create_dataset("vectors", shape=(len(corpus), space.dimension), dtype="<f4")
        for start, vectors in _vector_runs(space, corpus):
            out[start : start + len(vectors)] = vectors
        container.attrs["encoder_key"] = space.key
