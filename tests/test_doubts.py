import numpy as np
import pytest
from conftest import HashEncoder
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold

import embedstore
from embedstore.errors import InputError, ModelRequiredError, UsageError
from embedstore.learning.folds import grouped_folds
from embedstore.learning.label_errors import find_label_errors

KINDS = ["bad", "fair", "good"]


class KindEncoder(HashEncoder):
    """A text's vector is drawn around that of its first word."""

    def vector(self, text: str, prompt: str = "") -> np.ndarray:
        vector = super().vector(text.split()[0]) + 0.6 * super().vector(text)
        return (vector / np.linalg.norm(vector)).astype(np.float32)


@pytest.fixture
def library(tmp_path):
    """120 texts of three kinds and 20 repeats of them; of the rows 5, 35, … the label is another kind."""
    rows = [{"text": f"{KINDS[i % 3]} {i % 120}", "label": KINDS[i % 3], "grade": i % 3 + 1.0} for i in range(140)]
    for i in range(5, 120, 30):
        rows[i] |= {"label": KINDS[(i + 1) % 3], "grade": (i + 1) % 3 + 1.0}
    for i, row in enumerate(rows):
        row |= {"gap": None if i % 10 == 0 else row["label"], "one": "same", "rare": "x" if i in (0, 120, 3) else "y"}
    store = embedstore.create(tmp_path / "s", encoder=KindEncoder())
    store.add(rows, text="text")
    store.encode()
    return store


def probabilities(vectors, y, groups, *, folds=5, seed=42, C=1.0):  # noqa: N803
    found = np.zeros((len(y), len(set(y))), dtype=np.float32)
    for learnt, judged in StratifiedGroupKFold(folds, shuffle=True, random_state=seed).split(vectors, y, groups):
        model = LogisticRegression(C=C, max_iter=1000, tol=1e-10).fit(vectors[learnt].astype(np.float64), y[learnt])
        found[judged] = model.predict_proba(vectors[judged])
    return found


@pytest.mark.parametrize("classes", [2, 5, 40])
@pytest.mark.parametrize("folds", [2, 5, 9])
@pytest.mark.parametrize("each", [0.3, 1.5, 20.0], ids=lambda each: f"rows-a-group={each}")
def test_folds_are_those_of_scikit_learn(classes, folds, each):
    rng = np.random.default_rng(classes + folds)
    rows = 40 * classes
    y = np.concatenate(
        [np.repeat(np.arange(classes), folds), rng.choice(classes, rows, p=rng.dirichlet([1] * classes))]
    )
    groups = rng.integers(0, max(folds, int(len(y) / each)), len(y))
    found = grouped_folds(y, groups, folds, random_state=classes)
    assert len(np.unique(found)) == folds
    splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=classes)
    for fold, (_, judged) in enumerate(splitter.split(y, y, groups)):
        assert np.array_equal(np.flatnonzero(found == fold), judged)


@pytest.mark.parametrize(
    "options", [{}, {"folds": 3, "random_state": 7, "C": 20.0}, {"filter": "confident"}, {"filter": "any", "folds": 2}]
)
def test_doubts_are_those_of_the_probabilities_of_models_that_learnt_other_folds(library, options):
    corpus = library.corpus()
    found = library.doubts("label", **options)
    y = np.array([KINDS.index(label) for label in corpus.column("label").to_pylist()])
    names = {"folds": "folds", "random_state": "seed", "C": "C"}
    folding = {names[key]: value for key, value in options.items() if key in names}
    p = probabilities(library.space().vectors(corpus), y, corpus.positions(), **folding)
    wanted = find_label_errors(p, y, filter=options.get("filter", "expected"))
    assert len(found) > 0
    assert np.array_equal(found.rows, wanted.rows)
    assert found.given == [KINDS[kind] for kind in y[wanted.rows]]
    assert found.suggested == [KINDS[kind] for kind in wanted.suggested]
    assert np.allclose(found.confidence, p[wanted.rows, y[wanted.rows]], atol=1e-3)
    assert np.allclose(found.margin, wanted.margin, atol=1e-3)
    assert (found.rows.dtype, found.confidence.dtype, found.margin.dtype) == (np.int64, np.float32, np.float32)
    assert found.accuracy == np.mean(p.argmax(axis=1) == y)
    assert found.noise == pytest.approx(wanted.noise, abs=2e-3)
    assert (found.checked, found.notes) == (140, ())


def test_labels_that_are_wrong_are_found_and_their_own_suggested(library):
    found = library.doubts("label")
    assert set(range(5, 120, 30)) <= set(found.rows.tolist())
    suggested = dict(zip(found.rows.tolist(), found.suggested, strict=True))
    assert {row: suggested[row] for row in range(5, 120, 30)} == {row: KINDS[row % 3] for row in range(5, 120, 30)}


def test_a_text_under_two_labels_is_judged_by_models_that_have_not_seen_it(library):
    # Row 125 repeats the text of row 5 with the right label: a model that has seen it would know both.
    corpus = library.corpus()
    found = library.doubts("label", C=1e4)
    y = np.array([KINDS.index(label) for label in corpus.column("label").to_pylist()])
    vectors, positions = library.space().vectors(corpus), corpus.positions()
    assert positions[5] == positions[125]
    folds = list(StratifiedGroupKFold(5, shuffle=True, random_state=42).split(vectors, y, positions))
    assert sum(5 in judged for _, judged in folds) == sum({5, 125} <= set(judged.tolist()) for _, judged in folds) == 1
    p = probabilities(vectors, y, positions, C=1e4)
    assert sorted(found.rows) == sorted(find_label_errors(p, y).rows)  # in any order: most are quite sure
    assert np.array_equal(p[5], p[125])


def test_numbers_are_classes_under_the_text_that_a_user_would_type(library):
    by_number = library.doubts("grade")
    by_name = library.doubts("label")
    assert by_number.rows.tolist() == by_name.rows.tolist()
    assert by_number.suggested == [str(KINDS.index(name) + 1.0) for name in by_name.suggested]


def test_rows_without_a_label_are_left_out_and_row_numbers_stay_those_of_the_corpus(library):
    with pytest.raises(InputError, match="found 14 of 140 rows without"):
        library.doubts("gap")
    found = library.doubts("gap", drop_missing=True)
    kept = np.flatnonzero(np.arange(140) % 10)
    corpus = library.corpus()
    y = np.array([KINDS.index(corpus.column("label")[int(row)].as_py()) for row in kept])
    p = probabilities(library.space().vectors(corpus)[kept], y, corpus.positions()[kept])
    assert found.rows.tolist() == kept[find_label_errors(p, y).rows].tolist()
    assert found.checked == 126
    assert "14 of 140 rows" in found.notes[0]


def test_a_solver_that_stopped_early_is_told_once(library):
    notes = library.doubts("label", max_iter=1, C=100).notes
    assert len(notes) == 1
    assert "stopped at 1 iterations" in notes[0]


@pytest.mark.parametrize(
    ("target", "options", "error", "says"),
    [
        ("one", {}, InputError, "at least two classes in 'one', found 1: same"),
        ("nothing", {}, InputError, "no column 'nothing'"),
        # Rows 0 and 120 have one text.
        ("rare", {}, InputError, "at least 5 rows of each class with different texts, found 2 of 'x'"),
        ("label", {"filter": "all"}, UsageError, "one of expected, confident, by-pair, .*, any, found 'all'"),
        ("label", {"folds": 1}, UsageError, "at least 2 folds, found 1"),
        ("label", {"C": 0.0}, UsageError, "C above 0"),
    ],
)
def test_what_can_not_be_judged_is_refused(library, target, options, error, says):
    with pytest.raises(error, match=says):
        library.doubts(target, **options)


def test_rows_without_vectors_are_refused(library):
    library.add(
        [{"text": f"{KINDS[i % 3]} new {i}", "label": KINDS[i % 3]} for i in range(30)], text="text", corpus="n"
    )
    with pytest.raises(ModelRequiredError, match="30 of 30 rows of corpus 'n'"):
        library.doubts("label", corpus="n")


def test_rows_without_a_text_are_not_judged(tmp_path):
    rows = [{"text": "" if i % 10 == 0 else f"{KINDS[i % 3]} {i}", "label": KINDS[i % 3]} for i in range(120)]
    encoder = KindEncoder()
    encoder.vector = lambda text, prompt="": (
        HashEncoder.vector(encoder, text) if not text else KindEncoder.vector(encoder, text)
    )
    store = embedstore.create(tmp_path / "s", encoder=encoder)
    store.add(rows, text="text")
    store.encode()
    found = store.doubts("label")
    assert found.checked == 108
    assert found.notes[0] == (
        "12 of 120 rows of corpus 'train' have no text and are left out (--blank answer takes them in)"
    )
    assert not any(row % 10 == 0 for row in found.rows)
