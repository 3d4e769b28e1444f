"""Shaping and judging from Python: least confidences, beside `tag` of the same store and plain pandas."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from conftest import HashEncoder
from sklearn import metrics
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold

import embedstore
from embedstore.demo import ANSWERS, TRAIN
from embedstore.desk import Desk, Query
from embedstore.desk.lens import Lens
from embedstore.desk.thresholds import Compared, threshold_table
from embedstore.errors import InputError, UsageError
from embedstore.labels import LabelSet
from embedstore.labels.multilabel import membership
from embedstore.labels.odds import KnownLabels, probabilities
from embedstore.labels.zeroshot import refine, standardised
from embedstore.learning import learning_curve

NAMES = ["Negative", "Positive"]
STANDS_FOR = {"1": "Negative", "2": "Positive"}


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    """A desk of the shipped reviews with answers to twenty of them."""
    return Desk(made(tmp_path_factory.mktemp("shaping") / "store"))


@pytest.fixture(scope="module")
def unanswered(tmp_path_factory):
    """The same without answers: the confidence is not calibrated."""
    return Desk(made(tmp_path_factory.mktemp("unanswered") / "store", answers=None))


def made(folder, answers=ANSWERS):
    store = embedstore.create(folder, encoder=HashEncoder())
    store.add(pd.read_csv(TRAIN), text="review", id="id")
    store.encode()
    if answers is not None:
        store.annotations.import_table(answers, NAMES, who="ann")
    return store


def seen(desk, lens, query=None):
    return desk.result(query or Query(), lens).to_pandas().set_index("id")


def median(desk, lens):
    """Return the middle confidence of the rows, as the page would send it."""
    return round(float(seen(desk, lens.with_confidence(0))["confidence"].median()), 4)


@pytest.mark.parametrize("least", [0, 0.5, None, 1])
@pytest.mark.parametrize("more", [{}, {"method": "best"}, {"examples": True}])
def test_tags_below_the_least_confidence_are_left_out_as_tag_leaves_them_out(desk, least, more):
    middle = least is None
    least = median(desk, Lens.of(NAMES, **more)) if middle else least
    lens = Lens.of(NAMES, min_confidence=least, **more)
    wanted = desk.store.tag(NAMES, min_confidence=least, **more)
    found, table = seen(desk, lens), wanted.to_pandas().set_index("id")
    pd.testing.assert_frame_equal(found, table[found.columns], check_categorical=False, check_dtype=False)
    assert {"confidence", "score", "margin"} <= set(found.columns)
    assert desk.tags(lens).shares == wanted.shares
    if middle:
        assert 0 < found["Predicted_Labels"].notna().sum() < found["score"].notna().sum()


def test_the_table_of_thresholds_says_what_tag_says_at_each(unanswered):
    lens = Lens.of(NAMES, "best", min_confidence=0.9)
    middle = int(100 * median(unanswered, lens))
    table = unanswered.store.tag(NAMES, method="best", confidence=True).to_pandas()
    given = table["class_index"].map({1: "Negative", 2: "Positive"})
    found = unanswered.judge.thresholds(lens, "class_index", STANDS_FOR)
    assert found["rows"] == table["score"].notna().sum()
    for place in (0, 50, middle, 90, 100):
        kept = table[table["confidence"] >= np.float32(found["steps"][place])]
        counts = kept["Predicted_Labels"].value_counts().reindex(NAMES, fill_value=0)
        assert found["kept"][place] == counts.tolist()
        known = given[kept.index].notna()
        assert found["known"][place] == known.sum()
        assert found["right"][place] == (kept["Predicted_Labels"] == given[kept.index]).sum()
    assert found["kept"][50] != found["kept"][middle] != found["kept"][100]


def test_a_confidence_that_is_a_step_is_kept_at_this_step(desk):
    tags = desk.tags(Lens.of(NAMES, min_confidence=0))
    steps = np.resize(np.arange(101, dtype=np.float32) / np.float32(100), len(tags.codes))
    steps[~tags.has_text] = -1
    exact = replace(tags, columns=tags.columns | {"confidence": pa.chunked_array([pa.array(steps, mask=steps < 0)])})
    with desk.store.snapshot() as now:
        found = threshold_table(Compared(now, now.corpus(), exact, "annotations", {}))
    for least, kept in zip(found["steps"], found["kept"], strict=True):
        assert sum(kept) == (exact.confident(least).codes >= 0).sum()


def test_without_a_column_answers_say_whether_tags_are_right(desk):
    answers = pd.read_csv(ANSWERS).set_index("id")["label"]
    table = seen(desk, Lens.of(NAMES))
    asked = table["review"].isin(table.loc[answers.index, "review"])
    found = desk.judge.thresholds(Lens.of(NAMES))
    assert found["known"][0] == asked.sum() >= len(answers)
    said = table["review"].map(dict(zip(table.loc[answers.index, "review"], answers, strict=True)))
    assert found["right"][0] == (table["Predicted_Labels"] == said)[asked].sum()
    assert desk.judge.thresholds(Lens.of(["Tea", "Book"]))["known"][0] == 0


def test_the_report_is_on_the_rows_that_keep_a_tag(desk):
    lens = Lens.of(NAMES, "best")
    lens = lens.with_confidence(median(desk, lens))
    table = seen(desk, lens)
    given = table["class_index"].map({1: "Negative", 2: "Positive"})
    both = given.notna() & table["Predicted_Labels"].notna()
    report = desk.judge.report(lens, "class_index", STANDS_FOR)
    assert report["accuracy"] == metrics.accuracy_score(given[both], table["Predicted_Labels"][both])
    assert report["confusion"] == metrics.confusion_matrix(given[both], table["Predicted_Labels"][both]).tolist()
    assert both.sum() < given.notna().sum()
    confident = desk.judge.report(Lens.of(NAMES, "best", min_confidence=0), "class_index", STANDS_FOR)
    assert sum(one["count"] for one in report["reliability"]) == given[table["score"].notna()].notna().sum()
    assert report["reliability"] == confident["reliability"]
    with pytest.raises(InputError, match="confidence of 1 or more"):
        desk.judge.report(lens.with_confidence(1), "class_index", STANDS_FOR)


def test_a_row_that_loses_its_tag_has_changed(desk):
    one = Lens.of(NAMES)
    two = one.with_confidence(median(desk, one))
    before, after = (seen(desk, lens)["Predicted_Labels"].astype(object) for lens in (one, two))
    gone = before.notna() & after.isna()
    assert 0 < gone.sum() < before.notna().sum()
    found = desk.judge.changes(one, two)
    assert (found["moved"], found["rows"]) == (gone.sum(), before.notna().sum())
    lost = [((before == name) & gone).sum() for name in NAMES]
    assert [line[-1] for line in found["counts"]] == [*lost, 0]
    listed = seen(desk, two, Query(changed_from=one))
    assert sorted(listed.index) == sorted(gone.index[gone])
    assert desk.judge.changes(two, two)["moved"] == 0


def test_answers_change_the_confidence_that_is_shown(tmp_path):
    desk = Desk(made(tmp_path / "store", answers=None))
    lens, sure = Lens.of(NAMES, min_confidence=0.6), Query(where="Predicted_Labels IS NOT NULL")
    before = seen(desk, lens, sure)
    for number, label in enumerate(NAMES):
        desk.answer([*range(number, 60, 2)], label, lens, action=label)
    assert len(seen(desk, lens, sure)) != len(before)
    found, wanted = seen(desk, lens), desk.store.tag(NAMES, min_confidence=0.6).to_pandas().set_index("id")
    assert found["confidence"].equals(wanted["confidence"])


@pytest.mark.parametrize("least", [-0.1, 1.1, "0.5", True, float("nan")])
def test_what_is_no_least_confidence_is_refused(least):
    with pytest.raises(UsageError, match="least confidence"):
        Lens.from_json({"labels": NAMES, "min_confidence": least})


def test_labels_without_a_known_share_divide_the_rest_as_they_did_without_it():
    labels = ["Tea", "Lamp", "Book", "Shoe"]
    before = refine(scores_of(labels), [""] * 300)
    found = refine(scores_of(labels), [""] * 300, shares=[None, 0.6, None, None])
    free = before.shares[[0, 2, 3]]
    assert np.allclose(found.shares[[0, 2, 3]], 0.4 * free / free.sum())
    tags = np.bincount(found.scores.argmax(axis=1), minlength=4) / 300
    assert np.abs(tags - found.shares).max() < 0.03


def scores_of(labels):
    """Return the similarity of 300 texts to labels, shape (300, labels)."""
    encoder = HashEncoder()
    return encoder.encode([f"text {n}" for n in range(300)]) @ encoder.encode(labels).T


def test_known_shares_of_labels_are_kept_in_their_file_and_used_by_tag(unanswered, tmp_path):
    store = unanswered.store
    lens = Lens.from_json({"labels": NAMES, "method": "best", "shares": {"Positive": 0.7}})
    wanted = store.tag(NAMES, method="best", shares={"Positive": 0.7, "Negative": 0.3})
    assert unanswered.tags(lens).shares == wanted.shares != store.tag(NAMES, method="best").shares
    path = tmp_path / "labels.yaml"
    path.write_text(lens.to_yaml())
    again = LabelSet.read(path)
    assert again.shares == (None, 0.7)
    assert store.tag(again, method="best").shares == wanted.shares
    assert Lens.from_json({**lens.to_json(), "method": "best"}).labels.shares == (None, 0.7)
    other = {"Negative": 0.6, "Positive": 0.4}
    assert store.tag(again, method="best", shares=other).shares == store.tag(NAMES, method="best", shares=other).shares
    plain = store.tag(again)
    assert plain.shares == store.tag(NAMES).shares
    assert any("not used by the method cosine" in note for note in plain.notes)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("labels: [a, b]\nshares: {c: 0.5}", "unknown 'c'"),
        ("labels: [a, b]\nshares: {a: half}", "labels to numbers"),
        ("labels: [a, b]\nshares: [0.5]", "labels to numbers"),
        ("labels: [a, b]\nshares: {a: 1.5}", "leave something for 'b'"),
        ("labels: [a, b]\nshares: {a: 0.5, b: 0.2}", "add up to 1"),
        ("labels: [a, b]\nshares: {a: nan, b: 0.2}", "add up to 1"),
    ],
)
def test_shares_in_a_label_file_that_cannot_be_are_told(tmp_path, text, says):
    path = tmp_path / "labels.yaml"
    path.write_text(text)
    with pytest.raises(InputError, match=says):
        LabelSet.read(path)


def test_labels_of_which_a_text_can_have_several_have_no_known_shares():
    with pytest.raises(UsageError, match="exclude each other"):
        LabelSet.of(LabelSet.of(NAMES).with_shares({"Negative": 0.1}), several=True)


@pytest.mark.parametrize("shares", [[0.5], {"Negative": "a"}, {"Negative": True}, {"Tea": 0.5}, {"Negative": -1}])
def test_what_are_no_shares_is_refused(shares):
    with pytest.raises(UsageError):
        Lens.from_json({"labels": NAMES, "method": "best", "shares": shares})


def curve_of(store, column, mapping=None, **options):
    with store.snapshot() as now:
        return learning_curve(now, column, mapping=mapping, **options)


def test_a_point_of_the_learning_curve_is_that_of_logistic_regressions_on_other_texts(unanswered):
    table = pd.read_csv(TRAIN).dropna(subset=["review", "class_index"]).drop_duplicates("review")
    x = HashEncoder().encode(list(table["review"]))
    y = table["class_index"].astype(int).to_numpy()
    order = np.argsort(unanswered.store.corpus().positions()[table.index])  # the order in which texts are kept
    x, y = x[order], y[order]
    found = curve_of(unanswered.store, "class_index", STANDS_FOR)
    assert (found.classes, found.texts) == (tuple(NAMES), len(y))
    assert found.majority == np.bincount(y).max() / len(y)
    assert found.sizes.tolist() == [10, 20, 40, 80, len(y) - -(-len(y) // 5)]
    right, accuracies = np.zeros(len(y)), []
    for number in range(5):
        rng = np.random.default_rng([42, number])
        folds = StratifiedKFold(5, shuffle=True, random_state=int(rng.integers(2**31)))
        for learnt, test in folds.split(x, y):
            some = rng.permutation(learnt)[:40]
            model = LogisticRegression(max_iter=1000, random_state=42).fit(x[some], y[some])
            right[test] += (model.predict(x[test]) == y[test]) / 5
            accuracies.append(np.mean(model.predict(x[test]) == y[test]))
    assert found.accuracy[2] == pytest.approx(right.mean())
    mean = np.mean(accuracies)
    of_draws = max(0, np.var(accuracies, ddof=1) - mean * (1 - mean) / (len(y) / 5))
    off = 1.96 * np.sqrt(right.var() / len(y) + of_draws)
    assert (found.low[2], found.high[2]) == pytest.approx((right.mean() - off, right.mean() + off))


def test_a_learning_curve_rises_where_there_is_something_to_learn_and_is_the_same_each_time(unanswered):
    store = embedstore.create(unanswered.store.path.parent / "signs", encoder=HashEncoder())
    texts = [f"text {number}" for number in range(400)]
    signs = HashEncoder().encode(texts)[:, 0] > 0
    store.add([{"t": t, "sign": "rare" if t in texts[:3] else s} for t, s in zip(texts, signs, strict=True)], text="t")
    store.encode()
    found = curve_of(store, "sign")
    assert found.accuracy[0] < 0.8 < 0.9 < found.accuracy[-1]
    of_texts = 1.96 * np.sqrt(found.accuracy * (1 - found.accuracy) / found.texts)
    assert (found.accuracy - found.low)[0] > 1.3 * of_texts[0], "which ten texts are learnt counts too"
    assert found.texts == 397
    assert "3 texts of values that are rare" in found.notes[-1]
    again = curve_of(store, "sign")
    assert again.to_json() == found.to_json()
    assert curve_of(store, "sign", random_state=1).to_json() != found.to_json()
    assert found.outlook.endswith(f"{100 * (found.accuracy[-1] - found.accuracy[-2]):+.1f} points")


def test_a_learning_curve_of_answers_is_that_of_the_labels_that_are_looked_through(desk):
    found = desk.judge.learning_curve(Lens.of(NAMES))
    assert (found["classes"], found["texts"]) == (NAMES, 20)
    assert [one["texts"] for one in found["points"]] == [10, 16]
    for lens, column in ((Lens.of(["Tea", "Lamp"]), "annotations"), (Lens(), "id")):
        with pytest.raises(InputError):
            desk.judge.learning_curve(lens, column)


@pytest.mark.parametrize("label", NAMES)
def test_the_desk_asks_about_rows_with_one_tag_the_least_sure_first(tmp_path, label):
    desk = Desk(made(tmp_path / "store", answers=None))
    lens = Lens.of(NAMES)
    texts = desk.store.tag(NAMES).to_pandas().dropna(subset="score").drop_duplicates("review")
    wanted = texts[texts["Predicted_Labels"] == label].sort_values("margin", kind="stable")["id"].tolist()
    first = [one["row"] for one in desk.ask(lens.with_confidence(0.99), about=label, who="ann", count=9)]
    assert [f"r{row + 1:04}" for row in first] == wanted[:9]
    desk.answer(first[:2], NAMES[0], lens, who="bob", action="a")
    desk.answer(first[4:6], "", lens, who="bob", action="b")
    desk.answer(first[6:8], "", lens, who="ann", action="c")
    left = [one["id"] for one in desk.ask(lens, about=label, who="ann", count=500)]
    assert left == [one for one in wanted if one not in [wanted[place] for place in (0, 1, 6, 7)]]
    with pytest.raises(UsageError, match="to ask about"):
        desk.ask(lens, about="Tea")


@pytest.mark.parametrize("multi", [False, True])
def test_questions_about_one_label_begin_at_its_edge_and_reach_everything(unanswered, multi):
    labels = ["Tea", "Lamp", "Book"]
    session = unanswered.store.annotations.session(labels, about="Lamp", multi=multi)
    encoder, asked = HashEncoder(), []
    while question := session.question:
        asked.append(question)
        session.skip()
    cosines = encoder.encode([one.text for one in asked]) @ encoder.encode(labels).T
    if multi:
        lead = probabilities(membership(cosines), KnownLabels(np.empty(0, dtype=np.int64), np.empty((0, 3), bool)))
        lead = lead[:, 1] - 0.5
    else:
        scores = standardised(cosines.astype(np.float64))
        lead = scores[:, 1] - scores[:, [0, 2]].max(axis=1)
    has = lead >= 0
    assert 30 < has.sum() < len(asked) - 30
    assert np.flatnonzero(~has).min() > has.sum() - 60, "those with the label come first, but for the last block"
    near = np.sort(lead[has])
    assert lead[:5].max() <= near[50 if multi else 20]
    assert len({one.text for one in asked}) == len(asked) == session.total
    for wrong in ({"about": "Cup"}, {"about": "Tea", "order": "random"}):
        with pytest.raises(UsageError, match="about"):
            unanswered.store.annotations.session(labels, **wrong)
