"""What goes in comes out: generated tables are sent through a store and out again, and nothing may be lost."""

import csv
import datetime
import decimal
import io
import json
import math
import tempfile
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from conftest import HashEncoder
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet

import embedstore
from embedstore.core.cells import json_values, plain_values, spelled
from embedstore.core.values import value_text
from embedstore.errors import InputError
from embedstore.tables import ReadOptions

LABELS = ["Negative", "Positive"]


@contextmanager
def new_store():
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder), embedstore.create(Path(folder) / "store", encoder=HashEncoder())


def write_rows(path, names, rows, delimiter=","):
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, delimiter=delimiter)
        writer.writerow(names)
        writer.writerows(rows)
    return path


def read_rows(path, delimiter=","):
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.reader(stream, delimiter=delimiter))


# Cells of CSV

NUMBERS = st.one_of(
    st.integers(-(2**70), 2**70).map(str),
    st.integers(-9, 9).map(str),
    st.floats(allow_nan=False).map(repr),
    st.decimals(allow_nan=False, allow_infinity=False, places=2, min_value=-1000, max_value=1000).map(str),
)
ODD = st.sampled_from(
    ["007", "+1", "1e5", "1.10", "4.50", "-0", "1.", ".5", " 1", "1_000", "1,5", "0x10", "--1", "1e999"]
)
WORDS = st.sampled_from(["", "NA", "None", "null", "nan", "n/a", "True", "False", "true", "unknown", "inf", "-inf"])
PLAIN_TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=6)
KINDS = (
    st.integers(0, 5).map(str),
    st.integers(2**63 - 2, 2**63 + 2).map(str),
    NUMBERS,
    st.sampled_from(["1.0", "2.0", "0.5"]),
    st.sampled_from(["True", "False"]),
    st.sampled_from(["True", "False", "NA"]),
    st.sampled_from(["1", "2", "NA"]),
    st.sampled_from(["1", "2", ""]),
    st.one_of(NUMBERS, ODD, WORDS, PLAIN_TEXT),
)


@st.composite
def csv_parts(draw):
    """Draw one to three files with the same columns, whose cells are of any kind in any file."""
    width = draw(st.integers(1, 4))
    parts = []
    for _ in range(draw(st.integers(1, 3))):
        kinds = [draw(st.sampled_from(KINDS)) for _ in range(width)]
        parts.append(draw(st.lists(st.tuples(*kinds), min_size=1, max_size=8)))
    return parts


@given(csv_parts(), st.sampled_from([(".csv", ","), (".tsv", "\t")]))
def test_cells_of_csv_come_out_as_they_were_written(parts, kind):
    suffix, delimiter = kind
    with new_store() as (folder, store):
        names = ["text", *[f"c{number}" for number in range(len(parts[0][0]))]]
        expected = []
        for number, rows in enumerate(parts):
            rows = [(f"text {number}.{row}", *cells) for row, cells in enumerate(rows)]
            expected += rows
            store.add(write_rows(folder / f"{number}{suffix}", names, rows, delimiter), text="text")
        store.encode()
        found = store.tag(LABELS)
        found.save(folder / f"out{suffix}")
        back = read_rows(folder / f"out{suffix}", delimiter)
        assert [tuple(row[: len(names)]) for row in back[1:]] == expected
        # and once more: what came out is read and written in the same way
        again = embedstore.create(folder / "again", encoder=HashEncoder())
        again.add(folder / f"out{suffix}", text="text")
        again.encode()
        again.tag(LABELS).save(folder / f"again{suffix}")
        assert [row[: len(names)] for row in read_rows(folder / f"again{suffix}", delimiter)] == [
            row[: len(names)] for row in back
        ]


@pytest.mark.parametrize(
    ("cells", "type_"),
    [
        (["1", "-2"], pa.int64()),
        (["9223372036854775807", "1"], pa.int64()),
        (["9223372036854775808", "1"], pa.uint64()),
        (["18446744073709551615"], pa.uint64()),
        (["18446744073709551616"], pa.string()),
        (["9223372036854775808", "-1"], pa.string()),
        (["1.5", "2.0", "1e-05", "inf"], pa.float64()),
        (["1.5", "2"], pa.string()),
        (["1.10"], pa.string()),
        (["0.1000000000000000055"], pa.string()),
        (["True", "False"], pa.bool_()),
        (["True", "true"], pa.string()),
        (["1", "", "3"], pa.int64()),
        (["1", "NA", "3"], pa.int64()),
        (["9007199254740993", "NA"], pa.int64()),
        (["1", "NA", ""], pa.string()),
        (["007"], pa.string()),
        (["-0"], pa.string()),
        (["NA", "NA"], pa.string()),
    ],
)
def test_a_column_has_a_type_only_where_all_cells_are_written_so(tmp_path, encoder, cells, type_):
    store = embedstore.create(tmp_path / "store", encoder=encoder)
    store.add(write_rows(tmp_path / "a.csv", ["text", "c"], [("a", cell) for cell in cells]), text="text")
    assert store.corpus().schema.field("c").type == type_
    store.encode()
    store.tag(LABELS).save(tmp_path / "out.csv")
    assert [row[1] for row in read_rows(tmp_path / "out.csv")[1:]] == cells


@pytest.mark.parametrize("text", ["\r", "a\rb", "a\r\nb", '"', ",", "\n", " a ", "\x00"])
def test_cells_with_odd_characters_are_read_back(tmp_path, encoder, text):
    store = embedstore.create(tmp_path / "store", encoder=encoder)
    store.add([{"text": "a", "c": text}], text="text")
    store.encode()
    for suffix, delimiter in ((".csv", ","), (".tsv", "\t")):
        store.tag(LABELS).save(tmp_path / f"out{suffix}")
        assert read_rows(tmp_path / f"out{suffix}", delimiter)[1][1] == text


# Tables of Arrow


def arrow_values(type_):
    """Return a strategy of Python values (or None) for an Arrow type."""
    t = pa.types
    if t.is_null(type_):
        return st.none()
    if t.is_boolean(type_):
        some = st.booleans()
    elif t.is_integer(type_):
        bits = type_.bit_width
        low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if t.is_signed_integer(type_) else (0, 2**bits - 1)
        some = st.integers(low, high)
    elif t.is_floating(type_):
        some = st.floats(width=type_.bit_width)
    elif t.is_decimal(type_):
        most = 10 ** (type_.precision - type_.scale) - 1
        some = st.decimals(-most, most, allow_nan=False, allow_infinity=False, places=max(type_.scale, 0))
    elif t.is_string(type_) or t.is_large_string(type_) or t.is_string_view(type_):
        some = st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
    elif t.is_fixed_size_binary(type_):
        some = st.binary(min_size=type_.byte_width, max_size=type_.byte_width)
    elif t.is_binary(type_) or t.is_large_binary(type_) or t.is_binary_view(type_):
        some = st.binary(max_size=5)
    elif t.is_date32(type_):
        some = st.integers(-(2**31) + 1, 2**31 - 1)
    elif t.is_date64(type_):
        some = st.integers(-(10**6), 10**6).map(lambda days: days * 86_400_000)
    elif t.is_time(type_):
        some = st.integers(0, 86_400 * {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[type_.unit] - 1)
    elif t.is_timestamp(type_) or t.is_duration(type_):
        most = 2**63 // 1000 - 1 if type_.unit == "s" else 2**63 - 1
        some = st.integers(-most, most) | st.integers(-(10**10), 10**10)
    elif t.is_fixed_size_list(type_):
        some = st.lists(arrow_values(type_.value_type), min_size=type_.list_size, max_size=type_.list_size)
    elif t.is_map(type_):
        keys = arrow_values(type_.key_type).filter(lambda key: key is not None)
        some = st.lists(st.tuples(keys, arrow_values(type_.item_type)), max_size=3)
    elif t.is_struct(type_):
        some = st.fixed_dictionaries({field.name: arrow_values(field.type) for field in type_})
    elif t.is_dictionary(type_):
        some = arrow_values(type_.value_type).filter(lambda value: value is not None)
    else:
        some = st.lists(arrow_values(type_.value_type), max_size=3)
    return st.none() | some


SCALARS = st.sampled_from(
    [pa.null(), pa.bool_(), pa.int8(), pa.int16(), pa.int32(), pa.int64(), pa.uint8(), pa.uint32(), pa.uint64()]
    + [pa.float16(), pa.float32(), pa.float64(), pa.string(), pa.large_string(), pa.string_view(), pa.binary()]
    + [pa.large_binary(), pa.binary_view(), pa.binary(3), pa.date32(), pa.date64(), pa.time32("s"), pa.time32("ms")]
    + [pa.time64("us"), pa.time64("ns"), pa.decimal128(20, 3), pa.decimal128(30, 0), pa.decimal256(60, 10)]
    + [pa.timestamp(unit, zone) for unit in ("s", "ms", "us", "ns") for zone in (None, "UTC", "Asia/Kolkata")]
    + [pa.duration(unit) for unit in ("s", "ms", "us", "ns")]
)
ENCODED = st.sampled_from(
    [
        pa.dictionary(pa.int8(), pa.string()),
        pa.dictionary(pa.int32(), pa.int64()),
        pa.dictionary(pa.int16(), pa.large_string()),
    ]
)
TYPES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        inner.map(pa.list_),
        inner.map(pa.large_list),
        inner.map(lambda type_: pa.list_(type_, 2)),
        st.tuples(inner, inner).map(lambda pair: pa.struct([("a", pair[0]), ("b", pair[1])])),
        inner.map(lambda type_: pa.map_(pa.string(), type_)),
        inner.map(lambda type_: pa.map_(pa.int32(), type_)),
    ),
    max_leaves=3,
)


@st.composite
def arrow_tables(draw):
    rows = draw(st.integers(1, 6))
    columns = {"text": pa.array([f"text {row}" for row in range(rows)])}
    for number in range(draw(st.integers(1, 3))):
        type_ = draw(TYPES | ENCODED)
        values = draw(st.lists(arrow_values(type_), min_size=rows, max_size=rows))
        columns[f"c{number}"] = pa.array(values, type_)
    return pa.table(columns)


def refuse_constant(name):
    raise AssertionError(f"{name} is not JSON")


@given(arrow_tables())
def test_tables_of_every_arrow_type_go_around_the_whole_loop(table):
    with new_store() as (folder, store):
        store.add(table, text="text")
        store.encode()
        found = store.tag(LABELS)
        written = {name: spelled(table.column(name)).to_pylist() for name in table.column_names}
        kept = found.to_arrow()
        assert {name: spelled(kept.column(name)).to_pylist() for name in table.column_names} == written

        found.save(folder / "out.parquet")
        assert parquet.read_table(folder / "out.parquet").equals(kept)

        for suffix, delimiter in ((".csv", ","), (".tsv", "\t")):
            found.save(folder / f"out{suffix}")
            columns = list(zip(*read_rows(folder / f"out{suffix}", delimiter)[1:], strict=True))
            for name, column in zip(table.column_names, columns, strict=False):
                assert list(column) == ["" if cell is None else cell for cell in written[name]]

        found.save(folder / "out.jsonl")
        lines = (folder / "out.jsonl").read_text(encoding="utf-8").split("\n")[:-1]
        rows = [json.loads(line, parse_constant=refuse_constant) for line in lines]
        for name in table.column_names:
            assert [row[name] for row in rows] == json_values(table.column(name))

        frame = found.to_pandas()
        for name in table.column_names:
            column = kept.column(name)
            assert len(frame[name]) == len(column)
            if pa.types.is_integer(column.type):
                assert [None if pd.isna(one) else int(one) for one in frame[name]] == column.to_pylist()


@given(arrow_tables(), st.sampled_from([".csv", ".jsonl", ".parquet"]))
def test_what_was_written_is_read_again_as_it_is(table, suffix):
    """The second time around nothing changes any more."""
    with new_store() as (folder, store):
        store.add(table, text="text")
        store.encode()
        store.tag(LABELS).save(folder / f"one{suffix}")
        again = embedstore.create(folder / "again", encoder=HashEncoder())
        again.add(folder / f"one{suffix}", text="text")
        again.encode()
        again.tag(["a", "b"]).save(folder / f"two{suffix}")
        once = embedstore.create(folder / "s1", encoder=HashEncoder())
        once.add(folder / f"one{suffix}", text="text")
        once.add(folder / f"two{suffix}", text="text", corpus="two")
        one, two = (once.corpus(name).table(table.column_names) for name in ("train", "two"))
        assert [spelled(column).to_pylist() for column in one.columns] == [
            spelled(column).to_pylist() for column in two.columns
        ]


def typed_columns():
    """Two values of every kind of type, as columns of twenty rows."""
    ticks = [0, 1_500_000_001]
    kinds = {
        "bool": pa.array([True, False]),
        "int8": pa.array([1, 2], pa.int8()),
        "uint64": pa.array([2**63, 2**64 - 1], pa.uint64()),
        "float16": pa.array(np.array([1.5, 0.1], np.float16)),
        "float32": pa.array([1.0, 0.1], pa.float32()),
        "float64": pa.array([1.0, 2.0]),
        "large_string": pa.array(["a", "b"], pa.large_string()),
        "view": pa.array(["a", "b"], pa.string_view()),
        "binary": pa.array([b"a", b"\xff"]),
        "date": pa.array([0, 10**7], pa.date32()),
        "time": pa.array(ticks, pa.time64("ns")),
        "far": pa.array([0, 10**12], pa.timestamp("s")),
        "zoned": pa.array(ticks, pa.timestamp("ns", "Europe/Berlin")),
        "duration": pa.array(ticks, pa.duration("ns")),
        "decimal": pa.array([decimal.Decimal("1.10"), decimal.Decimal("2.00")]),
        "list": pa.array([[1, 2], [3]]),
        "struct": pa.array([{"a": 1}, {"a": None}]),
        "map": pa.array([[("a", 1)], []], pa.map_(pa.string(), pa.int64())),
        "dictionary": pa.array(["a", "b"]).dictionary_encode(),
        "uuid": pa.ExtensionArray.from_storage(pa.uuid(), pa.array([b"0" * 16, b"1" * 16], pa.binary(16))),
    }
    return {name: pa.chunked_array([column] * 10) for name, column in kinds.items()}


@pytest.mark.parametrize("name", typed_columns())
def test_every_command_reads_every_type(tmp_path, encoder, name):
    column = typed_columns()[name]
    store = embedstore.create(tmp_path / "store", encoder=encoder)
    ids = pa.chunked_array([column.chunk(0)])
    store.add(pa.table({"text": [f"text {row}" for row in range(20)], "c": column}), text="text")
    store.add(pa.table({"text": ["one", "two"], "id": ids}), text=["text", "id"], id="id", corpus="ids")
    store.encode()
    one, two = spelled(ids).to_pylist()
    tagged = store.tag(LABELS, gold="c", mapping={one: "Negative", two: "Positive"}, corpus="train")
    assert tagged.report.rows == 20
    assert {value_text(value) for value in store.train("c", corpus="train").probe.classes} == {one, two}
    assert store.predict("c", corpus="train").to_arrow().num_rows == 20
    assert set(store.doubts("c", corpus="train").to_arrow().column("given").to_pylist()) <= {one, two}
    assert set(store.label_set("c", corpus="train").names) == {one, two}
    assert set(store.map(by="c", corpus="train").to_arrow().column("group").to_pylist()) <= {one, two, "1", "2"}
    assert store.compare("c", corpus="train").scores
    found = store.search(row=one, corpus="ids", k=1)
    assert [value_text(value) for value in found.to_arrow().column("id").to_pylist()] == [two]
    assert found.to_pandas().shape[0] == 1
    rows = [{"id": one, "label": "Negative", "corpus": "ids"}]
    assert store.annotations.import_table(rows, LABELS) == 1
    assert store.annotations.export_table().to_arrow().column("id").to_pylist() == [one]
    for suffix in (".npy", ".h5", ".parquet"):
        assert store.export(tmp_path / f"v{suffix}", corpus="ids").rows == 2


@pytest.mark.parametrize(
    ("column", "reason"),
    [
        (pa.array([(1, 2, 3)], pa.month_day_nano_interval()), "month_day_nano_interval"),
        (pa.array([{}], pa.struct([])), "struct<>"),
        (pa.array([10**16], pa.timestamp("s")), "out of bounds"),
        (pa.UnionArray.from_sparse(pa.array([0], pa.int8()), [pa.array([1])]), "sparse_union"),
    ],
)
def test_what_cannot_be_kept_is_refused_by_column_and_reason(tmp_path, encoder, column, reason):
    store = embedstore.create(tmp_path / "store", encoder=encoder)
    with pytest.raises(InputError, match=f"column 'odd' .*{reason}"):
        store.add(pa.table({"text": ["a"], "odd": column}), text="text")
    assert store.corpora() == []


@pytest.mark.parametrize(
    ("array", "text"),
    [
        (pa.array([1.0, 1e16, 0.1]), ["1.0", "1e+16", "0.1"]),
        (pa.array([0.1, 3.0], pa.float32()), ["0.1", "3.0"]),
        (pa.array(np.array([0.1], np.float16)), ["0.1"]),
        (pa.array([True, None]), ["True", None]),
        (pa.array([decimal.Decimal("1.10")]), ["1.10"]),
        (pa.array([datetime.datetime(2020, 1, 2, 3, 4, 5)]), ["2020-01-02 03:04:05"]),
        (pa.array([1_500_000_001], pa.timestamp("ns")), ["1970-01-01 00:00:01.500000001"]),
        (pa.array([0], pa.timestamp("s", "Asia/Kolkata")), ["1970-01-01 05:30:00+05:30"]),
        (pa.array([0], pa.timestamp("s", "America/New_York")), ["1969-12-31 19:00:00-05:00"]),
        (pa.array([10**12], pa.timestamp("s")), ["33658-09-27 01:46:40"]),
        (pa.array([datetime.date(2020, 2, 29)]), ["2020-02-29"]),
        (pa.array([datetime.time(1, 2, 3, 500_000)]), ["01:02:03.5"]),
        (pa.array([-1500], pa.duration("ms")), ["-PT1.5S"]),
        (pa.array([b"\xff\x00"]), ["/wA="]),
        (pa.array([[1, None], None, []]), ["[1, null]", None, "[]"]),
        (pa.array([{"a": float("nan"), "b": math.inf}]), ['{"a": null, "b": "Infinity"}']),
        (pa.array([[("k", 1)]], pa.map_(pa.string(), pa.int64())), ['{"k": 1}']),
        (pa.array([[(2, 1)]], pa.map_(pa.int64(), pa.int64())), ["[[2, 1]]"]),
    ],
)
def test_a_cell_is_written_as_the_documentation_says(array, text):
    assert spelled(array).to_pylist() == text


@given(st.one_of(st.booleans(), st.integers(-(2**63), 2**63 - 1), st.floats(), st.text(max_size=5)))
def test_one_value_and_a_column_of_it_have_the_same_text(value):
    array = pa.array([value])
    assert value_text(plain_values(array)[0]) == spelled(array)[0].as_py()


# Rows of Python

JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**80), 2**80)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abc", max_size=2), inner, max_size=3),
    max_leaves=4,
)
ROWS = st.lists(st.dictionaries(st.sampled_from("abc"), JSON_VALUES), min_size=1, max_size=6)


@given(ROWS)
def test_rows_as_dicts_follow_the_rules_of_json_lines(rows):
    rows = [{"text": f"text {number}", **row} for number, row in enumerate(rows)]
    with new_store() as (folder, store):
        path = folder / "rows.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        store.add(path, text="text", corpus="file")
        store.add(rows, text="text", corpus="dicts")
        names = store.corpus("file").schema.names
        store.add({name: [row.get(name) for row in rows] for name in names}, text="text", corpus="columns")
        file, dicts, columns = (store.corpus(name) for name in ("file", "dicts", "columns"))
        assert file.schema.names == dicts.schema.names == list(dict.fromkeys(name for row in rows for name in row))
        assert file.schema.types == dicts.schema.types == columns.schema.types
        assert file.table().to_pydict() == dicts.table().to_pydict() == columns.table().to_pydict()


@given(ROWS)
def test_values_of_json_come_out_equal(rows):
    rows = [{"text": f"text {number}", **row} for number, row in enumerate(rows)]
    with new_store() as (folder, store):
        store.add(rows, text="text")
        store.encode()
        store.tag(LABELS).save(folder / "out.jsonl")
        back = [json.loads(line) for line in (folder / "out.jsonl").read_text(encoding="utf-8").split("\n")[:-1]]
        for name in store.corpus().schema.names:
            given_values = [row.get(name) for row in rows]
            kinds = {type(value) for value in given_values} - {type(None)}
            found = [row[name] for row in back]
            if len(kinds) <= 1 or kinds <= {list, dict}:
                large = kinds == {int} and max(abs(value or 0) for value in given_values) >= 2**126
                assert found == given_values or (
                    large and found == [None if v is None else str(v) for v in given_values]
                )
            elif kinds == {int, float}:
                exact = all(abs(value) <= 2**53 for value in given_values if isinstance(value, int))
                assert found == (
                    given_values if exact else [None if v is None else json.dumps(v) for v in given_values]
                )
            else:
                assert found == [
                    v if v is None or isinstance(v, str) else json.dumps(v, ensure_ascii=False) for v in given_values
                ]


# Words for missing values


def test_missing_words_are_no_texts_and_come_out_as_written(tmp_path, encoder, caplog):
    store = embedstore.create(tmp_path / "store", encoder=encoder)
    path = write_rows(
        tmp_path / "a.csv", ["text", "word"], [("NA", "None"), ("fine", "n/a"), ("None", "x"), ("NA", "")]
    )
    store.add(path, text="text")
    assert store.corpus().record.parts[0].empty == 3
    assert "words that mean a missing value are no texts: NA (2), None (1)" in caplog.text
    assert store.corpus().column("word").to_pylist() == [None, None, "x", None]
    assert store.corpus().table().column("word").to_pylist() == ["None", "n/a", "x", None]


@pytest.mark.parametrize(("missing", "texts"), [((), ["NA", "n/k", "fine"]), (("n/k",), ["NA", "fine"])])
def test_the_words_for_missing_values_can_be_chosen(tmp_path, encoder, missing, texts):
    store = embedstore.create(tmp_path / "store", encoder=encoder)
    path = write_rows(tmp_path / "a.csv", ["id", "text"], [(1, "NA"), (2, "n/k"), (3, ""), (4, "fine")])
    store.add(path, text="text", read_options=ReadOptions(missing=missing))
    with store.snapshot() as now:
        found = now.texts.at(now.corpus().positions())
    assert [text for text in found if text] == texts


def test_a_missing_word_among_numbers_is_named(tmp_path, encoder):
    store = embedstore.create(tmp_path / "store", encoder=encoder)
    rows = [(f"text {n}", ["NA", "1", "2"][n % 3]) for n in range(30)]
    store.add(write_rows(tmp_path / "a.csv", ["text", "stars"], rows), text="text")
    store.encode()
    with pytest.raises(InputError, match="NA means a missing value"):
        store.train("stars")


def test_a_class_that_is_a_missing_word_is_named(tmp_path, encoder):
    store = embedstore.create(tmp_path / "store", encoder=encoder)
    rows = [(f"text {n}", ["None", "mild", "bad"][n % 3]) for n in range(30)]
    store.add(write_rows(tmp_path / "a.csv", ["text", "pain"], rows), text="text")
    store.encode()
    with pytest.raises(InputError, match=r"None means a missing value: `add --keep-missing-words`"):
        store.train("pain")
    trained = store.train("pain", options=embedstore.TrainOptions(drop_missing=True))
    assert "None means a missing value" in trained.notes[0]
    gold = store.tag(["mild", "bad"], gold="pain")
    assert (
        "words of 'pain' that mean a missing value: None (10); `add --keep-missing-words` takes them as values"
        in gold.notes
    )
    kept = ReadOptions(missing=())
    store.add(tmp_path / "a.csv", text="text", replace=True, read_options=kept)
    assert store.train("pain").probe.classes == ("None", "bad", "mild")


# Classes and ids of several files


def pain(tmp_path, encoder, parts, corpora=("train", "train")):
    store = embedstore.create(tmp_path / "store", encoder=encoder)
    for number, (cells, corpus) in enumerate(zip(parts, corpora, strict=True)):
        rows = [(f"text {number} {row}", cell) for row, cell in enumerate(cells)]
        store.add(write_rows(tmp_path / f"{number}.csv", ["text", "c"], rows), text="text", corpus=corpus)
    store.encode()
    return store


@pytest.mark.parametrize(
    ("parts", "classes"),
    [
        ([["True", "False"] * 9, ["True", "unknown"] * 9], ("False", "True", "unknown")),
        ([["1.0", "2.0"] * 9, ["1.0", "n/k"] * 9], ("1.0", "2.0", "n/k")),
        ([["1", "2"] * 9, ["1.0", "2.0"] * 9], ("1", "2")),
        ([["1", "2"] * 9, ["1.5", "2.5"] * 9], ("1", "1.5", "2", "2.5")),
        ([["1734567890123456789", "2"] * 9, ["1.5", "2.5"] * 9], ("1.5", "2", "2.5", "1734567890123456789")),
        ([["1.10", "1.1"] * 9, ["2", "1.1"] * 9], ("1.1", "1.10", "2")),
    ],
)
def test_classes_of_several_files_are_those_that_a_person_sees(tmp_path, encoder, parts, classes):
    assert pain(tmp_path, encoder, parts).train("c").probe.classes == classes


@pytest.mark.parametrize(
    ("learnt", "tested", "names"),
    [
        (["1", "2"], ["1.0", "2.0"], ("1", "2")),
        (["1.0", "2.0"], ["1.0", "n/k"], ("1.0", "2.0", "n/k")),
        (["True", "False"], ["True", "unknown"], ("False", "True", "unknown")),
    ],
)
def test_train_and_test_corpora_share_their_classes(tmp_path, encoder, learnt, tested, names):
    store = pain(tmp_path, encoder, [learnt * 9, tested * 9], ("train", "test"))
    trained = store.train("c", test_corpus="test")
    assert set(trained.report.classes) == set(names)
    assert trained.report.confusion.sum() == 18


def test_corpora_without_a_class_in_common_are_an_error_that_names_both(tmp_path, encoder):
    store = pain(tmp_path, encoder, [["a", "b"] * 9, ["x", "y"] * 9], ("train", "test"))
    with pytest.raises(InputError, match="found 'a', 'b' in one and 'x', 'y' in the other"):
        store.train("c", test_corpus="test")


def test_a_partly_disjoint_test_corpus_is_named_in_a_note(tmp_path, encoder):
    store = pain(tmp_path, encoder, [["a", "b"] * 9, ["a", "y"] * 9], ("train", "test"))
    notes = store.train("c", test_corpus="test").notes
    assert any("lacks: 'b'" in note for note in notes)
    assert any("not learnt, so that their rows count as wrong: 'y'" in note for note in notes)


def test_classes_that_differ_in_outer_spaces_are_named(tmp_path, encoder):
    store = pain(tmp_path, encoder, [["good", "good ", "bad"] * 9], ("train",))
    assert any("letters or outer spaces only: 'good' and 'good '" in note for note in store.train("c").notes)


@given(st.lists(st.integers(0, 2**64 - 1), min_size=2, max_size=6, unique=True))
def test_rows_are_found_by_large_ids(ids):
    with new_store() as (folder, store):
        store.add(
            write_rows(folder / "a.csv", ["id", "text"], [(one, f"text {one}") for one in ids]), text="text", id="id"
        )
        assert [store.corpus().row_of(str(one)) for one in ids] == list(range(len(ids)))
        assert [store.corpus().row_of(one) for one in ids] == list(range(len(ids)))


def test_an_id_is_found_with_and_without_its_fraction(tmp_path, encoder):
    store = embedstore.create(tmp_path / "store", encoder=encoder)
    store.add(pd.DataFrame({"id": [1.0, 2.0], "text": ["a", "b"]}), text="text", id="id")
    assert store.corpus().row_of("2") == store.corpus().row_of("2.0") == store.corpus().row_of(2) == 1


def test_gold_values_are_mapped_in_every_spelling(tmp_path, encoder):
    store = pain(tmp_path, encoder, [["1.0", "2.0", "3.0"] * 6], ("train",))
    as_dict = store.tag(LABELS, gold="c", mapping={1: "Negative", 2.0: "Positive", "3": None})
    as_pairs = store.tag(LABELS, gold="c", mapping=["1=Negative", "2.0=Positive", "3="])
    assert as_dict.report.rows == as_pairs.report.rows == 12
    assert (as_dict.report.confusion == as_pairs.report.confusion).all()


# pandas


def test_integers_with_gaps_stay_integers_in_pandas(tmp_path, encoder):
    store = embedstore.create(tmp_path / "store", encoder=encoder)
    store.add(pa.table({"text": ["a", "b"], "n": pa.array([2**62 + 1, None])}), text="text")
    store.encode()
    column = store.tag(LABELS).to_pandas()["n"]
    assert column.tolist() == [2**62 + 1, pd.NA]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([1, "a", 2.5, None, True], ["1", "a", "2.5", None, "True"]),
        ([2**70, 1], [str(2**70), "1"]),
        ([datetime.date(2020, 1, 1), datetime.datetime(2020, 1, 1, 5)], ["2020-01-01", "2020-01-01 05:00:00"]),
        ([datetime.time(1, tzinfo=datetime.UTC), None], ["01:00:00+00:00", None]),
        (["é", b"\xff"], ["é", "/w=="]),
        ([{"a": 1}, {"b": 2}], ['{"a": 1}', '{"b": 2}']),
        (pd.period_range("2020-01", periods=2, freq="M"), ["2020-01", "2020-02"]),
        (pd.Categorical([5, 6]), [5, 6]),
        (pd.Categorical(["x", None]), ["x", None]),
        (pd.array([1, None], dtype="Int64"), [1, None]),
        (np.array([np.float32(0.1), np.nan], dtype=np.float32), ["0.1", None]),
    ],
)
def test_columns_of_pandas_keep_their_values(tmp_path, encoder, values, expected):
    store = embedstore.create(tmp_path / "store", encoder=encoder)
    store.add(pd.DataFrame({"text": [f"text {n}" for n in range(len(values))], "c": values}), text="text")
    found = store.corpus().column("c")
    assert (spelled(found) if isinstance(expected[0], str) else found).to_pylist() == expected


class Capsule:
    """A table that speaks nothing but Arrow's PyCapsule protocol."""

    def __init__(self, table):
        self._table = table

    def __arrow_c_stream__(self, requested_schema=None):
        return self._table.__arrow_c_stream__(requested_schema)


def test_a_result_speaks_the_protocol_too(store, tmp_path, encoder):
    tagged = store.tag(LABELS)
    assert pa.table(tagged).equals(tagged.to_arrow())
    other = embedstore.create(tmp_path / "other", encoder=encoder)
    assert other.add(tagged, text="review").rows == len(tagged)


def test_infinities_of_json_lines_are_numbers_again(tmp_path, encoder):
    store = embedstore.create(tmp_path / "store", encoder=encoder)
    numbers = [0.5, math.inf, -math.inf, 2.0]
    store.add(pa.table({"text": list("abcd"), "n": numbers}), text="text")
    store.encode()
    store.tag(LABELS).save(tmp_path / "out.jsonl")
    store.add(tmp_path / "out.jsonl", text="text", corpus="again")
    assert store.corpus("again").column("n").to_pylist() == numbers


def test_parts_of_several_types_are_told(tmp_path, encoder, caplog):
    store = embedstore.create(tmp_path / "store", encoder=encoder)
    store.add([{"text": "a", "c": 1}], text="text")
    assert not caplog.text
    store.add([{"text": "b", "c": "x"}], text="text")
    assert "columns that are of several types in the parts of the corpus become text: 'c'" in caplog.text


@pytest.mark.parametrize(
    "wrap",
    [
        Capsule,
        lambda table: table.to_batches()[0],
        lambda table: table.to_reader(),
        lambda table: table.to_pandas(),
        lambda table: table.to_pydict(),
        lambda table: table.to_pylist(),
        lambda table: iter(table.to_pylist()),
    ],
)
def test_tables_in_memory_of_every_kind_are_taken(tmp_path, encoder, wrap):
    table = pa.table({"text": ["a b", "c d"], "n": [1, 2]})
    store = embedstore.create(tmp_path / "store", encoder=encoder)
    store.add(wrap(table), text="text")
    assert store.corpus().table().to_pydict() == table.to_pydict()


@pytest.mark.parametrize(
    "texts",
    [["a b", "c d"], ("a b", "c d"), np.array(["a b", "c d"]), pd.Series(["a b", "c d"]), pa.array(["a b", "c d"])],
)
def test_texts_alone_are_a_table_of_one_column(tmp_path, encoder, texts):
    store = embedstore.create(tmp_path / "store", encoder=encoder)
    store.add(texts, text="review")
    assert store.corpus().table().to_pydict() == {"review": ["a b", "c d"]}


@pytest.mark.parametrize(
    ("table", "reason"),
    [
        (5, "found int"),
        (None, "found NoneType"),
        (b"bytes", "found bytes"),
        ([], "an empty list"),
        ([1, 2], "list with int as number 1"),
        ([{"text": "a"}, "b"], "list with str as number 2"),
        ({"text": "a"}, "expected a list of values for column 'text', found str"),
        ({"text": ["a"], "n": [1, 2]}, "found 1 in 'text', 2 in 'n'"),
    ],
)
def test_what_is_no_table_is_refused_with_what_to_pass(tmp_path, encoder, table, reason):
    store = embedstore.create(tmp_path / "store", encoder=encoder)
    with pytest.raises(InputError, match=reason):
        store.add(table, text="text")


def test_a_mixture_of_files_and_texts_is_refused(tmp_path, encoder, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_rows(tmp_path / "data", ["text"], [("a",)])
    store = embedstore.create(tmp_path / "store", encoder=encoder)
    with pytest.raises(InputError, match="only paths of files or only texts"):
        store.add(["data", "some words"], text="text")


def test_read_rows_reads_what_write_rows_writes():
    stream = io.StringIO()
    csv.writer(stream).writerow(["a\nb", 'c"d'])
    assert next(csv.reader(io.StringIO(stream.getvalue(), newline=""))) == ["a\nb", 'c"d']
