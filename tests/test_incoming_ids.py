"""Vectors beside a table that are joined to its rows by ids."""

import json
import shutil

import numpy as np
import pyarrow as pa
import pytest
from conftest import HashEncoder, small_rows
from hypothesis import given, settings
from hypothesis import strategies as st

import embedstore
from embedstore.errors import InputError, ModelRequiredError, SpaceMismatchError, UsageError


def vectors_of(texts):
    return np.stack([HashEncoder().vector(text) for text in texts])


def take_in(store, rows, **options):
    return store.import_vectors(rows, **{"text": "review", "id": "key", "model": "hash", **options})


@pytest.fixture
def exported(store, tmp_path):
    """The vectors of the small store as an export writes them, with their ids beside them; blank texts are left out."""
    store.export(tmp_path / "out.npy", to="npy")
    return tmp_path / "out.npy"


@pytest.mark.parametrize("kind", ["npy", "faiss"])
@pytest.mark.parametrize("seed", range(3))
def test_rows_in_any_order_get_the_vectors_that_their_ids_name(store, target, encoder, tmp_path, kind, seed):
    path = tmp_path / f"out.{kind}"
    store.export(path, to=kind)
    rows = [small_rows()[number] for number in np.random.default_rng(seed).permutation(10)]
    report = take_in(target, rows, vectors=path)
    beside = tmp_path / ("out.ids.csv" if kind == "npy" else "out.faiss.json")
    assert (report.rows, report.imported, report.encoded, report.without, report.unused) == (10, 8, 1, 0, 0)
    assert report.ids == str(beside)
    assert f"8 vectors imported, by the ids in {beside}, 0 already there" in str(report)
    assert report.notes == ()  # the row without a vector is blank
    np.testing.assert_allclose(target.space().vectors(), vectors_of([row["review"] for row in rows]), atol=1e-6)
    encoder.encoded.clear()
    assert target.encode().encoded == 0


def test_of_a_filtered_table_the_other_vectors_are_left_out_and_counted(target, exported):
    rows = [row for row in small_rows() if row["review"] in ("bad tea", "nice")]
    report = take_in(target, rows, vectors=exported)
    assert (report.imported, report.encoded, report.without, report.unused) == (2, 0, 0, 7)
    assert report.notes == ("7 vectors were left out: no row has their ids",)
    np.testing.assert_array_equal(target.space().vectors(), vectors_of([row["review"] for row in rows]))


def test_rows_that_no_vector_names_are_encoded(target, exported):
    more = [{"key": f"new{number}", "review": f"text {number}", "stars": 1} for number in range(3)]
    report = take_in(target, [*more, *small_rows()], vectors=exported)
    assert (report.rows, report.without, report.unused) == (13, 3, 0)
    assert report.notes == ("3 rows came without a vector: `embedstore encode` makes what is still missing",)
    target.encode()
    texts = [row["review"] for row in [*more, *small_rows()]]
    np.testing.assert_allclose(target.space().vectors(), vectors_of(texts), atol=1e-6)


def test_without_the_model_each_row_needs_a_vector(tmp_path, exported):
    apart = embedstore.create(tmp_path / "apart")
    told = "1 row of 10 has no vector in .*out.npy, and no model is there to make it: leave this row out"
    with pytest.raises(ModelRequiredError, match=told):
        take_in(apart, small_rows(), vectors=exported, no_encode=True)
    assert apart.corpora() == []
    rows = [row for row in reversed(small_rows()) if row["review"]]
    assert take_in(apart, rows, vectors=exported, no_encode=True).imported == 8
    np.testing.assert_array_equal(apart.space().vectors(), vectors_of([row["review"] for row in rows]))


def test_a_fault_is_named_by_the_row_of_the_vector_and_of_the_table(target, exported):
    vectors = np.load(exported)
    vectors[2] = np.nan
    np.save(exported, vectors)
    rows = list(reversed(small_rows()))
    named = exported.with_suffix(".ids.csv").read_text().splitlines()[3]
    at = 1 + [row["key"] for row in rows].index(named)
    with pytest.raises(InputError, match=rf"out\.npy, row 3 \(row {at} of the table\): its vector is not"):
        take_in(target, rows, vectors=exported)
    vectors = np.roll(np.nan_to_num(vectors, nan=1.0), 1, axis=0)
    np.save(exported, vectors)
    with pytest.raises((InputError, SpaceMismatchError), match=r"of .*out\.npy"):
        take_in(target, rows, vectors=exported)
    assert target.corpora() == []


def test_without_the_column_of_ids_the_order_counts(store, target, tmp_path):
    store.export(tmp_path / "out.npy")
    assert take_in(target, small_rows(), id=None, vectors=tmp_path / "out.npy").ids is None
    np.testing.assert_array_equal(target.space().vectors(), store.space().vectors())


def test_row_numbers_are_ids_where_no_column_is(target, tmp_path):
    some = [row for row in small_rows() if row["review"]]
    vectors = vectors_of([row["review"] for row in some])
    numbers = [number for number, row in enumerate(small_rows()) if row["review"]]
    report = take_in(target, small_rows(), id=None, vectors=vectors, ids=numbers)
    assert (report.imported, report.without, report.ids) == (8, 0, "the ids")
    np.testing.assert_allclose(target.space().vectors(), vectors_of([row["review"] for row in small_rows()]), atol=1e-6)


IDS = {
    "too few": ("id\nk0\n", "found 1 id in .*ids.csv and 2 vectors in the array"),
    "twice": ("id\nk0\nk0\n", "rows 1 and 2 have the same id"),
    "a gap": ("id,x\nk0,1\n,2\n", "row 2: it has no id"),
    "columns": ("a,b\nk0,1\nk1,2\n", "expected ids in a column 'id' or in its only column"),
    "others": ("id\nx\ny\n", "none of the ids in .*ids.csv is among the column 'key' of the table"),
}


@pytest.mark.parametrize("fault", IDS)
def test_ids_that_can_not_be_used_are_refused_and_no_row_is_added(target, tmp_path, fault):
    content, told = IDS[fault]
    (tmp_path / "ids.csv").write_text(content)
    with pytest.raises(InputError, match=told):
        take_in(target, small_rows(), vectors=vectors_of(["a", "b"]), ids=tmp_path / "ids.csv")
    assert target.corpora() == []


@pytest.mark.parametrize("content", [b"", b"[]", b'{"ids": 3}', b'{"ids": [null]}', b"[" * 100_000, b"\xff", b"{}"])
def test_json_that_has_no_ids_is_one_line(target, tmp_path, content):
    (tmp_path / "ids.json").write_bytes(content)
    with pytest.raises(InputError, match=r"ids\.json: expected"):
        take_in(target, small_rows(), vectors=vectors_of(["a", "b"]), ids=tmp_path / "ids.json")


def test_ids_go_with_vectors_beside_a_table_and_a_column_that_is_there(target):
    table = pa.table({"review": ["a"], "vector": pa.array([[1.0]])})
    with pytest.raises(UsageError, match="expected ids for vectors beside a table"):
        target.import_vectors(table, text="review", model="hash", vector="vector", ids=["a"])
    with pytest.raises(InputError, match="has no column 'kee': did you mean 'key'"):
        take_in(target, small_rows(), vectors=vectors_of(["a"]), ids=["k0"], id="kee")


@settings(max_examples=30, deadline=None)
@given(st.permutations(range(10)), st.integers(1, 10), st.permutations(range(10)), st.integers(1, 10))
def test_each_row_has_its_own_vector_whatever_is_shuffled_or_left_out(tmp_path_factory, order, vectors, rows, count):
    """The encoder is the oracle: a row that got the vector of another one would differ from it."""
    texts = [f"text {number}" for number in range(10)]
    given, kept = order[:vectors], rows[:count]
    encoder = HashEncoder()
    store = embedstore.create(tmp_path_factory.mktemp("any") / "store", encoder=encoder)
    table = [{"key": f"k{number}", "review": texts[number]} for number in kept]
    array, ids = vectors_of([texts[number] for number in given]), [f"k{number}" for number in given]
    both = set(given) & set(kept)
    if not both:
        with pytest.raises(InputError, match="none of the ids"):
            take_in(store, table, vectors=array, ids=ids)
        return
    report = take_in(store, table, vectors=array, ids=ids)
    assert (report.imported, report.without) == (len(both), len(kept) - len(both))
    assert report.unused == len(given) - len(both)
    assert report.checked == len(both)
    store.encode()
    np.testing.assert_array_equal(store.space().vectors(), vectors_of([texts[number] for number in kept]))


def test_the_shell_finds_rows_by_the_ids_beside_or_by_those_named(cli, store):
    home = cli.home.parent
    rows = [row for row in small_rows() if row["review"]]
    (home / "rows.jsonl").write_text("\n".join(map(json.dumps, reversed(rows))))
    assert cli("export", "small", "out.npy", "--to", "npy").returncode == 0
    words = ["rows.jsonl", "--text", "review", "--id", "key", "-m", "acme/one", "--no-encode"]
    done = cli("import", "first", "out.npy", "--rows", *words)
    assert done.returncode == 0, done.stderr
    assert "8 vectors imported, by the ids in out.ids.csv" in done.stdout
    for name in ("map", "index", "export"):
        assert name in done.stderr
    shutil.move(home / "out.ids.csv", home / "other.csv")
    done = cli("import", "second", "out.npy", "--ids", "other.csv", "--rows", *words)
    assert "by the ids in other.csv" in done.stdout
    assert "out.npy, row 1" not in done.stderr
    first, second = (embedstore.open(cli.home / name).space().vectors() for name in ("first", "second"))
    np.testing.assert_array_equal(first, vectors_of([row["review"] for row in reversed(rows)]))
    np.testing.assert_array_equal(first, second)
