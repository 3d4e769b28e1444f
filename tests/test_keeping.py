"""Answers are kept when the labels change: taken over to other labels, counted, and taken away with the rows."""

import itertools

import pandas as pd
import pytest
from conftest import LABELS, HashEncoder
from hypothesis import example, given
from hypothesis import strategies as st

import embedstore
from embedstore.desk import Desk, Query
from embedstore.desk.lens import Lens
from embedstore.errors import UsageError

TEXTS = ["kettle", "lamp", "tea", "book", "pen", "cup"]
ROWS = [{"key": f"k{i}", "review": text, "stars": i % 2} for i, text in enumerate([*TEXTS, "kettle", ""])]
NEW = [*LABELS, "Mixed"]
NOTE = "nobody has answered with these labels yet: nothing is learnt from answers"
EXAMPLE = itertools.count()
PEOPLE = ["ann", "bob", ""]


def made(folder, rows=ROWS):
    store = embedstore.create(folder, encoder=HashEncoder())
    store.add(rows, text="review", id="key")
    store.encode()
    return Desk(store)


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    return made(tmp_path_factory.mktemp("keeping") / "store")


@pytest.fixture
def fresh(tmp_path):
    return made(tmp_path / "store")


def said(desk, lens):
    """Return the current answers with some labels: label by text and person."""
    rows = desk.rows(Query(), lens, count=100)["rows"]
    return {(one["text"], who): label for one in rows for who, label in one.get("answers", {}).items()}


@pytest.mark.parametrize("more", [{}, {"min_confidence": 0.5}, {"method": "best"}])
def test_labels_that_nobody_answered_with_tag_as_without_examples_and_say_so(fresh, more):
    fresh.answer([0, 1], "Positive", Lens.of(LABELS), action="a")
    learning, plain = Lens.of(NEW, examples=True, **more), Lens.of(NEW, **more)
    assert sorted(fresh.tags(learning).notes) == sorted([*fresh.tags(plain).notes, NOTE])
    assert fresh.tags(learning).codes.tolist() == fresh.tags(plain).codes.tolist()
    assert fresh.rows(Query(), learning) == fresh.rows(Query(), plain)
    assert fresh.judge.thresholds(learning)["kept"] == fresh.judge.thresholds(plain)["kept"]
    mapping = {"0": "Negative", "1": "Positive"}
    assert NOTE in fresh.judge.report(learning, "stars", mapping)["notes"]
    assert fresh.command(Query(), learning) == fresh.command(Query(), plain) != ""
    fresh.answer([0], "Mixed", learning, action="b")
    assert NOTE not in fresh.tags(learning).notes, "what is kept is not used when there are answers"
    assert "--examples" in fresh.command(Query(), learning)


ACTIONS = st.lists(
    st.tuples(
        st.sampled_from(["old", "new"]),
        st.sampled_from(PEOPLE),
        st.sampled_from(["", "Bad", "Fair", "Good"]),
        st.integers(0, len(TEXTS) - 1),
    ),
    max_size=12,
)
RENAMED = st.fixed_dictionaries({}, optional={"Bad": st.sampled_from(["Poor", ""]), "Good": st.just("Fine")})
PRESENT = st.lists(st.sampled_from(["Bad", "Fair", "Good", "Poor", "Fine", "Mixed"]), min_size=2, unique=True)


@given(ACTIONS, RENAMED, PRESENT)
@example([("old", "ann", "Bad", 0), ("old", "bob", "Bad", 0), ("old", "", "", 1)], {"Bad": "Poor"}, ["Poor", "Good"])
@example([("old", "ann", "Bad", 0), ("new", "ann", "Fair", 0)], {}, ["Bad", "Fair"])
@example([("old", "ann", "", 0)], {}, ["Poor", "Fine"])
def test_answers_are_taken_over_once_under_their_present_names_and_can_be_taken_back(shared, actions, renamed, names):
    number = next(EXAMPLE)
    own = [f"{number}{name}" for name in names]  # labels of this example alone
    mark = {name: f"{number}{name}" for name in ("Bad", "Fair", "Good", "Poor", "Fine", "Mixed")} | {"": ""}
    old, new = Lens.of([mark["Bad"], mark["Fair"], mark["Good"]]), Lens.of(own)
    renamed = {mark[before]: mark[present] for before, present in renamed.items()}
    sets = {"old": {}, "new": {}}
    for place, (which, who, name, row) in enumerate(actions):
        lens = old if which == "old" else new
        if mark[name] and mark[name] not in lens.labels.names:
            continue
        shared.answer([row], mark[name], lens, who=who, action=f"{number} {place}")
        sets["new" if set(old.labels.names) == set(own) else which][TEXTS[row], who] = mark[name]
    before, wanted = said(shared, new), dict(sets["new"])
    assert before == wanted
    left = {renamed.get(name, name) for name in old.labels.names} & set(own)
    carried = {
        question: renamed.get(label, label)
        for question, label in sets["old"].items()
        if left
        and question not in wanted
        and renamed.get(label, label) in {"", *own}
        and (not label or renamed.get(label, label))
    }
    count = len({text for text, _ in carried})
    assert shared.judge.changes(old, new, renamed)["answers"] == count
    for _ in range(2):
        assert shared.carry_over(old, new, renamed=renamed, action=f"{number} carry") == count
        assert said(shared, new) == wanted | carried
    if set(own) != set(old.labels.names):
        assert said(shared, old) == sets["old"], "the earlier answers stay"
    assert shared.judge.changes(old, new, renamed)["answers"] == 0
    assert shared.take_back(f"{number} carry") == count
    assert said(shared, new) == before


def test_answers_are_taken_over_in_one_commit_and_only_with_a_name(fresh):
    old, new = Lens.of(LABELS), Lens.of(NEW)
    fresh.answer(Query(), "Positive", old, who="ann", action="a")
    fresh.answer([1], "Negative", old, who="bob", action="b")
    files = len(fresh.store.manifest.annotations)
    with pytest.raises(UsageError, match="name for the action"):
        fresh.carry_over(old, new, action="")
    assert len(fresh.store.manifest.annotations) == files
    assert fresh.carry_over(old, new, action="c") == len(TEXTS)
    assert len(fresh.store.manifest.annotations) == files + 1


def test_texts_that_have_an_answer_already_are_counted_by_person(fresh):
    lens = Lens.of(LABELS)
    fresh.answer([0, 2], "Positive", lens, who="ann", action="a")
    fresh.answer([0, 1], "Negative", lens, who="bob", action="b")
    fresh.answer([3], "", lens, who="ann", action="skip")
    assert fresh.answered(Query(), lens, who="ann") == {"anybody": 3, "mine": 2}
    assert fresh.answered(Query(where="stars = 1"), lens, who="ann") == {"anybody": 1, "mine": 0}
    assert fresh.answered(Query(words="kettle"), lens, who="bob") == {"anybody": 1, "mine": 1}, "two rows, one text"
    assert fresh.answered(Query(), Lens.of(NEW), who="ann") == {"anybody": 0, "mine": 0}


def test_a_table_has_the_answers_beside_the_tags(fresh):
    lens = Lens.of(LABELS)
    plain = fresh.result(Query(), lens).to_pandas()
    pd.testing.assert_frame_equal(fresh.result(Query(), lens, answers=True).to_pandas(), plain)
    fresh.answer([0], "Positive", lens, who="ann", action="a")
    fresh.answer([1], "Negative", lens, who="ann", action="b")
    fresh.answer([1], "Positive", lens, who="bob", action="c")
    found = fresh.result(Query(), lens, answers=True).to_pandas()
    pd.testing.assert_frame_equal(found.drop(columns="annotations"), plain)
    assert found["annotations"].dropna().to_dict() == {0: "Positive", 6: "Positive"}, "rows with equal texts"
    assert "annotations" not in fresh.result(Query(), lens).to_pandas()
    assert "annotations" not in fresh.result(Query(), Lens.of(NEW), answers=True).to_pandas()
    assert "annotations" not in fresh.result(Query(), answers=True).to_pandas()
    part = fresh.result(Query(where="stars = 0"), lens, answers=True).to_pandas()
    assert part["annotations"].fillna("").tolist() == ["Positive", "", "", "Positive"]


def test_answers_have_another_name_beside_columns_of_their_name(tmp_path):
    desk = made(tmp_path / "own", [row | {"annotations": 1, "annotations_said": 2} for row in ROWS])
    desk.answer([0], "Positive", Lens.of(LABELS), action="a")
    found = desk.result(Query(), Lens.of(LABELS), answers=True).to_pandas()
    assert found["annotations"].tolist() == [1] * len(ROWS)
    assert found["annotations_said"].tolist() == [2] * len(ROWS)
    assert found["annotations_said_said"].dropna().to_dict() == {0: "Positive", 6: "Positive"}
