"""Libraries of C functions, which an installation compiles where there is a compiler."""

import ctypes
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

__all__ = ["compiled_library"]


def compiled_library(folder: Path, name: str) -> ctypes.CDLL | None:
    """Open the library `name` of a folder; return None if it was not built, or can't be loaded here."""
    for path in (folder / f"{name}{suffix}" for suffix in EXTENSION_SUFFIXES):
        try:
            return ctypes.CDLL(str(path))
        except OSError:
            continue
    return None
