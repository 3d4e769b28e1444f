"""Probes and checkpoints that give a row several labels."""

import json

import numpy as np
import pandas as pd
import pytest
from mixing import NAMES, TRUE, mixed_store
from sklearn import metrics
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split

import embedstore
from embedstore import TrainOptions
from embedstore.errors import DamagedStoreError, InputError, StoreFormatError, UsageError
from embedstore.labels.odds import expected_best
from embedstore.learning.probe import read_probe
from embedstore.reports.multilabel import distinct_cells


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    store = mixed_store(tmp_path_factory.mktemp("multi") / "mixed")
    return store, store.train("is", multi=True, name="tags")


def test_each_label_has_the_logistic_regression_of_scikit_learn(trained):
    store, found = trained
    vectors = store.space().at(store.corpus().positions())
    learnt, tested = train_test_split(np.arange(240), test_size=0.2, random_state=42)
    exact = LogisticRegression(max_iter=1000, tol=1e-10)
    models = [clone(exact).fit(vectors[learnt].astype(np.float64), TRUE[learnt, one]) for one in range(3)]
    probability = np.stack([model.predict_proba(vectors)[:, 1] for model in models], axis=1)
    assert found.probe.classes == tuple(NAMES)
    threshold = found.probe.description["threshold"]
    assert threshold == pytest.approx(expected_best(probability[learnt]), abs=1e-3)
    predicted = probability[tested] >= threshold
    assert found.report.micro_f1 == pytest.approx(metrics.f1_score(TRUE[tested], predicted, average="micro"))
    assert found.report.rows == 48
    (panel,) = found.report.panels()
    np.testing.assert_allclose(panel.values, metrics.f1_score(TRUE[tested], predicted, average=None))
    assert found.summary()["report"]["hamming_loss"] == pytest.approx(metrics.hamming_loss(TRUE[tested], predicted))
    frame = store.predict("tags", scores=True).to_pandas()
    assert list(frame.columns)[3:] == ["Predicted_Labels", *NAMES, *(f"confidence {name}" for name in NAMES)]
    np.testing.assert_allclose(frame[[f"confidence {name}" for name in NAMES]], probability, atol=1e-3)
    np.testing.assert_array_equal(frame[NAMES].to_numpy(bool), probability >= threshold)
    strict = store.predict("tags", threshold=0.9).to_pandas()
    np.testing.assert_array_equal(strict[NAMES].to_numpy(bool), probability >= 0.9)


def test_one_label_can_be_learnt_and_labels_of_test_rows_alone_count_as_missed(tmp_path):
    store = mixed_store(tmp_path / "s")
    rows = [{"t": f"Other {one} n{number}", "is": [one, "New"]} for number, one in enumerate(NAMES * 5)]
    store.add(rows, text="t", corpus="more")
    store.encode()
    found = store.train("is", multi=True, test_corpus="more")
    assert "'New'" in " ".join(found.notes)
    assert "New" in found.to_pandas()["label"].tolist()
    assert dict(zip(found.report.labels, found.report.counts.tolist(), strict=True))["New"] == [15, 0, 0]
    one = [
        {"t": f"{'Price' if n % 3 else 'Quality'} Other n{n}", "only": ["Price"] if n % 3 else []} for n in range(60)
    ]
    store.add(one, text="t", corpus="one")
    store.encode()
    assert store.train("only", corpus="one", multi=True).probe.classes == ("Price",)
    alone = store.predict("only", corpus="one").to_arrow()
    assert alone["Predicted_Labels"].to_pylist() == [["Price"] if one else [] for one in alone["Price"].to_pylist()]


def test_equal_lists_are_one_whatever_objects_they_are():
    cells = [["b", "a"], None, ["a", "b"], ["b", "a"], [], None, []]
    distinct, number = distinct_cells(cells)
    assert distinct == [["b", "a"], None, ["a", "b"], []]
    assert [distinct[one] for one in number] == cells


def test_the_threshold_and_the_name_of_a_probe_are_told(trained):
    store, found = trained
    assert found.name == found.summary()["probe"] == "tags"
    shown = f"the threshold is {found.probe.description['threshold']:.2f}, "
    assert any(note.startswith(f"{shown}where micro-F1") for note in found.notes)
    assert f"{shown}which `train` chose (--threshold: another)" in store.predict("tags").notes
    assert not any(note.startswith("the threshold") for note in store.predict("tags", threshold=0.4).notes)


def test_cells_that_hold_several_labels_are_told_where_one_class_a_row_is_learnt(tmp_path):
    store = mixed_store(tmp_path / "s")
    said = ["Price; Quality", "Price", "Quality", "Delivery"]
    rows = [{"t": f"{said[n % 4]} n{n}", "is": [said[n % 4]], "said": said[n % 4]} for n in range(60)]
    store.add([{**row, "plain": row["said"].replace("; ", " and ")} for row in rows], text="t", corpus="more")
    store.encode()
    told = "seem to hold several labels each"
    for column in ("is", "said"):
        assert any(told in note for note in store.train(column, corpus="more").notes)
        assert any(told in note for note in store.compare(column, corpus="more").notes)
    assert not any(told in note for note in store.train("plain", corpus="more").notes)
    with pytest.raises(InputError, match="`tag --multi` takes several labels in a cell"):
        store.tag(NAMES, corpus="more", gold="said")


def test_rows_without_a_value_are_an_error_and_a_text_needs_its_separator(trained):
    store, _ = trained
    with pytest.raises(InputError, match="60 of 240 rows without"):
        store.train("said", multi=True)
    dropped = store.train("said", multi=True, separator="|", options=TrainOptions(drop_missing=True))
    assert dropped.probe.classes == tuple(NAMES)
    assert "60 of 240 rows" in " ".join(dropped.notes)
    with pytest.raises(UsageError, match="give --multi too"):
        store.train("said", separator="|")
    with pytest.raises(UsageError, match="leave --cv and the curve out"):
        store.train("is", multi=True, options=TrainOptions(cv=3))


def test_a_probe_of_one_class_a_row_takes_no_threshold(trained):
    store, _ = trained
    store.train("said", options=TrainOptions(drop_missing=True), name="single")
    assert "probability" in store.predict("single").schema.names
    with pytest.raises(UsageError, match="'single' chooses one"):
        store.predict("single", threshold=0.5)


def files_of(store, name):
    record = store.manifest.probes[name]
    return [
        (store.path / file.path, (store.path / file.path).read_bytes()) for file in (record.arrays, record.description)
    ]


def test_a_probe_of_several_labels_is_not_misread(trained):
    store, found = trained
    arrays, (path, content) = files_of(store, "tags")
    said = json.loads(content)
    assert said["format_version"] == 2
    assert "classes" not in said  # what earlier releases look for
    where = {"space": found.probe.space, "dimension": 24}
    assert read_probe(arrays, (path, content), **where).several
    for change, error in (
        ({"format_version": 3}, StoreFormatError),
        ({"labels": []}, DamagedStoreError),
        ({"labels": ["a", "a", "b"]}, DamagedStoreError),
        ({"labels": ["a", "b"]}, DamagedStoreError),
        ({"threshold": 2.0}, DamagedStoreError),
        ({"threshold": None}, DamagedStoreError),
    ):
        with pytest.raises(error):
            read_probe(arrays, (path, json.dumps(said | change).encode()), **where)


def test_a_checkpoint_of_several_labels_gives_the_same_columns(tmp_path, checkpoint, encoder):
    pytest.importorskip("torch")
    names = {0: "late", 1: "dear", 2: "broken"}
    model = checkpoint("bert", id2label=names, num_labels=3, problem_type="multi_label_classification")
    store = embedstore.create(tmp_path / "s", encoder=None)
    store.add([{"t": f"word {n}", "is": [["late"], [], ["dear", "broken"]][n % 3]} for n in range(12)], text="t")
    joined = store.classify(str(model), max_seq_length=8, scores=True).to_pandas()
    found = store.classify(multi=True, scores=True, gold="is")
    frame = found.to_pandas()
    assert list(frame.columns)[2:] == [
        "Predicted_Labels",
        *names.values(),
        *(f"confidence {n}" for n in names.values()),
    ]
    assert ["|".join(labels) for labels in found.column("Predicted_Labels").to_pylist()] == list(
        joined["Predicted_Labels"]
    )
    for name in names.values():
        np.testing.assert_allclose(frame[f"confidence {name}"], joined[f"probability_{name}"])
    given = np.array([[name in labels for name in names.values()] for labels in frame["is"]])
    predicted = frame[list(names.values())].to_numpy(bool)
    assert found.report.hamming_loss == pytest.approx(metrics.hamming_loss(given, predicted))
    with pytest.raises(InputError, match="give --multi too"):
        store.classify(gold="is")


def test_the_command_line_trains_and_predicts(cli, tmp_path):
    mixed_store(cli.home / "s")
    done = cli("train", "s", "--target", "is", "--multi")
    assert done.returncode == 0, done.stderr
    assert "micro avg" in done.stdout
    assert "all labels of a row right" in done.stdout
    done = cli("predict", "s", "--probe", "is", "--threshold", "0.5", "-o", tmp_path / "p.csv")
    assert done.returncode == 0, done.stderr
    assert list(pd.read_csv(tmp_path / "p.csv").columns)[3:] == ["Predicted_Labels", *NAMES]
