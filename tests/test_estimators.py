import pickle
import shutil

import numpy as np
import pandas as pd
import polars
import pyarrow as pa
import pytest
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.utils import estimator_checks
from sklearn.utils.estimator_checks import parametrize_with_checks

from embedstore import CachedEncoder, CosineLabelClassifier
from embedstore.errors import InputError, NotFoundError, UsageError


@parametrize_with_checks([CosineLabelClassifier()])
def test_the_classifier_is_a_scikit_learn_estimator(estimator, check):
    check(estimator)


def test_label_vectors_need_no_examples():
    vectors = np.array([[1.0, 0.0, 0.0], [0.0, 2.0, 0.0], [0.0, 0.0, 3.0]])
    model = CosineLabelClassifier(label_vectors=vectors, labels=["c", "a", "b"]).fit(np.ones((1, 3)), ["c"])
    assert model.predict([[0.1, 0.2, 9.0], [5.0, 0.0, 0.0]]).tolist() == ["b", "c"]
    with pytest.raises(ValueError, match="label_vectors of shape"):
        CosineLabelClassifier(label_vectors=vectors, labels=["a", "b"]).fit(np.ones((1, 3)), ["a"])


def test_a_pipeline_of_texts_uses_cached_vectors(store, rows):
    texts = [str(row["review"]) for row in rows]
    y = [row["stars"] for row in rows]
    pipeline = make_pipeline(CachedEncoder(store.path), LogisticRegression()).fit(texts, y)
    vectors = store.space().vectors(store.corpus())
    assert np.array_equal(pipeline[0].transform(texts), vectors / np.linalg.norm(vectors, axis=1, keepdims=True))
    assert pipeline.predict(texts).tolist() == LogisticRegression().fit(vectors, y).predict(vectors).tolist()
    assert pipeline[0].transform([]).shape == (0, 16)
    assert np.allclose(pipeline[0].transform([None, float("nan")]), vectors[2])


@pytest.mark.parametrize(
    ("labels", "vectors", "said"),
    [
        (["a", "a"], np.eye(2), "each once"),
        (["a"], np.eye(1, 2), "two or more labels"),
        (["a", None], np.eye(2), "a missing one"),
        (["a", float("nan")], np.eye(2), "a missing one"),
        ("ab", np.eye(2), "found one text"),
        ([["a", "b"]], np.eye(2), "each once|one list"),
        (None, np.eye(2), "expected labels with the label_vectors"),
        (["a", "b"], None, "expected label_vectors with the labels"),
        (["a", "b", "c"], np.eye(2), r"label_vectors of shape \(3, 2\), found \(2, 2\)"),
        (["a", "b"], np.eye(2, 3), r"label_vectors of shape \(2, 2\), found \(2, 3\)"),
        (["a", "b"], np.ones(2), "label_vectors as finite numbers"),
        (["a", "b"], [["x", "y"], ["z", "w"]], "label_vectors as finite numbers"),
        (["a", "b"], [[1, np.nan], [0, 1]], "NaN"),
        (["a", "b"], [[0, 0], [0, 1]], "a vector of zeros"),
    ],
)
def test_labels_and_vectors_that_do_not_fit_are_refused(labels, vectors, said):
    with pytest.raises((InputError, UsageError), match=said):
        CosineLabelClassifier(label_vectors=vectors, labels=labels).fit(np.ones((2, 2)), ["a", "b"])


def test_one_class_is_not_learnt():
    with pytest.raises(InputError, match="one class"):
        CosineLabelClassifier().fit(np.eye(2), ["a", "a"])


def test_label_vectors_need_no_y():
    model = CosineLabelClassifier(label_vectors=np.eye(2), labels=pd.Series(["a", "b"])).fit(np.ones((1, 2)))
    assert model.predict([[0.0, 1.0]]).tolist() == ["b"]


TEXTS = ["good tea", "a lamp", "too bright"]
FORMS = {
    "list": list,
    "tuple": tuple,
    "objects": lambda texts: np.array(texts, dtype=object),
    "NumPy texts": np.array,
    "series": pd.Series,
    "string series": lambda texts: pd.Series(texts, dtype="string"),
    "string array": lambda texts: pd.array(texts, dtype="string"),
    "categorical": lambda texts: pd.Series(texts, dtype="category"),
    "index": pd.Index,
    "frame": lambda texts: pd.DataFrame({"text": texts}),
    "two-dimensional": lambda texts: np.array(texts, dtype=object).reshape(-1, 1),
    "Arrow array": pa.array,
    "chunked array": lambda texts: pa.chunked_array([texts[:1], texts[1:]]),
    "dictionary": lambda texts: pa.array(texts).dictionary_encode(),
    "Arrow table": lambda texts: pa.table({"text": texts}),
}


@pytest.mark.parametrize("form", FORMS)
def test_one_column_of_texts_is_read_in_any_form(store, form):
    vectors = store.space().vectors("train")[[0, 4, 5]]
    found = CachedEncoder(store.path).transform(FORMS[form](TEXTS))
    assert np.array_equal(found, vectors / np.linalg.norm(vectors, axis=1, keepdims=True))


@pytest.mark.parametrize(
    "column",
    [
        [None],
        [float("nan")],
        [np.float32("nan")],
        [pd.NA],
        [pd.NaT],
        pd.Series([None], dtype="string"),
        pd.Series([None], dtype="category"),
        pd.DataFrame({"text": [np.nan]}),
        pa.nulls(1),
    ],
    ids=str,
)
def test_a_missing_text_counts_as_an_empty_one(store, column):
    encoder = CachedEncoder(store.path)
    assert np.array_equal(encoder.transform(column), encoder.transform([""]))


@pytest.mark.parametrize(
    ("column", "said"),
    [
        ("hello world", "found one text 'hello world'"),
        (b"hello", "found b'hello'"),
        ([b"good"], "found b'good' as number 1"),
        (np.array([b"good"]), "found b'good' as number 1"),
        (["good", 3], "found 3 as number 2"),
        (np.eye(3), "found 3 columns"),
        (pd.Series([1]), "found 1 as number 1"),
        (pd.DataFrame({"a": ["x"], "b": ["y"]}), "found 2 columns: choose one"),
        (pa.table({"a": ["x"], "b": ["y"]}), "found 2 columns: choose one"),
        ([["a"], ["b"]], "found a list as number 1"),
        ({"text": ["a"]}, "found a dict"),
        ({"a"}, "found a set"),
        (np.array("a"), "found 0 dimensions"),
        (None, "found None"),
        (iter(["a"]), "found a list_iterator: put it in a list"),
    ],
)
def test_anything_else_is_refused_and_nothing_is_kept(store, column, said):
    before = store.manifest
    for method in (CachedEncoder(store.path).fit, CachedEncoder(store.path).transform):
        with pytest.raises(InputError, match=said) as caught:
            method(column)
        assert "\n" not in str(caught.value)
    assert store.manifest == before


def test_columns_have_names_and_frames_come_out(store):
    encoder = CachedEncoder(store.path)
    names = [f"cachedencoder{number}" for number in range(16)]
    assert encoder.get_feature_names_out().tolist() == names
    frame = pd.DataFrame({"text": TEXTS}, index=[5, 6, 7])
    found = clone(encoder).set_output(transform="pandas").fit_transform(frame)
    assert (found.columns.tolist(), found.index.tolist()) == (names, [5, 6, 7])
    assert np.array_equal(found.to_numpy(), encoder.transform(TEXTS))
    fitted = encoder.fit(frame)
    assert (fitted.n_features_in_, fitted.feature_names_in_.tolist()) == (1, ["text"])
    assert not hasattr(encoder.fit(TEXTS), "feature_names_in_")


def test_polars_goes_in_and_comes_out(store):
    encoder = CachedEncoder(store.path)
    vectors = encoder.transform([*TEXTS, ""])
    frame = polars.DataFrame({"text": [*TEXTS, None]})
    assert np.array_equal(encoder.transform(frame), vectors)
    assert np.array_equal(encoder.transform(frame["text"]), vectors)
    found = clone(encoder).set_output(transform="polars").fit_transform(frame)
    assert found.columns == encoder.get_feature_names_out().tolist()
    with pytest.raises(InputError, match="found 2 columns: choose one"):
        encoder.transform(frame.with_columns(other=frame["text"]))


@pytest.mark.parametrize("column", ["text", ["text"]])
def test_a_column_transformer_gives_it_one_column(store, column):
    frame = pd.DataFrame({"text": TEXTS, "stars": [1, 2, 3]})
    columns = ColumnTransformer([("text", CachedEncoder(store.path), column), ("rest", "passthrough", ["stars"])])
    found = columns.fit_transform(frame)
    assert np.array_equal(found[:, :16].astype(np.float32), CachedEncoder(store.path).transform(TEXTS))
    assert found[:, 16].tolist() == [1, 2, 3]
    assert columns.get_feature_names_out()[[0, 16]].tolist() == ["text__cachedencoder0", "rest__stars"]


def test_a_grid_search_learns_from_texts(store, rows):
    texts, y = [str(row["review"]) for row in rows], [row["stars"] for row in rows]
    pipeline = make_pipeline(CachedEncoder(store.path), LogisticRegression())
    search = GridSearchCV(pipeline, {"logisticregression__C": [0.1, 1.0]}, cv=2).fit(texts, y)
    vectors = search.best_estimator_[0].transform(texts)
    assert search.predict(texts).tolist() == search.best_estimator_[1].predict(vectors).tolist()


def test_a_model_is_kept_and_not_pickled(demo_home, tmp_path):
    shutil.copytree(demo_home / "demo", tmp_path / "s")
    encoder = CachedEncoder(tmp_path / "s")
    found = encoder.transform(["a text that is new"])
    kept = pickle.dumps(encoder)
    assert len(kept) < 2000
    assert np.array_equal(pickle.loads(kept).transform(["a text that is new"]), found)
    other = clone(encoder)
    other.transform(["another new text"])
    with encoder._snapshot() as one, other._snapshot() as two:
        record = one.space().record
        assert one.models.load_for(record, ["x"])[1] is two.models.load_for(record, ["x"])[1]


def test_another_store_is_opened_when_the_parameter_changes(store, tmp_path):
    encoder = CachedEncoder(store.path)
    assert encoder.transform(["good tea"]).shape == (1, 16)
    with pytest.raises(NotFoundError, match="there are small"):
        encoder.set_params(store=store.path.parent / "no-such-store").transform(["good tea"])


# The other checks of scikit-learn give an estimator numbers in two dimensions, which this one refuses; it learns
# nothing, and its store has no default.
CHECKS = [
    "check_estimator_cloneable",
    "check_estimator_repr",
    "check_estimator_tags_renamed",
    "check_get_params_invariance",
    "check_mixin_order",
    "check_no_attributes_set_in_init",
    "check_set_params",
    "check_valid_tag_types",
]


@pytest.mark.parametrize("name", CHECKS)
def test_the_encoder_is_a_scikit_learn_estimator(store, name):
    getattr(estimator_checks, name)("CachedEncoder", CachedEncoder(store.path))
