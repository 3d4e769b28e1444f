"""The C interface of the scans, through ctypes; ``scan.h`` describes it.

There is none if the library was not built, or can't be loaded, or the processor has neither AVX2 nor AVX-512.
"""

import ctypes
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from embedstore.core.compiled import compiled_library

__all__ = ["KERNELS", "MOST_LABELS", "best_kernel", "scan", "scan_picked"]

KERNELS = {1: "AVX2", 2: "AVX-512"}
"""Maps the number of each kernel to the instructions that it needs; a higher number is faster."""

MOST_LABELS = 32
"""The most labels or queries of a scan."""


_SIZES = [
    *((name, ctypes.c_int64) for name in ("rows", "width", "count")),
    *((name, ctypes.c_int32) for name in ("half", "unit")),
]


class _Compared(ctypes.Structure):
    _fields_ = [("vectors", ctypes.c_void_p), ("labels", ctypes.c_void_p), *_SIZES]


class _Found(ctypes.Structure):
    _fields_ = [(name, ctypes.c_void_p) for name in ("scores", "label", "score", "lead")]


class _Picked(ctypes.Structure):
    _fields_ = [("vectors", ctypes.c_void_p), ("queries", ctypes.c_void_p), *_SIZES]


@lru_cache(maxsize=1)
def _library() -> Any:
    if library := compiled_library(Path(__file__).parent, "_scan"):
        library.best_scan.argtypes, library.best_scan.restype = [], ctypes.c_int32
        for function in (library.scan, library.scan_picked):
            function.argtypes, function.restype = [ctypes.c_int32, ctypes.c_void_p, ctypes.c_void_p], ctypes.c_int32
    return library


def best_kernel() -> int:
    """Return the number of the fastest kernel that runs here, or 0."""
    return _library().best_scan() if _library() else 0


def scan(
    vectors: npt.NDArray[Any],
    labels: npt.NDArray[np.float32],
    *,
    unit: bool,
    kernel: int,
    scores: npt.NDArray[np.float32] | None = None,
    label: npt.NDArray[np.int32] | None = None,
    score: npt.NDArray[np.float32] | None = None,
    lead: npt.NDArray[np.float32] | None = None,
) -> None:
    """Compare vectors with labels, and write what is asked for. Other threads of Python run meanwhile.

    Parameters
    ----------
    vectors : ndarray of shape (n, dim), float32 or float16
        Contiguous.
    labels : ndarray of shape (labels, dim), float32
        Contiguous; at most `MOST_LABELS`, and at least two where the best is asked for.
    unit : bool
        Whether all vectors have unit length; if not, they are divided by their length.
    kernel : int
        At most `best_kernel`.
    scores : ndarray of shape (n, labels), float32, optional
        Where to write the similarity to each label.
    label : ndarray of shape (n,), int32, optional
        Where to write the label with the highest score, the first of equals.
    score, lead : ndarray of shape (n,), float32, optional
        Where to write its score, and its score less that of the second best.

    Raises
    ------
    ValueError
        If the arrays do not fit each other or the kernel.
    """
    rows, (count, width) = len(vectors), labels.shape
    compared = _Compared(
        _address(vectors, (rows, width), np.float32, np.float16),
        _address(labels, (count, width), np.float32),
        rows,
        width,
        count,
        vectors.dtype == np.float16,
        unit,
    )
    found = _Found(
        _address(scores, (rows, count), np.float32),
        _address(label, (rows,), np.int32),
        _address(score, (rows,), np.float32),
        _address(lead, (rows,), np.float32),
    )
    library = _library()
    if library is None or library.scan(kernel, ctypes.byref(compared), ctypes.byref(found)):
        raise ValueError(
            f"expected a kernel of this machine and at most {MOST_LABELS} labels, found {kernel} and {count}"
        )


def scan_picked(
    blocks: Sequence[npt.NDArray[Any]],
    owner: npt.NDArray[np.int64],
    row: npt.NDArray[np.int64],
    queries: npt.NDArray[np.float32],
    *,
    unit: bool,
    kernel: int,
) -> npt.NDArray[np.float32]:
    """Return the similarity of each query to some vectors. Other threads of Python run meanwhile.

    Parameters
    ----------
    blocks : sequence of ndarray of shape (n, dim), float32 or float16
        Contiguous, at least one, all of the same dtype.
    owner, row : ndarray of shape (queries, picked), int64
        The block of each vector, and its row there; a row of -1 stands for no vector.
    queries : ndarray of shape (queries, dim), float32
        Contiguous.
    unit : bool
        Whether all vectors have unit length; if not, they are divided by their length.
    kernel : int
        At most `best_kernel`.

    Returns
    -------
    ndarray of shape (queries, picked), float32
        Minus infinity where there is no vector.

    Raises
    ------
    ValueError
        If the arrays do not fit each other or the kernel, or there is no such row.
    """
    (asked, width), dtype = queries.shape, blocks[0].dtype
    sizes = np.array([len(block) for block in blocks])
    starts = [_address(block, (len(block), width), np.float32, np.float16) for block in blocks]
    if owner.shape != row.shape or len(row) != asked or {block.dtype for block in blocks} != {dtype}:
        raise ValueError("expected rows for each query in blocks of one dtype, found others")
    if row.size and (owner.min() < 0 or owner.max() >= len(blocks) or row.min() < -1 or (row >= sizes[owner]).any()):
        raise ValueError("expected rows of the blocks, found others")
    addresses = np.array(starts, dtype=np.uint64)[owner] + row.astype(np.uint64) * np.uint64(width * dtype.itemsize)
    addresses[row < 0] = 0
    scores = np.empty(row.shape, dtype=np.float32)
    picked = _Picked(
        addresses.ctypes.data,
        _address(queries, (asked, width), np.float32),
        asked,
        width,
        row.shape[1],
        dtype == np.float16,
        unit,
    )
    library = _library()
    if library is None or library.scan_picked(kernel, ctypes.byref(picked), scores.ctypes.data):
        raise ValueError(f"expected a kernel of this machine, found {kernel}")
    return scores


def _address(array: npt.NDArray[Any] | None, shape: tuple[int, ...], *dtypes: type[np.generic]) -> int | None:
    if array is None:
        return None
    if array.shape != shape or array.dtype not in dtypes or not array.flags.c_contiguous:
        raise ValueError(f"expected a contiguous array of shape {shape}, found one of {array.shape} and {array.dtype}")
    return array.ctypes.data
