"""Open the files that a manifest lists, with a check of their size or of their hash."""

import ctypes
import hashlib
import math
import mmap
import os
import stat
from collections.abc import Iterable
from functools import lru_cache, partial
from io import BufferedReader
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from embedstore.core.counts import counted
from embedstore.errors import DamagedStoreError
from embedstore.storage.gate import Folder
from embedstore.storage.places import DatasetRecord, FileRecord

__all__ = ["advice_on", "check_files", "forget_maps", "map_dataset", "open_file", "read_file", "same_hash"]


_LIBC = ctypes.CDLL(None, use_errno=True)
_LIBC.mmap.restype = ctypes.c_void_p
_LIBC.mmap.argtypes = (ctypes.c_void_p, ctypes.c_size_t, *(3 * (ctypes.c_int,)), ctypes.c_long)
_LIBC.munmap.argtypes = (ctypes.c_void_p, ctypes.c_size_t)
_FAILED = ctypes.c_void_p(-1).value


def open_file(root: Path, file: FileRecord) -> BufferedReader:
    """Open a file to read, after a check of its size.

    Raises
    ------
    DamagedStoreError
        If the file is missing, is a link or has another size than recorded.
    """
    return os.fdopen(_opened(root, file), "rb")


def read_file(root: Path, file: FileRecord, advice: str) -> bytes:
    """Return the content of a file, after a check of its hash.

    Raises
    ------
    DamagedStoreError
        If the file is missing or altered; the message ends with `advice`.
    """
    try:
        with open_file(root, file) as stream:
            content = stream.read()
    except DamagedStoreError as error:
        raise DamagedStoreError(f"{str(error).split('. ')[0]}: {advice}") from error
    if hashlib.sha256(content).hexdigest() != file.sha256:
        raise DamagedStoreError(f"{root / file.path} was altered: {advice}")
    return content


def same_hash(stream: BufferedReader, file: FileRecord) -> bool:
    """Return whether an open file has the recorded hash; then read it from its beginning again."""
    found = hashlib.file_digest(stream, "sha256").hexdigest()
    stream.seek(0)
    return found == file.sha256


def check_files(root: Path, files: Iterable[FileRecord]) -> None:
    """Read files whole; raise a `DamagedStoreError` at the first that is missing or altered."""
    for file in files:
        with open_file(root, file) as stream:
            if not same_hash(stream, file):
                raise DamagedStoreError(f"{root / file.path} was altered. {advice_on(file)}")


def map_dataset(root: Path, file: FileRecord, dataset: DatasetRecord) -> npt.NDArray[Any]:
    """Return a dataset as a read-only array over the mapped file; nothing is read or copied yet.

    Raises
    ------
    DamagedStoreError
        If the file is missing or has another size than recorded.
    """
    path = f"{root}/{file.path}"  # a store can have ten thousand files, so this makes no `Path`
    try:
        status = os.lstat(path)
    except FileNotFoundError as error:
        raise _missing(root, file) from error
    _check_size(root, file, status)
    if 0 in dataset.shape:
        return np.empty(dataset.shape, dtype=dataset.dtype)
    whole = _mapped(root, file, status.st_ino, status.st_mtime_ns)
    size = math.prod(dataset.shape) * np.dtype(dataset.dtype).itemsize
    return whole[dataset.offset : dataset.offset + size].view(dataset.dtype).reshape(dataset.shape)


@lru_cache(maxsize=1 << 14)
def _mapped(root: Path, file: FileRecord, _inode: int, _changed: int) -> npt.NDArray[np.uint8]:
    # Cached: mapping a file again and touching each of its pages takes longer than reading them.
    descriptor = _opened(root, file)
    try:
        return np.asarray(_Map(descriptor, file.size))
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(root / file.path)) from error
    finally:
        os.close(descriptor)


class _Map:
    """The bytes of a mapped file, read-only, for `numpy.asarray`; they are unmapped when no array is left.

    Python's `mmap` keeps a descriptor for each map, and many systems allow 1,024 of them: as many segments.
    """

    def __init__(self, descriptor: int, size: int) -> None:
        found = _LIBC.mmap(None, size, mmap.PROT_READ, mmap.MAP_SHARED, descriptor, 0)
        if found is None or found == _FAILED:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))
        self.__array_interface__ = {"version": 3, "shape": (size,), "typestr": "|u1", "data": (found, True)}
        self._unmap = partial(_LIBC.munmap, found, size)

    def __del__(self) -> None:
        if "_unmap" in self.__dict__:
            self._unmap()


def forget_maps() -> None:
    """Drop the cached maps of files, so that removed files which nobody uses give back their disk space."""
    _mapped.cache_clear()


def _opened(root: Path, file: FileRecord) -> int:
    folder, _, name = file.path.partition("/")
    try:
        with Folder(root, folder) as opened:
            descriptor = opened.open(name)
    except FileNotFoundError as error:
        raise _missing(root, file) from error
    try:
        _check_size(root, file, os.fstat(descriptor))
    except DamagedStoreError:
        os.close(descriptor)
        raise
    return descriptor


def _check_size(root: Path, file: FileRecord, status: os.stat_result) -> None:
    if status.st_size != file.size and stat.S_ISREG(status.st_mode):  # anything else is refused when it is opened
        raise DamagedStoreError(
            f"{root / file.path} has {counted(status.st_size, 'byte')} and was written with {file.size:,}. "
            + advice_on(file)
        )


def _missing(root: Path, file: FileRecord) -> DamagedStoreError:
    return DamagedStoreError(f"{root / file.path} is missing. {advice_on(file)}")


def advice_on(file: FileRecord) -> str:
    """Return what to do about a file that is missing or altered."""
    if file.path.startswith(("texts/", "corpora/", "annotations/")) or file.path.endswith(".texts"):
        return "Restore it from a backup; `embedstore verify STORE` lists all that is damaged"
    if file.path.startswith("keys/"):
        return "Run `embedstore verify STORE --repair` to forget what is damaged; the next `add` makes it again"
    return "Run `embedstore verify STORE --repair` to forget what is damaged, then make it again (encode, index, train)"
