import numpy as np
import pandas as pd
import pytest
from conftest import HashEncoder
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_score, train_test_split

import embedstore
from embedstore import TrainOptions
from embedstore.core.memory import available_memory
from embedstore.errors import DamagedStoreError, InputError, NotFoundError, SpaceMismatchError, UsageError


@pytest.fixture
def library(tmp_path, encoder):
    store = embedstore.create(tmp_path / "s", encoder=encoder)
    frame = pd.DataFrame({"t": [f"text {i}" for i in range(120)], "two": [i % 2 + 1 for i in range(120)]})
    frame["three"] = [["low", "mid", "high"][i % 3] for i in range(120)]
    frame["gap"] = [None if i % 10 == 0 else float(i % 2) for i in range(120)]
    frame["number"] = np.linspace(0, 1, 120)
    frame["one"] = "same"
    store.add(frame, text="t")
    store.add(frame.iloc[::3], text="t", corpus="test")
    store.encode()
    return store


@pytest.mark.parametrize("target", ["two", "three"])
def test_training_equals_scikit_learn(library, target):
    trained = library.train(target, test_corpus="test")
    train, test = library.corpus(), library.corpus("test")
    learnt = library.space().vectors(train).astype(np.float64)
    model = LogisticRegression(max_iter=1000, tol=1e-10).fit(learnt, train.column(target).to_pylist())
    vectors = library.space().vectors(test)
    assert trained.report.accuracy == model.score(vectors, test.column(target).to_pylist())
    assert trained.probe.classes == tuple(model.classes_.tolist())
    assert np.allclose(trained.probe.probabilities(vectors), model.predict_proba(vectors), atol=5e-4)
    predicted = library.predict(target, corpus="test", scores=True).to_pandas()
    assert predicted["Predicted_Labels"].tolist() == model.predict(vectors).tolist()
    assert np.allclose(predicted["probability"], model.predict_proba(vectors).max(axis=1), atol=5e-4)
    columns = [f"probability_{name}" for name in model.classes_]
    assert np.allclose(predicted[columns], model.predict_proba(vectors), atol=5e-4)


def test_test_rows_with_the_text_of_a_training_row_are_noted(library):
    """The figures are then better than they would be on new texts."""
    said = "also a training row's: figures are better than on new texts"
    tests = pd.DataFrame({"t": ["text 1", "text 2", "new"] * 8, "two": [2, 1, 1] * 8, "many": ["a; b", "b", "a"] * 8})
    library.add(tests, text="t", corpus="mixed")
    library.encode()
    for notes in (
        library.train("two", corpus="train", test_corpus="mixed").notes,
        library.compare("two", corpus="train", test_corpus="mixed").notes,
    ):
        assert f"16 of 24 test rows have a text that is {said}" in notes
    assert any(said in note for note in library.train("two", corpus="mixed").notes)  # equal texts in both parts
    assert any(said in note for note in library.train("many", corpus="mixed", multi=True).notes)
    library.add(tests.assign(t=[f"other {number}" for number in range(24)]), text="t", corpus="apart")
    library.encode()
    assert not any(said in note for note in library.train("two", corpus="train", test_corpus="apart").notes)


def test_dates_and_truth_values_are_classes_too(library):
    frame = pd.DataFrame({"t": [f"text {i}" for i in range(40)], "yes": [True, False] * 20})
    frame["day"] = pd.to_datetime(["2020-01-01", "2021-01-01"] * 20)
    library.add(frame, text="t", corpus="dates")
    assert library.train("yes", corpus="dates").probe.classes == (False, True)
    library.train("day", corpus="dates")
    found = set(library.predict("day", corpus="dates").to_pandas()["Predicted_Labels"])
    assert found <= {"2020-01-01 00:00:00", "2021-01-01 00:00:00"}


def test_without_a_test_corpus_a_stratified_share_is_held_out(library):
    trained = library.train("two", options=TrainOptions(test_size=0.25, random_state=3, cv=4))
    y = np.array(library.corpus().column("two").to_pylist())
    fit, held_out = train_test_split(np.arange(120), test_size=0.25, stratify=y, random_state=3)
    vectors = library.space().vectors(library.corpus())
    model = LogisticRegression(max_iter=1000).fit(vectors[fit], y[fit])
    assert trained.report.accuracy == model.score(vectors[held_out], y[held_out])
    assert trained.report.rows == 30
    folds = StratifiedKFold(4, shuffle=True, random_state=3)
    x, y = vectors[fit].astype(np.float64), y[fit]
    oracle = cross_val_score(LogisticRegression(max_iter=1000, tol=1e-10), x, y, cv=folds)
    assert trained.cv_scores == pytest.approx(oracle)


def test_rows_without_a_target_are_refused_or_left_out(library):
    with pytest.raises(InputError, match="found 12 of 120 rows without: leave such rows out with --drop-missing"):
        library.train("gap")
    trained = library.train("gap", options=TrainOptions(drop_missing=True))
    assert trained.probe.description["rows"] + trained.report.rows == 108
    assert "12 of 120 rows" in trained.notes[0]


@pytest.mark.parametrize(
    ("target", "options", "error", "says"),
    [
        ("one", {}, InputError, "at least two classes in 'one', found 1: same; choose another column"),
        ("number", {}, InputError, "no column of classes; choose another column"),
        ("nothing", {}, InputError, "no column 'nothing'"),
        ("two", {"C": 0}, UsageError, "C above 0"),
        ("two", {"cv": 1}, UsageError, "at least 2 folds"),
        ("two", {"cv": 200}, InputError, "at least 200 rows of each class"),
        ("two", {"test_size": 1.0}, UsageError, "between 0 and 1"),
    ],
)
def test_what_can_not_be_trained_is_refused(library, target, options, error, says):
    with pytest.raises(error, match=says):
        library.train(target, options=TrainOptions(**options))
    assert library.manifest.probes == {}


def test_a_solver_that_stopped_early_is_told(library):
    assert "stopped at 1 iterations" in library.train("two", options=TrainOptions(max_iter=1, C=100)).notes[0]


def test_a_probe_is_bound_to_its_space(library):
    library.train("two", name="mine")
    other = embedstore.open(library.path, encoder=HashEncoder(prompt="p: "))
    other.encode()
    second = list(library.manifest.spaces)[1]
    with pytest.raises(SpaceMismatchError, match="trained in space"):
        library.predict("mine", space=second)
    assert len(library.predict("mine")) == 120


def test_training_uses_a_sample_where_memory_is_short_and_says_so(library):
    with pytest.raises((InputError, ValueError)):
        library.train("two", options=TrainOptions(max_memory=1))
    trained = library.train("two", options=TrainOptions(max_memory=int(60.5 * 16 * 8)))
    assert "trained on a random sample of" in trained.notes[0]
    assert trained.probe.description["rows"] == 60


def test_free_memory_is_known_on_this_system():
    assert 1 << 20 < available_memory() < 1 << 50


def test_an_unknown_or_damaged_probe_is_refused(library):
    with pytest.raises(NotFoundError, match="no probe 'twoo': did you mean 'two'"):
        library.train("two")
        library.predict("twoo")
    record = library.manifest.probes["two"]
    path = library.path / record.arrays.path
    np.savez(path, coef=np.array([object()], dtype=object), intercept=np.zeros(1))
    content = path.read_bytes()[: record.arrays.size].ljust(record.arrays.size, b"\0")
    path.write_bytes(content)
    with pytest.raises(DamagedStoreError, match="train the probe again"):
        library.predict("two")


def test_a_probe_is_found_by_the_name_of_its_column(tmp_path, encoder):
    store = embedstore.create(tmp_path / "s", encoder=encoder)
    store.add(pd.DataFrame({"t": [f"text {i}" for i in range(20)], "Class Name": ["a", "b"] * 10}), text="t")
    store.encode()
    assert store.train("Class Name").name == "Class_Name"
    assert store.predict("Class Name").to_arrow().equals(store.predict("Class_Name").to_arrow())
    with pytest.raises(NotFoundError, match="no probe 'Class': did you mean 'Class_Name'"):
        store.predict("Class")


def test_probe_names_are_names(library):
    with pytest.raises(UsageError, match="probe name"):
        library.train("two", name="../x")
    library.train("two", name="a")
    library.train("three", name="a")
    assert set(library.predict("a").to_pandas()["Predicted_Labels"]) <= {"low", "mid", "high"}


def test_a_curve_of_accuracy_against_labels(tmp_path, encoder):
    store = embedstore.create(tmp_path / "s", encoder=encoder)
    rows = [{"t": f"text {i}", "y": int(encoder.vector(f"text {i}")[0] > 0)} for i in range(200)]
    store.add(rows, text="t")
    store.encode()
    trained = store.train("y", options=TrainOptions(curve=True))
    assert [count for count, _ in trained.curve] == [10, 25, 50, 100, 160]
    assert trained.curve[-1][1] == trained.report.accuracy
    x = store.space().vectors(store.corpus())
    fit, test = train_test_split(np.arange(200), test_size=0.2, random_state=42, stratify=[row["y"] for row in rows])
    y = np.array([row["y"] for row in rows])
    some = fit[np.random.default_rng(42).permutation(160)[:50]]
    oracle = LogisticRegression(max_iter=1000).fit(x[some], y[some]).score(x[test], y[test])
    assert dict(trained.curve)[50] == pytest.approx(oracle)
    assert store.train("y").curve == ()
