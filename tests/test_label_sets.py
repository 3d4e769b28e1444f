import json

import numpy as np
import pytest
from conftest import HashEncoder

import embedstore
from embedstore.errors import InputError, NotFoundError, UsageError
from embedstore.labels.label_set import SHIPPED, LabelSet

FULL = """
description: what people think
ordinal: true
templates: ["{}", "A review that says: {}"]
labels:
  No: [never, "it is bad"]
  Yes: always
"""


def test_a_yaml_file_has_descriptions_templates_and_an_order(tmp_path, encoder):
    (tmp_path / "mine.yaml").write_text(FULL)
    found = LabelSet.read(tmp_path / "mine.yaml")
    assert (found.names, found.ordinal, found.name) == (("No", "Yes"), True, "mine")
    assert found.prompts() == [
        ["never", "A review that says: never", "it is bad", "A review that says: it is bad"],
        ["always", "A review that says: always"],
    ]
    vectors = [np.mean([encoder.vector(text) for text in texts], axis=0) for texts in found.prompts()]
    oracle = np.stack([vector / np.linalg.norm(vector) for vector in vectors])
    made = found.prototypes(lambda texts: np.stack([encoder.vector(text) for text in texts]))
    assert np.allclose(made, oracle, atol=1e-6)


def test_a_label_set_comes_back_from_its_own_yaml(tmp_path):
    for name in SHIPPED:
        shipped = LabelSet.shipped(name)
        (tmp_path / f"{name}.yaml").write_text(shipped.to_yaml())
        assert LabelSet.read(tmp_path / f"{name}.yaml") == shipped
    (tmp_path / "mine.yaml").write_text(FULL)
    once = LabelSet.read(tmp_path / "mine.yaml")
    (tmp_path / "mine.yaml").write_text(once.to_yaml())
    assert LabelSet.read(tmp_path / "mine.yaml") == once


def test_a_label_may_take_the_texts_of_a_shipped_one(tmp_path):
    (tmp_path / "mine.yaml").write_text("Cold: [freezing, {shipped: emotions, label: Fear}]\nWarm: sun\n")
    found = LabelSet.read(tmp_path / "mine.yaml")
    fear = LabelSet.shipped("emotions").texts[2]
    assert found.texts == (("freezing", *fear), ("sun",))
    likert = LabelSet.shipped("likert5").texts
    assert LabelSet.shipped("sentiment").texts[1] == likert[2]
    assert LabelSet.shipped("stars").texts[4] == ("five stars", "5 out of 5 stars", *likert[4])


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("labels: [a, b", "is not YAML"),
        ("a: 1\na: 2\n", "'a' stands there 2 times"),
        ("labels: [a, b]\nordnal: true", "expected the keys .* found 'ordnal'"),
        ("description: of nothing", "expected a list of names"),
        ("a: [{shipped: polarity}]\nb: z", "expected {shipped: SET, label: NAME}, found the keys shipped"),
        ("a: b: c", "not YAML: mapping values are not allowed here in line 1"),
        ("labels: {a: [x]}", "at least two labels"),
        ("labels: 3", "expected a list of names"),
        ("a: {b: c}\nd: e", "found a dict where texts should be"),
        ("labels: {a: x, b: y}\nordinal: perhaps", "expected ordinal to be true or false, found 'perhaps'"),
        ("labels: {a: x, b: y}\ntemplates: [no place]", "expected templates with {}"),
        ("labels: {a: x, b: ''}", "none blank"),
        ("- a\n- a", "'a' 2 times"),
        ("&x [*x]", "the anchor or alias 'x' in line 1: take it out"),
        ("a: [b, c]\nd:\n  - !!python/object:os.system e", r"the tag '!!python/object:os\.system' in line 3: take it"),
        ("a: !!binary aGVsbG8=\nd: e", "the tag '!!binary' in line 1"),
        ("labels: !!set {a, b}", "the tag '!!set' in line 1"),
        ("a: b\n!mine c: d", "the tag '!mine' in line 2"),
        ("a: &lol [x, y]\nb: c", "the anchor or alias 'lol' in line 1"),
        ("a: b\nc: *lol", "the anchor or alias 'lol' in line 2"),
        ("", "expected a list of names"),
        ("? [a, b]\n: c\nd: e", "label file"),
        ("a: [[x, y]]\nb: z", "found a list where texts should be"),
        ("a: [{shipped: nine, label: x}]\nb: z", "no label set 'nine' is shipped"),
        ("a: [{shipped: [polarity], label: x}]\nb: z", "no label set"),
        (
            "a: [{shipped: polarity, label: Neutral}]\nb: z",
            r"a label of polarity \(Negative, Positive\), found 'Neutral'",
        ),
    ],
)
def test_yaml_that_is_no_label_set_is_refused_in_one_line(tmp_path, content, says):
    path = tmp_path / "bad.yaml"
    path.write_text(content)
    with pytest.raises(InputError, match=says) as caught:
        LabelSet.read(path)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("suffix", [".yaml", ".json", ".txt"])
@pytest.mark.parametrize("name", ["a\nb", "a\x85b", "a\u2028b", "a\x1cb", "\ud800"])
def test_names_that_break_lines_are_told_in_one_line(tmp_path, suffix, name):
    path = tmp_path / f"bad{suffix}"
    content = {".txt": f"{name}\n{name}\n", ".yaml": json.dumps([name, name]), ".json": json.dumps([name, name])}
    path.write_bytes(content[suffix].encode("utf-8", "surrogatepass"))
    with pytest.raises(InputError) as caught:
        LabelSet.read(path)
    assert len(str(caught.value).splitlines()) == 1
    with pytest.raises(UsageError) as caught_too:
        LabelSet.of([name])
    assert len(str(caught_too.value).splitlines()) == 1


def test_label_sets_of_half_a_surrogate_are_refused():
    with pytest.raises(UsageError, match=r"UTF-8 can encode, found '\\ud800'"):
        LabelSet.of(["\ud800", "b"])


@pytest.mark.parametrize("name", ["a\x85b", "a\u2028b", "a\ufeffb", "a\x07b", "é 漢字", "- a: [b", "'"])
def test_any_name_comes_back_from_yaml(tmp_path, name):
    (tmp_path / "mine.yaml").write_text(LabelSet.of([name, "other"]).to_yaml(), encoding="utf-8")
    assert LabelSet.read(tmp_path / "mine.yaml").names == (name, "other")


def test_names_alone_take_the_descriptions_of_the_shipped_set_that_fits_best():
    polarity = LabelSet.shipped("polarity")
    assert LabelSet.of(["Negative", "Positive"]).described().texts == polarity.texts
    turned = LabelSet.of(["positive", "negative"]).described()
    assert turned.texts == polarity.texts[::-1]
    assert turned.names == ("positive", "negative")
    assert turned.ordinal  # from the highest to the lowest is an order too
    assert not LabelSet.of(["Positive", "Negative", "Neutral"]).described().ordinal
    assert LabelSet.of(["Negative", "Neutral", "Positive"]).described().texts == LabelSet.shipped("sentiment").texts
    mine = LabelSet(("Negative", "Positive"), (("awful",), ("nice",)))
    assert mine.described() is mine
    other = LabelSet.of(["Books", "Tea"])
    assert other.described() is other


def test_a_file_goes_before_a_shipped_set_of_its_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert LabelSet.named("polarity").names == ("Negative", "Positive")
    (tmp_path / "polarity").write_text("a\nb\n")
    assert LabelSet.named("polarity").names == ("a", "b")
    with pytest.raises(InputError, match="shipped sets are emotions, likert5"):
        LabelSet.named("polaritie")
    with pytest.raises(NotFoundError, match="there are emotions"):
        LabelSet.shipped("nothing")


def test_an_edited_label_set_encodes_what_is_new_alone(store, encoder):
    store.tag(LabelSet(("a", "b"), (("one", "two"), ("three",))))
    encoder.encoded.clear()
    store.tag(LabelSet(("a", "b"), (("one", "two", "four"), ("three",))))
    assert encoder.encoded == ["four"]


def test_a_label_set_is_started_from_the_texts_typical_of_a_column(store, encoder, rows):
    made = store.label_set("stars", count=2)
    assert made.names == ("1", "2")
    vectors = {str(row["review"]): encoder.vector(str(row["review"])) for row in rows}
    every = np.stack([vectors[str(row["review"])] for row in rows])
    for star, texts in zip((1, 2), made.texts, strict=True):
        mine = [str(row["review"]) for row in rows if row["stars"] == star]
        toward = np.mean([vectors[text] for text in mine], axis=0) - every.mean(axis=0)
        best = sorted(dict.fromkeys(mine), key=lambda text: -float(vectors[text] @ toward))[:2]
        assert list(texts) == [text for text in best if text.strip()]


def test_examples_of_a_label_are_no_near_duplicates(tmp_path, encoder):
    store = embedstore.create(tmp_path / "s", encoder=encoder)
    encoder.vector = lambda text, prompt="": HashEncoder.vector(encoder, text.strip("!"))
    store.add(
        [{"t": f"{word}{'!' * i}", "kind": word[0]} for word in ("tea", "tin", "cup", "can") for i in range(4)],
        text="t",
    )
    store.encode()
    made = store.label_set("kind", count=3)
    assert [sorted(text.strip("!") for text in texts) for texts in made.texts] == [["can", "cup"], ["tea", "tin"]]


def test_json_that_repeats_a_label_is_refused(tmp_path):
    (tmp_path / "a.json").write_text('{"a": "x", "b": "y", "a": "z"}')
    with pytest.raises(InputError, match="'a' stands there 2 times"):
        LabelSet.read(tmp_path / "a.json")


def test_a_text_file_that_is_no_label_set_is_named(tmp_path):
    (tmp_path / "one.txt").write_text("# of tea\nTea\n")
    with pytest.raises(InputError, match=r"one\.txt: expected at least two labels to choose from, found Tea"):
        LabelSet.read(tmp_path / "one.txt")


def test_too_many_texts_are_refused():
    with pytest.raises(UsageError, match="at most 10,000"):
        LabelSet(("a", "b"), (("x",) * 6000, ("y",) * 6000))


def test_labels_lists_shows_and_starts_sets(cli, tmp_path, store):
    assert [line.split()[0] for line in cli("labels").stdout.splitlines()] == list(SHIPPED)
    assert "Very Negative" in cli("labels", "show", "likert5").stdout
    path = tmp_path / "new.yaml"
    assert cli("labels", "init", "small", path, "--target", "stars", "-k", "1").returncode == 0
    assert LabelSet.read(path).names == ("1", "2")
    assert "there is no folder" in cli.fails(
        1, "labels", "init", "small", tmp_path / "no" / "x.yaml", "--target", "stars"
    )
    assert "is there already" in cli.fails(1, "labels", "init", "small", path, "--target", "stars")
    assert "ends in .yaml" in cli.fails(1, "labels", "init", "small", tmp_path / "x.txt", "--target", "stars")
    refused = cli.fails(1, "labels", "init", "small", tmp_path / "y.yaml", "--target", "annotations")
    assert "was annotated yet" in refused
