"""The protocols of sources and file formats, and the opening and decoding of files."""

import codecs
import hashlib
import io
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, NamedTuple, Protocol

import pyarrow as pa

from embedstore.core.checks import at_least, check_fields
from embedstore.core.counts import counted
from embedstore.core.values import clip
from embedstore.errors import InputError
from embedstore.tables.formats import FORMATS

if TYPE_CHECKING:
    from gzip import GzipFile

__all__ = [
    "BATCH_CHARS",
    "BATCH_ROWS",
    "FREE_BYTES",
    "MISSING",
    "VALUE_WEIGHT",
    "FileFormat",
    "FileSource",
    "ReadOptions",
    "Source",
    "Survey",
    "TextSource",
    "encoding_of",
    "open_bytes",
    "too_much",
]

BATCH_ROWS = 16_384
BATCH_CHARS = 1 << 24
VALUE_WEIGHT = 64  # characters that a value counts beside its own: what Python and Arrow take for the smallest
FREE_BYTES = 1_000_000_000  # that any compressed file may become

MISSING = frozenset(
    [
        *("#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN"),
        *("<NA>", "N/A", "NA", "NULL", "NaN", "None", "n/a", "nan", "null"),
    ]
)
"""Words in a cell of CSV, TSV or Excel that mean a missing value, as in `pandas.read_csv`."""

_ALWAYS = ("format", "delimiter", "quoting", "columns", "encoding")
_CAPS = ("max_cell", "max_row", "max_columns", "max_depth", "max_expansion")
_MOST_COLUMNS = 500_000  # Parquet's readers refuse a file of a million
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
    max_cell : int
        Most characters of a cell; of Parquet, bytes.
    max_row : int
        Most characters of a line or row, each value of JSON counted as 64 more.
    max_columns : int
        Most columns of a table, and keys of a JSON object.
    max_depth : int
        Most lists and objects of JSON inside one another.
    max_expansion : int
        How many times as large as its file a compressed table may become, beyond 1 GB.
    """

    format: str | None = None
    delimiter: str | None = None
    quoting: bool = True
    columns: tuple[str, ...] | None = None
    escape: str | None = None
    encoding: str = "utf-8"
    missing: tuple[str, ...] | None = None
    sheet: str | None = None
    max_cell: int = 64_000_000
    max_row: int = 128_000_000
    max_columns: int = 20_000
    max_depth: int = 100
    max_expansion: int = 200

    def __post_init__(self) -> None:
        check_fields(self)
        if self.format is not None and self.format not in FORMATS:
            raise InputError(f"expected a format of {', '.join(FORMATS)}, found {self.format!r}")
        if self.delimiter is not None and (len(self.delimiter) != 1 or self.delimiter in '"\r\n'):
            raise InputError(f"expected a delimiter of one character, found {self.delimiter!r}")
        if self.escape is not None and (len(self.escape) != 1 or self.escape in '"\r\n'):
            raise InputError(f"expected an escape of one character, such as \\, found {self.escape!r}")
        for cap in _CAPS:
            at_least(cap, getattr(self, cap), 1)
        if self.max_columns > _MOST_COLUMNS:
            raise InputError(f"expected max_columns of at most {_MOST_COLUMNS:,}, found {self.max_columns:,}")
        try:
            io.TextIOWrapper(io.BytesIO(), encoding=self.encoding)  # codecs has some that are not of text
        except (LookupError, ValueError) as error:
            raise InputError(f"unknown encoding {self.encoding!r}: try utf-8, latin-1 or cp1252") from error

    def describe(self) -> dict[str, Any]:
        """Return the options as a JSON object.

        Stores keep fingerprints of this object from before it had `escape`, `missing` and `sheet`: these are left out
        by default, and no missing words are called False as before. The caps decide whether a file is read and not how,
        so they are no part of it.
        """
        said = asdict(self)
        said = {
            name: value for name, value in said.items() if name not in _CAPS and (value is not None or name in _ALWAYS)
        }
        return said if self.missing else {**said, **({"missing": False} if self.missing == () else {})}

    @property
    def missing_words(self) -> frozenset[str]:
        """Cells that mean a missing value, without the empty cell."""
        return (MISSING if self.missing is None else frozenset(self.missing)) - {""}


class Survey(NamedTuple):
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


def too_much(where: str, most: str, found: str, cap: str) -> InputError:
    """Return the error for a table that is larger in some way than a cap allows.

    Parameters
    ----------
    where : str
        The table, and the place in it.
    most, found : str
        What is allowed and what was found, with their nouns.
    cap : str
        The option that raises the cap, without ``--max-``.
    """
    return InputError(
        f"{where}: expected at most {most}, found {found}: check the file, and give a larger --max-{cap} if it is right"
    )


@contextmanager
def open_bytes(path: Path, name: str, options: ReadOptions) -> Iterator[IO[bytes]]:
    """Open a file for reading; decompress it if its first bytes are those of gzip.

    Raises
    ------
    InputError
        While it is read, where it becomes larger than `options` allow.
    """
    with path.open("rb") as raw:
        packed = raw.read(2) == b"\x1f\x8b"
        raw.seek(0)
        if packed:
            from gzip import GzipFile

            yield io.BufferedReader(_Expanded(GzipFile(fileobj=raw), path.stat().st_size, name, options), 1 << 16)
        else:
            yield raw


class _Expanded(io.RawIOBase):
    """The content of a compressed file, which ends in an error where it becomes too large."""

    def __init__(self, content: "GzipFile", size: int, name: str, options: ReadOptions) -> None:
        super().__init__()
        self._content = content
        self._most = FREE_BYTES + options.max_expansion * size
        self._taken = 0
        self._name = name

    def readable(self) -> bool:
        """Say that this can be read."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Read the next bytes into a buffer; return their number."""
        taken = self._content.readinto(buffer)
        self._taken += taken
        if self._taken > self._most:
            raise too_much(self._name, f"{counted(self._most, 'byte')} decompressed", "more", "expansion")
        return taken


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
        self._line = 0

    @property
    def place(self) -> str:
        """The line that was read last."""
        return f"line {self._line}" if self._line else ""

    @contextmanager
    def _open(self) -> Iterator[IO[str]]:
        self._line = 0
        try:
            encoding = self._encoding = encoding_of(self._path, self.name, self._options)
            with (
                open_bytes(self._path, self.name, self._options) as raw,
                io.TextIOWrapper(raw, encoding=encoding, newline="") as stream,
            ):
                yield stream
        except UnicodeDecodeError as error:
            raise InputError(
                f"{self.name}, line {self._undecodable_line()}: expected {self._encoding.removesuffix('-sig')} text, "
                "found bytes that are not; save the file as UTF-8 or give --encoding (such as latin-1 or cp1252)"
            ) from error

    def _lines(self, stream: IO[str]) -> Iterator[str]:
        """Yield the lines; one that is longer than a row may be comes in pieces, of which the first is too long."""
        for line in iter(partial(stream.readline, self._options.max_row + 1), ""):
            self._line += 1
            yield line

    def _too_long(self) -> InputError:
        most = counted(self._options.max_row, "character")
        return too_much(f"{self.name}, {self.place}", f"{most} in a row", "more", "row")

    def _check_cell(self, size: int, column: str) -> None:
        """Refuse a cell that is too large."""
        if size > self._options.max_cell:
            raise too_much(
                f"{self.name}, {self.place}",
                f"{counted(self._options.max_cell, 'character')} in a cell",
                f"{size:,} in column {clip(column, 60)!r}",
                "cell",
            )

    def _undecodable_line(self) -> int:
        decoder = codecs.getincrementaldecoder(self._encoding)()
        ended = 0
        with open_bytes(self._path, self.name, self._options) as raw:
            for block in iter(partial(raw.read, 1 << 16), b""):
                try:
                    ended += decoder.decode(block).count("\n")
                except UnicodeDecodeError as error:
                    ended += error.object[: error.start].decode(error.encoding, "ignore").count("\n")
                    break
        return ended + 1


def encoding_of(path: Path, name: str, options: ReadOptions) -> str:
    """Return the text encoding of a file; a byte order mark decides where the options say "utf-8"."""
    if codecs.lookup(options.encoding).name != "utf-8":
        return options.encoding
    with open_bytes(path, name, options) as raw:
        head = raw.read(4)
    return next((name for mark, name in _MARKS.items() if head.startswith(mark)), "utf-8-sig")
