"""Make Arrow arrays without the imports that Arrow's own ways take: numpy.ma, and a wrapper for each function."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

__all__ = ["array_from", "decoded"]


def array_from(values: npt.NDArray[np.number[Any]], missing: npt.NDArray[np.bool_] | None = None) -> pa.Array:
    """Return numbers as an Arrow array over the same memory, as `pyarrow.array` does.

    Parameters
    ----------
    values : ndarray of shape (n,)
        Integers or floats.
    missing : ndarray of bool, shape (n,), optional
        The values that are null.

    Examples
    --------
    >>> array_from(np.array([1, 2]), np.array([True, False])).to_pylist()
    [None, 2]
    """
    there = None if missing is None else pa.py_buffer(np.packbits(~missing, bitorder="little"))
    type_ = pa.from_numpy_dtype(values.dtype)
    return pa.Array.from_buffers(type_, len(values), [there, pa.py_buffer(np.ascontiguousarray(values))])


def decoded(array: pa.DictionaryArray) -> pa.Array:
    """Return a dictionary-encoded array as a plain one, as `dictionary_decode` does.

    Examples
    --------
    >>> decoded(pa.array(["a", None, "a"]).dictionary_encode()).to_pylist()
    ['a', None, 'a']
    """
    if not pa.types.is_string(array.type.value_type):
        return array.dictionary_decode()
    return pa.array(array.to_numpy(zero_copy_only=False).tolist(), pa.string())
