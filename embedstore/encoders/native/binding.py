"""The C interface of the kernels, through ctypes; ``kernels.h`` describes it.

There is none if the library was not built, or can't be loaded, or the processor does not multiply bfloat16.
"""

import ctypes
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from embedstore.core.compiled import compiled_library
from embedstore.errors import CheckpointError

__all__ = ["KERNELS", "Layer", "Model", "aligned", "encode", "is_built", "kernels", "pack", "workspace"]

KERNELS = {1: "AVX512-BF16", 2: "AMX"}
"""Maps the number of each kernel to the instructions that it needs; a higher number is faster."""

_LINE = 64  # bytes of a line of the cache: packed weights and workspaces begin at one
_FAULTS = {
    1: "the tokenizer gives a token that the model does not know: they do not belong together; download "
    "the checkpoint again",
    2: "expected texts of one token to as many as the model has positions, found others",
    3: "the workspace is too small for these texts",
    4: "this processor lacks the kernel's instructions",
    5: "the sizes of the model are not those that the kernels take",
}


class Layer(ctypes.Structure):
    """The addresses of a layer's packed matrices, biases and norms."""

    _fields_ = [
        (name, ctypes.c_void_p)
        for name in (
            *("attention", "attended", "inner", "outer"),
            *("attention_bias", "attended_bias", "inner_bias", "outer_bias"),
            *("first_norm_weight", "first_norm_bias", "second_norm_weight", "second_norm_bias"),
        )
    ]


class Model(ctypes.Structure):
    """The sizes of a model and the addresses of its weights."""

    _fields_ = [
        *((name, ctypes.c_int32) for name in ("layers", "heads", "head", "width", "used", "inner", "vocabulary")),
        *((name, ctypes.c_int32) for name in ("places", "padding", "reach", "activation", "pooling")),
        ("epsilon", ctypes.c_float),
        *((name, ctypes.c_void_p) for name in ("words", "positions", "norm_weight", "norm_bias", "distances", "layer")),
    ]


@lru_cache(maxsize=1)
def _library() -> Any:
    if library := compiled_library(Path(__file__).parent, "_kernels"):
        pointer, whole = ctypes.c_void_p, ctypes.c_int64
        library.best_kernel.argtypes, library.best_kernel.restype = [], ctypes.c_int32
        library.pack.argtypes, library.pack.restype = [pointer, whole, whole, pointer], None
        library.workspace_bytes.argtypes, library.workspace_bytes.restype = [pointer, whole, whole], whole
        library.encode.argtypes = [pointer, ctypes.c_int32, *(pointer, whole) * 2, pointer, pointer, whole]
        library.encode.restype = ctypes.c_int32
    return library


def is_built() -> bool:
    """Return whether the library is there."""
    return _library() is not None


def kernels() -> list[int]:
    """Return the numbers of the kernels that run here, the fastest first; none where there is no native encoder."""
    best = _library().best_kernel() if _library() else 0
    return sorted((number for number in KERNELS if number <= best), reverse=True)


def aligned(size: int) -> npt.NDArray[np.uint8]:
    """Return `size` bytes, not initialised, that begin at a line of the cache.

    NumPy asks the system for huge pages where an array has 4 MB or more.
    """
    memory = np.empty(size + _LINE, dtype=np.uint8)
    start = -memory.ctypes.data % _LINE
    return memory[start : start + size]


def pack(weights: npt.NDArray[np.float32], packed: npt.NDArray[np.uint8]) -> None:
    """Write a matrix in bfloat16, as the kernels read it.

    Parameters
    ----------
    weights : ndarray of shape (columns, depth), float32
        The matrix as checkpoints have it, contiguous; both sizes are multiples of 32.
    packed : ndarray of shape (2 * columns * depth,), uint8
        Where to write it: `aligned` bytes.
    """
    columns, depth = weights.shape
    if packed.nbytes != 2 * columns * depth:
        raise CheckpointError(_FAULTS[5])
    _library().pack(weights.ctypes.data, columns, depth, packed.ctypes.data)


def workspace(model: Model, tokens: int, longest: int) -> npt.NDArray[np.uint8]:
    """Return memory for texts of so many tokens together, the longest of which has `longest`.

    Raises
    ------
    CheckpointError
        If the kernels do not take a model of these sizes.
    """
    size = _library().workspace_bytes(ctypes.byref(model), tokens, longest)
    if size < 0:
        raise CheckpointError(_FAULTS[5])
    return aligned(size)


def encode(
    model: Model,
    kernel: int,
    ids: npt.NDArray[np.int32],
    lengths: npt.NDArray[np.int32],
    memory: npt.NDArray[np.uint8],
) -> npt.NDArray[np.float32]:
    """Return the pooled vectors of some texts. Other threads of Python run meanwhile.

    Parameters
    ----------
    model : Model
        Its weights.
    kernel : int
        One of `kernels`.
    ids : ndarray of shape (tokens,), int32
        The token numbers of all texts, one text after the other.
    lengths : ndarray of shape (texts,), int32
        The number of tokens of each text.
    memory : ndarray of uint8
        A `workspace` that no other thread uses.

    Returns
    -------
    ndarray of shape (texts, dim), float32
        Neither truncated nor normalised.

    Raises
    ------
    CheckpointError
        If the kernels refuse the texts or the model.
    """
    pooled = np.empty((len(lengths), model.used), dtype=np.float32)
    fault = _library().encode(
        ctypes.byref(model),
        kernel,
        ids.ctypes.data,
        len(ids),
        lengths.ctypes.data,
        len(lengths),
        pooled.ctypes.data,
        memory.ctypes.data,
        memory.nbytes,
    )
    if fault:
        raise CheckpointError(_FAULTS[fault])
    return pooled
