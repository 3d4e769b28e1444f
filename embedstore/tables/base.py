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

from embedstore.core.checks import check_fields
from embedstore.core.registry import look_up
from embedstore.errors import InputError
from embedstore.tables.formats import FORMATS

__all__ = [
    "BATCH_CHARS",
    "BATCH_ROWS",
    "MISSING",
    "FileFormat",
    "FileSource",
    "ReadOptions",
    "Source",
    "Survey",
    "TextSource",
    "encoding_of",
    "find_format",
    "first_line",
    "open_bytes",
]

BATCH_ROWS = 16_384
BATCH_CHARS = 1 << 24

MISSING = frozenset(
    [
        *("#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN"),
        *("<NA>", "N/A", "NA", "NULL", "NaN", "None", "n/a", "nan", "null"),
    ]
)
"""Words in a cell of CSV, TSV or Excel that mean a missing value, as in `pandas.read_csv`."""

_ALWAYS = ("format", "delimiter", "quoting", "columns", "encoding")
_MARKS = {  # a byte order mark of UTF-32 starts with one of UTF-16
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}


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
    escape : str or None
        Character of CSV that takes the special meaning from the next one; None if the file has none.
    encoding : str
        Text encoding; a UTF-8 byte order mark is skipped, and one of UTF-16 or UTF-32 decides instead of "utf-8".
    missing : tuple of str or None
        CSV cells that mean a missing value, beside the empty cell; None is `MISSING`, the words of pandas.
    sheet : str or None
        Name of the sheet of an Excel file; None is the first.
    """

    format: str | None = None
    delimiter: str | None = None
    quoting: bool = True
    columns: tuple[str, ...] | None = None
    escape: str | None = None
    encoding: str = "utf-8"
    missing: tuple[str, ...] | None = None
    sheet: str | None = None

    def __post_init__(self) -> None:
        check_fields(self)
        if self.format is not None and self.format not in FORMATS:
            raise InputError(f"expected a format of {', '.join(FORMATS)}, found {self.format!r}")
        if self.delimiter is not None and (len(self.delimiter) != 1 or self.delimiter in '"\r\n'):
            raise InputError(f"expected a delimiter of one character, found {self.delimiter!r}")
        if self.escape is not None and (len(self.escape) != 1 or self.escape in '"\r\n'):
            raise InputError(f"expected an escape of one character, such as \\, found {self.escape!r}")
        try:
            codecs.lookup(self.encoding)
        except LookupError as error:
            raise InputError(f"unknown encoding {self.encoding!r}: try utf-8, latin-1 or cp1252") from error

    def describe(self) -> dict[str, Any]:
        """Return the options as a JSON object.

        Stores keep fingerprints of this object from before it had `escape`, `missing` and `sheet`: these are left out
        by default, and no missing words are called False as before.
        """
        said = asdict(self)
        said = {name: value for name, value in said.items() if value is not None or name in _ALWAYS}
        return said if self.missing else {**said, **({"missing": False} if self.missing == () else {})}

    @property
    def missing_words(self) -> frozenset[str]:
        """Cells that mean a missing value, without the empty cell."""
        return (MISSING if self.missing is None else frozenset(self.missing)) - {""}


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
        self._encoding = options.encoding

    @contextmanager
    def _open(self) -> Iterator[IO[str]]:
        try:
            encoding = self._encoding = encoding_of(self._path, self._options)
            with (
                open_bytes(self._path) as raw,
                io.TextIOWrapper(raw, encoding=encoding, newline="") as stream,
            ):
                yield stream
        except UnicodeError as error:
            raise InputError(
                f"{self.name}, line {self._undecodable_line()}: expected {self._encoding.removesuffix('-sig')} text, "
                "found bytes that are not; save the file as UTF-8 or give --encoding (such as latin-1 or cp1252)"
            ) from error
        except (gzip.BadGzipFile, EOFError, OSError) as error:
            raise InputError(f"{self.name} can't be read: {first_line(error)}") from error

    def _undecodable_line(self) -> int:
        decoder = codecs.getincrementaldecoder(self._encoding)()
        ended = 0
        with open_bytes(self._path) as raw:
            for line in raw:
                try:
                    ended += decoder.decode(line).count("\n")
                except UnicodeDecodeError as error:
                    ended += error.object[: error.start].decode(error.encoding, "ignore").count("\n")
                    break
        return ended + 1


def encoding_of(path: Path, options: ReadOptions) -> str:
    """Return the text encoding of a file; a byte order mark decides where the options say "utf-8"."""
    if codecs.lookup(options.encoding).name != "utf-8":
        return options.encoding
    with open_bytes(path) as raw:
        head = raw.read(4)
    return next((name for mark, name in _MARKS.items() if head.startswith(mark)), "utf-8-sig")


def first_line(error: BaseException) -> str:
    """Return the first line of an error's message."""
    return str(error).splitlines()[0] if str(error) else type(error).__name__
