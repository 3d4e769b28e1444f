"""Find the sources for a path, a pipe, a data frame or rows."""

import codecs
import logging
import shutil
import tempfile
import threading
import weakref
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import IO, Any

from embedstore.core.system import explained
from embedstore.errors import InputError, OutputError
from embedstore.tables.arrow import ArrowSource
from embedstore.tables.base import ReadOptions, Source, encoding_of, open_bytes
from embedstore.tables.boundary import GuardedSource, refused
from embedstore.tables.formats import FORMATS, find_format
from embedstore.tables.lance import LanceSource, is_lance
from embedstore.tables.python import table_of

__all__ = ["file_source", "piped_source", "sources_of"]

logger = logging.getLogger(__name__)

_NO_LISTS = (dict, bytes, bytearray)
_LOOKED_UP = 1000  # strings that are looked up as files


def file_source(path: Path, options: ReadOptions, *, name: str, origin: str) -> Source:
    """Return the source that reads `path`; the content of a pipe is copied first, as it can be read only once.

    Raises
    ------
    InputError
        If the file is missing, is a folder, or its format is unknown.
    """
    if not path.exists():
        raise InputError(f"no such file: {name}")
    if path.is_fifo() or path.is_char_device():
        waiting = threading.Timer(1.0, logger.warning, ["waiting for %s: nobody writes to this pipe yet", name])
        waiting.daemon = True
        waiting.start()
        try:
            stream = path.open("rb")
        finally:
            waiting.cancel()
        with stream:
            return piped_source(stream, options, name=name)
    if path.is_dir() and is_lance(path):
        return GuardedSource(LanceSource(path, name, origin), options)
    if not path.is_file():
        raise InputError(f"expected a file, found {'a folder' if path.is_dir() else 'a socket or device'}: {name}")
    return _source(path, options, name, origin)


def piped_source(stream: IO[bytes], options: ReadOptions, *, name: str) -> Source:
    """Return the source that reads a copy of a stream; the copy goes with the source.

    Raises
    ------
    InputError
        If the stream is empty.
    OutputError
        If there is no room for the copy.
    """
    try:
        copy = tempfile.NamedTemporaryFile(prefix="embedstore-", suffix=_suffix(name))  # noqa: SIM115 (see finalize)
        shutil.copyfileobj(stream, copy)
        copy.flush()
    except OSError as error:
        action = f"can't keep {name} (TMPDIR says where) in"
        plain = OSError(error.errno, error.strerror)
        raise OutputError(explained(plain, tempfile.gettempdir(), action=action)) from error
    if not copy.tell():
        raise InputError(f"{name} is empty: expected a table")
    source = _source(Path(copy.name), options, name, "")
    weakref.finalize(source, copy.close)
    return source


def _source(path: Path, options: ReadOptions, name: str, origin: str) -> Source:
    suffixes = {suffix: name for name, entry in FORMATS.items() for suffix in entry.reads}
    format_ = options.format or suffixes.get(_suffix(path.name)) or (None if origin else _sniff(path, name, options))
    if format_ is None:
        known = ", ".join(suffixes)
        raise InputError(
            f"{name}: can't tell the format from the name; expected {known} (or .gz of these), or give --format"
        )
    return GuardedSource(find_format(format_).source(path, name, origin, options), options)


def _suffix(name: str) -> str:
    path = Path(name.lower())
    return (path.with_suffix("") if path.suffix == ".gz" else path).suffix


def _sniff(path: Path, name: str, options: ReadOptions) -> str:
    with refused(name), open_bytes(path, name, options) as stream:
        head = stream.read(4096)
    if head.startswith(b"PAR1"):
        return "parquet"
    if head.startswith((b"PK\x03\x04", b"\xd0\xcf\x11\xe0")):
        return "excel"
    text = codecs.decode(head, encoding_of(path, name, options), "ignore").lstrip()
    return "jsonl" if text.startswith(("{", "[")) else "csv"


def sources_of(table: Any, options: ReadOptions, *, column: str = "text") -> list[Source]:
    """Return the sources for a user's table: rows in memory, or paths of files.

    Parameters
    ----------
    table : object
        A path, paths, sources, or what `table_of` takes.
    options : ReadOptions
        Options for files.
    column : str
        Name of the column if `table` is a list of texts.

    Raises
    ------
    InputError
        If `table` is neither.
    """
    if isinstance(table, str | Path):
        path = Path(table)
        return [file_source(path, options, name=str(path), origin=str(path.resolve()))]
    if type(table).__module__ in ("builtins", "itertools") and not isinstance(table, _NO_LISTS):
        table = list(table) if isinstance(table, Iterable) else table
    if isinstance(table, list) and table:
        if all(hasattr(one, "survey") for one in table):
            return table
        if all(isinstance(one, str | Path) for one in table) and _are_paths(table):
            return [source for path in table for source in sources_of(path, options)]
    with refused("the table"):
        whole = table_of(table, column, options)
    return [GuardedSource(ArrowSource(whole), options)]


def _are_paths(given: Sequence[str | Path]) -> bool:
    """Return whether strings are paths of files rather than texts; an `InputError` if some are."""
    suffixes = {suffix for entry in FORMATS.values() for suffix in entry.reads}
    named = [isinstance(one, Path) or _suffix(one) in suffixes for one in given]
    if all(named):
        return True
    given = given[:_LOOKED_UP]
    there = [one for one in given if isinstance(one, Path) or (len(one) < 256 and Path(one).is_file())]
    if there and len(there) < len(given):
        odd = next(one for one in given if one not in there)
        raise InputError(f"expected only paths of files or only texts, found the file {str(there[0])!r} and {odd!r}")
    return bool(there)
