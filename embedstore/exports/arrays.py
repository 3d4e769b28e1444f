"""Vectors as one array, with ids: npy and HDF5."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from embedstore.core.values import value_text
from embedstore.exports.base import DESCRIPTION, TargetOptions, Written, vectors_of
from embedstore.exports.rows import Rows
from embedstore.tables.outputs import check_place, published, published_together
from embedstore.tables.separated import CSV

__all__ = ["HDF5", "NPY"]


class _Npy:
    """An array of shape (rows, dim), and the ids beside it as CSV; they are never of two exports."""

    def check(self, place: str, options: TargetOptions) -> None:
        """Check that the file can be written."""
        check_place(Path(place))

    def write(self, rows: Rows, place: str, options: TargetOptions) -> Written:
        """Write the vectors to the file, and the ids to the one beside it."""
        path = Path(place)
        beside = path.with_suffix(".ids.csv")
        shape = (len(rows), rows.space.dimension)
        descr = np.dtype(rows.description.dtype).newbyteorder("<").str
        ids = []
        with published_together(path, beside, wait=rows.now.wait) as (temp, temp_of_ids):
            with temp.open("wb") as stream:  # not a mapped file: on a full disk that ends the process
                header = {"descr": descr, "fortran_order": False, "shape": shape}
                np.lib.format.write_array_header_1_0(stream, header)
                for batch in rows.batches():
                    stream.write(np.ascontiguousarray(vectors_of(batch), descr).data)
                    ids.append(batch.column("id"))
            table = pa.table({"id": pa.chunked_array(ids, rows.schema.field("id").type)})
            CSV.write([table], table.schema, temp_of_ids)
        return Written(len(rows), files=(str(beside),))


class _Hdf5:
    """The datasets `id` and `vectors`; the encoder is described by the attributes of the file."""

    def check(self, place: str, options: TargetOptions) -> None:
        """Check that the file can be written."""
        check_place(Path(place))

    def write(self, rows: Rows, place: str, options: TargetOptions) -> Written:
        """Write the file."""
        import h5py

        count, type_ = len(rows), rows.schema.field("id").type
        numbers = pa.types.is_integer(type_) or pa.types.is_floating(type_)
        kind = type_.to_pandas_dtype() if numbers else h5py.string_dtype()
        dtype = np.dtype(rows.description.dtype).newbyteorder("<")
        with (
            published(Path(place)) as temp,
            temp.open("w+b", buffering=0) as stream,
            _Unfailing(stream) as steady,
            h5py.File(steady, "w") as container,
        ):
            ids = container.create_dataset("id", shape=(count,), dtype=kind)
            vectors = container.create_dataset("vectors", shape=(count, rows.space.dimension), dtype=dtype)
            start = 0
            for batch in rows.batches():
                end = start + len(batch)
                column = batch.column("id")
                ids[start:end] = column.to_numpy() if numbers else list(map(value_text, column.to_pylist()))
                vectors[start:end] = vectors_of(batch)
                start = end
            container.attrs["encoder_key"] = rows.space.key
            container.attrs[DESCRIPTION] = rows.description.json()
        return Written(count)


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


NPY, HDF5 = _Npy(), _Hdf5()
