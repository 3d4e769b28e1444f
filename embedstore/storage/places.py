"""Where the bytes of a store are: the records of a file, and of an array in a file."""

import math
import re
from typing import Any, NamedTuple

from embedstore.core.exact import MOST
from embedstore.core.values import clip
from embedstore.errors import DamagedStoreError

__all__ = ["DatasetRecord", "FileRecord"]

_KINDS = (
    "annotations.json",
    "corpora.parquet",
    "index.faiss",
    "keys.sorted",
    "lists.covers",
    "lists.texts",
    "lists.vectors",
    "maps.h5",
    "probes.json",
    "probes.npz",
    "texts.h5",
    "vectors.h5",
)
_PATHS = {kind: re.compile(r"{}/([0-9a-f]{{64}})\.{}".format(*kind.split("."))) for kind in _KINDS}
_DTYPES = {"|u1": 1, "<u8": 8, "<u4": 4, "<f4": 4, "<f2": 2}


class FileRecord(NamedTuple):
    """One immutable file: its path relative to the store, its size in bytes, the SHA-256 of its content."""

    path: str
    size: int
    sha256: str

    def to_json(self) -> list[Any]:
        """Return `[path, size]`; the hash is the file's name."""
        return [self.path, self.size]

    @classmethod
    def from_json(cls, value: list[Any], kind: str = "texts.h5") -> "FileRecord":
        """Build the record from its JSON form; refuse a path that is not `folder/hash.suffix` of a kind of file."""
        if type(value) is list and len(value) == 2:
            path, size = value
            match = _PATHS[kind].fullmatch(path) if type(path) is str else None
            if match and type(size) is int and 0 <= size <= MOST:
                return cls(path, size, match[1])
        folder, suffix = kind.split(".")
        raise DamagedStoreError(
            f"the manifest is damaged: expected {folder}/HASH.{suffix} and a size, found {clip(repr(value), 100)}"
        )


class DatasetRecord(NamedTuple):
    """The place of an array in its file: byte offset, shape, NumPy dtype string."""

    offset: int
    shape: tuple[int, ...]
    dtype: str

    @property
    def end(self) -> int:
        """The byte after the array."""
        return self.offset + math.prod(self.shape) * _DTYPES[self.dtype]

    def to_json(self) -> list[Any]:
        """Return `[offset, shape, dtype]`."""
        return [self.offset, list(self.shape), self.dtype]

    @classmethod
    def from_json(cls, value: list[Any], file: FileRecord) -> "DatasetRecord":
        """Build the record from its JSON form; refuse an array that is not inside `file`."""
        # Written out, as this takes most of the reading time of a large manifest.
        if type(value) is list and len(value) == 3:
            offset, shape, dtype = value
            end = _DTYPES.get(dtype, 0) if type(dtype) is str else 0
            if end and type(offset) is int and offset >= 0 and type(shape) is list:
                for length in shape:
                    if type(length) is not int or not 0 <= length <= MOST:
                        break
                    end *= length
                else:
                    if offset + end > file.size:
                        raise DamagedStoreError(f"the manifest puts the dataset {value} outside {file.path}")
                    return cls(offset, tuple(shape), dtype)
        raise DamagedStoreError(f"the manifest gives {file.path} the dataset {clip(repr(value), 100)}")
