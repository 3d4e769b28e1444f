"""Vectors without texts, in an array or a file, which is mapped: NumPy's .npy, and flat indexes of FAISS."""

import struct
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from embedstore.core.counts import counted
from embedstore.core.parsing import first_line
from embedstore.errors import InputError, UsageError

__all__ = ["Beside", "vectors_beside"]

_NUMPY = b"\x93NUMPY"
_HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
# A flat index is its kind, the length of a vector, their number, two numbers that are not used, whether it is trained,
# the metric, the number of floats, and the vectors. It is mapped, because FAISS reads it whole and trusts its numbers.
_FLAT = struct.Struct("<4siqqq?iQ")
_FLAT_KINDS = (b"IxF2", b"IxFI", b"IxFl")
_METRICS = (0, 1)  # inner product, and squared distance; others have one more number


class Beside(NamedTuple):
    """Vectors that stand beside the tables of their rows.

    Attributes
    ----------
    array : ndarray of shape (n, dim)
        The vectors, mapped if they are those of a file.
    name : str
        What messages call them: the name of the file.
    """

    array: npt.NDArray[Any]
    name: str


def vectors_beside(given: Any) -> Beside:
    """Return the vectors of an array, of a .npy file or of a flat FAISS index.

    Raises
    ------
    InputError
        If the file is missing, cut short, or of another kind.
    UsageError
        If the array has another shape than (n, dim), or holds no floats.
    """
    if isinstance(given, str | Path):
        return Beside(_mapped(Path(given)), str(given))
    array = np.asarray(given)
    if not _are_vectors(array):
        raise UsageError(f"expected floats of the shape (rows, dimensions), found {array.dtype} of {array.shape}")
    return Beside(array, "the array")


def _mapped(path: Path) -> npt.NDArray[Any]:
    if not path.is_file():
        raise InputError(f"no such file of vectors: {path}")
    with path.open("rb") as stream:
        head = stream.read(_FLAT.size)
        if head.startswith(_NUMPY):
            found = _of_numpy(path, stream)
        elif head[:4] in _FLAT_KINDS:
            found = _of_faiss(path, head)
        elif head[:2] in (b"Ix", b"Iw"):
            raise InputError(
                f"{path}: expected a flat index of FAISS, found the kind {head[:4]!r}, which does not keep vectors as "
                "they were: write them to a .npy file"
            )
        else:
            raise InputError(f"{path}: expected vectors in a .npy file or in a flat index of FAISS, found neither")
    if not _are_vectors(found):
        raise InputError(
            f"{path}: expected floats of the shape (rows, dimensions), found {found.dtype} of the shape {found.shape}"
        )
    return found


def _of_numpy(path: Path, stream: IO[bytes]) -> npt.NDArray[Any]:
    try:
        stream.seek(0)
        header = _HEADERS.get(np.lib.format.read_magic(stream))
        objects = header is not None and header(stream)[2].hasobject
        found = None if objects else np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, OSError, EOFError, SyntaxError, OverflowError) as error:
        raise InputError(
            f"{path} can't be read as a .npy file ({first_line(error)}): it was cut short or altered, make it again"
        ) from error
    if found is None:
        raise InputError(
            f"{path} holds Python objects, which are never loaded, because that can run code: save the vectors as "
            "floats, with np.save(FILE, np.array(array.tolist(), np.float32))"
        )
    return np.asanyarray(found)


def _of_faiss(path: Path, head: bytes) -> npt.NDArray[Any]:
    size = path.stat().st_size
    if len(head) == _FLAT.size:
        _, dimension, count, _, _, _, metric, floats = _FLAT.unpack(head)
        fits = dimension > 0 and count > 0 and floats == dimension * count and size == _FLAT.size + 4 * floats
        if fits and metric in _METRICS:
            return np.memmap(path, dtype="<f4", mode="r", offset=_FLAT.size, shape=(count, dimension))
    raise InputError(f"{path} is no whole flat index of FAISS ({counted(size, 'byte')}): make it again")


def _are_vectors(found: npt.NDArray[Any]) -> bool:
    return found.ndim == 2 and found.dtype.kind == "f" and found.shape[1] > 0
