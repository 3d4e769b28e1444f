import json
from dataclasses import replace

import numpy as np
import pytest
from conftest import LABELS

import embedstore
from embedstore.annotations.annotation import Annotation
from embedstore.annotations.log import (
    MERGED_AFTER,
    answers_to,
    fold_answers,
    keep,
    majority_labels,
    read_part,
    undo_of,
)
from embedstore.errors import DamagedStoreError, InputError, StoreFormatError, UsageError
from embedstore.labels import Choice
from embedstore.labels.label_set import LabelSet
from embedstore.storage.gate import staged
from embedstore.storage.manifest import commit
from embedstore.storage.records import AnnotationPart
from embedstore.storage.segments import text_key

SET = LabelSet.of(LABELS)


def answer(text: str, label: str, who: str = "", action: str = "label") -> Annotation:
    return Annotation(text=text * 16, label=label, who=who, action=action)


def read_answers(store) -> list[Annotation]:
    return [one for part in store.manifest.annotations for one in read_part(store.path, part)]


def position(store, row: int) -> int:
    return int(store.corpus().positions()[row])


def test_the_last_answer_of_a_person_counts_and_undo_brings_back_the_one_before():
    given = [answer("aa", "x"), answer("aa", "y"), answer("bb", "x"), answer("bb", "", action="undo")]
    assert [one.label for one in fold_answers(given)] == ["y"]
    given.append(answer("aa", "", action="undo"))
    assert [one.label for one in fold_answers(given)] == ["x"]
    given += [answer("aa", "", action="undo"), answer("aa", "", action="undo")]
    assert fold_answers(given) == []


def test_what_most_people_said_counts_and_ties_do_not():
    given = [answer("aa", "x", "1"), answer("aa", "y", "2"), answer("bb", "x", "1"), answer("bb", "x", "2")]
    given += [answer("bb", "y", "3"), answer("cc", "", "1", action="skip"), answer("dd", "z", "1")]
    assert majority_labels(given) == ({"bb" * 16: "x", "dd" * 16: "z"}, ["aa" * 16])
    assert [one.label for one in answers_to(given, LabelSet.of(["x", "y"]))] == ["x", "y", "x", "x", "y", ""]


def test_answers_count_for_the_choices_that_they_were_between():
    names = ("polarity", "Positive|Negative", "likert5", "mine", "")
    given = [Annotation(text="aa" * 16, label="Negative", choice=Choice.read(name), who=name) for name in names]
    given.append(Annotation(text="bb" * 16, label="", action="skip", choice=Choice.read("likert5"), who="likert5"))
    counted = {one.who for one in answers_to(given, SET)}
    assert counted == {"polarity", "Positive|Negative", "mine", ""}
    assert {one.action for one in answers_to(given, LabelSet.shipped("likert5"))} == {"label", "skip"}
    # One person's answers in one set, whatever it is called, take each other's place.
    given = [
        Annotation(text="aa" * 16, label="Negative", choice=Choice.read("polarity")),
        Annotation(text="aa" * 16, label="Positive", choice=Choice.read("Negative|Positive")),
    ]
    assert [one.label for one in fold_answers(given)] == ["Positive"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((1, "Bogus", SET), "expected one of Negative, Positive, found 'Bogus'"),
        ((99, "Positive", SET), "from 0 to 8, found 99"),
        ((1, "Positive", SET, None), "expected a text for who, found None"),
        ((1, "Positive", SET, "\udcff"), "expected who of an annotation to be a text"),
    ],
)
def test_an_answer_that_could_not_be_read_again_is_refused(store, arguments, says):
    position, label, labels, *who = arguments
    with pytest.raises(UsageError, match=says):
        store.annotations.add(position, label, labels, **({"who": who[0]} if who else {}))
    assert not store.manifest.annotations


@pytest.mark.parametrize("place", [-1, 10**6])
def test_nothing_can_be_taken_back_where_no_text_is(store, place):
    with pytest.raises(UsageError, match="expected the position of a text, from 0 to"):
        store.annotations.undo(place, SET)


def test_several_label_sets_are_kept_apart(store):
    topics = ["Tea", "Lamp"]
    for row in (0, 1, 4, 5, 6):
        store.annotations.add(position(store, row), LABELS[row % 2], SET)
        store.annotations.add(position(store, row), topics[row % 2], LabelSet.of(topics))
    assert store.tag(LABELS, gold="annotations").report.rows == 6
    with pytest.raises(InputError, match=r"several label sets: say which, as 'annotations:Negative\|Positive'"):
        store.label_set("annotations")
    assert store.label_set("annotations:Negative|Positive").names == ("Negative", "Positive")
    assert store.label_set("annotations:Lamp|Tea").names == ("Lamp", "Tea")
    with pytest.raises(
        InputError, match=r"no annotations are of a label set 'likert5': there are 'Negative\|Positive'; 'Tea"
    ):
        store.label_set("annotations:likert5")
    with pytest.raises(InputError, match="was annotated yet with the labels Very Negative"):
        store.tag(LabelSet.shipped("likert5"), gold="annotations")


def test_answers_with_a_label_set_of_ones_own_are_those_between_its_labels(store, tmp_path):
    (tmp_path / "mine.yaml").write_text("Negative: [awful]\nPositive: [nice]\n")
    mine = LabelSet.read(tmp_path / "mine.yaml")
    store.annotations.add(position(store, 4), "Positive", mine)
    assert store.annotations.export_table().to_pandas()["label_set"].tolist() == ["mine = Negative|Positive"]
    store.annotations.add(position(store, 4), "Negative", SET)  # the same choice: it takes the other's place
    store.annotations.add(position(store, 5), "Positive", mine)
    assert store.annotations.export_table().to_pandas()["label"].tolist() == ["Negative", "Positive"]
    assert store.tag(LabelSet.shipped("polarity"), gold="annotations").report.rows == 2
    assert store.label_set("annotations:Negative|Positive").names == ("Negative", "Positive")
    assert store.annotations.import_table(store.annotations.export_table().table.to_pylist()) == 0
    store.annotations.add(
        position(store, 6), "Neutral", LabelSet(("Neutral", *LABELS), (("so",), ("no",), ("yes",)), name="mine")
    )
    with pytest.raises(InputError, match="several label sets"):
        store.label_set("annotations:mine")


@pytest.mark.parametrize("names", [["a|b", "c"], ["x = 1", "x = 2"], ["a\\", "|b"], ["=", "\\="]])
@pytest.mark.parametrize("name", ["", "mine", "a = b", "a|b"])
def test_labels_may_be_called_anything(store, names, name):
    labels = LabelSet(tuple(names), tuple((one,) for one in names), name=name)
    store.annotations.add(position(store, 4), names[1], labels)
    assert Choice.read(str(Choice.of(labels))).labels == tuple(names)
    assert len(answers_to(read_answers(store), labels)) == 1
    assert store.annotations.import_table(store.annotations.export_table().table.to_pylist()) == 0


def labels_of(store) -> list[str]:
    return store.annotations.export_table().to_pandas()["label"].tolist()


def test_an_import_repeats_nothing_and_a_correction_counts_whatever_its_time(store):
    at = position(store, 4)
    store.annotations.add(at, "Positive", SET, who="ann")
    exported = store.annotations.export_table().table.to_pylist()
    bare = [{name: value for name, value in exported[0].items() if name != "answer_id"}]
    assert [store.annotations.import_table(table) for table in (exported, bare)] == [0, 0]
    store.annotations.undo(at, SET, who="ann")
    assert [store.annotations.import_table(table) for table in (exported, bare)] == [0, 0]  # it was taken back since
    assert labels_of(store) == []
    for year, label in ((2036, "Positive"), (2001, "Negative"), (1999, "Positive")):
        corrected = [{**exported[0], "label": label, "when": f"{year}-01-31T12:00:00+00:00"}]
        assert [store.annotations.import_table(corrected) for _ in range(2)] == [1, 0]
        assert labels_of(store) == [label]
    same_instant = [{**bare[0], "label": "Negative", "when": "2001-01-31T13:00:00+01:00"}]
    assert store.annotations.import_table(same_instant) == 0
    edited = [{**exported[0], "label": "Negative"}]  # its id and its time are those of another answer
    assert [store.annotations.import_table(edited) for _ in range(2)] == [1, 0]
    assert labels_of(store) == ["Negative"]


def test_rows_without_a_time_are_answers_given_now(store):
    said = [{"id": "k4", "label": "Positive", "who": "ann"}]
    assert [store.annotations.import_table(said * 2, LABELS) for _ in range(2)] == [1, 0]
    store.annotations.add(position(store, 4), "Negative", SET, who="ann")
    assert store.annotations.import_table(said, LABELS) == 1
    assert labels_of(store) == ["Positive"]


def test_an_answer_has_its_id_in_every_store(store, tmp_path, encoder, rows):
    store.annotations.add(position(store, 4), "Positive", SET, who="ann")
    other = embedstore.create(tmp_path / "other", encoder=encoder)
    other.add(rows, text="review", id="key")
    there = store.annotations.export_table().table.to_pylist()
    assert other.annotations.import_table(there) == 1
    back = other.annotations.export_table().table.to_pylist()
    assert back == there
    assert store.annotations.import_table([{**back[0], "when": ""}]) == 0
    with pytest.raises(InputError, match=r"expected 32 hexadecimal digits, .* in column answer_id, found 'x'"):
        store.annotations.import_table([{**back[0], "answer_id": "x"}])


def identified_answer(label: str, id_: str, **said: str) -> Annotation:
    return Annotation(text="aa" * 16, label=label, id=id_ * 32, **said)


def test_the_same_answer_or_undo_twice_counts_once():
    one, two = identified_answer("x", "1"), identified_answer("y", "2")
    assert [a.label for a in fold_answers([one, two, one])] == ["y"]
    undo = replace(undo_of(two), id="3" * 32)
    again = replace(undo_of(two), id="4" * 32)
    assert [a.label for a in fold_answers([one, two, undo, undo, again])] == ["x"]
    assert [a.label for a in fold_answers([one, two, undo, two])] == ["x"]


def test_answers_of_earlier_releases_are_known_by_their_place():
    old = [answer("aa", "x"), answer("aa", "x"), answer("aa", "", action="undo")]
    (standing,) = fold_answers(old)
    assert (standing.label, standing.id) == ("x", "#0")
    undo = replace(undo_of(standing), id="5" * 32)
    assert fold_answers([*old, undo]) == []
    assert [a.label for a in fold_answers([*old, answer("aa", "y"), undo, undo])] == ["y"]


def listed_as_answers(store, value: object, count: int = 1) -> None:
    """Put a file with this content in the place of the store's answers."""
    with staged(store.path, "annotations", ".json") as temp:
        temp.stream.write(json.dumps(value).encode())
        part = AnnotationPart(temp.publish(".json"), count)
    commit(store.path, lambda base: replace(base, annotations=(part,)))


def test_a_file_of_answers_of_the_first_format_is_read_and_of_a_newer_one_is_not(store):
    key = text_key("a lamp").hex()
    old = {"text": key, "label": "Positive", "label_set": "polarity", "who": "ann", "when": "", "corpus": "", "row": ""}
    listed_as_answers(store, {"format_version": 1, "annotations": [{**old, "action": "label"}]})
    assert store.annotations.export_table().to_pandas()[["label", "answer_id"]].to_numpy().tolist() == [
        ["Positive", ""]
    ]
    store.annotations.undo(position(store, 4), SET, who="ann")
    assert labels_of(store) == []
    listed_as_answers(store, {"format_version": 4, "annotations": [{**old, "action": "label"}]})
    with pytest.raises(StoreFormatError, match="upgrade embedstore"):
        labels_of(store)


def test_answers_are_kept_with_where_they_were_given_and_outlive_the_table(store, rows):
    store.annotations.add(position(store, 4), "Positive", SET, who="ann")
    found = store.annotations.export_table().to_pandas().iloc[0]
    assert (found["corpus"], found["id"], found["label"], found["who"]) == ("train", "k4", "Positive", "ann")
    assert (found["text"], found["label_set"]) == ("a lamp", "Negative|Positive")
    assert found["when"].endswith("+00:00")
    store.add(rows[5:], text="review", id="key", replace=True)
    assert store.annotations.export_table().to_pandas()["label"].tolist() == ["Positive"]
    with pytest.raises(InputError, match="was annotated yet"):
        store.train("annotations")


def test_equal_texts_share_an_answer(store, rows):
    store.annotations.add(position(store, 0), "Positive", SET)
    tagged = store.tag(LABELS, gold="annotations")
    assert tagged.report.rows == sum(row["review"] == "good tea" for row in rows) == 2
    assert tagged.report.left_out == 7


def test_disagreeing_answers_are_listed(store):
    for who, label in (("ann", "Positive"), ("bea", "Negative")):
        store.annotations.add(position(store, 4), label, SET, who=who)
    store.annotations.add(position(store, 5), "Negative", SET, who="ann")
    found = store.annotations.export_table(disagreements=True).to_pandas()
    assert found["who"].tolist() == ["ann", "bea"]
    assert found["label"].tolist() == ["Positive", "Negative"]
    assert (store.annotations.export_table().to_pandas()["disagreement"] == "yes").sum() == 2


def test_many_answers_are_merged_into_one_file_and_stay_the_same(store):
    for number in range(MERGED_AFTER + 3):
        store.annotations.add(position(store, number % 9), LABELS[number % 2], SET, who=f"w{number}")
    assert len(store.manifest.annotations) < MERGED_AFTER
    kept = read_answers(store)
    assert [one.who for one in kept] == [f"w{number}" for number in range(MERGED_AFTER + 3)]
    store.gc()
    assert read_answers(store) == kept
    assert not store.verify().damaged
    assert store.info()["annotations"] == MERGED_AFTER + 3


def test_a_large_file_of_answers_is_not_written_again_with_small_ones(store):
    keys = [text_key(f"text {number}").hex() for number in range(2 * MERGED_AFTER)]
    with store.snapshot() as now:
        keep(now, [Annotation(text=key, label="Positive", choice=Choice.of(SET)) for key in keys])
    (large,) = store.manifest.annotations
    seen = store.annotations.export_table  # an open store that has read the log before each answer
    for number in range(MERGED_AFTER + 3):
        store.annotations.add(position(store, number % 9), LABELS[number % 2], SET, who=f"w{number}")
        assert len(seen()) == number + 1 + len(keys)
    assert store.manifest.annotations[0] == large
    assert len(store.manifest.annotations) < MERGED_AFTER
    assert [one.who for one in read_answers(store)][len(keys) :] == [f"w{number}" for number in range(MERGED_AFTER + 3)]
    assert len(embedstore.open(store.path).annotations.export_table()) == len(keys) + MERGED_AFTER + 3


def test_altered_answers_are_an_error(store):
    store.annotations.add(position(store, 0), "Positive", SET)
    (part,) = store.manifest.annotations
    path = store.path / part.file.path
    path.write_bytes(path.read_bytes().replace(b"Positive", b"Negative"))
    with pytest.raises(DamagedStoreError, match="was altered"):
        store.annotations.export_table().to_pandas()
    assert store.verify().damaged
    path.write_bytes(path.read_bytes() + b"x")
    (fault,) = store.verify().faults
    assert "Restore it from a backup" in fault


@pytest.mark.parametrize(
    "value",
    [
        {"format_version": 2, "annotations": [{"text": "zz"}]},
        {"format_version": 2, "annotations": [3]},
        {"format_version": True, "annotations": []},
        {
            "format_version": 1,
            "annotations": [
                {
                    **dict.fromkeys(("label", "label_set", "who", "when", "corpus", "row"), ""),
                    "text": "aa",
                    "action": "label",
                }
            ],
        },
        {},
    ],
)
def test_a_file_of_another_form_is_an_error(store, value):
    listed_as_answers(store, value)
    with pytest.raises(DamagedStoreError, match="holds no annotations"):
        store.annotations.export_table().to_pandas()
    assert "holds no annotations" in store.verify().faults[0]


def test_import_keeps_all_or_nothing(store, tmp_path):
    good = [{"id": "k4", "label": "Positive", "who": "ann"}, {"id": "k5", "label": "Negative", "who": ""}]
    assert store.annotations.import_table([*good, {"id": "k6", "label": "", "who": ""}], LABELS) == 2
    assert store.annotations.export_table().to_pandas()["id"].tolist() == ["k4", "k5"]
    for bad, says in (
        ([{"id": "k4", "label": "Perfect"}], "the label 'Perfect', which is none of Negative, Positive"),
        (
            [*good, {"id": "gone", "label": "Positive"}],
            "1 of 3 annotations is of a row that is not in the store, 'gone' first",
        ),
        ([*good, {"id": "k4", "label": "Negative", "who": "ann"}], "row 'k4' 'Positive' and 'Negative', by the same"),
        ([{"id": "k4", "label": "Positive", "when": "yesterday"}], "a time such as .* found 'yesterday'"),
        ([{"id": "k4", "label": "Negative", "label_set": "emotions"}], "none of Anger, Disgust"),
        ([{"row": "k4", "label": "Positive"}], "has no 'id'"),
    ):
        with pytest.raises(InputError, match=says):
            store.annotations.import_table(bad, LABELS)
        assert len(store.annotations.export_table().to_pandas()) == 2


def test_exported_answers_come_back(store, tmp_path, encoder, rows):
    store.annotations.add(position(store, 4), "Positive", SET, who="ann")
    store.annotations.export_table().to_pandas().to_csv(tmp_path / "a.csv", index=False)
    other = embedstore.create(tmp_path / "other", encoder=encoder)
    other.add(rows, text="review", id="key")
    assert other.annotations.import_table(tmp_path / "a.csv") == 1
    assert other.annotations.export_table().to_pandas().equals(store.annotations.export_table().to_pandas())


@pytest.mark.parametrize("suffix", ["csv", "tsv", "jsonl", "parquet"])
def test_labels_come_back_as_they_are_written(store, tmp_path, encoder, rows, suffix):
    labels = LabelSet.of(["NA", "None", "1.0"])
    for row, label in ((4, "NA"), (5, "None"), (6, "1.0")):
        store.annotations.add(position(store, row), label, labels, who="null")
    store.annotations.export_table().save(tmp_path / f"a.{suffix}")
    other = embedstore.create(tmp_path / "other", encoder=encoder)
    other.add(rows, text="review", id="key")
    assert other.annotations.import_table(tmp_path / f"a.{suffix}") == 3
    assert other.annotations.export_table().table.equals(store.annotations.export_table().table)


def test_imported_answers_go_to_their_texts_and_not_to_rows(store, tmp_path, encoder, rows):
    store.annotations.add(position(store, 4), "Positive", SET)
    said = store.annotations.export_table().table.to_pylist()
    other = embedstore.create(tmp_path / "other", encoder=encoder)
    other.add([{**row, "key": f"k{9 - i}"} for i, row in enumerate(rows)], text="review", id="key")
    other.annotations.import_table(said)
    found = other.annotations.export_table().to_pandas().iloc[0]
    assert (found["text"], found["id"]) == ("a lamp", "k5")
    with pytest.raises(InputError, match="of a row that is not in the store, 'k4' first"):
        other.annotations.import_table([{**said[0], "text": "a text of another store"}])
    with pytest.raises(UsageError, match="expected labels"):
        other.annotations.import_table([{"id": "k4", "label": "Positive"}])


def test_a_probe_is_trained_on_annotations(tmp_path, encoder):
    store = embedstore.create(tmp_path / "s", encoder=encoder)
    store.add([{"t": f"text {i}"} for i in range(60)], text="t")
    store.encode()
    side = [int(encoder.vector(f"text {i}")[0] > 0) for i in range(60)]
    store.annotations.import_table([{"id": i, "label": LABELS[side[i]]} for i in range(40)], LABELS)
    trained = store.train("annotations")
    assert trained.probe.description["rows"] == 32
    assert "20 of 60 rows of corpus 'train' have no 'annotations'" in trained.notes[0]
    assert set(store.predict("annotations").to_pandas()["Predicted_Labels"]) <= set(LABELS)
    with pytest.raises(InputError, match="at least two classes"):
        store.annotations.import_table([{"id": i, "label": "Positive"} for i in range(60)], LABELS)
        store.train("annotations")


def test_a_column_called_annotations_is_the_users(tmp_path, encoder):
    store = embedstore.create(tmp_path / "s", encoder=encoder)
    store.add([{"t": "a", "annotations": "Positive"}, {"t": "b", "annotations": "Negative"}], text="t")
    store.encode()
    assert store.tag(LABELS, gold="annotations").report.rows == 2


def test_two_writers_keep_both_answers(store):
    one, two = answer("aa", "x", "1"), answer("bb", "y", "2")
    with store.snapshot() as now:
        keep(now, [one])
        keep(now, [two])
        keep(now, [])
    assert [(a.text, a.who) for a in read_answers(store)] == [(one.text, "1"), (two.text, "2")]


@pytest.fixture
def wide(tmp_path, encoder):
    store = embedstore.create(tmp_path / "s", encoder=encoder)
    store.add([{"t": f"text {i}"} for i in range(200)], text="t")
    store.encode()
    return store


@pytest.mark.parametrize("order", ["typical", "uncertain", "random", "disagreement"])
def test_nothing_is_asked_twice_and_all_is_asked(wide, order):
    session = wide.annotations.session(["Books", "Tea"], order=order)
    asked = []
    for number in range(200):
        found = session.question.position
        assert found not in asked
        asked.append(found)
        session.skip() if number % 7 == 0 else session.answer(["Books", "Tea"][number % 2])
    assert session.question is None
    assert session.left == 0
    with pytest.raises(UsageError, match="no question left"):
        session.answer("Tea")


def test_the_first_question_is_the_text_between_the_labels(wide, encoder):
    vectors = np.stack([encoder.vector(f"text {i}") for i in range(200)])
    scores = vectors @ np.stack([encoder.vector("Books"), encoder.vector("Tea")]).T
    scores -= scores.mean(axis=1, keepdims=True)
    scores -= scores.mean(axis=0)
    session = wide.annotations.session(["Books", "Tea"], order="uncertain")
    assert session.question.position == np.abs(scores[:, 0] - scores[:, 1]).argmin()


def test_an_answer_taken_back_is_asked_again(wide):
    session = wide.annotations.session(["Books", "Tea"])
    first = session.question
    assert first.text == f"text {first.position}"
    session.answer("Tea")
    assert (session.question != first, session.given, session.answers) == (True, 1, {first.position: "Tea"})
    assert session.undo()
    assert (session.question, session.given) == (first, 0)
    session.skip()
    assert session.history[-1] == first.position
    assert session.undo()
    assert (session.question, session.history, session.left) == (first, [], 200)
    assert not session.undo()
    with pytest.raises(UsageError, match="expected one of Books, Tea, found 'Cups'"):
        session.answer("Cups")


def test_answers_kept_before_are_not_asked_again(wide):
    labels = LabelSet.of(["Books", "Tea"])
    first = wide.annotations.session(labels, who="ann").question.position
    wide.annotations.add(first, "Tea", labels, who="bea")
    second = wide.annotations.session(labels, who="ann")
    assert second.answers == {first: "Tea"}
    skipped = second.question.position
    wide.annotations.add(skipped, "", labels, who="ann")
    assert wide.annotations.session(labels, who="ann").left == 198
    assert wide.annotations.session(labels, who="bea").left == 199
    assert wide.annotations.session(["Cups", "Tea"], who="ann").left == 200
    assert wide.annotations.session(labels, who="ann").history == [skipped]
    assert wide.annotations.session(labels, who="bea").history == [first]
    assert second.advice() is None


def test_who_disagrees_is_not_asked_again_and_others_are(wide):
    labels = LabelSet.of(["Books", "Tea"])
    for who, label in (("ann", "Books"), ("bea", "Tea")):
        wide.annotations.add(7, label, labels, who=who)
    assert [wide.annotations.session(labels, who=who).left for who in ("ann", "bea", "cal")] == [199, 199, 200]


def test_an_order_that_is_none_is_refused(store):
    with pytest.raises(UsageError, match="expected an order of typical, uncertain, random, disagreement"):
        store.annotations.session(LABELS, order="best")
