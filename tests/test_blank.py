"""No text, no answer: rows with a blank text change no answer about the others, and get none themselves."""

import inspect
import json
import os
import sys
import tempfile
import unicodedata
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pytest
from conftest import LABELS, HashEncoder
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st

import embedstore
from embedstore.core.settings import Settings
from embedstore.core.spec import canonical_json
from embedstore.core.values import BLANK_RANGES, is_blank
from embedstore.corpora import part
from embedstore.errors import EmbedstoreError, InputError, UsageError
from embedstore.learning import TrainOptions
from embedstore.storage import manifest
from embedstore.storage.segments import blank_rows, write_texts

NOTHING = "".join(chr(code) for first, last in BLANK_RANGES for code in range(first, last + 1))
VISIBLE_FORMATS = {*range(0x600, 0x606), 0x6DD, 0x70F, 0x890, 0x891, 0x8E2, 0x110BD, 0x110CD}
"""Format characters with a shape of their own: Prepended_Concatenation_Mark of Unicode 15."""
IGNORED = {
    0x34F, 0x115F, 0x1160, 0x17B4, 0x17B5, *range(0x180B, 0x1810), 0x2065, 0x3164, *range(0xFE00, 0xFE10), 0xFFA0,
    *range(0xFFF0, 0xFFF9), *range(0xE0000, 0xE1000),
}  # fmt: skip
"""The characters of Default_Ignorable_Code_Point that are in other categories than Cf."""

blanks = st.text(st.sampled_from(NOTHING), max_size=4) | st.sampled_from(
    ["", " ", "\u3000\n", "\u200b\ufeff", "\u2800"]
)
# Each example asks every question, which takes a second: there are few, and a failing one is not made smaller.
once = settings(
    max_examples=60 if os.environ.get("EMBEDSTORE_TORTURE") else 2,
    phases=[Phase.generate],
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)


def test_what_says_nothing_is_what_unicode_calls_space_control_format_or_ignorable():
    formats = {"Cc", "Cf", "Zs", "Zl", "Zp"}
    for code in range(sys.maxunicode + 1):
        category = unicodedata.category(chr(code))
        if category != "Cs":  # half a surrogate pair is no text
            nothing = (category in formats and code not in VISIBLE_FORMATS) or code in IGNORED or code == 0x2800
            # Characters that later versions of Unicode made format characters.
            assert is_blank(chr(code)) == nothing or (0x13430 <= code <= 0x1343F), hex(code)
    assert all(map(is_blank, NOTHING))


@given(blanks, st.characters(exclude_characters=NOTHING, exclude_categories=["Cs"]), blanks)
@settings(deadline=None, derandomize=True, database=None)
def test_one_character_that_says_something_makes_a_text(before, character, after):
    assert is_blank(before + after)
    assert not is_blank(before + character + after)


@given(st.lists(blanks | st.text(max_size=5), min_size=1, max_size=30, unique=True))
@example(["", "a", "é", "\u2800\u2801", "\u2800", "日本", "\u3000日", "\u3000"])
@example([""])
@settings(deadline=None, derandomize=True, database=None)
def test_a_segment_without_the_record_has_the_same_blank_texts(texts):
    with tempfile.TemporaryDirectory() as folder:
        segment = write_texts(Path(folder), texts)
        expected = tuple(row for row, text in enumerate(texts) if is_blank(text))
        assert segment.blank == expected
        assert blank_rows(Path(folder), replace(segment, blank=None)) == expected


# Every question, asked of a corpus with blank rows and of the same corpus without them.


class Aliased(HashEncoder):
    """An encoder that gives a text the vector of another one, where `alias` names it."""

    def __init__(self) -> None:
        super().__init__()
        self.alias: dict[str, str] = {}

    def vector(self, text: str, prompt: str = "") -> np.ndarray:
        return super().vector(self.alias.get(text, text), prompt)


WORDS = ["kettle", "lamp", "broken", "lovely", "late", "bright", "poor", "fine"]
TRAIN = TrainOptions(test_size=0.3, max_iter=50)


@st.composite
def corpora(draw):
    """Rows with a text, and where which blank texts come in among them."""
    count = draw(st.integers(24, 40))
    chosen = draw(st.lists(st.sampled_from(WORDS), min_size=2 * count, max_size=2 * count))
    wrong = draw(st.sets(st.integers(10, count - 1), max_size=6))
    rows = [
        {"id": f"r{i}", "t": f"{chosen[2 * i]} {chosen[2 * i + 1]} {i % 20}", "is": LABELS[(i + (i in wrong)) % 2]}
        for i in range(count)
    ]
    texts = draw(st.lists(blanks | st.none(), min_size=1, max_size=25))
    places = sorted(draw(st.integers(0, count)) for _ in texts)
    return rows, list(zip(places, texts, strict=True))


def with_blank_rows(rows, holes):
    found = list(rows)
    for number, (place, text) in reversed(list(enumerate(holes))):
        found.insert(place, {"id": f"b{number}", "t": text, "is": LABELS[number % 2]})
    return found


def made(folder, encoder, **corpora):
    store = embedstore.create(Path(folder) / "s", encoder=encoder, settings=Settings(index_after=1))
    for name, rows in corpora.items():
        schema = pa.schema({"id": pa.string(), "t": pa.string(), "is": pa.string()})
        store.add(pa.Table.from_pylist(rows, schema=schema), text="t", id="id", corpus=name)
    store.encode()
    store.index("hnsw")
    store.annotations.import_table([{"id": f"r{i}", "label": LABELS[i % 3 % 2]} for i in range(9)], LABELS, corpus=name)
    return store


def told(table, names):
    """Return the columns of the rows with a text, without the corpus' own name."""
    ids = table.column("id").to_pylist()
    return [row for row, id_ in zip(table.select(names).to_pylist(), ids, strict=True) if not id_.startswith("b")]


def tags(found):
    names = [name for name in found.schema.names if name not in ("id", "t", "is")]
    return told(found.to_arrow(), ["id", *names]), found.shares, found.report and found.report.text


def answers(store, corpus, **options):
    """Return the answers to every question about the rows that have a text."""
    everywhere = {"corpus": corpus, **options}
    found = {}
    for method in ("cosine", "best"):
        asked = {"method": method, "scores": True, "gold": "is", "confidence": True, **everywhere}
        found[method] = tags(store.tag(LABELS, **asked))
        found[method, "examples"] = tags(store.tag(LABELS, examples=True, **asked))
    flow = store.against(LABELS, [*LABELS, "Neither"], **everywhere)
    found["against"] = flow.before, flow.after, flow.counts.tolist(), told(flow.to_arrow(), ["id"])
    found["explain"] = store.explain("r3", LABELS, **everywhere).summary()
    for exact in (True, False):
        for asked in ({"query": "lovely lamp"}, {"row": "r5"}):
            hits = store.search(**asked, k=6, exact=exact, **everywhere).table
            found["search", *asked, exact] = told(hits, ["id", "score", "rank"])
    trained = store.train("is", options=TRAIN, name="p", **everywhere)
    found["train"] = trained.report.text, trained.probe.coef.tolist()
    found["predict"] = tags(store.predict("p", scores=True, **everywhere))
    doubts = store.doubts("is", folds=2, **everywhere)
    found["doubts"] = doubts.table.to_pylist(), doubts.checked, doubts.noise, doubts.accuracy
    compared = store.compare("is", options=TRAIN, **everywhere)
    found["compare"] = compared.table.drop_columns(["seconds", "encoded"]).to_pylist(), compared.verdict
    groups = store.duplicates(0.6, corpora=[corpus], **options)
    found["duplicates"] = told(groups.table, ["id", "group", "similarity"])
    drawn = store.map(labels=LABELS, **everywhere)
    found["map"] = told(drawn.table, ["id", "x", "y", "group"])
    found["labels"] = store.label_set("is", count=3, **everywhere).texts
    session = store.annotations.session(LABELS, **everywhere)
    found["annotate"] = session.question.text, session.total, session.left, session.advice()
    return found


@given(corpora())
@once
def test_blank_rows_change_no_answer_about_the_others_and_get_none(corpus):
    rows, holes = corpus
    with tempfile.TemporaryDirectory() as folder:
        store = made(folder, HashEncoder(), plain=rows, holed=with_blank_rows(rows, holes))
        assert answers(store, "holed") == answers(store, "plain")
        count = len(holes)
        note = f"{count} of {len(rows) + count} rows {'has' if count == 1 else 'have'} no text and"
        for found in (
            store.tag(LABELS, corpus="holed", scores=True, confidence=True),
            store.tag(LABELS, corpus="holed", scores=True, method="best", min_confidence=0.5),
            store.predict("p", corpus="holed", scores=True),
        ):
            new = [name for name in found.schema.names if name not in ("id", "t", "is")]
            for row in found.to_arrow().to_pylist():
                assert all(row[name] is None for name in new) == row["id"].startswith("b")
            assert found.notes[0].startswith(f"{note} get")
        for found in (
            store.duplicates(corpora=["holed"]),
            store.map(corpus="holed"),
            store.annotations.session(LABELS, corpus="holed"),
        ):
            assert found.notes[0].startswith(note)
        assert store.info()["corpora"][1]["empty"] == count
        assert store.encode(corpus="holed").empty == count


@given(corpora())
@once
def test_blank_answer_treats_a_blank_text_like_any_other(corpus):
    """The twin has a text of dots in place of each blank one, with the same vector; dots hold no word either."""
    rows, holes = corpus
    dots: dict[str, str] = {}
    for _, text in holes:
        dots.setdefault(text or "", "." * (len(dots) + 1))
    twin = Aliased()
    twin.alias = {dot: text for text, dot in dots.items()}
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as other:
        holed = made(folder, HashEncoder(), train=with_blank_rows(rows, holes))
        dotted = made(other, twin, train=with_blank_rows(rows, [(place, dots[text or ""]) for place, text in holes]))
        one, two = answers(holed, "train", blank="answer"), answers(dotted, "train")
        for found in (one, two):  # their examples are texts, which differ
            del found["labels"], found["annotate"]
            for near in found["explain"]["neighbours"]:
                assert near.id
            found["explain"]["neighbours"] = [(near.id, near.score) for near in found["explain"]["neighbours"]]
            found["doubts"] = (
                [{name: value for name, value in row.items() if name != "text"} for row in found["doubts"][0]],
                *found["doubts"][1:],
            )
        assert one == two
        tagged = [
            found.to_arrow().drop_columns(["t"]) for found in (holed.tag(LABELS, blank="answer"), dotted.tag(LABELS))
        ]
        assert tagged[0].equals(tagged[1])


def test_every_question_about_rows_can_answer_blank_ones():
    asking = ["against", "classify", "compare", "doubts", "duplicates", "explain", "label_set", "map", "predict"]
    methods = [getattr(embedstore.EmbeddingStore, name) for name in [*asking, "search", "tag", "topics", "train"]]
    for method in [*methods, embedstore.annotations.AnnotationBook.session]:
        assert inspect.signature(method).parameters["blank"].default == "skip"


def test_another_word_than_skip_and_answer_is_refused(store):
    with pytest.raises(UsageError, match="expected blank to be skip or answer, found 'yes'"):
        store.tag(LABELS, blank="yes")


# Searches and questions about nothing.


@pytest.mark.parametrize("query", ["", "  ", "\u200b", "\u3000\ufeff"])
def test_a_blank_search_is_refused(store, query):
    with pytest.raises(UsageError, match="found none or a blank one"):
        store.search(query)


def test_the_neighbours_of_a_blank_row_are_refused_unless_it_is_answered(store):
    with pytest.raises(UsageError, match="found none in row 'k2'"):
        store.search(row="k2")
    with pytest.raises(UsageError, match="found none in row 'k2'"):
        store.explain("k2", LABELS)
    assert len(store.search(row="k2", blank="answer")) == 9
    assert store.explain("k2", LABELS, blank="answer").text == ""


@pytest.fixture
def silent(tmp_path, encoder, monkeypatch):
    """A store of three rows that say nothing, as an earlier release took them."""
    monkeypatch.setattr(part, "is_blank", lambda text: text == "")
    store = embedstore.create(tmp_path / "home" / "silent", encoder=encoder)
    store.add([{"id": i, "t": " " * (i + 1), "is": LABELS[i % 2]} for i in range(3)], text="t", id="id")
    store.encode()
    return store


def test_a_corpus_that_says_nothing_is_tagged_with_nothing(silent):
    for options in ({}, {"method": "best"}, {"examples": True}, {"min_confidence": 0.5}, {"gold": "is"}):
        found = silent.tag(LABELS, scores=True, confidence=True, **options)
        assert found.column("Predicted_Labels").null_count == found.column("score").null_count == 3
        assert found.report is None
        assert set(found.shares.values()) == {0.0}
    assert silent.against(LABELS, ["a", "b"]).counts.sum() == 0
    assert silent.duplicates().groups == []


@pytest.mark.parametrize(
    "ask",
    [
        lambda store: store.search("words"),
        lambda store: store.search(row=0),
        lambda store: store.train("is"),
        lambda store: store.compare("is"),
        lambda store: store.doubts("is"),
        lambda store: store.map(labels=LABELS),
        lambda store: store.label_set("is"),
        lambda store: store.topics(),
        lambda store: store.explain(0, LABELS),
        lambda store: store.annotations.session(LABELS),
    ],
)
def test_a_corpus_that_says_nothing_is_one_clear_error(silent, ask):
    with pytest.raises(EmbedstoreError, match=r"expected .*rows? with a text .*found none") as caught:
        ask(silent)
    assert "\n" not in str(caught.value)


def test_a_table_whose_texts_are_all_white_space_is_refused(store):
    with pytest.raises(InputError, match="found no text in 2 rows"):
        store.add([{"t": " "}, {"t": "\u200b"}], text="t", corpus="none")


# Stores of earlier releases.


def test_a_store_of_format_1_has_the_same_blank_rows_and_keeps_its_entries(tmp_path, encoder):
    store = embedstore.create(tmp_path / "s", encoder=encoder)
    rows = [{"t": text} for text in ["a", "", "b", " \t", "\u200b", "c \u200b", "\u3000", "\u3001"]]
    store.add(rows, text="t")
    store.encode()
    expected = store.tag(LABELS).to_arrow()
    _, path = manifest.manifest_files(store.path)[-1]
    body = json.loads(path.read_text())["body"]
    assert [segment.pop() for segment in body["texts"]] == [[1, 3, 4, 6]]
    _write(path, {**body, "format_version": 1})
    with store.snapshot() as now:
        assert now.texts.blank.tolist() == [1, 3, 4, 6]
    assert store.tag(LABELS).to_arrow().equals(expected)
    assert store.info()["corpora"][0]["empty"] == 4
    store.add([{"t": "d"}, {"t": "\u2060"}], text="t", corpus="more")
    _, path = manifest.manifest_files(store.path)[-1]
    assert [len(segment) for segment in json.loads(path.read_text())["body"]["texts"]] == [4, 5]
    with store.snapshot() as now:
        assert now.texts.blank.tolist() == [1, 3, 4, 6, 9]


@pytest.mark.parametrize("named", [[-1], [9], [1, 1], [3, 1], ["1"], [True]])
def test_a_manifest_that_names_impossible_blank_rows_is_damaged(store, named):
    _, path = manifest.manifest_files(store.path)[-1]
    body = json.loads(path.read_text())["body"]
    body["texts"][0][-1] = named
    _write(path, body)
    with pytest.raises(embedstore.errors.DamagedStoreError, match="the blank text ") as caught:
        manifest.load(store.path)
    assert str(caught.value).startswith(f"{path}: the manifest")
    assert "restore that file from a backup" in str(caught.value)


def _write(path, body):
    import hashlib

    content = canonical_json(body)
    digest = hashlib.sha256(content).hexdigest()
    path.write_bytes(b'{"body":' + content + b',"sha256":"' + digest.encode() + b'"}\n')


# The command line.


def test_a_blank_row_is_an_empty_cell_and_a_note_in_the_shell(cli, store, tmp_path):
    out = tmp_path / "t.csv"
    words = ["tag", "small", "-l", "Negative", "-l", "Positive", "--scores", "--confidence", "-o", out]
    done = cli(*words)
    assert done.returncode == 0, done.stderr
    assert "note: 1 of 10 rows has no text and gets no label (--blank answer labels it)" in done.stderr
    assert out.read_text().splitlines()[3] == "k2,,1,,,,,,"
    assert cli(*words, "--blank", "answer").returncode == 0
    assert pyarrow.csv.read_csv(out).column("score").null_count == 0
    assert "found none in row 'k2'" in cli.fails(2, "search", "small", "--row", "k2")
    assert "found none in row 'k2'" in cli.fails(
        2, "tag", "small", "-l", "Negative", "-l", "Positive", "--explain", "k2"
    )


@pytest.mark.parametrize(
    "command",
    [
        *[
            "tag",
            "search",
            "train",
            "predict",
            "classify",
            "compare",
            "doubts",
            "duplicates",
            "map",
            "topics",
            "annotate",
        ],
        ("labels", "init"),
    ],
)
def test_every_command_that_asks_about_rows_has_the_option(command):
    from embedstore.cli.main import group

    found = group.get_command(None, command if isinstance(command, str) else command[0])
    if not isinstance(command, str):
        found = found.commands[command[1]]
    assert "blank" in {parameter.name for parameter in found.params}
