"""The text of many floats: the shortest digits that give the same value again, as Python prints them.

Python takes a microsecond for each float. Arrow's writer of CSV finds the same digits in a fraction of that. It writes
some numbers in another way: whole ones, and those that are so small or large that one of both writes an exponent. These
are left to Python.
"""

import io
from typing import Any

import numpy as np
import pyarrow as pa

__all__ = ["float_texts", "single_text"]

_FEW = 256  # floats up to which Python is done before Arrow's writer is imported
_LEAST, _MOST = 1e-4, 1e10  # sizes between which both write all digits and no exponent


def float_texts(array: Any) -> list[str | None]:
    """Return floats as text, None where one is missing; those of float32 have the digits that float32 needs.

    Parameters
    ----------
    array : Array
        An array of the type float32 or float64.

    Examples
    --------
    >>> float_texts(pa.array([0.1, None, 2], pa.float32())), float_texts(pa.array([1e16]))
    (['0.1', None, '2.0'], ['1e+16'])
    """
    if len(array) <= _FEW:
        return [_text(value, array.type) for value in array.to_pylist()]
    texts: list[str | None] = list(_written(array))
    numbers = array.to_numpy(zero_copy_only=False)  # NaN where one is missing
    with np.errstate(invalid="ignore"):
        sizes = np.abs(numbers)
        alike = (sizes >= _LEAST) & (sizes < _MOST) & (sizes % 1 != 0)
    for place in np.flatnonzero(~alike).tolist():
        texts[place] = _text(array[place].as_py(), array.type)
    return texts


def _written(array: Any) -> list[str]:
    from pyarrow import csv

    sink = io.BytesIO()
    options = csv.WriteOptions(include_header=False, quoting_style="none")
    csv.write_csv(pa.table({"": array}), sink, options)
    return sink.getvalue().decode("ascii").splitlines()


def _text(value: float | None, type_: pa.DataType) -> str | None:
    if value is None:
        return None
    return single_text(value) if type_ == pa.float32() else repr(value)


def single_text(value: float) -> str:
    """Return a float32 number with the digits that float32 needs.

    Examples
    --------
    >>> single_text(0.10000000149011612)
    '0.1'
    """
    return repr(float(str(np.float32(value))))
