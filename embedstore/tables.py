"""Tables in: CSV, TSV, JSONL, Parquet and Arrow tables, read in batches of bounded size.

A source is read twice: a survey counts rows and finds column types, then batches are read. Nothing here
holds a whole file.
"""

import codecs
import csv
import gzip
import hashlib
import io
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any, Literal, Protocol, get_args

import pyarrow as pa
import pyarrow.compute as pc

from embedstore.errors import InputError

__all__ = ["MISSING", "ArrowSource", "ReadOptions", "Source", "Survey", "file_source"]

Format = Literal["csv", "tsv", "jsonl", "parquet"]

MISSING = frozenset(
    "|#N/A|#N/A N/A|#NA|-1.#IND|-1.#QNAN|-NaN|-nan|1.#IND|1.#QNAN|<NA>|N/A|NA|NULL|NaN|None|n/a|nan|null".split("|")
)
"""Cells of a CSV or TSV file that stand for a missing value: those of `pandas.read_csv`."""

_SUFFIXES: dict[str, Format] = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".tab": "tsv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
    ".pq": "parquet",
}
_BATCH_ROWS = 16_384
_BATCH_CHARS = 1 << 24
_INTEGER = r"^(?:0|-?[1-9][0-9]{0,17})$"  # canonical, so that 007 and +1 stay text and come out as they went in
_FLOAT = r"^[+-]?(?:(?:0|[1-9][0-9]*)(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?$|^[+-]?inf$"
_BOOLEAN = r"^(?:True|False)$"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadOptions:
    """How files are read.

    Parameters
    ----------
    format : {"csv", "tsv", "jsonl", "parquet"} or None
        None goes by the file's suffix (before ``.gz``), and by its first bytes for standard input.
    delimiter : str or None
        Field separator of CSV; None is "," for csv and a tab for tsv.
    quoting : bool
        Whether ``"`` quotes fields; without, it is a character like any other.
    columns : tuple of str or None
        Column names of a file without a header line.
    encoding : str
        Text encoding; a UTF-8 byte order mark is skipped.
    """

    format: Format | None = None
    delimiter: str | None = None
    quoting: bool = True
    columns: tuple[str, ...] | None = None
    encoding: str = "utf-8"

    def __post_init__(self) -> None:
        if self.format is not None and self.format not in get_args(Format):
            raise InputError(f"expected a format of {', '.join(get_args(Format))}, found {self.format!r}")
        if self.delimiter is not None and (len(self.delimiter) != 1 or self.delimiter in '"\r\n'):
            raise InputError(f"expected a delimiter of one character, found {self.delimiter!r}")
        try:
            codecs.lookup(self.encoding)
        except LookupError as error:
            raise InputError(f"unknown encoding {self.encoding!r}: try utf-8, latin-1 or cp1252") from error

    def describe(self) -> dict[str, Any]:
        """Return the options as a JSON object."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Survey:
    """What a first pass found: row count, and the type of each column in order."""

    rows: int
    schema: pa.Schema


class Source(Protocol):
    """A table that can be surveyed, then read in batches."""

    name: str
    """What messages call it."""
    origin: str
    """Path of the file, or "" for a table without one."""

    def digest(self) -> str:
        """Return the SHA-256 of the content, as 64 hex digits."""
        ...

    def survey(self) -> Survey:
        """Read everything once; return the row count and the column types."""
        ...

    def batches(self, schema: pa.Schema) -> Iterator[tuple[pa.Table, pa.Table]]:
        """Yield runs of rows twice: as written in the file (for texts), and typed as `schema`."""
        ...


class ArrowSource:
    """An Arrow table in memory: what pandas frames and Python rows become."""

    def __init__(self, table: pa.Table, *, name: str = "the table") -> None:
        self.name = name
        self.origin = ""
        self._table = table

    def digest(self) -> str:
        """Return the SHA-256 of the table's Arrow stream."""
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, self._table.schema) as writer:
            writer.write_table(self._table)
        return hashlib.sha256(sink.getvalue()).hexdigest()

    def survey(self) -> Survey:
        """Return row count and schema."""
        return Survey(self._table.num_rows, self._table.schema)

    def batches(self, schema: pa.Schema) -> Iterator[tuple[pa.Table, pa.Table]]:
        """Yield slices of the table."""
        for start in range(0, self._table.num_rows, _BATCH_ROWS):
            part = self._table.slice(start, _BATCH_ROWS)
            yield part, part


def file_source(path: Path, options: ReadOptions, *, name: str, origin: str) -> Source:
    """Return the source that reads `path`.

    Raises
    ------
    InputError
        If the file is missing, is no file, is empty, or has a format that nothing says.
    """
    if not path.exists():
        raise InputError(f"no such file: {name}")
    if not path.is_file():
        raise InputError(f"expected a file, found a folder: {name}")
    format_ = options.format or _SUFFIXES.get(_suffix(path.name)) or (None if origin else _sniff(path))
    if format_ is None:
        known = ", ".join(_SUFFIXES)
        raise InputError(f"{name}: can't tell the format from the name; expected {known} (or .gz of these), or give --format")
    if format_ == "parquet":
        return _ParquetSource(path, name, origin)
    if format_ == "jsonl":
        return _JsonSource(path, name, origin, options)
    return _DelimitedSource(path, name, origin, options, "\t" if format_ == "tsv" else ",")


def _suffix(name: str) -> str:
    path = Path(name.lower())
    return (path.with_suffix("") if path.suffix == ".gz" else path).suffix


def _sniff(path: Path) -> Format:
    with _open_bytes(path) as stream:
        head = stream.read(4096).removeprefix(codecs.BOM_UTF8).lstrip()
    if head.startswith(b"PAR1"):
        return "parquet"
    return "jsonl" if head.startswith((b"{", b"[")) else "csv"


@contextmanager
def _open_bytes(path: Path) -> Iterator[IO[bytes]]:
    with path.open("rb") as raw:
        packed = raw.read(2) == b"\x1f\x8b"
        raw.seek(0)
        yield gzip.GzipFile(fileobj=raw) if packed else raw  # type: ignore[misc]


class _FileSource:
    def __init__(self, path: Path, name: str, origin: str) -> None:
        self.name = name
        self.origin = origin
        self._path = path

    def digest(self) -> str:
        with self._path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()


class _ParquetSource(_FileSource):
    def survey(self) -> Survey:
        with self._open() as file:
            return Survey(file.metadata.num_rows, file.schema_arrow.remove_metadata())

    def batches(self, schema: pa.Schema) -> Iterator[tuple[pa.Table, pa.Table]]:
        with self._open() as file:
            try:
                for batch in file.iter_batches(batch_size=_BATCH_ROWS):
                    table = pa.Table.from_batches([batch]).replace_schema_metadata(None)
                    yield table, table
            except (pa.ArrowException, OSError) as error:
                raise InputError(f"{self.name} is damaged: {_first_line(error)}") from error

    def _open(self) -> Any:
        from pyarrow import parquet

        try:
            return parquet.ParquetFile(self._path)
        except (pa.ArrowException, OSError) as error:
            raise InputError(f"{self.name} is not a Parquet file: {_first_line(error)}") from error


class _TextSource(_FileSource):
    def __init__(self, path: Path, name: str, origin: str, options: ReadOptions) -> None:
        super().__init__(path, name, origin)
        self._options = options

    @contextmanager
    def _open(self) -> Iterator[IO[str]]:
        encoding = self._options.encoding
        if codecs.lookup(encoding).name == "utf-8":
            encoding = "utf-8-sig"
        try:
            with _open_bytes(self._path) as raw, io.TextIOWrapper(raw, encoding=encoding, newline="") as stream:
                yield stream
        except UnicodeDecodeError as error:
            raise InputError(
                f"{self.name}, line {self._undecodable_line()}: expected {self._options.encoding} text, found bytes "
                "that are not; save the file as UTF-8 or give --encoding (such as latin-1 or cp1252)"
            ) from error
        except (gzip.BadGzipFile, EOFError, OSError) as error:
            raise InputError(f"{self.name} can't be read: {_first_line(error)}") from error

    def _undecodable_line(self) -> int:
        decoder = codecs.getincrementaldecoder(self._options.encoding)()
        with _open_bytes(self._path) as raw:
            number = 0
            for number, line in enumerate(raw, start=1):
                try:
                    decoder.decode(line)
                except UnicodeDecodeError:
                    break
            return number


class _DelimitedSource(_TextSource):
    def __init__(self, path: Path, name: str, origin: str, options: ReadOptions, delimiter: str) -> None:
        super().__init__(path, name, origin, options)
        self._delimiter = options.delimiter or delimiter

    def survey(self) -> Survey:
        rows = 0
        names: list[str] = []
        candidates: list[list[str]] = []
        seen: list[bool] = []
        for table in self._raw():
            if not names:
                names = table.column_names
                candidates = [[_INTEGER, _FLOAT, _BOOLEAN] for _ in names]
                seen = [False] * len(names)
            rows += table.num_rows
            for column, (name, patterns) in enumerate(zip(names, candidates, strict=True)):
                values = table.column(name).drop_null()
                seen[column] = seen[column] or len(values) > 0
                candidates[column] = [p for p in patterns if pc.all(pc.match_substring_regex(values, p)).as_py() in (True, None)]
        if not rows:
            raise InputError(f"{self.name} has no rows: expected a header line and at least one row")
        types = {_INTEGER: pa.int64(), _FLOAT: pa.float64(), _BOOLEAN: pa.bool_()}
        fields = [
            pa.field(name, types[patterns[0]] if patterns and some else pa.string())
            for name, patterns, some in zip(names, candidates, seen, strict=True)
        ]
        return Survey(rows, pa.schema(fields))

    def batches(self, schema: pa.Schema) -> Iterator[tuple[pa.Table, pa.Table]]:
        for table in self._raw():
            yield table, table.cast(schema)

    def _raw(self) -> Iterator[pa.Table]:
        # The csv module, not Arrow's reader: it names the line of a fault and takes a row of any size.
        csv.field_size_limit(sys.maxsize)
        with self._open() as stream:
            lines = _Lines(stream)
            quoting = csv.QUOTE_MINIMAL if self._options.quoting else csv.QUOTE_NONE
            reader = csv.reader(lines, delimiter=self._delimiter, quoting=quoting)
            names = self._names(reader)
            rows: list[list[str]] = []
            chars = 0
            start = reader.line_num + 1
            for row in reader:
                if lines.ended_early:
                    raise InputError(
                        f"{self.name}, line {start}: a quoted field begins there and never ends; close the quote, or give "
                        '--no-quoting if " is an ordinary character in this file'
                    )
                if len(row) != len(names):
                    if not row:
                        continue
                    raise InputError(
                        f"{self.name}, line {start}: expected {len(names)} fields as in the header, found {len(row)}; "
                        "mend that line, or give --delimiter or --no-quoting if the file is of that kind"
                    )
                start = reader.line_num + 1
                rows.append(row)
                chars += sum(map(len, row))
                if len(rows) == _BATCH_ROWS or chars > _BATCH_CHARS:
                    yield _string_table(names, rows)
                    rows, chars = [], 0
            if rows:
                yield _string_table(names, rows)

    def _names(self, reader: Any) -> list[str]:
        if self._options.columns:
            return list(self._options.columns)
        header = next((row for row in reader if row), None)
        if header is None:
            raise InputError(f"{self.name} is empty: expected a header line and at least one row")
        names: list[str] = []
        for position, name in enumerate(header):  # named as pandas.read_csv names them
            base = candidate = name or f"Unnamed: {position}"
            repeat = 0
            while candidate in names:
                repeat += 1
                candidate = f"{base}.{repeat}"
            names.append(candidate)
        return names


class _Lines:
    """Lines of a stream; knows when the csv reader asked for one more line inside a quoted field."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream
        self.ended_early = False

    def __iter__(self) -> Iterator[str]:
        yield from self._stream
        self.ended_early = True


def _string_table(names: list[str], rows: list[list[str]]) -> pa.Table:
    columns = [pa.array([None if v in MISSING else v for v in column], pa.string()) for column in zip(*rows, strict=True)]
    return pa.table(columns, names=names)


class _JsonSource(_TextSource):
    def survey(self) -> Survey:
        rows = 0
        kinds: dict[str, set[type]] = {}
        for batch in self._raw():
            rows += len(batch)
            for row in batch:
                for name, value in row.items():
                    kinds.setdefault(name, set()).add(_kind(value))
        if not rows:
            raise InputError(f"{self.name} is empty: expected one JSON object per line")
        return Survey(rows, pa.schema([pa.field(name, _json_type(found)) for name, found in kinds.items()]))

    def batches(self, schema: pa.Schema) -> Iterator[tuple[pa.Table, pa.Table]]:
        for batch in self._raw():
            table = pa.table([_json_column(batch, field) for field in schema], schema=schema)
            yield table, table

    def _raw(self) -> Iterator[list[dict[str, Any]]]:
        with self._open() as stream:
            batch: list[dict[str, Any]] = []
            chars = 0
            for number, line in self._rows(stream):
                if not isinstance(line, dict):
                    raise InputError(f"{self.name}, line {number}: expected a JSON object, found {type(line).__name__}")
                batch.append(line)
                chars += sum(len(v) for v in line.values() if isinstance(v, str))
                if len(batch) == _BATCH_ROWS or chars > _BATCH_CHARS:
                    yield batch
                    batch, chars = [], 0
            if batch:
                yield batch

    def _rows(self, stream: IO[str]) -> Iterator[tuple[int, Any]]:
        for number, line in enumerate(stream, start=1):
            if number == 1 and line.lstrip().startswith("["):  # one array instead of lines
                content = self._parse(line + stream.read(), number)
                yield from ((number, row) for row in content)
                return
            if line.strip():
                yield number, self._parse(line, number)

    def _parse(self, text: str, number: int) -> Any:
        try:
            return json.loads(text)
        except (json.JSONDecodeError, RecursionError) as error:
            raise InputError(f"{self.name}, line {number}: expected one JSON object per line, found {_first_line(error)}") from error


def _kind(value: object) -> type:
    if isinstance(value, int) and not isinstance(value, bool) and not -(2**63) <= value < 2**63:
        return str
    return type(value)


def _json_type(kinds: set[type]) -> pa.DataType:
    kinds = kinds - {type(None)}
    for members, type_ in (({bool}, pa.bool_()), ({int}, pa.int64()), ({int, float}, pa.float64())):
        if kinds and kinds <= members:
            return type_
    return pa.string()


def _json_column(batch: list[dict[str, Any]], field: pa.Field) -> pa.Array:
    values = [row.get(field.name) for row in batch]
    if pa.types.is_string(field.type):
        values = [v if v is None or isinstance(v, str) else json.dumps(v, ensure_ascii=False) for v in values]
        try:
            return pa.array(values, pa.string())
        except UnicodeEncodeError as error:
            raise InputError(
                f"column {field.name!r} holds half of a surrogate pair ({error.object[error.start]!r}), which is no text"
            ) from error
    return pa.array(values, field.type)


def _first_line(error: BaseException) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__
