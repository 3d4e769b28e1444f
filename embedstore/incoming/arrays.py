"""Vectors in files without texts, as mapped arrays: NumPy's .npy, and flat indexes of FAISS."""

import struct
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from embedstore.core.counts import counted
from embedstore.core.parsing import first_line
from embedstore.errors import InputError

__all__ = ["mapped_vectors"]

# A flat index is its kind, the length of a vector, their number, two numbers that are not used, whether it is trained,
# the metric, the number of floats, and the vectors. It is mapped, because FAISS reads it whole and trusts its numbers.
_FLAT = struct.Struct("<4siqqq?iQ")
_FLAT_KINDS = (b"IxF2", b"IxFI", b"IxFl")
_METRICS = (0, 1)  # inner product, and squared distance; others have one more number


def mapped_vectors(path: str | Path) -> npt.NDArray[Any]:
    """Return the vectors of a .npy file or of a flat FAISS index: shape (n, dim), mapped.

    Raises
    ------
    InputError
        If the file is missing, cut short, or of another kind.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"no such file of vectors: {path}")
    with path.open("rb") as stream:
        head = stream.read(_FLAT.size)
    if head.startswith(b"\x93NUMPY"):
        return _checked(_of_numpy(path), path)
    if head[:4] in _FLAT_KINDS:
        return _checked(_of_faiss(path, head), path)
    if head[:2] == b"Ix" or head[:2] == b"Iw":
        raise InputError(
            f"{path}: expected a flat index of FAISS, found the kind {head[:4]!r}, which does not keep vectors as they "
            "were: write them to a .npy file"
        )
    raise InputError(f"{path}: expected vectors in a .npy file or in a flat index of FAISS, found neither")


def _of_numpy(path: Path) -> npt.NDArray[Any]:
    try:
        found = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, OSError, EOFError, SyntaxError, OverflowError) as error:
        raise InputError(
            f"{path} can't be read as a .npy file ({first_line(error)}): it was cut short or altered, make it again"
        ) from error
    return np.asanyarray(found)


def _of_faiss(path: Path, head: bytes) -> npt.NDArray[Any]:
    size = path.stat().st_size
    if len(head) == _FLAT.size:
        _, dimension, count, _, _, _, metric, floats = _FLAT.unpack(head)
        fits = dimension > 0 and count > 0 and floats == dimension * count and size == _FLAT.size + 4 * floats
        if fits and metric in _METRICS:
            return np.memmap(path, dtype="<f4", mode="r", offset=_FLAT.size, shape=(count, dimension))
    raise InputError(f"{path} is no whole flat index of FAISS ({counted(size, 'byte')}): make it again")


def _checked(found: npt.NDArray[Any], path: Path) -> npt.NDArray[Any]:
    if found.ndim != 2 or found.dtype.kind != "f" or not found.shape[1]:
        raise InputError(
            f"{path}: expected floats of the shape (rows, dimensions), found {found.dtype} of the shape {found.shape}"
        )
    return found
