"""Columns without Arrow's functions: what is made, found and written is what Arrow, Python and csv give."""

import csv
import io
import random

import numpy as np
import pyarrow as pa
import pytest

from embedstore.core.arrays import array_from, decoded
from embedstore.core.cells import spelled
from embedstore.core.floats import float_texts
from embedstore.core.masks import distinct
from embedstore.core.seek import place_of_number, place_of_text
from embedstore.tables.separated import CSV, TSV

TEXTS = ["a", "b", "ab", "abc", "é", "ée", "", None]
EDGES = [0.0, -0.0, 1.0, -3.0, 1e-4, 9.9999e-5, 1e-5, 1e7, 16777216.0, 1e10, 9999999999.5, 1e15, 1e16, 1e300]
NOT_FINITE = [float("nan"), float("inf"), float("-inf")]


def split(values, type_):
    """Return the values as a column of two slices, each with other values before it."""
    halves = [pa.array(["zz", *part] if type_ != pa.int64() else [9, *part], type_)[1:] for part in values]
    return pa.chunked_array(halves, type_)


@pytest.mark.parametrize("type_", [pa.string(), pa.large_string()])
def test_a_text_is_found_at_its_first_place(type_):
    rng = random.Random(0)
    for _ in range(200):
        values = rng.choices(TEXTS, k=12)
        column = split([values[:5], values[5:]], type_)
        for sought in ("a", "ab", "abc", "é", "x", "", "\ud800"):
            assert place_of_text(column, sought) == (values.index(sought) if sought in values else -1)


def test_a_number_is_found_at_its_first_place():
    rng = random.Random(0)
    for _ in range(200):
        values = rng.choices([0, 1, -5, 2**60, None], k=12)
        column = split([values[:5], values[5:]], pa.int64())
        for sought in (0, 1, -5, 2**60, 7):
            assert place_of_number(column, sought) == (values.index(sought) if sought in values else -1)


@pytest.mark.parametrize("dtype", [np.int32, np.int64, np.float32, np.float64])
def test_an_array_is_as_arrow_makes_it(dtype):
    values = np.arange(20).astype(dtype)
    missing = values % 3 == 0
    for step in (1, 2):
        found = array_from(values[::step], missing[::step])
        found.validate(full=True)
        assert found.equals(pa.array(values[::step], mask=missing[::step]))
        assert array_from(values[::step]).equals(pa.array(values[::step]))


def test_a_dictionary_is_decoded_as_arrow_does():
    texts = pa.array(["a", None, "b", "a"]).dictionary_encode()
    null_inside = pa.DictionaryArray.from_arrays(pa.array([0, 1, None], pa.int8()), pa.array(["x", None]))
    for array in (texts, texts[1:], texts[:0], null_inside, pa.array([1, 2, None]).dictionary_encode()):
        assert decoded(array).equals(array.dictionary_decode())


def test_large_strings_are_spelled_as_arrow_casts_them():
    for values in ([], [None, None], ["", ""], ["a", None, "", "äö"]):
        array = pa.array(["xyz", *values], pa.large_string())[1:]
        found = spelled(array)
        found.validate(full=True)
        assert found.equals(array.cast(pa.string()))


def test_positions_are_distinct_and_ascending():
    assert distinct(np.array([3, 1, 3, 0])).tolist() == [0, 1, 3]
    assert distinct(np.empty(0, dtype=np.int64)).tolist() == []


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_floats_are_written_as_python_prints_them(dtype):
    rng = np.random.default_rng(0)
    sizes = 10.0 ** rng.uniform(-12, 20, 2000)
    edges = [value for value in EDGES if value < 1e38 or dtype == np.float64]
    drawn = np.concatenate([sizes, -sizes, np.round(sizes), rng.normal(size=2000), edges, NOT_FINITE]).astype(dtype)
    missing = rng.random(len(drawn)) < 0.1
    for some in (slice(None), slice(0, 20)):  # many are written by Arrow, few by Python
        values, gone = drawn[some], missing[some]
        want = [None if no else repr(float(str(one))) for one, no in zip(values, gone, strict=True)]
        assert float_texts(pa.array(values, mask=gone)) == want


def cell(rng):
    return "".join(rng.choices(["a", "b", ",", "\t", '"', "\r", "\n", " ", "é", "\0", ";"], k=rng.randrange(5)))


def by_csv(table, delimiter):
    """Return a table as the csv module writes it, with a carriage return in quotes and line feeds after rows."""
    lines = []
    for row in [table.column_names, *zip(*(column.to_pylist() for column in table.columns), strict=True)]:
        stream = io.StringIO(newline="")
        csv.writer(stream, delimiter=delimiter, lineterminator="\r\n").writerow(row)
        lines.append(stream.getvalue().removesuffix("\r\n") + "\n")
    return "".join(lines)


@pytest.mark.parametrize(("kind", "delimiter"), [(CSV, ","), (TSV, "\t")])
def test_a_table_is_written_as_the_csv_module_does(kind, delimiter):
    rng = random.Random(0)
    for rows in (0, 1, 7, 300):
        for _ in range(20):
            columns = {
                cell(rng): pa.array([rng.choice([None, "x", cell(rng)]) for _ in range(rows)], pa.string()),
                "number": pa.array([rng.choice([None, 1, -5, 2**60]) for _ in range(rows)], pa.int64()),
                "float": pa.array([rng.choice([None, 0.5, 2.0, 1e-7, rng.random()]) for _ in range(rows)]),
                "yes": pa.array([rng.choice([None, True, False]) for _ in range(rows)], pa.bool_()),
                "nothing": pa.nulls(rows),
            }
            for count in (1, 5):  # an empty cell alone is quoted: a reader would skip the line
                table = pa.table(dict(list(columns.items())[:count]))
                stream = io.StringIO(newline="")
                kind.write_stream([table.slice(0, 3), table.slice(3)], table.schema, stream)
                assert stream.getvalue() == by_csv(table, delimiter)
