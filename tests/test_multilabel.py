"""Several labels a text: tags, their columns, and reports on them."""

import itertools
import json

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mixing import NAMES, TRUE, Mixing, mixed_store
from sklearn import metrics

import embedstore
from embedstore.errors import InputError, UsageError
from embedstore.labels.multilabel import membership
from embedstore.labels.odds import SLOPE, KnownLabels, expected_best, probabilities
from embedstore.reports.gold import parse_map
from embedstore.reports.multilabel import given_labels, multilabel_report


@pytest.fixture(scope="module")
def mixed(tmp_path_factory):
    return mixed_store(tmp_path_factory.mktemp("multi") / "mixed")


def members_of(tagged, names=NAMES):
    return tagged.to_pandas()[names].to_numpy(bool)


@pytest.mark.parametrize("method", ["cosine", "topics", "best"])
def test_a_row_gets_each_label_that_applies_or_none(mixed, method):
    tagged = mixed.tag(NAMES, multi=True, method=method)
    frame = tagged.to_pandas()
    assert list(frame.columns) == ["t", "is", "said", "Predicted_Labels", *NAMES]
    found = members_of(tagged)
    listed = [
        [name for name in NAMES if name in labels] for labels in tagged.to_arrow()["Predicted_Labels"].to_pylist()
    ]
    assert listed == [[NAMES[one] for one in np.flatnonzero(row)] for row in found]
    assert metrics.f1_score(TRUE, found, average="micro") > (0.9 if method == "cosine" else 0.7)
    assert tagged.shares == dict(zip(NAMES, found.mean(axis=0), strict=True))
    none = int((~found.any(axis=1)).sum())
    assert f"no label applies to {none} of 240 rows" in tagged.notes


def test_one_label_is_enough_and_its_scores_do_not_depend_on_others(mixed):
    alone = mixed.tag(["Price"], multi=True, threshold=0.5, scores=True, confidence=True).to_pandas()
    among = mixed.tag(NAMES, multi=True, threshold=0.5, scores=True, confidence=True).to_pandas()
    for name in ("Price", "score Price", "confidence Price"):
        assert alone[name].tolist() == pytest.approx(among[name].tolist(), abs=1e-6)
    assert 0 < alone["Price"].sum() < 240
    with pytest.raises(UsageError, match="at least two labels"):
        mixed.tag(["Price"])


def test_scores_are_cosines_and_confidence_is_what_is_compared_with_the_threshold(mixed):
    frame = mixed.tag(NAMES, multi=True, threshold=0.4, scores=True, confidence=True).to_pandas()
    expected = [f"{kind}{name}" for kind in ("", "score ", "confidence ") for name in NAMES]
    assert list(frame.columns)[-9:] == expected
    space = mixed.space()
    vectors = space.at(mixed.corpus().positions())
    with mixed.snapshot() as now:
        np.testing.assert_allclose(frame[expected[3:6]], vectors @ now.queries(space)(NAMES).T, atol=1e-5)
    np.testing.assert_array_equal(frame[NAMES].to_numpy(bool), frame[expected[6:]].to_numpy() >= 0.4)


def test_a_higher_threshold_never_adds_a_label(mixed):
    found = [members_of(mixed.tag(NAMES, multi=True, threshold=least)) for least in (0.1, 0.3, 0.5, 0.9)]
    assert all((low | ~high).all() for low, high in itertools.pairwise(found))
    assert found[0].sum() > found[-1].sum()


@pytest.mark.parametrize("method", ["cosine", "topics"])
def test_the_order_of_the_labels_is_that_of_the_columns_and_changes_nothing_else(mixed, method):
    one = mixed.tag(NAMES, multi=True, method=method).to_pandas()
    other = mixed.tag(NAMES[::-1], multi=True, method=method).to_pandas()
    assert list(other.columns)[-3:] == NAMES[::-1]
    differ = (one[NAMES] != other[NAMES]).to_numpy().mean()
    assert differ <= (0.01 if method == "topics" else 0), "the classifiers on words learn to a tolerance"


@pytest.mark.parametrize("suffix", [".parquet", ".csv", ".jsonl"])
def test_written_labels_read_back_as_gold(mixed, tmp_path, suffix):
    tagged = mixed.tag(NAMES, multi=True)
    path = tmp_path / f"tags{suffix}"
    tagged.save(path)
    again = embedstore.create(tmp_path / "again", encoder=Mixing(24))
    again.add(path, text="t")
    again.encode()
    report = again.tag(NAMES, multi=True, gold="Predicted_Labels", threshold=0.5).report
    names = again.corpus().schema.names
    assert [name for name in names if name in NAMES] == NAMES
    given_here = given_labels(again.corpus().column("Predicted_Labels"), NAMES, {}, name="Predicted_Labels")
    np.testing.assert_array_equal(given_here.members, members_of(tagged))
    assert given_here.known.all()
    assert (report.rows, report.left_out) == (240, 0)
    if suffix == ".parquet":
        assert pyarrow.parquet.read_schema(path).field("Predicted_Labels").type == pa.list_(pa.string())
        assert pyarrow.parquet.read_schema(path).field("Price").type == pa.bool_()


def test_a_blank_text_has_null_and_a_text_without_labels_an_empty_list(tmp_path):
    store = embedstore.create(tmp_path / "s", encoder=Mixing(24))
    store.add([{"t": "Other Price"}, {"t": " "}, *({"t": f"Other {one}"} for one in range(30))], text="t")
    store.encode()
    tagged = store.tag(["Price"], multi=True, threshold=0.5).to_arrow()
    assert tagged["Predicted_Labels"].to_pylist()[:3] == [["Price"], None, []]
    assert tagged["Price"].to_pylist()[:3] == [True, None, False]


def test_known_labels_calibrate_the_probabilities_out_of_fold(mixed):
    plain = mixed.tag(NAMES, multi=True)
    tagged = mixed.tag(NAMES, multi=True, gold="is", confidence=True)
    assert "probabilities are calibrated on 240 labelled rows" in tagged.notes
    assert any("uncalibrated" in note for note in plain.notes)
    frame = tagged.to_pandas()
    for number, name in enumerate(NAMES):
        assert frame[f"confidence {name}"].mean() == pytest.approx(TRUE[:, number].mean(), abs=0.02)
    found = members_of(tagged)
    assert tagged.report.micro_f1 == pytest.approx(metrics.f1_score(TRUE, found, average="micro"))
    assert tagged.report.macro_f1 == pytest.approx(metrics.f1_score(TRUE, found, average="macro"))
    assert tagged.report.subset_accuracy == metrics.accuracy_score(TRUE, found)
    assert tagged.report.hamming_loss == pytest.approx(metrics.hamming_loss(TRUE, found))


def test_few_known_labels_are_used_and_the_note_says_how_many_are_needed(mixed):
    plain = mixed.tag(NAMES, multi=True)
    asked = mixed.annotations.session(NAMES, multi=True, order="random")
    for _ in range(5):
        asked.answer(["Price"])
    few = mixed.tag(NAMES, multi=True, gold="annotations")
    assert any(
        note == "probabilities are corrected by 5 labelled rows, too few to call them calibrated: 20 are needed"
        for note in few.notes
    )
    assert few.shares["Price"] > plain.shares["Price"]
    assert any("uncalibrated: give 20 rows or more" in note for note in plain.notes)


def test_a_note_on_rows_without_labels_stands_only_where_there_are_some(mixed):
    assert not any("no label applies" in note for note in mixed.tag(["Other"], multi=True, threshold=1e-9).notes)


def test_a_value_that_is_no_label_can_be_mapped_to_none_alone(mixed):
    with pytest.raises(InputError, match=r"or for no label with --map Price= \(--map '\*=': all of them\)"):
        mixed.tag(["Delivery", "Quality"], multi=True, gold="is")
    assert mixed.tag(["Delivery", "Quality"], multi=True, gold="is", mapping=["Price="]).report.rows == 240


def test_labels_in_text_need_their_separator(mixed):
    with pytest.raises(InputError, match=r"'Delivery \| Price'.*none of the labels.*--separator"):
        mixed.tag(NAMES, multi=True, gold="said")
    one = mixed.tag(NAMES, multi=True, gold="said", separator="|", threshold=0.5)
    # A blank cell of text is no answer; an empty list is one.
    assert (one.report.rows, one.report.left_out) == (180, 60)
    with pytest.raises(InputError, match="leave --separator out"):
        mixed.tag(NAMES, multi=True, gold="is", separator="|")
    with pytest.raises(InputError, match=r"label 'a\|b' holds '\|'"):
        given_labels(pa.array(["a|b"]), ["a|b"], {}, name="x", separator="|")
    with pytest.raises(InputError, match="no row with a value: choose another column"):
        given_labels(pa.array([None, ""]), ["a"], {}, name="x")


def test_a_mapping_says_what_values_stand_for(mixed):
    values = pa.array([["1", "2"], ["3"], ["x"], []])
    mapping = parse_map({1: "a", 2: ["a", "b"], 3: None, "*": None}, ["a", "b"], grouped=False)
    found = given_labels(values, ["a", "b"], mapping, name="is")
    assert found.members.tolist() == [[True, True], [False, False], [False, False], [False, False]]
    assert found.known.all()
    few = mixed.tag(["Price"], multi=True, gold="is", mapping=["*="], threshold=0.5)
    assert few.report.labels == ("Price",)
    assert few.report.counts[0, 0] == TRUE[:, 1].sum()


@given(
    st.lists(st.lists(st.sampled_from("abc"), unique=True, max_size=3), min_size=1, max_size=12),
    st.lists(st.lists(st.sampled_from("abc"), unique=True, max_size=3), min_size=12, max_size=12),
)
def test_a_report_has_the_figures_of_scikit_learn(given_sets, predicted_sets):
    one, other = (
        np.array([[name in labels for name in "abc"] for labels in sets])
        for sets in (given_sets, predicted_sets[: len(given_sets)])
    )
    found = multilabel_report(one, other, "abc")
    seen = (one | other).any(axis=0)
    expected = metrics.precision_recall_fscore_support(one, other, zero_division=0.0)
    table = found.table()
    for name, values in zip(("precision", "recall", "f1", "rows"), expected, strict=True):
        np.testing.assert_allclose(table[name].to_numpy(), values[seen])
    assert found.micro_f1 == pytest.approx(metrics.f1_score(one, other, average="micro", zero_division=0.0))
    assert found.subset_accuracy == metrics.accuracy_score(one, other)
    assert found.hamming_loss == pytest.approx(metrics.hamming_loss(one, other))
    assert found.to_json()["labels"].keys() == {name for name, there in zip("abc", seen, strict=True) if there}
    alone = multilabel_report(one[:, :1], other[:, :1], ["a"])
    assert alone.micro_f1 == pytest.approx(metrics.f1_score(one[:, 0], other[:, 0], zero_division=0.0))


@given(st.lists(st.floats(0.01, 1), min_size=1, max_size=40))
def test_the_expected_best_threshold_has_the_highest_expected_f1(values):
    probability = np.array(values)[:, None]
    least = expected_best(probability)

    def expected_f1(chosen):
        return 2 * probability[chosen].sum() / (probability.sum() + chosen.sum())

    cuts = [expected_f1(probability >= cut) for cut in values]
    assert expected_f1(probability >= min(least, max(values))) == pytest.approx(max(cuts), rel=1e-6)
    assert least <= 0.5


def test_without_known_labels_log_odds_are_the_scores_and_with_many_those_of_a_logistic_regression():
    rng = np.random.default_rng(0)
    scores = rng.normal(size=(4000, 2))
    np.testing.assert_allclose(probabilities(scores), 1 / (1 + np.exp(-SLOPE * scores)))
    true = rng.random((4000, 2)) < 1 / (1 + np.exp(-(scores * [3.0, 0.5] - [2.0, 0.0])))
    found = probabilities(scores, KnownLabels(np.arange(4000), true))
    expected = 1 / (1 + np.exp(-(scores * [3.0, 0.5] - [2.0, 0.0])))
    assert np.abs(found - expected).max() < 0.06
    few = probabilities(scores, KnownLabels(np.array([0]), true[:1]))
    assert np.abs(few - probabilities(scores))[1:].max() < 0.2


@pytest.mark.parametrize("learns_vectors", [False, True])
def test_the_probability_of_a_known_text_does_not_depend_on_its_own_labels(learns_vectors):
    rng = np.random.default_rng(0)
    scores = rng.normal(size=(60, 2))
    vectors = rng.normal(size=(60, 5)).astype(np.float32) if learns_vectors else None
    members = rng.random((30, 2)) < 0.5
    other = members.copy()
    other[7] = ~other[7]
    one, two = (probabilities(scores, KnownLabels(np.arange(30), said), vectors) for said in (members, other))
    np.testing.assert_allclose(one[7], two[7], atol=1e-7)
    assert np.abs(one - two)[30:].max() > 1e-3


def test_the_cosines_of_a_label_part_where_its_two_groups_part():
    rng = np.random.default_rng(0)
    cosines = np.concatenate([rng.normal(0.1, 0.05, 900), rng.normal(0.5, 0.05, 100)])[:, None].astype(np.float32)
    scores = membership(cosines)
    assert ((scores > 0).ravel() == (np.arange(1000) >= 900)).all()
    assert (np.argsort(scores.ravel()) == np.argsort(cosines.ravel())).all()
    assert membership(np.full((3, 2), 0.5, dtype=np.float32)).shape == (3, 2)
    assert np.isfinite(membership(np.full((3, 2), 0.5, dtype=np.float32))).all()


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"method": "scale"}, "found 'scale', which chooses one"),
        ({"shares": {"Price": 1.0}}, "leave --share or --multi out"),
        ({"min_confidence": 0.5}, "leave --min-confidence out"),
        ({"threshold": 1.0}, "expected a threshold above 0 and below 1, found 1.0"),
        ({"gold": "said", "separator": " "}, "expected a separator"),
        ({"multi": False, "threshold": 0.5}, "give --multi too"),
        ({"multi": False, "separator": ";"}, "give --multi too"),
    ],
)
def test_what_does_not_go_with_several_labels_is_refused(mixed, options, says):
    with pytest.raises(UsageError, match=says):
        mixed.tag(NAMES, **{"multi": True, **options})


def test_two_columns_of_one_name_are_refused(mixed):
    with pytest.raises(UsageError, match="'score a', as another column is"):
        mixed.tag(["a", "score a"], multi=True, scores=True)
    with pytest.raises(UsageError, match="'Predicted_Labels'"):
        mixed.tag(["Predicted_Labels"], multi=True)
    assert mixed.tag(["said"], multi=True).schema.names == ["t", "is", "said_input", "Predicted_Labels", "said"]


def test_the_command_line_tags_reports_and_reads_its_own_csv(cli, tmp_path):
    mixed_store(cli.home / "s").tag(NAMES)  # the labels' vectors are kept: the command needs no model
    done = cli("tag", "s", *(f"-l{name}" for name in NAMES), "--multi", "-o", tmp_path / "t.csv")
    assert done.returncode == 0, done.stderr
    frame = pd.read_csv(tmp_path / "t.csv")
    lists = [json.loads(cell) for cell in frame["Predicted_Labels"]]
    assert lists == [[name for name in NAMES if row[name]] for _, row in frame.iterrows()]
    assert "uncalibrated" in done.stderr
    done = cli("tag", "s", "-lPrice", "--multi", "--gold", "said", "--separator", "|", "--map", "*=", "--json")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)["report"]
    assert set(report["labels"]) == {"Price"}
    assert {"micro_f1", "macro_f1", "subset_accuracy", "hamming_loss"} < set(report)
    assert "--multi goes with" in cli.fails(2, "tag", "s", "-lPrice", "--multi", "--explain", "0")
    assert "give --gold COL too" in cli.fails(2, "tag", "s", "-lPrice", "--multi", "--separator", "|")
