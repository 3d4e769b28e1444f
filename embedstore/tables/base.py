"""The protocols of sources and file formats, and the opening and decoding of files."""

import codecs
import gzip
import hashlib
import io
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any, Protocol

import pyarrow as pa

from embedstore.core.registry import look_up
from embedstore.errors import InputError
from embedstore.tables.formats import FORMATS

__all__ = [
    "BATCH_CHARS",
    "BATCH_ROWS",
    "FileFormat",
    "FileSource",
    "ReadOptions",
    "Source",
    "Survey",
    "TextSource",
    "find_format",
    "first_line",
    "open_bytes",
]

BATCH_ROWS = 16_384
BATCH_CHARS = 1 << 24


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadOptions:
    """Options for reading files.

    Parameters
    ----------
    format : {"csv", "tsv", "jsonl", "parquet"} or None
        None uses the file's suffix (before ``.gz``), or the first bytes of standard input.
    delimiter : str or None
        Field separator of CSV; None is "," for csv and a tab for tsv.
    quoting : bool
        Whether ``"`` quotes fields; if False, it is an ordinary character.
    columns : tuple of str or None
        Column names of a file without a header line.
    encoding : str
        Text encoding; a UTF-8 byte order mark is skipped.
    missing : bool
        Whether CSV cells such as NA and null mean a missing value, as in pandas.
    """

    format: str | None = None
    delimiter: str | None = None
    quoting: bool = True
    columns: tuple[str, ...] | None = None
    encoding: str = "utf-8"
    missing: bool = True

    def __post_init__(self) -> None:
        if self.format is not None and self.format not in FORMATS:
            raise InputError(f"expected a format of {', '.join(FORMATS)}, found {self.format!r}")
        if self.delimiter is not None and (len(self.delimiter) != 1 or self.delimiter in '"\r\n'):
            raise InputError(f"expected a delimiter of one character, found {self.delimiter!r}")
        try:
            codecs.lookup(self.encoding)
        except LookupError as error:
            raise InputError(f"unknown encoding {self.encoding!r}: try utf-8, latin-1 or cp1252") from error

    def describe(self) -> dict[str, Any]:
        """Return the options as a JSON object.

        `missing` is left out if it is True: stores keep fingerprints of this object from before `missing` existed.
        """
        said = asdict(self)
        return {name: value for name, value in said.items() if name != "missing" or not value}


@dataclass(frozen=True, slots=True)
class Survey:
    """The result of the first pass: the row count, and the type of each column in order."""

    rows: int
    schema: pa.Schema


class Source(Protocol):
    """A table that can be surveyed, then read in batches."""

    name: str
    """The name in error messages."""
    origin: str
    """The path of the file, or "" for a table without a file."""

    def digest(self) -> str:
        """Return the SHA-256 of the content, as 64 hex digits."""
        ...

    def survey(self) -> Survey:
        """Read all rows once; return the row count and the column types."""
        ...

    def batches(self, schema: pa.Schema) -> Iterator[tuple[pa.Table, pa.Table]]:
        """Yield each batch of rows as two tables: as written in the file (for texts), and typed as `schema`."""
        ...


class FileFormat(Protocol):
    """A reader and writer of files of one format."""

    def source(self, path: Path, name: str, origin: str, options: ReadOptions) -> Source:
        """Return a source for the file at `path`; messages show `name`, and a store records `origin`."""
        ...

    def write(self, tables: Iterable[pa.Table], schema: pa.Schema, path: Path) -> None:
        """Write tables of one schema, in order, to the file `path`."""
        ...


def find_format(name: str) -> FileFormat:
    """Return the format with the given name in `FORMATS`."""
    found: FileFormat = look_up({known: entry.home for known, entry in FORMATS.items()}, name, "a format")
    return found


@contextmanager
def open_bytes(path: Path) -> Iterator[IO[bytes]]:
    """Open a file for reading; decompress it if its first bytes are those of gzip."""
    with path.open("rb") as raw:
        packed = raw.read(2) == b"\x1f\x8b"
        raw.seek(0)
        yield gzip.GzipFile(fileobj=raw) if packed else raw  # type: ignore[misc]


class FileSource:
    """A source with a path; its digest is over the file's bytes, before decompression."""

    def __init__(self, path: Path, name: str, origin: str) -> None:
        self.name = name
        self.origin = origin
        self._path = path

    def digest(self) -> str:
        """Return the SHA-256 of the file's bytes, as 64 hex digits."""
        with self._path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()


class TextSource(FileSource):
    """A text file, decompressed and decoded; its errors name the line."""

    def __init__(self, path: Path, name: str, origin: str, options: ReadOptions) -> None:
        super().__init__(path, name, origin)
        self._options = options

    @contextmanager
    def _open(self) -> Iterator[IO[str]]:
        encoding = self._options.encoding
        if codecs.lookup(encoding).name == "utf-8":
            encoding = "utf-8-sig"
        try:
            with (
                open_bytes(self._path) as raw,
                io.TextIOWrapper(raw, encoding=encoding, newline="") as stream,
            ):
                yield stream
        except UnicodeDecodeError as error:
            raise InputError(
                f"{self.name}, line {self._undecodable_line()}: expected {self._options.encoding} text, found bytes "
                "that are not; save the file as UTF-8 or give --encoding (such as latin-1 or cp1252)"
            ) from error
        except (gzip.BadGzipFile, EOFError, OSError) as error:
            raise InputError(f"{self.name} can't be read: {first_line(error)}") from error

    def _undecodable_line(self) -> int:
        decoder = codecs.getincrementaldecoder(self._options.encoding)()
        with open_bytes(self._path) as raw:
            lines = 0
            for lines, line in enumerate(raw, start=1):  # noqa: B007
                try:
                    decoder.decode(line)
                except UnicodeDecodeError:
                    break
            return lines


def first_line(error: BaseException) -> str:
    """Return the first line of an error's message."""
    return str(error).splitlines()[0] if str(error) else type(error).__name__
