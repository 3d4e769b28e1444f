"""Read a checkpoint's files at one boundary: whatever a parser raises becomes a `CheckpointError` of one line."""

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from embedstore.core.counts import counted
from embedstore.core.parsing import caused_by_data, first_line
from embedstore.errors import CheckpointError, EmbedstoreError

__all__ = ["file_hash", "read_json", "refusals", "regular"]

_LONGEST = 32_000_000  # bytes of a configuration or an index; those of the largest models have a tenth


@contextmanager
def refusals(what: str, advice: str = "download the checkpoint again") -> Iterator[None]:
    """Turn any error inside but our own into a `CheckpointError` that begins with `what`.

    The parsers are those of JSON, NumPy, safetensors, tokenizers, transformers and Keras, and their errors have many
    types.
    """
    try:
        yield
    except EmbedstoreError:
        raise
    except BaseException as error:
        if not caused_by_data(error):
            raise
        raise CheckpointError(f"{what} ({first_line(error)}): {advice}") from error


def regular(path: Path) -> Path:
    """Return the path of a file; links are followed, as the hub's cache has links.

    Raises
    ------
    CheckpointError
        If it is a pipe, a device or a folder: to read it could wait for ever.
    """
    if path.exists() and not path.is_file():
        raise CheckpointError(f"expected a file at {path}, found something else: download the checkpoint again")
    return path


def file_hash(path: Path) -> str:
    """Return the SHA-256 of a file, as 64 hex digits; see `regular` for which files are read."""
    with regular(path).open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def read_json(path: Path, default: Any) -> Any:
    """Return the content of a JSON file, which has the type of `default`; a missing file gives `default`.

    Raises
    ------
    CheckpointError
        If the file can't be read, is no JSON, or has another type.
    """
    with refusals(f"{path} can't be read"):
        try:
            with regular(path).open("rb") as stream:
                content = stream.read(_LONGEST + 1)
        except FileNotFoundError:
            return default
        if len(content) > _LONGEST:
            raise ValueError(f"expected at most {counted(_LONGEST, 'byte')}")
        found = json.loads(content.decode("utf-8"))
        if not isinstance(found, type(default)):
            raise ValueError(f"expected {type(default).__name__} in it, found {type(found).__name__}")
    return found
