"""Corpora whose vectors are not held at once: the answers are near to those of the whole, in little memory.

The limits are set low here, so that a few thousand texts are above them.
"""

import numpy as np
import pyarrow as pa
import pytest
from conftest import HashEncoder

import embedstore
from embedstore.core import memory
from embedstore.core.memory import require_memory
from embedstore.errors import InputError
from embedstore.labels import learnt
from embedstore.learning import best_labels, comparison, fitting, training
from embedstore.learning.fitting import TrainOptions, rows_that_fit
from embedstore.reports import calibration
from embedstore.tagging import scored
from embedstore.vectors import PairSearch, pairs, space

NAMES = ["tea", "lamp", "chair"]
TEXTS = 1_500
DIMENSION = 64
SOME = 500


class Around(HashEncoder):
    """An encoder of vectors around the one of the label that ends a text."""

    def vector(self, text, prompt=""):
        own = super().vector(text)
        name = text.rpartition(" ")[2]
        vector = own + (1.5 * super().vector(name) if name in NAMES and name != text else 0)
        return (vector / np.linalg.norm(vector)).astype(np.float32)


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    store = embedstore.create(tmp_path_factory.mktemp("scale") / "store", encoder=Around(DIMENSION))
    rng = np.random.default_rng(0)
    right = np.sort(rng.integers(0, len(NAMES), TEXTS))  # so that no block is like the whole
    words = [[f"{name}word{i}" for i in range(20)] for name in NAMES]
    texts = [f"{number} {' '.join(rng.choice(words[of], 3))} {NAMES[of]}" for number, of in enumerate(right)]
    wrong = rng.random(TEXTS) < 0.05
    given = np.where(wrong, (right + 1) % len(NAMES), right)
    for start in range(0, TEXTS, 500):
        here = slice(start, start + 500)
        store.add(
            pa.table({"text": [*texts[here], texts[start]], "class": [*(NAMES[i] for i in given[here]), "tea"]}),
            text="text",
        )
        store.encode()
    answers = [{"id": text + text // 500, "label": NAMES[right[text]]} for text in range(0, TEXTS, 50)]
    for multi in (False, True):
        store.annotations.import_table(answers, NAMES, multi=multi)
    return store


@pytest.fixture
def low(monkeypatch):
    """Set the limits low."""

    def lower():
        monkeypatch.setattr(learnt, "MOST_LEARNT", SOME)
        monkeypatch.setattr(best_labels, "MOST_LEARNT", SOME)
        monkeypatch.setattr(scored, "_BLOCK", 256)
        monkeypatch.setattr(space, "_PART", 4 * 256 * DIMENSION)
        monkeypatch.setattr(fitting, "_MOST_BYTES", 8 * SOME * DIMENSION)
        for module in (training, comparison):
            monkeypatch.setattr(module, "MOST_TESTED", 200)
        monkeypatch.setattr(calibration, "MOST_FITTED", SOME)

    return lower


def same(one, other):
    return np.mean([a == b for a, b in zip(one, other, strict=True)])


@pytest.mark.parametrize("how", [{}, {"examples": True}, {"gold": "class"}], ids=str)
@pytest.mark.parametrize("method", ["cosine", "scale", "topics", "best"])
def test_tags_of_a_sample_are_those_of_the_whole(library, low, method, how):
    whole = library.tag(NAMES, method=method, confidence=True, **how)
    low()
    found = library.tag(NAMES, method=method, confidence=True, **how)
    label, confidence = (found.column(name).to_pylist() for name in ("Predicted_Labels", "confidence"))
    assert same(label, whole.column("Predicted_Labels").to_pylist()) > 0.97
    assert np.mean(np.abs(np.array(confidence) - whole.column("confidence").to_numpy())) < 0.05
    again = library.tag(NAMES, method=method, confidence=True, **how)
    assert (label, confidence) == tuple(again.column(name).to_pylist() for name in ("Predicted_Labels", "confidence"))
    if method != "cosine" or "examples" in how:
        assert "learnt from a random sample of 500 of 1,500 distinct texts" in found.notes
        assert not any("random sample" in note for note in whole.notes)


@pytest.mark.parametrize("how", [{}, {"examples": True}, {"gold": "class"}], ids=str)
@pytest.mark.parametrize("method", ["cosine", "topics"])
def test_several_labels_of_a_sample_are_those_of_the_whole(library, low, method, how):
    how = {"multi": True, "method": method, "scores": True, "confidence": True, **how}
    whole = library.tag(NAMES, **how)
    low()
    found = library.tag(NAMES, **how)
    for name in NAMES:
        assert same(found.column(name).to_pylist(), whole.column(name).to_pylist()) > 0.95
    assert any(note.startswith("learnt from a random sample of 500 of 1,500") for note in found.notes)


def test_answered_texts_of_a_sample_are_judged_without_their_answers(library, low):
    low()
    plain, blended = (library.tag(NAMES, method="scale", scores=True, examples=one) for one in (False, True))
    assert "30 annotated texts are blended in" in blended.notes
    assert not np.allclose(plain.column("tea").to_numpy(), blended.column("tea").to_numpy())


def test_doubts_judge_every_row_by_models_of_a_sample(library, low):
    whole = library.doubts("class", filter="any")
    low()
    found = library.doubts("class", filter="any")
    assert (found.checked, whole.checked) == (TEXTS + 3, TEXTS + 3)
    assert len(set(found.rows) & set(whole.rows)) > 0.9 * len(whole.rows)
    assert len(found.rows) < 1.2 * len(whole.rows)
    assert any(note.startswith("trained on a random sample of 250 of 1,503 rows") for note in found.notes)


def test_rows_of_the_sample_are_judged_by_models_without_them(library, low):
    low()
    hard = {"C": 1e6, "filter": "any"}  # a model is sure of what it has learnt from
    found = set(library.doubts("class", **hard).rows.tolist())
    with library.snapshot() as now:
        given = now.corpus(None).column("class").to_pylist()
        texts = now.texts.at(now.corpus(None).positions())
    wrong = [row for row, text in enumerate(texts) if given[row] != text.rpartition(" ")[2]]
    y = np.unique(given, return_inverse=True)[1]
    learnt_from = set(rows_that_fit(y, 2 * DIMENSION, TrainOptions())[0].tolist()).intersection(wrong)
    assert len(learnt_from) > 5
    assert len(learnt_from & found) > 0.7 * len(learnt_from)


def test_a_sample_has_the_shares_of_classes_and_rows_of_rare_ones():
    y = np.repeat([0, 1, 2], [9_000, 990, 10])
    chosen, (note,) = rows_that_fit(y, 4, TrainOptions(max_memory=32 * 1_000))
    assert note.startswith("trained on a random sample of 1,000 of 10,000 rows")
    assert np.array_equal(chosen, np.unique(chosen))
    counts = np.bincount(y[chosen])
    assert counts[2] == 10
    assert counts.sum() == 1_000
    assert abs(counts[1] - 99) < 10
    assert np.array_equal(chosen, rows_that_fit(y, 4, TrainOptions(max_memory=32 * 1_000))[0])


@pytest.mark.parametrize("multi", [False, True])
def test_training_on_a_sample_tests_on_every_row(library, low, multi):
    whole = library.train("class", multi=multi)
    low()
    found = library.train("class", multi=multi)
    assert found.report.rows == whole.report.rows == 301
    assert found.probe.description["rows"] == SOME
    figures = (one.report.figures()["macro_f1"] for one in (found, whole))
    assert abs(next(figures) - next(figures)) < 0.03


def test_a_curve_is_tested_on_a_sample_and_says_so(library, low):
    low()
    found = library.train("class", options=TrainOptions(curve=True))
    assert "the curve is tested on a random sample of 200 of 301 test rows" in found.notes
    assert found.report.rows == 301


def test_methods_are_compared_on_one_sample(library, low):
    whole = {one.method: one.accuracy for one in library.compare("class", labels=NAMES).scores}
    low()
    found = library.compare("class", labels=NAMES)
    assert {one.rows for one in found.scores} == {200}
    assert any(note.startswith("trained on a random sample of 500") for note in found.notes)
    assert "tested on a random sample of 200 of 301 test rows" in found.notes
    for one in found.scores:
        assert abs(one.accuracy - whole[one.method]) < 0.08, one.method


@pytest.mark.parametrize("held", [16, 8192])
def test_near_texts_are_found_by_lists(library, monkeypatch, held):
    exact = library.duplicates(0.82)
    monkeypatch.setattr(pairs, "_HELD", held)
    found = library.duplicates(0.82, how=PairSearch(exact_up_to=0, block=50, pairs=1, threads_from=0))
    assert exact.rows_in_groups > 100
    assert found.rows_in_groups > 0.9 * exact.rows_in_groups  # texts around one centre are the worst case
    assert {row.row for group in found.groups for row in group} <= {row.row for group in exact.groups for row in group}


@pytest.mark.parametrize(
    "ask",
    [
        lambda store: store.tag(NAMES, method="scale", confidence=True),
        lambda store: store.tag(NAMES, method="topics", examples=True),
        lambda store: store.tag(NAMES, multi=True, gold="class"),
        lambda store: store.duplicates(0.9, how=PairSearch(exact_up_to=0)),
    ],
    ids=["scale", "topics", "multi", "duplicates"],
)
def test_the_vectors_of_a_corpus_are_not_held_at_once(library, low, monkeypatch, ask):
    seen = []
    read = space.Space.at
    monkeypatch.setattr(
        space.Space, "at", lambda self, rows, *more: [seen.append(len(rows)), read(self, rows, *more)][1]
    )
    ask(library)
    assert max(seen) == TEXTS
    seen.clear()
    low()
    monkeypatch.setattr(pairs, "_HELD", SOME)
    monkeypatch.setattr(pairs, "_LEARNT", 5)
    ask(library)
    assert max(seen) <= SOME


def test_what_does_not_fit_in_memory_is_refused_before_it_starts(library, monkeypatch):
    library.train("class", name="kept")
    monkeypatch.setattr(memory, "_ASKED_FROM", 0)
    monkeypatch.setattr(memory, "available_memory", lambda: 50_000)
    with pytest.raises(InputError, match=r"expected 0\.0 GB of free memory for the scores of 3 labels for 1,503 rows"):
        library.tag(NAMES, method="best")
    for ask in (
        lambda: library.tag(NAMES, multi=True),
        lambda: library.doubts("class"),
        lambda: library.duplicates(),
        lambda: library.train("class"),
        lambda: library.train("class", multi=True),
        lambda: library.compare("class", labels=NAMES),
        lambda: library.topics(3),
        lambda: library.predict("kept"),
    ):
        with pytest.raises(InputError, match="of free memory for"):
            ask()
    assert len(library.tag(NAMES)) == TEXTS + 3


def test_the_least_memory_is_asked_for():
    require_memory(1 << 27, "nothing", "do nothing")
    with pytest.raises(InputError, match=r"expected 1000000.0 GB of free memory for a dream, found .* GB: wake up"):
        require_memory(10**15, "a dream", "wake up")
