"""Find a value in a column, without Arrow's functions: their import takes longer than the search."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

__all__ = ["place_of_number", "place_of_text"]


def place_of_text(column: pa.ChunkedArray, text: str) -> int:
    """Return the place of the first cell that is `text`; -1 if there is none.

    Parameters
    ----------
    column : ChunkedArray
        A column of the type string or large_string.
    text : str
        The text.

    Examples
    --------
    >>> place_of_text(pa.chunked_array([["a", None], ["ab", "ab"]]), "ab")
    2
    """
    sought = text.encode("utf-8", "surrogatepass")
    start = 0
    for chunk in column.chunks:
        for place in _same_bytes(chunk, sought):
            if chunk[place].as_py() == text:  # a missing cell can have the bytes too
                return start + place
        start += len(chunk)
    return -1


def _same_bytes(array: Any, sought: bytes) -> Iterator[int]:
    """Yield the places of the cells that have these bytes, in order."""
    if not len(array):
        return
    _, ends, content = array.buffers()
    width = np.int64 if pa.types.is_large_string(array.type) else np.int32
    starts = np.frombuffer(ends, dtype=width, count=len(array) + 1, offset=array.offset * np.dtype(width).itemsize)
    places = np.flatnonzero(np.diff(starts) == len(sought))
    if sought and len(places):
        letters: npt.NDArray[np.uint8] = np.frombuffer(content, dtype=np.uint8)
        for number, byte in enumerate(sought):
            places = places[letters[starts[places] + number] == byte]
    yield from places.tolist()


def place_of_number(column: pa.ChunkedArray, number: int) -> int:
    """Return the place of the first cell that is `number`; -1 if there is none.

    Parameters
    ----------
    column : ChunkedArray
        A column of the type int64.
    number : int
        The number, within the limits of the type.

    Examples
    --------
    >>> place_of_number(pa.chunked_array([[7, None, 3]]), 3)
    2
    """
    start = 0
    for chunk in column.chunks:
        values = np.frombuffer(chunk.buffers()[1], dtype=np.int64, count=len(chunk), offset=8 * chunk.offset)
        for place in np.flatnonzero(values == number).tolist():
            if chunk[place].is_valid:
                return int(start + place)
        start += len(chunk)
    return -1
