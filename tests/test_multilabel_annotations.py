"""Answers that give a text several labels, or none."""

import json

import numpy as np
import pandas as pd
import pytest
from mixing import NAMES, TRUE, mixed_store

from embedstore import TrainOptions
from embedstore.annotations.annotation import Annotation
from embedstore.errors import InputError, UsageError
from embedstore.labels.choice import Choice
from embedstore.labels.label_set import LabelSet

SEVERAL = LabelSet.of(NAMES, several=True)


@pytest.fixture
def mixed(tmp_path):
    return mixed_store(tmp_path / "mixed")


def answer_all(store, count, who="ann", order="random"):
    """Answer `count` questions with the true labels, and return the answered positions."""
    session = store.annotations.session(NAMES, multi=True, order=order, who=who)
    asked = []
    for _ in range(count):
        position = session.question.position
        session.answer([name for name, there in zip(NAMES, TRUE[position], strict=True) if there])
        asked.append(position)
    return asked


def versions(store):
    return [
        json.loads((store.path / part.file.path).read_bytes())["format_version"] for part in store.manifest.annotations
    ]


def test_answers_are_sets_in_any_order_and_none_is_an_answer(mixed):
    session = mixed.annotations.session(NAMES, multi=True, order="random")
    first, *_ = [session.question.position]
    session.answer(["Quality", "Delivery"])
    second = session.question.position
    session.answer([])
    session.skip()
    assert session.answers == {first: ("Delivery", "Quality"), second: ()}
    assert (session.given, session.left) == (2, 237)
    assert session.undo()
    assert session.undo()
    assert session.question.position == second
    assert session.answers == {first: ("Delivery", "Quality")}
    with pytest.raises(UsageError, match="labels of Delivery, Price, Quality, found 'Colour'"):
        session.answer(["Price", "Colour"])
    again = mixed.annotations.session(NAMES, multi=True)
    assert again.answers == {first: ("Delivery", "Quality")}
    assert again.undo()
    assert again.answers == {}


def test_answers_of_one_label_and_of_several_never_mix(mixed):
    one = mixed.annotations.session(NAMES, order="random")
    assert versions_after(mixed, lambda: one.answer("Price")) == [2]
    assert len(mixed.annotations.session(NAMES, multi=True).answers) == 0
    several = mixed.annotations.session(NAMES, multi=True, order="random")
    assert versions_after(mixed, lambda: several.answer(["Price"])) == [2, 3]
    assert len(mixed.annotations.session(NAMES).answers) == 1
    assert set(mixed.annotations.export_table().to_pandas()["label"]) == {'["Price"]', "Price"}
    assert mixed.tag(NAMES, gold="annotations").report.rows == 1
    assert mixed.tag(NAMES, gold="annotations", multi=True).report.rows == 1


def test_answers_of_the_other_form_are_named_where_none_of_the_asked_form_is_there(mixed):
    with pytest.raises(InputError, match="no row of corpus 'train' was annotated yet: run `embedstore annotate`,"):
        mixed.train("annotations")
    answer_all(mixed, 3)
    several = "found 3 rows of corpus 'train', answered with several labels: `tag` and `train` take them with --multi"
    for refused in (
        lambda: mixed.train("annotations"),
        lambda: mixed.compare("annotations"),
        lambda: mixed.tag(NAMES, gold="annotations"),
        lambda: mixed.tag(NAMES, examples=True),
    ):
        with pytest.raises(InputError, match=several):
            refused()
    mixed.annotations.session(["Other", "Rest"], order="random").answer("Other")
    one = "found 1 row of corpus 'train', answered with one label: leave --multi out"
    for options in ({"gold": "annotations"}, {"examples": True}):
        with pytest.raises(InputError, match=one):
            mixed.tag(["Other", "Rest"], multi=True, **options)
    with pytest.raises(InputError, match=one):
        mixed.train("annotations:Other|Rest", multi=True)


def test_a_label_set_of_several_can_be_pasted_into_a_shell(mixed):
    answer_all(mixed, 2)
    mixed.annotations.session(["a b", "c"], multi=True, order="random").answer(["c"])
    with pytest.raises(InputError, match=r"say which, as 'annotations:any of: .*'; there are 'any of: .*'; 'any of: "):
        mixed.train("annotations", multi=True)


def versions_after(store, action):
    action()
    return versions(store)


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet"])
def test_an_export_comes_back_as_it_was(mixed, tmp_path, suffix):
    answer_all(mixed, 6)
    before = mixed.annotations.export_table()
    before.save(tmp_path / f"answers{suffix}")
    assert set(before.to_pandas()["label_set"]) == {"any of: Delivery|Price|Quality"}
    other = mixed_store(tmp_path / "other")
    assert other.annotations.import_table(tmp_path / f"answers{suffix}") == 6
    assert other.annotations.import_table(tmp_path / f"answers{suffix}") == 0
    assert other.annotations.export_table().to_arrow().equals(before.to_arrow())
    wrong = before.to_pandas().assign(label='["Colour"]', answer_id="")
    with pytest.raises(InputError, match="none of Delivery, Price, Quality"):
        other.annotations.import_table(wrong)


@pytest.mark.parametrize(
    ("cells", "separator"),
    [
        (["Price; Quality", "Delivery", ""], None),
        (["Price | Quality", "Delivery", ""], "|"),
        (['["Quality", "Price"]', '["Delivery"]', ""], None),
        ([["Price", "Quality"], ["Delivery"], None], None),
    ],
)
def test_a_table_with_several_labels_in_a_cell_is_imported_as_such(mixed, cells, separator):
    table = [{"id": number, "label": cell} for number, cell in enumerate(cells)]
    assert mixed.annotations.import_table(table, NAMES, multi=True, separator=separator) == 2
    kept = mixed.annotations.export_table().to_pandas()
    assert kept["label"].tolist() == ['["Price", "Quality"]', '["Delivery"]']
    assert set(kept["label_set"]) == {"any of: Delivery|Price|Quality"}
    assert mixed.tag(NAMES, multi=True, gold="annotations").report.rows == 2
    assert mixed.annotations.import_table(kept, multi=True) == 0


def test_an_empty_list_in_a_table_says_that_no_label_applies(mixed):
    mixed.annotations.import_table([{"id": 3, "label": "[]"}], ["Price"], multi=True)
    assert mixed.annotations.export_table().to_pandas()["label"].tolist() == ["[]"]


def test_a_table_of_several_labels_that_cannot_be_read_says_what_to_do(mixed):
    add = mixed.annotations.import_table
    with pytest.raises(InputError, match="with --multi, a cell has several labels"):
        add([{"id": 0, "label": "Price;Quality"}], NAMES)
    with pytest.raises(InputError, match="the label 'Colour', which is none of Delivery, Price, Quality: change it"):
        add([{"id": 0, "label": "Price;Colour"}], NAMES, multi=True)
    with pytest.raises(UsageError, match="expected labels"):
        add([{"id": 0, "label": "Price;Colour"}], multi=True)
    with pytest.raises(UsageError, match="give --multi too"):
        add([{"id": 0, "label": "Price"}], NAMES, separator="|")
    with pytest.raises(InputError, match="gives a text one label: leave --multi out"):
        add([{"id": 0, "label": "Price", "label_set": "Price|Quality"}], multi=True)
    assert len(mixed.annotations.export_table()) == 0


def test_people_agree_on_the_same_labels_alone(mixed):
    mixed.annotations.session(NAMES, multi=True, who="ann").answer(["Price"])
    assert mixed.tag(NAMES, gold="annotations", multi=True).report.rows == 1
    row = mixed.annotations.export_table().to_pandas().iloc[0].to_dict() | {"answer_id": ""}
    mixed.annotations.import_table(pd.DataFrame([row | {"label": '["Quality", "Price"]', "who": "bob"}]))
    assert set(mixed.annotations.export_table(disagreements=True).to_pandas()["who"]) == {"ann", "bob"}
    with pytest.raises(InputError, match="no row"):
        mixed.tag(NAMES, gold="annotations", multi=True)
    mixed.annotations.import_table(pd.DataFrame([row | {"label": '["Price"]', "who": "eve"}]))
    assert mixed.tag(NAMES, gold="annotations", multi=True).report.counts.sum() >= 1


def test_answers_are_learnt_from_and_measured(mixed):
    with pytest.raises(InputError, match="annotate --multi"):
        mixed.tag(NAMES, multi=True, examples=True)
    asked = answer_all(mixed, 60)
    plain = mixed.tag(NAMES, multi=True, gold="is", threshold=0.5)
    learnt = mixed.tag(NAMES, multi=True, examples=True, gold="is", threshold=0.5, confidence=True)
    assert "60 annotated rows are learnt from" in learnt.notes
    rest = np.setdiff1d(np.arange(240), asked)
    found = learnt.to_pandas()[NAMES].to_numpy(bool)
    assert np.mean((found == TRUE)[rest]) > 0.9
    assert plain.report.rows == learnt.report.rows == 240
    assert "calibrated on 60 labelled rows" in " ".join(mixed.tag(NAMES, multi=True).notes)
    options = TrainOptions(random_state=1)
    assert mixed.train("annotations", multi=True, options=options).probe.classes == tuple(NAMES)


def test_the_most_uncertain_texts_are_asked_first(mixed):
    answer_all(mixed, 40)
    session = mixed.annotations.session(NAMES, multi=True)
    frame = mixed.tag(NAMES, multi=True, confidence=True).to_pandas()
    doubt = -(frame[[f"confidence {name}" for name in NAMES]] - 0.5).abs().min(axis=1).to_numpy()
    left = np.setdiff1d(np.arange(240), list(session.answers))
    asked = session.question.position
    assert asked in left
    assert (doubt[left] > doubt[asked]).sum() < 10
    with pytest.raises(UsageError, match="order of typical, uncertain, random"):
        mixed.annotations.session(NAMES, multi=True, order="disagreement")


def test_a_choice_is_read_as_it_was_written():
    sets = [
        LabelSet.of(["a|b", "x = 1"], several=True),
        LabelSet.of(["only"], several=True),
        LabelSet(("a", "b"), (("a",), ("b",)), name="any of: mine"),
        LabelSet(("a", "b"), (("a",), ("b",)), name="mine", several=True),
        LabelSet.of(["any of: a", "b"]),
        LabelSet.named("polarity", several=True),
        LabelSet.named("polarity"),
    ]
    choices = [Choice.of(labels) for labels in sets]
    assert [Choice.read(str(choice)).key for choice in choices] == [choice.key for choice in choices]
    assert len({choice.key for choice in choices}) == len(sets)
    assert Choice.of(sets[3]).matches_name("mine")
    assert not Choice.of(LabelSet.of(["a", "b"])).same_as(Choice.of(LabelSet.of(["a", "b"], several=True)))


def test_a_set_of_an_earlier_release_whose_name_begins_so_is_still_one_label():
    said = {"text": "0" * 32, "label": "a", "action": "label", "who": "", "when": "", "corpus": "", "row": ""}
    made = Annotation.from_json({**said, "label_set": "any of: a|b"})
    assert (made.labels, made.choice.several) == (("a",), False)
    assert Annotation.from_json({**said, "label": '["a"]', "label_set": "any of: a|b"}).labels == ("a",)


def test_lines_of_input_are_answers(cli, store):
    store.tag(["Lamps", "Tea"])  # their vectors are kept: the command needs no model
    words = ("annotate", "small", "-l", "Lamps", "-l", "Tea", "--multi", "--order", "random")
    done = cli(*words, stdin="1;2\nlamps\n-\n\n1;nobody\ns\nu\nq\n")
    assert done.returncode == 0, done.stderr
    assert "[1;2] keys or labels, ; between them   [-] none of them\n[s] skip" in done.stdout
    assert "[Enter]" not in done.stdout
    expected = "expected keys of 1 2 or labels, with ; between them, - for none of them, or s, u, q, found"
    assert f"{expected} an empty line" in done.stdout
    assert f"{expected} '1;nobody'" in done.stdout
    assert "answers kept: 3; texts with a label: 3" in done.stderr
    table = store.annotations.export_table().to_pandas()
    assert table["label"].tolist() == ['["Lamps", "Tea"]', '["Lamps"]', "[]"]
    assert "of typical, uncertain, random" in cli.fails(2, *words[:-1], "disagreement")


def test_the_command_line_imports_several_labels(cli, store, tmp_path):
    (tmp_path / "a.csv").write_text("id,label\nk0,Lamps / Tea\nk1,Tea\n")
    words = ("annotations", "small", "--import", tmp_path / "a.csv", "-l", "Lamps", "-l", "Tea")
    assert cli(*words, "--multi", "--separator", "/").stdout == "annotations imported: 2\n"
    assert store.annotations.export_table().to_pandas()["label"].tolist() == ['["Lamps", "Tea"]', '["Tea"]']
    assert "give --import FILE too" in cli.fails(2, "annotations", "small", "--multi")
