import json

import numpy as np
import pytest
from conftest import LABELS

import embedstore
from embedstore.annotations import _PARTS, Annotation, agreed, current, keep, read_annotations
from embedstore.errors import DamagedStoreError, InputError, UsageError
from embedstore.labels import LabelSet

SET = LabelSet.of(LABELS)


def answer(text: str, label: str, who: str = "", action: str = "label") -> Annotation:
    return Annotation(text=text * 16, label=label, who=who, action=action)


def position(store, row: int) -> int:
    return int(store.corpus().positions()[row])


def test_the_last_answer_of_a_person_counts_and_undo_brings_back_the_one_before():
    given = [answer("aa", "x"), answer("aa", "y"), answer("bb", "x"), answer("bb", "", action="undo")]
    assert [one.label for one in current(given)] == ["y"]
    given.append(answer("aa", "", action="undo"))
    assert [one.label for one in current(given)] == ["x"]
    given += [answer("aa", "", action="undo"), answer("aa", "", action="undo")]
    assert current(given) == []


def test_what_most_people_said_counts_and_ties_do_not():
    given = [answer("aa", "x", "1"), answer("aa", "y", "2"), answer("bb", "x", "1"), answer("bb", "x", "2")]
    given += [answer("bb", "y", "3"), answer("cc", "", "1", action="skip"), answer("dd", "z", "1")]
    assert agreed(given, ["x", "y"]) == ({"bb" * 16: "x"}, ["aa" * 16])
    assert agreed(given)[0] == {"bb" * 16: "x", "dd" * 16: "z"}


def test_answers_are_kept_with_where_they_were_given_and_outlive_the_table(store, rows):
    store.annotate(position(store, 4), "Positive", SET, who="ann")
    found = store.annotations().iloc[0]
    assert (found["corpus"], found["id"], found["label"], found["who"]) == ("train", "k4", "Positive", "ann")
    assert (found["text"], found["label_set"]) == ("a lamp", "Negative|Positive")
    assert found["when"].endswith("+00:00")
    store.add(rows[5:], text="review", id="key", replace=True)
    assert store.annotations()["label"].tolist() == ["Positive"]
    with pytest.raises(InputError, match="was annotated yet"):
        store.train("annotations")


def test_equal_texts_share_an_answer(store, rows):
    store.annotate(position(store, 0), "Positive", SET)
    tagged = store.tagging(LABELS, gold="annotations")
    assert tagged.report.rows == sum(row["review"] == "good tea" for row in rows) == 2
    assert tagged.report.left_out == 8


def test_disagreeing_answers_are_listed(store):
    for who, label in (("ann", "Positive"), ("bea", "Negative")):
        store.annotate(position(store, 4), label, SET, who=who)
    store.annotate(position(store, 5), "Negative", SET, who="ann")
    found = store.annotations(disagreements=True)
    assert found["who"].tolist() == ["ann", "bea"]
    assert found["label"].tolist() == ["Positive", "Negative"]
    assert (store.annotations()["disagreement"] == "yes").sum() == 2


def test_many_answers_are_merged_into_one_file_and_stay_the_same(store):
    for number in range(_PARTS + 3):
        store.annotate(position(store, number % 9), LABELS[number % 2], SET, who=f"w{number}")
    assert len(store.manifest.annotations) < _PARTS
    kept = read_annotations(store.path)
    assert [one.who for one in kept] == [f"w{number}" for number in range(_PARTS + 3)]
    store.gc()
    assert read_annotations(store.path) == kept
    assert not store.verify().damaged
    assert store.info()["annotations"] == _PARTS + 3


def test_altered_answers_are_an_error(store):
    store.annotate(position(store, 0), "Positive", SET)
    (part,) = store.manifest.annotations
    path = store.path / part.file.path
    path.write_bytes(path.read_bytes().replace(b"Positive", b"Negative"))
    with pytest.raises(DamagedStoreError, match="was altered"):
        store.annotations()
    assert store.verify().damaged


@pytest.mark.parametrize(
    "value",
    [
        {"annotations": [{"text": "zz"}]},
        {"annotations": [3]},
        {
            "annotations": [
                {
                    **dict.fromkeys(("label", "label_set", "who", "when", "corpus", "row"), ""),
                    "text": "aa",
                    "action": "label",
                }
            ]
        },
        {},
    ],
)
def test_a_file_of_another_form_is_an_error(store, value):
    from dataclasses import replace

    from embedstore.storage import files
    from embedstore.storage.manifest import commit
    from embedstore.storage.records import AnnotationPart

    with files.staged(store.path / "annotations", ".json") as temp:
        temp.write_text(json.dumps(value))
        part = AnnotationPart(files.publish(temp, store.path, ".json"), 1)
    commit(store.path, lambda base: replace(base, annotations=(part,)))
    with pytest.raises(DamagedStoreError, match="holds no annotations"):
        store.annotations()


def test_import_keeps_all_or_nothing(store, tmp_path):
    good = [{"id": "k4", "label": "Positive", "who": "ann"}, {"id": "k5", "label": "Negative", "who": ""}]
    assert store.import_annotations([*good, {"id": "k6", "label": "", "who": ""}], LABELS) == 2
    assert store.annotations()["id"].tolist() == ["k4", "k5"]
    for bad, says in (
        ([{"id": "k4", "label": "Perfect"}], "the label 'Perfect', which is none of Negative, Positive"),
        (
            [*good, {"id": "gone", "label": "Positive"}],
            "1 of 3 annotations are of rows that are not there, 'gone' first",
        ),
        ([{"row": "k4", "label": "Positive"}], "has no 'id'"),
    ):
        with pytest.raises(InputError, match=says):
            store.import_annotations(bad, LABELS)
        assert len(store.annotations()) == 2


def test_exported_answers_come_back(store, tmp_path, encoder, rows):
    store.annotate(position(store, 4), "Positive", SET, who="ann")
    store.annotations().to_csv(tmp_path / "a.csv", index=False)
    other = embedstore.create(tmp_path / "other", encoder=encoder)
    other.add(rows, text="review", id="key")
    assert other.import_annotations(tmp_path / "a.csv", LABELS) == 1
    assert other.annotations()[["id", "label", "who"]].equals(store.annotations()[["id", "label", "who"]])


def test_a_probe_is_trained_on_annotations(tmp_path, encoder):
    store = embedstore.create(tmp_path / "s", encoder=encoder)
    store.add([{"t": f"text {i}"} for i in range(60)], text="t")
    store.encode()
    side = [int(encoder.vector(f"text {i}")[0] > 0) for i in range(60)]
    store.import_annotations([{"id": i, "label": LABELS[side[i]]} for i in range(40)], LABELS)
    trained = store.train("annotations")
    assert trained.probe.description["rows"] == 32
    assert "20 of 60 rows of corpus 'train' have no 'annotations'" in trained.notes[0]
    assert set(store.predict("annotations")["Predicted_Labels"]) <= set(LABELS)
    with pytest.raises(InputError, match="at least two classes"):
        store.import_annotations([{"id": i, "label": "Positive"} for i in range(60)], LABELS)
        store.train("annotations")


def test_a_column_called_annotations_is_the_users(tmp_path, encoder):
    store = embedstore.create(tmp_path / "s", encoder=encoder)
    store.add([{"t": "a", "annotations": "Positive"}, {"t": "b", "annotations": "Negative"}], text="t")
    store.encode()
    assert store.tagging(LABELS, gold="annotations").report.rows == 2


def test_two_writers_keep_both_answers(store):
    one, two = answer("aa", "x", "1"), answer("bb", "y", "2")
    keep(store.path, [one])
    keep(store.path, [two])
    keep(store.path, [])
    assert [(a.text, a.who) for a in read_annotations(store.path)] == [(one.text, "1"), (two.text, "2")]


@pytest.fixture
def wide(tmp_path, encoder):
    store = embedstore.create(tmp_path / "s", encoder=encoder)
    store.add([{"t": f"text {i}"} for i in range(200)], text="t")
    store.encode()
    return store


@pytest.mark.parametrize("order", ["uncertain", "random", "disagreement"])
def test_nothing_is_asked_twice_and_all_is_asked(wide, order):
    questions = wide.questions(["Books", "Tea"], order=order)
    asked = []
    for number in range(200):
        found = questions.next()
        assert found not in asked
        asked.append(found)
        questions.answer(found, None if number % 7 == 0 else number % 2)
    assert questions.next() is None
    assert questions.left == 0


def test_the_first_question_is_the_text_between_the_labels(wide, encoder):
    vectors = np.stack([encoder.vector(f"text {i}") for i in range(200)])
    scores = vectors @ np.stack([encoder.vector("Books"), encoder.vector("Tea")]).T
    scores -= scores.mean(axis=1, keepdims=True)
    scores -= scores.mean(axis=0)
    assert wide.questions(["Books", "Tea"]).next() == np.abs(scores[:, 0] - scores[:, 1]).argmin()


def test_an_answer_taken_back_is_asked_again(wide):
    questions = wide.questions(["Books", "Tea"])
    first = questions.next()
    questions.answer(first, 1)
    assert questions.next() != first
    questions.forget(first)
    assert questions.next() == first


def test_answers_kept_before_are_not_asked_again(wide):
    labels = LabelSet.of(["Books", "Tea"])
    questions = wide.questions(labels, who="ann")
    first = questions.next()
    wide.annotate(first, "Tea", labels, who="bea")
    second = wide.questions(labels, who="ann")
    assert second.answers == {first: 1}
    skipped = second.next()
    wide.annotate(skipped, "", labels, who="ann")
    assert wide.questions(labels, who="ann").left == 198
    assert wide.questions(labels, who="bea").left == 199
    assert second.accuracy() is None


def test_an_order_that_is_none_is_refused(store):
    with pytest.raises(UsageError, match="expected an order of uncertain, random, disagreement"):
        store.questions(LABELS, order="best")
