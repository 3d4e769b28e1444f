"""What Python calls take: texts and numbers of other libraries too, and one line of advice for anything else."""

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from conftest import LABELS

import embedstore
from embedstore.core.names import store_path
from embedstore.encoders import EncoderOptions
from embedstore.errors import NotFoundError, UsageError
from embedstore.vectors.pairs import PairSearch

QUERIES = ["good tea", "a lamp"]


@pytest.mark.parametrize(
    "form",
    [
        tuple,
        np.array,
        lambda texts: np.array(texts, dtype=object),
        pd.Series,
        pd.Index,
        lambda texts: pd.Series(texts, dtype="string"),
        lambda texts: pd.Series(texts, dtype="category"),
        pa.array,
        lambda texts: pa.chunked_array([texts]),
        iter,
    ],
)
def test_several_texts_can_be_any_one_dimensional_collection(store, form):
    expected = store.search(QUERIES, k=2).to_pandas()
    pd.testing.assert_frame_equal(store.search(form(QUERIES), k=2).to_pandas(), expected)
    tagged = store.tag(LABELS).to_pandas()
    pd.testing.assert_frame_equal(store.tag(form(LABELS)).to_pandas(), tagged)


def test_numbers_of_numpy_are_numbers(store):
    expected = store.search("good tea", k=2).to_pandas()
    pd.testing.assert_frame_equal(store.search(np.str_("good tea"), k=np.int32(2)).to_pandas(), expected)
    assert store.duplicates(np.float32(0.5)).rows_in_groups == store.duplicates(0.5).rows_in_groups
    options = embedstore.TrainOptions(C=np.float64(2), max_iter=np.int64(50), drop_missing=np.bool_(True))
    assert options == embedstore.TrainOptions(C=2.0, max_iter=50, drop_missing=True)
    assert type(options.max_iter) is int
    store.annotations.add(np.int64(0), "Positive", LABELS)
    assert len(store.annotations.export_table()) == 1


WRONG = [
    (lambda store: store.search("tea", k=1.0), "expected a whole number for k, found 1.0"),
    (lambda store: store.search("tea", k=True), "expected a whole number for k, found True"),
    (lambda store: store.search("tea", k=0), "expected a k of 1 or more, found 0"),
    (lambda store: store.search([None]), "found None as number 1"),
    (lambda store: store.search(["tea", None]), "found None as number 2"),
    (lambda store: store.search(b"x"), "found b'x'"),
    (lambda store: store.search(3), "found 3"),
    (lambda store: store.search({"a": "b"}), "found a dict"),
    (lambda store: store.search(pd.DataFrame({"a": ["b"]})), "found 2 dimensions"),
    (lambda store: store.search(pa.table({"a": ["b"]})), "found a Table"),
    (lambda store: store.search([["tea"]]), "found a list as number 1"),
    (lambda store: store.search("tea", exact="no"), "expected True or False for exact, found 'no'"),
    (lambda store: store.tag("Good"), "found one text 'Good'"),
    (lambda store: store.tag([1, 2]), "expected labels to be texts, found 1"),
    (lambda store: store.tag(None), "expected a list of labels"),
    (lambda store: store.tag(b"ab"), "found b'ab'"),
    (lambda store: store.tag(pd.DataFrame({"a": ["b"], "c": ["d"]})), "found 2 dimensions"),
    (lambda store: store.tag(LABELS, min_confidence="1"), "expected a number for min_confidence, found '1'"),
    (lambda store: store.tag(LABELS, mapping="1=Positive"), "expected a list of texts for mapping"),
    (lambda store: store.tag(LABELS, gold=3), "expected a text for gold, found 3"),
    (lambda store: store.tag(LABELS, method="best", shares=[0.5, 0.5]), r"expected a mapping \(dict\) for shares"),
    (
        lambda store: store.tag(LABELS, method="best", shares={"Negative": "a", "Positive": 1}),
        "the share of 'Negative'",
    ),
    (lambda store: store.train(target=3), "expected a text for target, found 3"),
    (lambda store: store.train("stars", options=3), "expected an object of TrainOptions for options, found 3"),
    (lambda store: store.encode(model=3), "expected a text or a path for model, found 3"),
    (lambda store: store.encode(batch_size=-1), "expected a batch_size of 1 or more, found -1"),
    (lambda store: store.encode(batch_size=2.0), "expected a whole number for batch_size, found 2.0"),
    (lambda store: store.encode(on_progress=3), "expected a function for on_progress, found 3"),
    (lambda store: store.encode(options={"prompt": "x"}), "expected an object of EncoderOptions for options"),
    (lambda store: store.duplicates("0.9"), "expected a number for threshold, found '0.9'"),
    (lambda store: store.duplicates(corpora="train"), "found one text 'train'"),
    (lambda store: store.map(sample=-1), "expected a sample of 1 or more, found -1"),
    (lambda store: store.map(seed=-1), "expected a seed of 0 or more, found -1"),
    (lambda store: store.doubts("stars", folds=2.0), "expected a whole number for folds"),
    (lambda store: store.label_set("stars", count=0), "expected a count of 1 or more"),
    (lambda store: store.compare("stars", classify="m"), "found one text 'm'"),
    (lambda store: store.predict(3), "expected a text for probe"),
    (lambda store: store.export(3), "expected a text or a path for target"),
    (lambda store: store.corpus(3), "expected a text for name"),
    (lambda store: store.space(3), "expected a text for selector"),
    (lambda store: store.gc(dry_run="yes"), "expected True or False for dry_run"),
    (lambda store: store.annotations.add("0", "Positive", LABELS), "expected a whole number for position"),
    (lambda store: store.annotations.session(LABELS, seed=-1), "expected a seed of 0 or more"),
    (lambda store: embedstore.TrainOptions(max_iter=0), "expected a max_iter of 1 or more"),
    (lambda store: embedstore.TrainOptions(random_state=-1), "expected a random_state from 0 to 4294967295"),
    (lambda store: embedstore.TrainOptions(C="1"), "expected a number for C, found '1'"),
    (lambda store: embedstore.Settings(smallest_segment=0), "expected a smallest_segment of 1 or more"),
    (lambda store: EncoderOptions(truncate_dim=3.5), "expected a whole number for truncate_dim, found 3.5"),
    (lambda store: EncoderOptions(truncate_dim=-1), "expected a truncate_dim of 1 or more, found -1"),
    (lambda store: EncoderOptions(dtype="float64"), "expected a dtype of float32, float16, found 'float64'"),
    (lambda store: PairSearch(block=0), "expected a block of 1 or more"),
    (lambda store: embedstore.open(store.path, encoder=3), "expected an encoder with spec, dimension"),
    (lambda store: embedstore.open(store.path, settings=3), "expected an object of Settings"),
    (lambda store: embedstore.open(None), "expected the name of a store or a path, found None"),
    (lambda store: embedstore.create(b"x"), "expected the name of a store or a path, found b'x'"),
]


@pytest.mark.parametrize(("call", "said"), WRONG, ids=[said for _, said in WRONG])
def test_a_wrong_argument_gets_one_line_that_says_what_to_pass(store, call, said):
    with pytest.raises(UsageError, match=said) as caught:
        call(store)
    assert "\n" not in str(caught.value)


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("EMBEDSTORE_HOME", raising=False)
    return tmp_path


def test_a_name_is_a_store_under_the_home_as_in_the_shell(home, monkeypatch):
    assert embedstore.create("reviews").path == Path("indexes/reviews")
    assert embedstore.open("reviews").path == Path("indexes/reviews")
    monkeypatch.setenv("EMBEDSTORE_HOME", str(home / "elsewhere"))
    assert embedstore.create("reviews").path == home / "elsewhere" / "reviews"
    assert (home / "elsewhere" / "reviews").is_dir()


def test_a_path_is_itself(home, monkeypatch):
    for path in (Path("reviews"), "./others", home / "third", str(home / "fourth"), "../" + home.name + "/fifth"):
        made = embedstore.create(path)
        assert made.path == Path(path)
        assert embedstore.open(path).path == Path(path)
    monkeypatch.setenv("HOME", str(home))
    assert embedstore.open("~/fourth").path == home / "fourth"


def test_a_store_that_is_not_found_is_told_from_those_that_are(home):
    for name in ("books", "films"):
        embedstore.create(name)
    embedstore.create("./songs")
    with pytest.raises(NotFoundError, match=r"no store at indexes/book: .*; there are books, films$"):
        embedstore.open("book")
    # A name is never a folder of the working directory: what it means does not depend on what is there.
    with pytest.raises(NotFoundError, match=r"there are books, films; there is one at \./songs: give './songs'$"):
        embedstore.open("songs")
    embedstore.create("songs")
    assert embedstore.open("songs").path == Path("indexes/songs")


@pytest.mark.parametrize("name", ["", ".", "..", "a b", "-x", "a\x00b", "x" * 101])
def test_a_name_that_none_can_have_is_refused(home, name):
    with pytest.raises(UsageError):
        store_path(name)
    assert list(home.iterdir()) == []


def test_an_estimator_finds_a_store_by_its_name(home, store):
    Path("indexes").mkdir()
    Path("indexes/small").symlink_to(store.path)
    from embedstore import CachedEncoder

    assert CachedEncoder("small").transform(["good tea"]).shape == (1, 16)
