"""Vectors that were made elsewhere: they go in as they are, or are refused, and what is unproven never mixes."""

import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from conftest import HashEncoder, small_rows
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import parquet

import embedstore
from embedstore.core.settings import Settings
from embedstore.encoders import EncoderOptions
from embedstore.errors import (
    CheckpointError,
    EmbedstoreError,
    InputError,
    MissingExtraError,
    ModelRequiredError,
    SpaceMismatchError,
    UsageError,
)

LISTS = {
    "list": lambda inner, _: pa.list_(inner),
    "large_list": lambda inner, _: pa.large_list(inner),
    "fixed": pa.list_,
}


def vectors_of(texts, encoder=None):
    return np.stack([(encoder or HashEncoder()).vector(text) for text in texts])


def table_of(rows, vectors, type_=None):
    plain = pa.Table.from_pylist(rows)
    return plain.append_column("vector", pa.array(list(map(list, vectors)), type_ or pa.list_(pa.float32())))


@pytest.fixture
def made(tmp_path):
    """Ten rows with the vectors of the small encoder, as a Parquet file."""
    rows = small_rows()
    parquet.write_table(table_of(rows, vectors_of([row["review"] for row in rows])), tmp_path / "made.parquet")
    return tmp_path / "made.parquet"


def take_in(store, table, **options):
    usual = {"text": "review", "id": "key", "model": "hash"}
    where = {} if "vectors" in options else {"vector": "vector"}
    return store.import_vectors(table, **{**usual, **where, **options})


@pytest.mark.parametrize("kind", LISTS)
@pytest.mark.parametrize("inner", [pa.float16(), pa.float32(), pa.float64()])
def test_a_column_of_vectors_goes_in_and_nothing_is_left_to_encode(target, encoder, tmp_path, kind, inner):
    rows = small_rows()
    vectors = vectors_of([row["review"] for row in rows]).astype(inner.to_pandas_dtype())
    parquet.write_table(table_of(rows, vectors, LISTS[kind](inner, 16)), tmp_path / "in.parquet")
    report = take_in(target, tmp_path / "in.parquet")
    assert (report.rows, report.imported, report.cached, report.encoded, report.proven) == (10, 8, 0, 1, True)
    assert report.checked == 9
    encoder.encoded.clear()
    assert target.encode().encoded == 0
    assert encoder.encoded == []
    assert target.corpus().schema.names == ["key", "review", "stars"]
    exact = inner != pa.float16()
    np.testing.assert_allclose(
        target.space().vectors(), vectors_of([r["review"] for r in rows]), atol=1e-7 if exact else 1e-3
    )


def test_what_a_store_exports_goes_into_another_as_it_was(store, target, encoder, tmp_path):
    store.export(tmp_path / "out.npy")
    report = take_in(target, small_rows(), vectors=tmp_path / "out.npy")
    assert (report.imported, report.encoded) == (8, 1)
    np.testing.assert_array_equal(target.space().vectors(), store.space().vectors())
    encoder.encoded.clear()
    tags = target.tag(["Negative", "Positive"]).to_pandas()
    assert sorted(encoder.encoded[:9]) == sorted({row["review"] for row in small_rows()})  # canaries, once
    assert encoder.encoded[9:] == ["Negative", "Positive"]
    assert tags.equals(store.tag(["Negative", "Positive"]).to_pandas())


@pytest.mark.parametrize("kind", ["IndexFlatIP", "IndexFlatL2"])
def test_a_flat_index_is_read_as_faiss_reads_it(target, tmp_path, kind):
    import faiss

    vectors = vectors_of([row["review"] for row in small_rows()])
    index = getattr(faiss, kind)(16)
    index.add(vectors)
    faiss.write_index(index, str(tmp_path / "flat.faiss"))
    take_in(target, small_rows(), vectors=tmp_path / "flat.faiss")
    np.testing.assert_array_equal(target.space().vectors(), index.reconstruct_n(0, 10))


def test_an_index_that_is_not_flat_is_refused(target, tmp_path):
    import faiss

    index = faiss.index_factory(16, "HNSW8")
    index.add(vectors_of([row["review"] for row in small_rows()]))
    faiss.write_index(index, str(tmp_path / "other.faiss"))
    with pytest.raises(InputError, match=r"flat index of FAISS"):
        take_in(target, small_rows(), vectors=tmp_path / "other.faiss")


@pytest.mark.parametrize("name", ["in.npy", "in.faiss", "in.parquet"])
@pytest.mark.parametrize("kept", [0.3, 0.95])
def test_a_file_that_was_cut_short_is_refused_and_no_row_is_added(target, tmp_path, name, kept):
    import faiss

    vectors = vectors_of([row["review"] for row in small_rows()])
    path = tmp_path / name
    if name == "in.npy":
        np.save(path, vectors)
    elif name == "in.faiss":
        index = faiss.IndexFlatIP(16)
        index.add(vectors)
        faiss.write_index(index, str(path))
    else:
        parquet.write_table(table_of(small_rows(), vectors), path)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * kept)])
    with pytest.raises(InputError, match=str(path)):
        if name == "in.parquet":
            take_in(target, path)
        else:
            take_in(target, small_rows(), vectors=path)
    assert target.corpora() == []


FAULTS = {
    "not finite": (lambda v: v[3].fill(np.nan), r"{0}, row 4 \(row 4 of the table\): its vector is not made of finite"),
    "infinite": (lambda v: v[3].fill(np.inf), r"{0}, row 4 \(row 4 of the table\): its vector is not made of finite"),
    "zeros": (lambda v: v[3].fill(0), r"{0}, row 4 \(row 4 of the table\): its vector is all zeros"),
    "another text's": (lambda v: v[3].fill(0.25), "rows 1 and 4 of {0} have the same text and different vectors"),
    "all others": (lambda v: v[:].fill(0.25), "the vectors are not those of hash: .*, worst row [0-9]+ of {0} "),
}


@pytest.mark.parametrize("in_file", [True, False])
@pytest.mark.parametrize("fault", FAULTS)
def test_vectors_that_are_wrong_are_refused_by_their_own_rows_and_no_row_is_added(target, tmp_path, fault, in_file):
    spoil, told = FAULTS[fault]
    vectors = vectors_of([row["review"] for row in small_rows()])
    spoil(vectors)
    path = tmp_path / "in.npy"
    np.save(path, vectors)
    with pytest.raises((InputError, SpaceMismatchError), match=told.format(path if in_file else "the array")):
        take_in(target, small_rows(), vectors=path if in_file else vectors)
    assert target.corpora() == []
    assert target.manifest.spaces == {}


@pytest.mark.parametrize(
    ("vectors", "told"),
    [
        ([[1.0, 2.0], None, [1.0, 2.0]], "row 2: it has no vector"),
        ([[1.0, 2.0], [1.0, None], [1.0, 2.0]], "row 2: a number of its vector is missing"),
        ([[1.0, 2.0], [1.0, 2.0], [1.0]], "row 3: expected 2 numbers"),
        ([[1.0, 2.0], [], [1.0]], "row 2: expected 2 numbers"),
        ([[1.0, 2.0]] * 3, "have 2 dimensions, and those of hash have 16"),
    ],
)
def test_a_column_with_a_gap_is_refused_with_its_row(target, vectors, told):
    table = pa.table({"review": ["a", "b", "c"], "vector": pa.array(vectors, pa.list_(pa.float32()))})
    with pytest.raises((InputError, SpaceMismatchError), match=told):
        take_in(target, table, id=None)
    assert target.corpora() == []


def test_as_many_vectors_as_rows_are_expected(target):
    with pytest.raises(InputError, match=r"found 9 vectors in the array and 10 rows in the table; .* --ids FILE"):
        take_in(target, small_rows(), vectors=np.ones((9, 16), np.float32))


def test_a_file_of_another_width_than_the_model_s_is_named(target, tmp_path):
    np.save(tmp_path / "in.npy", np.ones((10, 3), np.float32))
    with pytest.raises(SpaceMismatchError, match=r"the vectors of .*in\.npy have 3 dimensions, and those of hash"):
        take_in(target, small_rows(), vectors=tmp_path / "in.npy")


@pytest.mark.parametrize("shape", ["a list in each row", "a number in each cell"])
def test_a_file_of_python_objects_is_refused_with_the_way_to_save_it(target, tmp_path, shape):
    vectors = vectors_of([row["review"] for row in small_rows()])
    objects = np.empty(10, dtype=object)
    objects[:] = vectors.tolist()
    array = objects if shape == "a list in each row" else vectors.astype(object)
    np.save(tmp_path / "in.npy", array, allow_pickle=True)
    with pytest.raises(InputError, match=r"in\.npy holds Python objects, which are never loaded") as caught:
        take_in(target, small_rows(), vectors=tmp_path / "in.npy")
    advised = str(caught.value).partition("with ")[2]
    assert advised == "np.save(FILE, np.array(array.tolist(), np.float32))"
    eval(advised, {"np": np, "array": array, "FILE": tmp_path / "in.npy"})
    assert take_in(target, small_rows(), vectors=tmp_path / "in.npy").imported == 8


class Harm:
    """An object that makes a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def test_what_python_objects_would_do_is_not_done(target, tmp_path):
    array = np.empty(10, dtype=object)
    array[0] = Harm(tmp_path / "harm")
    np.save(tmp_path / "in.npy", array, allow_pickle=True)
    with pytest.raises(InputError):
        take_in(target, small_rows(), vectors=tmp_path / "in.npy")
    assert not (tmp_path / "harm").exists()


def test_vectors_stand_in_a_column_or_beside_the_table(target):
    for wrong in ({}, {"vector": "a", "vectors": np.ones((10, 16))}):
        with pytest.raises(UsageError, match="expected the vectors in a column"):
            target.import_vectors(small_rows(), text="review", model="hash", **wrong)


def test_a_column_that_holds_no_vectors_is_refused_with_those_that_do(target, made, tmp_path):
    with pytest.raises(InputError, match=r"in column 'review', found text: lists of floats are in 'vector'$"):
        take_in(target, made, vector="review")
    with pytest.raises(InputError, match=r"in column 'stars', found int64: lists of floats are in 'vector'$"):
        take_in(target, made, vector="stars")
    (tmp_path / "in.csv").write_text("key,review,vector\nk0,good tea,1.0 2.0\n")
    with pytest.raises(InputError, match=r"found text: no column holds any; .* a \.npy file \(--rows\)"):
        take_in(target, tmp_path / "in.csv")
    with pytest.raises(InputError, match="expected lists of floats in column 'stars'"):
        take_in(target, small_rows(), vector="stars")
    with pytest.raises(InputError, match="has no column 'stair'"):
        take_in(target, small_rows(), vector="stair")


def test_vectors_of_another_length_are_scaled_if_the_encoder_scales(target, caplog):
    vectors = 3 * vectors_of([row["review"] for row in small_rows()])
    take_in(target, small_rows(), vectors=vectors)
    assert "the vectors have the length 3: they are scaled to the length 1, as those of hash are" in caplog.text
    np.testing.assert_allclose(target.space().vectors(), vectors / 3, atol=1e-6)


def test_lengths_that_differ_are_told(target, caplog):
    vectors = vectors_of([row["review"] for row in small_rows()])
    vectors[1] *= 2
    take_in(target, small_rows(), vectors=vectors)
    assert "the vectors have lengths from 1 to 2: they are scaled" in caplog.text


def test_a_stored_vector_stays_and_another_one_for_its_text_is_refused(store, made):
    before = store.space().vectors()
    assert take_in(store, made, corpus="again").cached == 9
    np.testing.assert_array_equal(store.space().vectors("train"), before)
    texts = ["one", "two", "awful"]
    vectors = vectors_of(texts)
    vectors[2] = vectors[0]  # the sample has it too, so the store is asked without a model below
    with pytest.raises(SpaceMismatchError):
        take_in(store, [{"review": text} for text in texts], vectors=vectors, id=None, corpus="third")
    assert [corpus.name for corpus in store.corpora()] == ["train", "again"]


def test_two_unproven_imports_that_contradict_each_other_are_refused(tmp_path):
    store = embedstore.create(tmp_path / "apart")
    rows = small_rows()
    vectors = vectors_of([row["review"] for row in rows])
    take_in(store, rows, vectors=vectors, no_encode=True)
    vectors[5] = vectors[6]
    with pytest.raises(SpaceMismatchError, match="row 6 of the array has another vector than the store has"):
        take_in(store, rows, vectors=vectors, no_encode=True, corpus="other")
    assert [corpus.name for corpus in store.corpora()] == ["train"]


def test_the_model_encodes_what_shares_a_segment_with_given_vectors(target, encoder):
    rows = small_rows()
    target.add(rows, text="review", id="key")
    some = [row for row in rows if row["review"] in ("bad tea", "nice", "fine")]
    report = take_in(target, some, vectors=vectors_of([row["review"] for row in some]), corpus="some")
    assert (report.imported, report.encoded) == (3, 6)
    np.testing.assert_array_equal(target.space().vectors("train"), vectors_of([row["review"] for row in rows]))


def test_unproven_vectors_do_not_fill_a_segment_in_part(tmp_path):
    store = embedstore.create(tmp_path / "apart")
    rows = small_rows()
    store.add(rows, text="review", id="key")
    with pytest.raises(ModelRequiredError, match="2 texts of the file are in the store already, together with 7 texts"):
        take_in(store, rows[:2], vectors=vectors_of(["good tea", "bad tea"]), corpus="some", no_encode=True)
    assert [corpus.name for corpus in store.corpora()] == ["train"]


@pytest.fixture
def apart(tmp_path, made):
    """A store with the unproven vectors of ten rows."""
    store = embedstore.create(tmp_path / "apart")
    assert not take_in(store, made, model="acme/one", no_encode=True).proven
    return store


def test_what_needs_no_new_vector_works_on_unproven_ones(apart, tmp_path):
    assert apart.search(row="k1", k=3).to_pandas()["id"].tolist()
    assert len(apart.duplicates(threshold=0.99).to_pandas()) >= 0
    apart.topics(2)
    apart.index()
    apart.export(tmp_path / "out.npy")
    np.testing.assert_array_equal(np.load(tmp_path / "out.npy"), apart.space().vectors())
    (space,) = apart.info()["spaces"]
    assert (space["model"], space["spec"]["pooling"], space["coverage"]) == ("unproven: acme/one", "unproven", 1.0)


def test_no_text_is_encoded_into_an_unproven_space(apart):
    other = embedstore.open(apart.path, encoder=HashEncoder())
    for store in (apart, other):
        for ask, asked in ((store.tag, ["a", "b"]), (store.search, "a")):
            with pytest.raises(ModelRequiredError, match="no model can encode"):
                ask(asked)
    with pytest.raises(UsageError, match="expected a model to encode with"):
        apart.encode()
    other.encode()
    assert len(apart.manifest.spaces) == 2
    other.tag(["a", "b"])  # the space of a model comes first
    assert [space.proven for space in (one.spec for one in apart.manifest.spaces.values())] == [False, True]
    claimed, _ = apart.manifest.spaces.values()
    assert len(claimed.query_vectors.records) == 0
    assert apart.space("acme/one").record == claimed


def test_a_model_that_comes_later_proves_the_vectors(apart, made):
    apart.index()
    other = embedstore.open(apart.path, encoder=HashEncoder())
    assert take_in(other, made, model="acme/one").proven
    (space,) = apart.manifest.spaces.values()
    assert space.spec == HashEncoder().spec
    assert apart.manifest.indexes == {}
    assert other.encode().encoded == 0


def test_a_model_that_does_not_agree_leaves_the_unproven_vectors(apart, made):
    wrong = HashEncoder()
    wrong.spec = replace(wrong.spec, prompt="other: ")
    with pytest.raises(SpaceMismatchError, match="of 9 texts encoded again, 9 come out otherwise"):
        take_in(embedstore.open(apart.path, encoder=wrong), made, model="acme/one")
    (space,) = apart.manifest.spaces.values()
    assert space.model == "unproven: acme/one"


def test_claims_that_differ_are_spaces_that_differ(apart, made):
    take_in(apart, made, model="acme/two", no_encode=True)
    take_in(apart, made, model="acme/one", no_encode=True, options=EncoderOptions(prompt="q: "))
    assert len(apart.manifest.spaces) == 3
    keys = {space.spec.digest for space in apart.manifest.spaces.values()}
    assert len(keys) == 2


SLIPS = {
    "all-MiniLM-L6-v3": "sentence-transformers/all-MiniLM-L6-v2",  # the bundled one
    "All-Minilm-l6-V2": "sentence-transformers/all-MiniLM-L6-v2",
    "acme/onee": "acme/one",  # of the store
    "someone/far-embeder": "someone/far-embedder",  # in the cache of the hub
}


@pytest.fixture
def cached(monkeypatch, tmp_path):
    """A cache of the hub with a model."""
    (tmp_path / "hub" / "models--someone--far-embedder").mkdir(parents=True)
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))


@pytest.mark.parametrize("slip", SLIPS)
def test_a_model_that_may_be_a_slip_is_refused_unless_nothing_is_to_be_encoded(apart, made, cached, caplog, slip):
    with pytest.raises(CheckpointError, match=f"no model '{slip}' is here: did you mean '{SLIPS[slip]}'"):
        take_in(apart, made, model=slip, corpus="other")
    assert len(apart.corpora()) == 1
    assert not take_in(apart, made, model=slip, corpus="other", no_encode=True).proven
    assert f"did you mean '{SLIPS[slip]}'?" in caplog.text


@pytest.mark.parametrize("model", ["acme/one", "acme/quite-another", "all-mpnet-base-v2"])
def test_a_model_that_is_not_here_and_is_no_slip_is_imported_unproven(apart, made, cached, caplog, model):
    assert not take_in(apart, made, model=model, corpus="other").proven
    assert "so the vectors are imported as unproven" in caplog.text
    assert "did you mean" not in caplog.text


TEXTS = st.lists(st.sampled_from(["", " ", "a", "b", "tea", "good tea", "x" * 40, "é"]), min_size=1, max_size=12)


@settings(max_examples=25, deadline=None)
@given(st.lists(TEXTS, min_size=1, max_size=3), st.booleans())
def test_imports_and_encoding_in_any_order_end_in_the_vectors_of_the_encoder(tmp_path_factory, tables, first):
    encoder = HashEncoder()
    sizes = Settings(smallest_segment=2, largest_segment=2)
    store = embedstore.create(tmp_path_factory.mktemp("any") / "store", encoder=encoder, settings=sizes)
    if first:
        store.add(["a", "tea", "only here"], text="text", corpus="first")
    for number, texts in enumerate(tables):
        if not any(text.strip() for text in texts):
            texts = [*texts, "b"]  # a table without any text is refused
        vectors = vectors_of(texts)
        store.import_vectors(texts, text="text", vectors=vectors, model="hash", corpus=f"c{number}")
        np.testing.assert_array_equal(store.space().vectors(f"c{number}"), vectors)
        if not first:
            encoder.encoded.clear()
            assert store.encode().encoded == 0
            assert encoder.encoded == []


KILLED = """
import os, signal, sys
sys.path.insert(0, sys.argv[1])
import numpy as np
import embedstore
from conftest import HashEncoder
from embedstore.core.settings import Settings
from test_incoming import many, vectors_of

def at(progress):
    if progress.done >= int(sys.argv[3]):
        os.kill(os.getpid(), signal.SIGKILL)

store = embedstore.EmbeddingStore(
    sys.argv[2], encoder=HashEncoder(), settings=Settings(smallest_segment=1, largest_segment=1)
)
store.import_vectors(many(), text="text", vectors=vectors_of(many()), model="hash", on_progress=at)
"""


def many():
    return [f"text {number}" for number in range(300)]


@pytest.mark.parametrize("killed_at", [0, 1, 290] if os.environ.get("EMBEDSTORE_TORTURE") else [290])
def test_an_import_that_was_killed_goes_on_when_it_is_run_again(tmp_path, killed_at):
    command = [sys.executable, "-c", KILLED, str(Path(__file__).parent), str(tmp_path / "store")]
    assert subprocess.run([*command, str(killed_at)], check=False).returncode == -signal.SIGKILL
    store = embedstore.open(tmp_path / "store", encoder=HashEncoder())
    held = sum(space.vectors.records.rows for space in store.manifest.spaces.values())
    assert (held > 0) == (killed_at > 256)
    report = store.import_vectors(many(), text="text", vectors=vectors_of(many()), model="hash")
    assert (report.imported, report.cached) == (300 - held, held)
    assert len(store.corpus()) == 300
    np.testing.assert_array_equal(store.space().vectors(), vectors_of(many()))


def test_a_lance_dataset_goes_in(target, tmp_path):
    lance = pytest.importorskip("lance")
    rows = small_rows()
    vectors = vectors_of([row["review"] for row in rows])
    lance.write_dataset(table_of(rows, vectors, pa.list_(pa.float32(), 16)), str(tmp_path / "in.lance"))
    assert take_in(target, tmp_path / "in.lance").imported == 8
    np.testing.assert_array_equal(target.space().vectors(), vectors)
    assert take_in(target, tmp_path / "in.lance").cached == 9


def test_lance_without_its_package_is_one_line_that_names_the_extra(target, tmp_path, monkeypatch):
    (tmp_path / "in.lance" / "_versions").mkdir(parents=True)
    monkeypatch.setitem(sys.modules, "lance", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'embedstore\[lance\]'"):
        take_in(target, tmp_path / "in.lance")


def test_a_name_that_is_no_line_is_refused(tmp_path, made):
    with pytest.raises(EmbedstoreError, match="expected the name of a model"):
        take_in(embedstore.create(tmp_path / "s"), made, model="a\nb", no_encode=True)
