"""What tables may hold: caps that say what they found, batches of bounded size, and one boundary for all parsers."""

import csv
import gzip
import io
import json
import zipfile
import zlib

import pandas as pd
import pyarrow as pa
import pytest
from conftest import write
from embedstore.cli import files
from embedstore.cli.info import info
from hypothesis import example, given
from hypothesis import strategies as st
from pyarrow import parquet
from sheets import write_sheet

import embedstore
from embedstore.errors import InputError, UsageError
from embedstore.tables import ReadOptions, base, batching, delimited, file_source, json_parts, sources_of
from embedstore.tables.boundary import GuardedSource
from embedstore.tables.json_parts import Elements, weight_of


def read(path, **options):
    source = file_source(path, ReadOptions(**options), name=path.name, origin="")
    schema = source.survey().schema
    return [row for _, typed in source.batches(schema) for row in typed.to_pylist()]


CAPPED = [
    ("a.csv", "text\nabc\nabcdef\n", {"max_cell": 5}, "line 3: expected at most 5 characters in a cell, found 6 in"),
    ("a.csv", "text\nabc\n" + "x" * 50, {"max_row": 20}, "line 3: expected at most 20 characters in a row, found more"),
    ("a.csv", 'text\n"a\nb\nc\nd\ne"\n', {"max_row": 8}, "line 2: expected at most 8 characters in a row, found more"),
    ("a.csv", "a,b,c,d\n1,2,3,4\n", {"max_columns": 3}, "line 1: expected at most 3 fields in a row, found more"),
    (
        "a.jsonl",
        '{"t": "a"}\n{"t": "abcdef"}',
        {"max_cell": 5},
        "line 2, expected|line 2: expected at most 5 characters",
    ),
    ("a.jsonl", '{"t": "' + "x" * 50, {"max_row": 20}, "line 1: expected at most 20 characters in a row, found more"),
    ("a.jsonl", '{"t": [1, 2, 3]}', {"max_row": 200}, "line 1: expected at most 200 characters in a row, found more"),
    ("a.json", '[{"t": "a"},\n{"t": [1, 2, 3]}]', {"max_row": 200}, "line 2: expected at most 200 characters in a row"),
    ("a.jsonl", '{"t": [[[1]]]}', {"max_depth": 3}, "line 1: expected at most 3 levels of lists and objects, found 4"),
    ("a.jsonl", '{"a": 1}\n{"b": 1}\n{"c": 1}', {"max_columns": 2}, "expected at most 2 columns, found 3"),
    ("a.jsonl", '{"a": 1, "b": 1, "c": 1}', {"max_columns": 2}, "line 1: expected at most 2 columns, found 3"),
]


@pytest.mark.parametrize(("name", "content", "options", "told"), CAPPED)
def test_each_cap_says_what_was_found_and_what_raises_it(tmp_path, name, content, options, told):
    path = write(tmp_path, name, content)
    with pytest.raises(InputError, match=told) as caught:
        read(path, **options)
    (cap,) = options
    assert f"give a larger --{cap.replace('_', '-')} if it is right" in str(caught.value)
    if "x" * 50 not in content:
        assert read(path)


def test_an_array_in_one_line_can_be_longer_than_a_row(tmp_path):
    rows = [{"n": number} for number in range(100)]
    assert read(write(tmp_path, "a.json", json.dumps(rows)), max_row=150) == rows


def test_separators_and_brackets_in_a_text_do_not_count(tmp_path):
    text = 'a,b,"c",{[[[[' * 30
    stream = io.StringIO()
    csv.writer(stream).writerows([["text", "n"], [text, "1"]])
    assert read(write(tmp_path, "a.csv", stream.getvalue()), max_columns=2) == [{"text": text, "n": 1}]
    line = json.dumps({"text": text})
    assert read(write(tmp_path, "a.jsonl", line), max_depth=1, max_row=len(line) + 64) == [{"text": text}]


def test_parquet_sheets_and_rows_have_caps_too(tmp_path):
    table = {"text": ["a", "abcdef"], "n": [1, 2]}
    parquet.write_table(pa.table(table), tmp_path / "a.parquet")
    with pytest.raises(InputError, match="row 1 on: expected at most 5 bytes in a cell, found 6 in column 'text'"):
        read(tmp_path / "a.parquet", max_cell=5)
    write_sheet(tmp_path / "a.xlsx", [["text", "n"], ["a", 1], ["abcdef", 2]])
    with pytest.raises(InputError, match="row 3 of the sheet: expected at most 5 characters in a cell, found 6"):
        read(tmp_path / "a.xlsx", max_cell=5)
    for path in ("a.parquet", "a.xlsx"):
        with pytest.raises(InputError, match="expected at most 1 column, found 2"):
            read(tmp_path / path, max_columns=1)
    for rows in ([{"a": 1}, {"b": 2}], pa.table(table), pd.DataFrame(table), table):
        with pytest.raises(InputError, match="expected at most 1 column, found 2"):
            sources_of(rows, ReadOptions(max_columns=1))[0].survey()


def test_a_compressed_file_is_refused_while_it_is_expanded(tmp_path, monkeypatch):
    path = write(tmp_path, "a.csv.gz", gzip.compress(b"text\n" + b"a short text\n" * 1_000_000))
    monkeypatch.setattr(base, "FREE_BYTES", 0)
    expanded = []
    plain = gzip.GzipFile.readinto

    def counted(self, buffer):
        expanded.append(plain(self, buffer))
        return expanded[-1]

    monkeypatch.setattr(gzip.GzipFile, "readinto", counted)
    with pytest.raises(InputError, match=r"expected at most .* bytes decompressed, found more.*--max-expansion"):
        read(path, max_expansion=2)
    assert sum(expanded) < 3 * path.stat().st_size + (1 << 17)


@pytest.mark.parametrize("cap", ["max_cell", "max_row", "max_columns", "max_depth", "max_expansion"])
def test_a_cap_is_a_number_and_no_part_of_the_fingerprint(cap):
    with pytest.raises(UsageError, match=cap):
        ReadOptions(**{cap: 0})
    assert ReadOptions(**{cap: 7}).describe() == ReadOptions().describe()


def test_the_shell_has_the_caps(cli, tmp_path):
    path = write(tmp_path, "a.csv", "text\nabcdef\n")
    done = cli("add", "s", path, "--text", "text", "--max-cell", "5")
    assert (done.returncode, "at most 5 characters in a cell" in done.stderr) == (1, True)
    assert cli("add", "s", path, "--text", "text", "--max-cell", "6").returncode == 0


def test_the_shell_shows_the_limits_of_python():
    assert {cap: getattr(ReadOptions(), f"max_{cap}") for cap in files._CAPS} == {
        cap: usual for cap, (_, usual) in files._CAPS.items()
    }
    (wait,) = (option.default for option in info.params if option.name == "wait")
    assert wait == embedstore.Settings().wait


ODD = [
    ("a.jsonl", '{"n": ' + "1" * 5000 + "}", "line 1: expected one JSON object"),
    ("a.jsonl", '{"\\ud800": 1}', "a.jsonl, line 1: expected Unicode text, found half of a surrogate pair"),
    ("a.jsonl", '{"text": "\\ud83d\\ude00"}\n{"text": ["\\uD800"]}', "line 2: .* half of a surrogate pair"),
    ("a.json", '[{"text": "a"},\n{"text": "\\udfff"}]', "line 2: .* half of a surrogate pair"),
    ("a.json", '[{"text": "a"}\n, {"text": "b"} x', "line 2: expected one JSON object per line, found Expecting ','"),
    ("a.json", '[{"text": "a"}] x', "found Extra data"),
    ("a.csv.gz", gzip.compress(b"text\n" + b"a\n" * 99, mtime=0)[:-4] + b"\0" * 4, "can't be read"),
    ("a.csv.gz", b"\x1f\x8b\x08\0\0\0\0\0\0\xff" + b"\xff" * 99, "can't be read"),
]


@pytest.mark.parametrize(("name", "content", "told"), ODD)
def test_what_a_parser_raises_becomes_one_line_with_the_name(tmp_path, name, content, told):
    with pytest.raises(InputError, match=told) as caught:
        read(write(tmp_path, name, content))
    assert name in str(caught.value) or "column" in str(caught.value)


class PanicException(BaseException):
    """What a reader written in Rust raises."""


class Failing:
    name, origin, place = "it", "", "line 7"

    def __init__(self, error):
        self.error = error

    def survey(self):
        raise self.error


@pytest.mark.parametrize(
    "error", [zlib.error("a\nb"), MemoryError(), KeyError("k"), RecursionError(), PanicException("p")]
)
def test_the_boundary_names_the_place(error):
    with pytest.raises(InputError, match=r"^it, line 7: the table can't be read \(") as caught:
        GuardedSource(Failing(error), ReadOptions()).survey()
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(), UsageError("u")])
def test_the_boundary_lets_through_what_the_table_did_not_cause(error):
    with pytest.raises(type(error)):
        GuardedSource(Failing(error), ReadOptions()).survey()


def test_no_python_value_ends_the_interpreter(target):
    around = []
    around.append(around)
    deep = []
    for _ in range(200):
        deep = [deep]
    shared = []
    for _ in range(22):
        shared = [shared, shared]
    for value, told in ((around, "100 levels"), (deep, "100 levels"), (shared, "128,000,000 characters")):
        for rows in ([{"text": "a", "x": value}], pd.DataFrame({"text": ["a"], "x": [value]})):
            with pytest.raises(InputError, match=told):
                target.add(rows, text="text")


def test_a_sheet_that_asks_for_all_memory_is_refused(tmp_path):
    path = write_sheet(tmp_path / "a.xlsx", [["text"], ["a"]])
    with zipfile.ZipFile(path) as packed:
        parts = {name: packed.read(name) for name in packed.namelist()}
    sheet = b'<worksheet><sheetData><row><c r="A1" t="str"><v>a</v></c></row><row><c r="XFD1048576"><v>1</v></c></row>'
    parts["xl/worksheets/sheet1.xml"] = sheet + b"</sheetData></worksheet>"
    with zipfile.ZipFile(path, "w") as packed:
        for name, part in parts.items():
            packed.writestr(name, part)
    with pytest.raises(InputError, match=r"a\.xlsx: expected at most a sheet .* --max-expansion"):
        read(path)


def test_a_name_with_a_line_break_leaves_a_message_on_one_line(tmp_path, target):
    path = write(tmp_path, "a.csv", '"te\nxt",n\n,1\n')
    with pytest.raises(InputError) as caught:
        target.add(path, text="te\nxt")
    assert len(str(caught.value).splitlines()) == 1


def test_a_parquet_file_without_its_rows_is_refused(tmp_path):
    parquet.write_table(pa.table({"text": ["a", "b"]}), tmp_path / "a.parquet")
    source = file_source(tmp_path / "a.parquet", ReadOptions(), name="a", origin="")
    schema = source.survey().schema
    parquet.write_table(pa.table({"text": ["a"]}), tmp_path / "a.parquet")
    with pytest.raises(InputError, match="a: expected 2 rows as counted before, found 1"):
        list(source.batches(schema))


def test_texts_of_a_dictionary_are_cut_into_small_batches(tmp_path):
    texts = [f"{row % 2}" + "x" * 1_000_000 for row in range(100)]
    parquet.write_table(pa.table({"text": texts, "n": range(100)}), tmp_path / "a.parquet")
    source = file_source(tmp_path / "a.parquet", ReadOptions(), name="a", origin="")
    sizes = [(typed.num_rows, typed.nbytes) for _, typed in source.batches(source.survey().schema)]
    assert sum(rows for rows, _ in sizes) == 100
    assert max(size for _, size in sizes) < 18_000_000


@given(st.lists(st.text(max_size=30) | st.none(), max_size=40), st.booleans(), st.integers(1, 60))
def test_pieces_are_the_table_in_bounded_parts(texts, as_dictionary, most):
    column = pa.array(texts, pa.string())
    table = pa.table({"text": column.dictionary_encode() if as_dictionary else column})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(batching, "BATCH_CHARS", most)
        parts = list(batching.pieces(table))
    assert [text for part in parts for text in part.column("text").to_pylist()] == texts
    sizes = [sum(len((text or "").encode()) for text in part.column("text").to_pylist()) for part in parts]
    assert all(part.num_rows == 1 or size <= most for part, size in zip(parts, sizes, strict=True))


VALUES = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False) | st.text('ab"\\[]{},: \n\u2028', max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text('a"[', max_size=2), inner, max_size=3),
    max_leaves=8,
)


@given(st.lists(VALUES, max_size=6), st.sampled_from([None, 1]), st.integers(1, 9))
@example([0.0, -12.5e-300], None, 1)
def test_an_array_of_json_is_read_in_parts(values, indent, block):
    text = json.dumps(values, indent=indent)
    lines = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_parts, "_BLOCK", block)
        found = Elements(text[:3], io.StringIO(text[3:]), check=len, moved=lines.append)
        read = [json.dumps(value) for value, _ in found]
    assert read == list(map(json.dumps, values))
    assert sum(lines) == text.count("\n")


def levels(value):
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    return 0 if inner is None else 1 + max(map(levels, inner), default=0)


@given(VALUES)
def test_the_depth_of_json_is_known_before_it_is_parsed(value):
    assert weight_of(json.dumps(value), 10**9, 0)[1] == levels(value)


@given(st.lists(st.lists(st.text('ab,"\n', min_size=1, max_size=5), min_size=2, max_size=2), max_size=8))
def test_a_reader_of_csv_that_is_made_anew_after_each_row_reads_the_same(tmp_path_factory, rows):
    stream = io.StringIO()
    csv.writer(stream).writerows([["c", "d"], *rows, ["x", "y"]])
    path = write(tmp_path_factory.mktemp("t"), "a.csv", stream.getvalue())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(delimited, "_LARGE", 0)
        found = read(path, missing=())
    assert [[row["c"], row["d"]] for row in found] == [*rows, ["x", "y"]]


@given(st.lists(st.sampled_from(["a", "a.1", "", "Unnamed: 0", "b"]), min_size=1, max_size=7))
def test_equal_names_get_the_names_of_pandas(tmp_path_factory, names):
    text = ",".join(names) + "\n" + ",".join("1" for _ in names) + "\n"
    if len(names) == 1 and not names[0]:
        return  # a blank line
    path = write(tmp_path_factory.mktemp("t"), "a.csv", text)
    found = list(read(path)[0])
    assert len(set(found)) == len(names)
    if "a.1" not in names and "Unnamed: 0" not in names:
        assert found == list(pd.read_csv(io.StringIO(text)).columns)


def test_a_store_takes_a_table_at_its_caps(tmp_path, encoder):
    store = embedstore.create(tmp_path / "s", encoder=encoder)
    store.add(
        write(tmp_path, "a.csv", "text,n\nabc,1\n"), text="text", read_options=ReadOptions(max_cell=4, max_columns=2)
    )
    assert store.corpus().column("text").to_pylist() == ["abc"]
