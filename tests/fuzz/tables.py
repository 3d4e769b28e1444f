"""Readers of tables: the first byte of an input chooses the options, the rest is the file (or the rows)."""

import atexit
import datetime
import decimal
import gzip
import io
import json
import shutil
import tempfile
import uuid
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from fuzz import Target
from pyarrow import parquet

from embedstore.core.settings import Home
from embedstore.corpora.ingest import add
from embedstore.corpora.templates import Template
from embedstore.corpora.writer import keys_of
from embedstore.tables import ReadOptions, Source, file_source, sources_of
from embedstore.tables.columns import is_text

_MEMORY = Path("/dev/shm")
_PLACE = Path(tempfile.mkdtemp(prefix="embedstore-fuzz-", dir=_MEMORY if _MEMORY.is_dir() else None))
atexit.register(shutil.rmtree, _PLACE, ignore_errors=True)

_SMALL = {"max_cell": 50, "max_row": 400, "max_columns": 5, "max_depth": 3, "max_expansion": 1}
_CELLS: list[dict[str, Any]] = [
    {},
    _SMALL,
    {"delimiter": ";", "escape": "\\"},
    {"quoting": False, "missing": ("x", "")},
    {"columns": ("text", "n")},
    {"encoding": "utf-16"},
    {"encoding": "cp1252", "missing": ()},
    {"delimiter": "\t", "escape": "x", "quoting": False},
]
_KEYS: list[dict[str, Any]] = [{}, _SMALL, {"encoding": "utf-32"}, {"encoding": "latin-1"}]
_STORED = 250  # from this first byte on, a store is made


def _taken(source: Source, stored: bool) -> None:
    """Go as far with a source as `add` does; make a store if so said."""
    survey = source.survey()
    names = survey.schema.names
    rows = 0
    for chosen in [names[:2], names[-1:]]:
        template = Template.choose(chosen, names)
        for raw, typed in source.batches(survey.schema):
            typed.validate(full=True)
            assert typed.schema.equals(survey.schema), (typed.schema, survey.schema)
            keys_of(template.fill(raw))
            rows += typed.num_rows
    assert rows == 2 * survey.rows, (rows, survey)
    text = [field.name for field in survey.schema if is_text(field.type)]
    if stored and text:
        root = _PLACE / "store"
        try:
            add(Home(root), [source], text=text[:1])
        finally:
            shutil.rmtree(root, ignore_errors=True)


def _file(suffix: str, options: list[dict[str, Any]]) -> Callable[[bytes], None]:
    path = _PLACE / f"table{suffix}"

    def read(content: bytes) -> None:
        first = content[0] if content else 0
        path.write_bytes(content[1:])
        chosen = ReadOptions(**options[first % len(options)])
        _taken(file_source(path, chosen, name="table", origin="here"), first >= _STORED)

    return read


def _csv() -> list[bytes]:
    table = b'text,n,b\n"a ""quoted"", one",1,True\nNA,2.5,False\n\n"two\nlines",-3,\xc3\xa9\n'
    seeds = [bytes([first]) + table for first in (0, 1, 3, 6, 248, 250)]
    seeds += [b"\x00sep=;\r\ntext;n\r\na;1\r\n", b'\x02text;n\na \\"b;1\n', b"\x04a,1\nb,2\n"]
    seeds += [b"\x00" + "text,n\ncaffè,1\n".encode("utf-16"), b"\x05" + "text,n\ncaffè,1\n".encode("utf-16")]
    return [*seeds, b"\x00a,a,,a.1\n1,2,3,4\n", b"\x07text\tn\nax\tb\t1\n"]


def _tsv() -> list[bytes]:
    return [seed.replace(b",", b"\t") for seed in _csv()]


def _jsonl() -> list[bytes]:
    rows = [{"text": 'a "b"', "n": 1, "l": [1, {"x": None}]}, {"text": "caffè", "n": 2.5}, {"b": True, "d": {}}]
    lines = "\n".join(map(json.dumps, rows)).encode()
    array = json.dumps(rows, indent=1).encode()
    odd = b'{"text": NaN, "n": 1e999}\n{"text": -Infinity, "n": 12345678901234567890123}\n'
    bodies = [lines, array, odd]
    return [bytes([first]) + body for first in (0, 1, 248, 252) for body in bodies] + [
        b"\x02" + "{}".encode("utf-32"),
        b'\x00{"text": "\\ud83d\\ude42 \\ud83d"}',
    ]


def _packed(seeds: Callable[[], list[bytes]]) -> Callable[[], list[bytes]]:
    """Return the seeds as `_pack` takes them, and one that is packed and damaged."""
    return lambda: [seed[:1] + b"\xff\xff" + seed[1:] for seed in seeds()]


def _pack(content: bytes) -> bytes:
    """Compress an input; two bytes of it say which byte of the result is wrong, if one is."""
    packed = bytearray(gzip.compress(content[3:], 1, mtime=0))
    place = int.from_bytes(content[1:3], "big")
    if place < len(packed):
        packed[place] ^= 1 + place % 255
    return content[:1] + bytes(packed)


def _tables() -> list[pa.Table]:
    text = ["a", None, "caffè", "a", "a longer text", ""]
    days = [datetime.datetime(2020, 1, number + 1) for number in range(6)]
    nested = {"l": [[1], None, [], [2, 3], [4], []], "s": [{"x": 1, "y": ["z"]}, None, *[{"x": 2, "y": []}] * 4]}
    return [
        pa.table({"text": text, "n": range(6), "f": [0.5] * 6, "b": [True, False, None] * 2}),
        pa.table({"text": pa.array(text).dictionary_encode(), "d": days, **nested}),
        pa.table({
            "text": pa.array(text, pa.large_string()),
            "x": pa.array([b"ab", None] * 3, pa.binary(2)),
            "e": pa.array([decimal.Decimal("1.5"), None] * 3, pa.decimal128(9, 2)),
            "m": pa.array([[("k", "v")], None, *[[]] * 4], pa.map_(pa.string(), pa.string())),
            "t": pa.array(range(6), pa.time32("s")),
            "h": pa.array([np.float16(1)] * 6),
        }),
    ]  # fmt: skip


def _parquet() -> list[bytes]:
    kinds: list[dict[str, Any]] = [
        {"compression": "none", "use_dictionary": True},
        {"compression": "snappy", "use_dictionary": False, "data_page_version": "2.0", "row_group_size": 3},
        {"compression": "zstd", "use_dictionary": False, "column_encoding": {"text": "DELTA_LENGTH_BYTE_ARRAY"}},
    ]
    seeds = []
    for table in _tables():
        for kind in kinds:
            stream = io.BytesIO()
            parquet.write_table(table, stream, **kind)
            whole = stream.getvalue()
            seeds += [bytes([first]) + whole[-8:-6] + whole[4:-8] for first in (0, 1, 250)]
    return seeds


def _parquet_file(content: bytes) -> bytes:
    """Put the marks and the length of the footer where they belong; changes of these are found too soon."""
    return content[:1] + b"PAR1" + content[3:] + content[1:3] + b"\0\0PAR1"


_PARTS = (
    "[Content_Types].xml",
    "_rels/.rels",
    "xl/_rels/workbook.xml.rels",
    "xl/workbook.xml",
    "xl/worksheets/sheet1.xml",
    "xl/sharedStrings.xml",
    "xl/styles.xml",
)
_BETWEEN = b"\x01\x01"


def _excel() -> list[bytes]:
    from sheets import write_sheet

    days = '<styleSheet><cellXfs><xf numFmtId="14"/><xf numFmtId="14"/></cellXfs></styleSheet>'
    path = write_sheet(_PLACE / "seed.xlsx", [["text", "n", "b"], ["a", 1, True], [None, 2.5, None], ["NA", 3, False]])
    with zipfile.ZipFile(path) as packed:
        parts = [packed.read(name) if name in packed.namelist() else days.encode() for name in _PARTS[:5]]
    shared = b"<sst><si><t>x</t></si><si><r><t>y</t></r></si></sst>"
    sheet = (
        b'<worksheet><dimension ref="A1:B2"/><sheetData><row r="1"><c r="A1" t="s"><v>0</v></c><c r="B1" t="s"><v>1</v>'
        b'</c></row><row r="2"><c r="A2" t="str"><v>z</v></c><c r="B2" s="1"><v>43831</v></c></row></sheetData>'
        b"</worksheet>"
    )
    other = [*parts[:4], sheet, shared, days.encode()]
    return [bytes([first]) + _BETWEEN.join(some) for first in (0, 1, 250) for some in (parts, other)]


def _excel_file(content: bytes) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as packed:
        for name, part in zip(_PARTS, content[1:].split(_BETWEEN), strict=False):
            packed.writestr(name, part)
    return content[:1] + stream.getvalue()


class _Text(str):
    pass


_DIGITS = ["1.50", "NaN", "sNaN", "Infinity", "1E+999999", "1e-400", "0", "-12345678901234567890"]
_ODD: list[list[Any]] = [
    [float("nan"), float("inf"), -float("inf"), -0.0, 1e308, 2.0**53, 2.0**63, 5e-324],
    ["\ud800", "\udfff a", "NA", "Infinity", "\0", "\u2028", _Text("mine"), "a\nb"],
    [
        *(datetime.datetime.min, datetime.date.max, datetime.time(1, tzinfo=datetime.UTC), datetime.timedelta.max),
        *(datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC), datetime.date(1, 1, 1), datetime.time.max),
        datetime.timedelta(days=-1),
    ],
    list(map(decimal.Decimal, _DIGITS)),
    [
        *(np.int8(-5), np.uint64(2**64 - 1), np.float16(0.1), np.float32("nan"), np.str_("a"), np.datetime64("NaT")),
        *(np.array([1, 2]), np.array([["a"]])),
    ],
    [pd.NA, pd.NaT, pd.Timestamp(0), uuid.UUID(int=1), 1j, object, {1, 2}, range(3)],
]


def _value(data: Iterator[int], depth: int = 0) -> Any:
    """Return a value that the next bytes name; text and numbers are made of bytes too."""
    kind, size = divmod(next(data, 0), 8)
    simple: list[Callable[[], Any]] = [
        lambda: None,
        lambda: "".join(chr(next(data, 65)) for _ in range(size)),
        lambda: bool(size % 2),
        lambda: next(data, 0) - 128,
        lambda: 10 ** (size * next(data, 0)) * (1 if size % 2 else -1),
        lambda: float(next(data, 0)) / (size + 1),
        lambda: bytes(next(data, 0) for _ in range(size)),
        *(lambda among=among: among[size] for among in _ODD),
    ]
    if depth < 4 and kind % 16 >= len(simple):
        if kind % 16 == 13:
            return [_value(data, depth + 1) for _ in range(size)]
        if kind % 16 == 14:
            return {
                _value(data, 9) if size % 2 and False else _name(data): _value(data, depth + 1) for _ in range(size)
            }
        around: list[Any] = []
        around.append((around,) if size == 7 else tuple(_value(data, depth + 1) for _ in range(size)))
        return around
    return simple[kind % len(simple)]()


def _name(data: Iterator[int]) -> Any:
    number = next(data, 0)
    odd = ["text", "n", "", "{a}", 1, None, "\ud800", "a\nb", ("x", 1), 2.5, True, b"x"]
    return odd[number] if number < len(odd) else chr(number)


def _rows(content: bytes) -> None:
    first = content[0] if content else 0
    data = iter(content[1:])
    width = next(data, 0) % 4 + 1
    names = [_name(data) for _ in range(width)]
    count = next(data, 0) % 6
    shape = first % 5
    table: Any
    if shape == 0:
        table = [{name: _value(data) for name in names[: next(data, 9) % 5]} for _ in range(count)]
    elif shape == 1:
        table = {name: [_value(data) for _ in range(count)] for name in names}
    elif shape == 2:
        table = [_value(data) for _ in range(count)]
    elif shape == 3:
        table = {name: _value(data) for name in names}
    else:
        columns = {str(name): pd.Series([_value(data) for _ in range(count)], dtype=object) for name in names}
        try:
            table = pd.concat(columns, axis=1)
        except (ValueError, TypeError):  # pandas itself refuses
            return
    options = ReadOptions(**_KEYS[first // 5 % 2])
    for source in sources_of(table, options):
        _taken(source, first >= _STORED)


def _rows_seeds() -> list[bytes]:
    plain = b"\x03\x00\x01\x02\x03\x04"
    return [bytes([first]) + plain + bytes(range(start, 256, 7)) for first in (0, 1, 2, 3, 4, 250) for start in (0, 3)]


_CSV_WORDS = [b'"', b'""', b",", b"\r\n", b"\n", b"sep=", b"NA", b"True", b"\xef\xbb\xbf", b"\xff\xfe", b"1e5", b"-1.5"]
_JSON_WORDS = [b'{"', b'": ', b"[", b"]", b"}", b", ", b"null", b"true", b"NaN", b"\\ud83d", b"1e999", b"\n", b'"text"']
_XML_WORDS = [
    b"<row",
    b"<c ",
    b' r="',
    b'"XFD1048576"',
    b' t="s"',
    b' t="b"',
    b' t="d"',
    b"<v>",
    b"</v>",
    b'"A1:B2"',
    _BETWEEN,
]

TARGETS = {
    "csv": Target(_csv, _file(".csv", _CELLS), words=_CSV_WORDS),
    "tsv": Target(_tsv, _file(".tsv", _CELLS), words=[*_CSV_WORDS, b"\t"]),
    "jsonl": Target(_jsonl, _file(".jsonl", _KEYS), words=_JSON_WORDS),
    "csv_gz": Target(_packed(_csv), _file(".csv.gz", _CELLS), words=_CSV_WORDS, prepare=_pack),
    "jsonl_gz": Target(_packed(_jsonl), _file(".jsonl.gz", _KEYS), words=_JSON_WORDS, prepare=_pack),
    "parquet": Target(_parquet, _file(".parquet", [{}, {"max_cell": 5, "max_columns": 6}]), prepare=_parquet_file),
    "excel": Target(_excel, _file(".xlsx", [{}, _SMALL]), words=_XML_WORDS, prepare=_excel_file),
    "rows": Target(_rows_seeds, _rows),
}
