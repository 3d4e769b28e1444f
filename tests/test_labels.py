import numpy as np
import pandas as pd
import pytest
from conftest import LABELS, HashEncoder

import embedstore
from embedstore.errors import InputError, UsageError
from embedstore.labels.label_set import LabelSet
from embedstore.reports.gold import map_gold


def oracle(encoder: HashEncoder, rows, labels) -> np.ndarray:
    vectors = np.stack([encoder.vector(str(row["review"])) for row in rows])
    return vectors @ np.stack([encoder.vector(label) for label in labels]).T


def test_tags_equal_a_numpy_oracle(store, encoder, rows):
    labels = ["Very Negative", "Negative", "Neutral", "Positive", "Very Positive"]
    tagged = store.tag(labels, scores=True, blank="answer").to_pandas()
    scores = oracle(encoder, rows, labels)
    ordered = np.sort(scores, axis=1)
    assert tagged["Predicted_Labels"].tolist() == [labels[i] for i in scores.argmax(axis=1)]
    assert np.allclose(tagged["score"], ordered[:, -1], atol=1e-6)
    assert np.allclose(tagged["margin"], ordered[:, -1] - ordered[:, -2], atol=1e-6)
    assert np.allclose(tagged[labels], scores, atol=1e-6)
    assert list(tagged.columns) == ["key", "review", "stars", "Predicted_Labels", "score", "margin", *labels]
    assert tagged["key"].tolist() == [row["key"] for row in rows]


def test_equal_scores_go_to_the_first_label(tmp_path):
    class Constant(HashEncoder):
        def vector(self, text, prompt=""):
            return super().vector("the same")

    store = embedstore.create(tmp_path / "s", encoder=Constant())
    store.add([{"t": "a"}], text="t")
    store.encode()
    tagged = store.tag(["second", "first"]).to_pandas()
    assert tagged["Predicted_Labels"].tolist() == ["second"]
    assert tagged["margin"].tolist() == [0.0]


def test_vectors_without_unit_length_are_compared_by_cosine(tmp_path, rows):
    from dataclasses import replace

    class Long(HashEncoder):
        def __init__(self):
            super().__init__()
            self.spec = replace(self.spec, normalized=False)

        def vector(self, text, prompt=""):
            return super().vector(text, prompt) * (3 + len(text))

    store = embedstore.create(tmp_path / "s", encoder=Long())
    store.add(rows, text="review")
    store.encode()
    tagged = store.tag(LABELS, blank="answer").to_pandas()
    scores = oracle(HashEncoder(), rows, LABELS)
    assert tagged["Predicted_Labels"].tolist() == [LABELS[i] for i in scores.argmax(axis=1)]
    assert np.allclose(tagged["score"], scores.max(axis=1), atol=1e-6)
    store.index("flat")
    assert (
        store.search(row=0, k=3).to_pandas()["id"].tolist()
        == store.search(row=0, k=3, exact=True).to_pandas()["id"].tolist()
    )
    assert store.search(row=0, k=1).to_pandas()["score"].tolist() == pytest.approx([1.0])


def test_several_texts_of_a_label_make_one_prototype(store, encoder, rows):
    label_set = LabelSet(("A", "B"), (("one", "two"), ("three",)))
    tagged = store.tag(label_set, scores=True, blank="answer").to_pandas()
    mean = encoder.vector("one") + encoder.vector("two")
    prototypes = np.stack([mean / np.linalg.norm(mean), encoder.vector("three")])
    vectors = np.stack([encoder.vector(str(row["review"])) for row in rows])
    assert np.allclose(tagged[["A", "B"]], vectors @ prototypes.T, atol=1e-6)


@pytest.mark.parametrize(
    ("labels", "says"),
    [
        (["one"], "at least two"),
        ([], "at least two"),
        (["a", "a"], "'a' 2 times"),
        (["a", " "], "blank"),
        ("ab", "one text"),
    ],
)
def test_wrong_labels_are_refused(store, labels, says):
    with pytest.raises(UsageError, match=says):
        store.tag(labels)


@pytest.mark.parametrize(
    ("name", "content", "names"),
    [
        ("l.txt", "Bad\n\n# not this\nGood\n", ("Bad", "Good")),
        ("l.json", '["Bad", "Good"]', ("Bad", "Good")),
        ("l.json", '{"Bad": "awful", "Good": ["nice", "fine"]}', ("Bad", "Good")),
    ],
)
def test_label_files(tmp_path, name, content, names):
    (tmp_path / name).write_text(content)
    assert LabelSet.read(tmp_path / name).names == names


@pytest.mark.parametrize(
    ("name", "content"), [("l.json", "{"), ("l.json", "[1, 2]"), ("l.json", '{"a": 1}'), ("x.txt", None)]
)
def test_files_that_are_no_label_sets_are_refused(tmp_path, name, content):
    if content is not None:
        (tmp_path / name).write_text(content)
    with pytest.raises(InputError, match="label file"):
        LabelSet.read(tmp_path / name)


def test_gold_values_are_mapped_and_scored(store, encoder, rows):
    joined = store.tag(LABELS, gold="stars", mapping=["1=Negative", "2=Positive"])
    predicted = joined.to_pandas()["Predicted_Labels"]
    given = np.array(LABELS)[[int(row["stars"]) - 1 for row in rows]]
    told = np.array([row["review"] != "" for row in rows])
    assert joined.report.accuracy == (predicted == given)[told].mean()
    assert joined.report.confusion.sum() == 9
    assert sum(joined.shares.values()) == pytest.approx(1)


def test_a_gold_value_may_stand_for_several_labels_or_none(store, rows):
    labels = ["Very Negative", "Negative", "Positive"]
    mapping = ["1=Very Negative", "1=Negative", "2="]
    joined = store.tag(labels, gold="stars", mapping=mapping)
    predicted = joined.to_pandas()["Predicted_Labels"]
    right = predicted[[row["stars"] == 1 and row["review"] != "" for row in rows]] != "Positive"
    assert joined.report.accuracy == right.mean()
    assert joined.report.left_out == sum(row["stars"] == 2 and row["review"] != "" for row in rows)


@pytest.mark.parametrize(
    ("gold", "mapping", "says"),
    [
        ("stars", [], "holds '1', '2', which are none of the labels"),
        ("stars", ["1=Bad"], "'Bad' is none of the labels"),
        ("stars", ["1"], "expected --map VALUE=LABEL"),
        ("stars", ["1=Negative", "1=Positive", "2=Negative"], "each label in one group"),
        ("star", [], "did you mean 'stars'"),
    ],
)
def test_a_wrong_gold_column_or_map_is_refused(store, gold, mapping, says):
    with pytest.raises(InputError, match=says):
        store.tag(LABELS, gold=gold, mapping=mapping)


def test_several_gold_values_may_stand_for_one_label(store, rows):
    joined = store.tag(LABELS, gold="key", mapping=[f"k{i}={LABELS[i % 2]}" for i in range(10)])
    predicted = joined.to_pandas()["Predicted_Labels"].tolist()
    assert joined.report.accuracy == sum(predicted[i] == LABELS[i % 2] for i in range(10) if i != 2) / 9


def test_a_column_of_the_table_with_an_output_name_is_kept_beside(tmp_path, encoder):
    store = embedstore.create(tmp_path / "s", encoder=encoder)
    store.add(pd.DataFrame({"t": ["a", "b"], "score": [7, 8]}), text="t")
    store.encode()
    tagged = store.tag(LABELS).to_pandas()
    assert tagged["score_input"].tolist() == [7, 8]
    assert tagged["score"].between(-1, 1).all()


def test_a_report_has_the_order_of_the_labels():
    found = map_gold(
        ["Low", "High", "2"], ["Low", "Low", "High"], ["Low", "High", "Unused"], {"2": ["High"]}, column="c"
    )
    assert found.classes == ("Low", "High")
    assert found.confusion.tolist() == [[1, 0], [1, 1]]
    assert found.text.index("Low") < found.text.index("High")


def test_columns_keep_names_of_their_own(tmp_path, encoder):
    store = embedstore.create(tmp_path / "s", encoder=encoder)
    store.add([{"t": "a", "score": 7, "score_input": 1}, {"t": "b", "score": 8, "score_input": 2}], text="t")
    store.encode()
    tagged = store.tag(LABELS).to_pandas()
    assert list(tagged.columns) == ["t", "score_input_input", "score_input", "Predicted_Labels", "score", "margin"]
    assert tagged["score_input_input"].tolist() == [7, 8]
    assert tagged["score_input"].tolist() == [1, 2]
    with pytest.raises(UsageError, match="can't be called 'score'"):
        store.tag(["score", "Positive"], scores=True)


def test_labels_in_python_may_have_descriptions(store, encoder):
    found = store.tag({"Bad": ["poor", "awful"], "Good": "nice"})
    same = store.tag(LabelSet(("Bad", "Good"), (("poor", "awful"), ("nice",))))
    assert found.to_arrow().equals(same.to_arrow())
    for wrong in (5, None, [1, 2], {"a": None, "b": "c"}):
        with pytest.raises(UsageError, match="expected"):
            store.tag(wrong)


def test_a_gold_value_that_no_row_has_is_told(store):
    found = store.tag(LABELS, gold="stars", mapping=["1=Negative", "2=Positive", "three=Positive"])
    assert "no row of 'stars' holds 'three', which --map names" in found.notes
