import click
import numpy as np
import pyarrow.csv
import pytest
from click.testing import CliRunner
from conftest import LABELS, HashEncoder
from embedstore.cli.printing import warn_of_one_label

import embedstore
from embedstore.errors import InputError, UsageError
from embedstore.labels.label_set import LabelSet
from embedstore.labels.zeroshot import refine, topic_bias

LIKERT = LabelSet(("low", "mid", "high"), (("low",), ("mid",), ("high",)), ordinal=True)


@pytest.fixture
def tilted(tmp_path):
    """500 texts, each named after the label it is near to."""

    class Tilted(HashEncoder):
        def vector(self, text, prompt=""):
            vector = super().vector(text, prompt)
            if text.startswith(("bad", "good")):
                vector = vector + (0.5 if text.startswith("good") else -0.5) * super().vector("axis")
            elif text in LABELS:
                vector = (1 if text == "Positive" else -1) * super().vector("axis")
            return vector / np.linalg.norm(vector)

    store = embedstore.create(tmp_path / "s", encoder=Tilted())
    rows = [{"t": f"{'good' if i % 2 else 'bad'} number {i}", "is": LABELS[i % 2]} for i in range(500)]
    store.add(rows, text="t")
    store.encode()
    return store


MINE = LabelSet(("Negative", "Positive"), (("Negative",), ("Positive",)), templates=("{}",), name="mine")


def test_confidence_is_calibrated_on_gold(tilted):
    joined = tilted.tag(MINE, gold="is", confidence=True)
    frame = joined.to_pandas()
    assert list(frame.columns)[-4:] == ["Predicted_Labels", "score", "margin", "confidence"]
    assert "calibrated on 500 rows" in joined.notes[-1]
    right = (frame["Predicted_Labels"] == frame["is"]).to_numpy()
    assert abs(frame["confidence"].mean() - right.mean()) < 0.03
    assert joined.reliability.count.sum() == 500
    plain = tilted.tag(MINE).to_pandas()
    assert plain["score"].equals(frame["score"])
    assert list(plain.columns) == ["t", "is", "Predicted_Labels", "score", "margin"]


def test_without_labels_confidence_is_said_to_be_uncalibrated(tilted):
    joined = tilted.tag(MINE, confidence=True)
    assert "uncalibrated" in joined.notes[-1]
    assert joined.reliability is None
    assert joined.to_pandas()["confidence"].between(0.5, 1).all()


def test_rows_below_the_least_confidence_stay_untagged(tilted):
    joined = tilted.tag(MINE, gold="is", min_confidence=0.9)
    frame = joined.to_pandas()
    low = frame["confidence"] < 0.9
    assert frame["Predicted_Labels"].isna().equals(low)
    assert 0 < low.sum() < 500
    assert joined.report.rows == 500 - low.sum()
    assert joined.report.accuracy == (frame["Predicted_Labels"] == frame["is"])[~low].mean()
    assert sum(joined.shares.values()) == pytest.approx(1)
    none = tilted.tag(MINE, gold="is", min_confidence=1)
    assert none.report is None
    assert none.to_pandas()["Predicted_Labels"].isna().all()
    with pytest.raises(UsageError, match="between 0 and 1"):
        tilted.tag(MINE, min_confidence=2)


def test_given_shares_and_bad_ones(tilted):
    joined = tilted.tag(MINE, method="best", shares={"Negative": 0.3, "Positive": 0.7})
    assert joined.shares["Negative"] == pytest.approx(0.3, abs=0.03)
    for shares, says in (
        ({"Negative": 1.3}, "leave something for 'Positive'"),
        ({"Negative": 0}, "above 0"),
        ({"Negative": 0.3, "Positive": 0.3}, "add up to 1"),
        ({"Negative": 0.3, "Positive": 0.5, "x": 0.2}, "unknown 'x'"),
    ):
        with pytest.raises(UsageError, match=says):
            tilted.tag(MINE, method="best", shares=shares)
    with pytest.raises(UsageError, match="the methods best, scale and topics"):
        tilted.tag(MINE, shares={"Negative": 0.3, "Positive": 0.7})
    with pytest.raises(UsageError, match="expected a method of cosine, best"):
        tilted.tag(MINE, method="better")


def test_examples_of_people_are_blended_in(tilted):
    with pytest.raises(InputError, match=r"annotated yet with the labels .* or leave --examples out"):
        tilted.tag(MINE, examples=True)
    turned = [{"id": i, "label": LABELS[1 - i % 2]} for i in range(0, 400)]
    tilted.annotations.import_table(turned, MINE)
    joined = tilted.tag(MINE, examples=True, gold="is")
    assert "400 annotated texts are blended in" in joined.notes
    assert joined.report.accuracy < 0.3  # people say the opposite of the labels' own texts


def test_labels_in_order_are_scored_as_an_order(tmp_path, encoder):
    store = embedstore.create(tmp_path / "s", encoder=encoder)
    rows = [{"t": f"text {i}", "is": LIKERT.names[i % 3]} for i in range(30)]
    store.add(rows, text="t")
    store.encode()
    joined = store.tag(LIKERT, gold="is")
    place = {name: i for i, name in enumerate(LIKERT.names)}
    predicted = np.array([place[name] for name in joined.to_pandas()["Predicted_Labels"]])
    given = np.array([i % 3 for i in range(30)])
    found = joined.report.ordinal
    assert found.error == np.abs(predicted - given).mean()
    assert found.within_one == (np.abs(predicted - given) <= 1).mean()
    sided = given != 1
    assert found.polarity == (np.sign(predicted - 1) == np.sign(given - 1))[sided].mean()


def test_what_changes_between_two_label_sets(store):
    flow = store.against(LABELS, ["Tea", "Positive"])
    assert (flow.before, flow.after) == (tuple(LABELS), ("Tea", "Positive"))
    one, two = (store.tag(labels).to_pandas()["Predicted_Labels"] for labels in (LABELS, ["Tea", "Positive"]))
    for i, before in enumerate(flow.before):
        for j, after in enumerate(flow.after):
            assert flow.counts[i, j] == ((one == before) & (two == after)).sum()
    differ = (one != two) & one.notna()
    assert flow.changed.tolist() == differ.tolist()
    moved = [row for table in flow.batches() for row in table.to_pylist()]
    assert [row["key"] for row in moved] == [f"k{i}" for i in np.flatnonzero(differ)]
    assert all(row["Predicted_Labels"] != row["Predicted_Labels_against"] for row in moved)


def test_a_tag_is_explained_by_descriptions_and_neighbours(store, encoder):
    labels = LabelSet(("A", "B"), (("one", "two", "three", "four"), ("five",)))
    found = store.explain("k4", labels)
    tagged = store.tag(labels).to_pandas()
    assert found.text == "a lamp"
    assert found.label == tagged["Predicted_Labels"][4]
    assert found.scores[0][0] == found.label
    near = {text: float(encoder.vector(text) @ encoder.vector("a lamp")) for text in ("one", "two", "three", "four")}
    best = sorted(near, key=near.get, reverse=True)[:3]
    assert [text for name, text, _ in found.descriptions if name == "A"] == best
    assert [score for name, _, score in found.descriptions if name == "A"] == pytest.approx([near[t] for t in best])
    matches = store.search(row="k4", k=5).to_pandas()
    assert [one[0] for one in found.neighbours] == matches["id"].tolist()
    assert [one[2] for one in found.neighbours] == [tagged["Predicted_Labels"][int(id_[1:])] for id_ in matches["id"]]


def test_the_best_method_takes_the_bias_of_a_scale_off(tmp_path, encoder):
    store = embedstore.create(tmp_path / "s", encoder=encoder)
    texts = [f"common{row % 40} own{row}" for row in range(1000)]
    store.add([{"t": text} for text in texts], text="t")
    store.encode()
    words = (("grim sour flat dull cold", "mean low weak"), ("bright warm", "kind fair"))
    labels = LabelSet(("Bad", "Good"), words, ordinal=True)
    found = store.tag(labels, method="best", scores=True).to_pandas()[["Bad", "Good"]].to_numpy()

    def vectors_of(some):
        return np.stack([encoder.vector(text) for text in some])

    prototypes, vectors = labels.prototypes(vectors_of), vectors_of(texts)
    bias = topic_bias(labels, prototypes, texts, vectors, vectors_of)
    wanted = refine(vectors @ prototypes.T, texts, bias=bias).scores
    assert np.allclose(found, wanted, atol=1e-3)
    assert not np.allclose(found, refine(vectors @ prototypes.T, texts).scores, atol=1e-2)


def test_the_best_method_on_real_reviews(demo_home):
    store = embedstore.open(demo_home / "demo")
    mapping = ["1=Negative", "2=Positive"]
    plain = store.tag(LABELS, gold="class_index", mapping=mapping)
    best = store.tag(LABELS, gold="class_index", mapping=mapping, method="best")
    assert best.report.accuracy > plain.report.accuracy
    assert any("too few to learn" in line for line in best.notes)


def test_tag_from_the_shell(cli, store, tmp_path):
    base = ["tag", "small", "-l", "Negative", "-l", "Positive"]
    out = tmp_path / "t.csv"
    assert cli(*base, "--min-confidence", "0.6", "-o", out).returncode == 0
    assert "confidence" in pyarrow.csv.read_csv(out).column_names
    assert "calibration error" in cli(*base, "--confidence", "--gold", "stars", *MAPS, "-o", out).stdout
    shown = cli(*base, "--explain", "k1").stdout
    assert "nearest descriptions of each label" in shown
    (tmp_path / "o.txt").write_text("Positive\nNegative\nOther\n")
    done = cli(*base, "--against", tmp_path / "o.txt", "-o", out, "--no-encode")
    assert done.returncode == 3
    store.tag(["Other", *LABELS])
    done = cli(*base, "--against", tmp_path / "o.txt", "-o", out)
    flow = store.against(LABELS, ["Positive", "Negative", "Other"])
    moved = flow.changed.sum()
    without, head, *lines, last = done.stderr.splitlines()
    assert without == "note: 1 of 10 rows has no text and gets no label (--blank answer labels it)"
    assert head.split() == ["before", "\\", "after", *flow.after]
    assert [line.split() for line in lines] == [
        [name, *map(str, row)] for name, row in zip(flow.before, flow.counts.tolist(), strict=True)
    ]
    assert last == f"{moved} of 9 rows moved, written to {out}"
    assert pyarrow.csv.read_csv(out).num_rows == moved


def test_rows_left_untagged_are_told_and_counted(store):
    sure = store.tag(LABELS, min_confidence=0.0).column("confidence").to_pylist()
    least = sorted(value for value in sure if value is not None)[5]
    flow = store.against(LABELS, LABELS, min_confidence=least)
    assert (flow.before, flow.after) == ((*LABELS, "(untagged)"), (*LABELS, "(untagged)"))
    assert flow.counts.sum() == 9
    assert flow.counts[2, 2] == 5
    assert not flow.changed.any()
    none = store.tag(LABELS, min_confidence=1.0, gold="stars", mapping=["1=Negative", "2=Positive"])
    assert none.report is None
    assert any("9 of 9 rows" in line and "nothing to report on" in line for line in none.notes)


def test_rows_with_few_others_are_explained_by_these(tmp_path, encoder):
    store = embedstore.create(tmp_path / "s", encoder=encoder)
    for count in (1, 2):
        store.add([{"id": i, "t": f"text {i}"} for i in range(count)], text="t", id="id", replace=True)
        store.encode()
        assert len(store.explain(0, LABELS).neighbours) == count - 1


BEST = ["-l", "Negative", "-l", "Positive", "--method", "best"]
MAPS = ["--map", "1=Negative", "--map", "2=Positive"]


@pytest.mark.parametrize(
    ("code", "words", "says"),
    [
        (2, ["-l", "Negative", "-l", "Positive", "--share", "Negative"], "--share LABEL=SHARE"),
        (2, ["-l", "Negative", "-l", "Positive", "--share", "Negative=x"], "--share LABEL=SHARE"),
        (2, ["-l", "Negative", "-l", "Positive", "--against", "polarity", "--explain", "k1"], "found both"),
        (2, ["-l", "Negative", "-l", "Positive", "--explain", "k1", "-o", "x.csv"], "-o goes with the tags of all"),
        (2, ["-l", "Negative", "-l", "Positive", "--against", "polarity", "--scores"], "--scores goes with"),
        (2, [*BEST, "--share", "Negative=nan", "--share", "Positive=nan"], "add up to 1, such as 0.2 and 0.8"),
        (2, [*BEST, "--share", "Negative=20%", "--share", "Negative=80%"], "one --share of 'Negative'"),
        (1, ["-l", "Negative", "-l", "Positive", "--explain", "zz"], "no row with key 'zz'"),
        (1, ["-l", "Negative", "-l", "Positive", "--examples"], "embedstore annotate"),
        (1, ["-l", "Negative", "-l", "Positive", "--plot", "x.gif"], "ends in .png, .svg, .html"),
        (1, ["-l", "Negative", "-l", "Positive", "--plot", "none/x.png"], "there is no folder"),
        (1, ["--labels", "none.yaml"], "shipped sets are"),
        (2, ["--labels", "polarity", "--map", "1=Negative"], "give --gold COL too"),
    ],
)
def test_wrong_words_for_tag_are_one_line(cli, store, code, words, says):
    assert says in cli.fails(code, "tag", "small", *words)


def test_labels_that_differ_in_case_or_outer_spaces_are_named(store):
    _, note = store.tag(["Good", "Bad", " good"]).notes  # the first is of the blank row
    assert note.startswith("the labels 'Good' and ' good' differ in capital letters or outer spaces alone")
    assert len(store.tag(["Good", "Bad", "Goods"]).notes) == 1


def test_labels_with_equal_vectors_are_named_once(store):
    twins = LabelSet(("Good", "Bad", "GOOD"), (("nice", "fine"), ("poor",), ("fine", "nice")))
    _, note = store.tag(twins).notes
    assert note.startswith("the labels 'Good' and 'GOOD' have equal vectors")


ONE_SIDED = {
    "names": ("- first\n- other\n", ("--method best", "--share", "several descriptions"), ("ordinal",)),
    "described": ("first: [good tea]\nother: [far, away]\n", ("--method best", "--share", "ordinal"), ("several",)),
    "scale": (
        "ordinal: true\nlabels:\n  first: [good tea]\n  other: [far, away]\n",
        ("--method best", "--share"),
        ("ordinal", "several"),
    ),
}


@pytest.mark.parametrize("kind", ONE_SIDED)
def test_the_warning_of_one_label_names_what_applies(cli, tmp_path, encoder, kind):
    content, helps, does_not = ONE_SIDED[kind]
    path = tmp_path / "labels.yaml"
    path.write_text(content)
    store = embedstore.create(cli.home / "same", encoder=encoder)
    store.add([{"t": "good tea"}] * 20, text="t")
    encoder.vector = lambda text, prompt="": np.eye(16, dtype=np.float32)[0 if text in ("good tea", "first") else 1]
    store.encode()
    store.tag(LabelSet.read(path))
    store.tag(LabelSet.read(path), method="best")
    (line,) = [one for one in cli("tag", "same", "--labels", path).stderr.splitlines() if "warning" in one]
    assert line.startswith("warning: 100% of the rows got 'first'; what helps: ")
    assert all(word in line for word in helps), line
    assert not any(word in line for word in does_not), line


def test_the_warning_of_one_label_leaves_out_what_was_given():
    labels = LabelSet.shipped("polarity")
    warned = warn_lines(labels, best=True, shares_known=True)
    assert "--method best" not in warned
    assert "--share" not in warned
    assert "--share LABEL=SHARE, if" in warn_lines(labels, best=True, shares_known=False)


def warn_lines(labels, **options):
    @click.command()
    def warn():
        warn_of_one_label({"Negative": 0.95, "Positive": 0.05}, labels, **options)

    return CliRunner().invoke(warn, obj={}).stderr
