import numpy as np
import pytest
from conftest import HashEncoder
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold

import embedstore
from embedstore import TrainOptions
from embedstore.errors import InputError, ModelRequiredError, UsageError
from embedstore.learning.doubts import find_label_errors

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
        model = LogisticRegression(C=C, max_iter=1000, random_state=seed).fit(vectors[learnt], y[learnt])
        found[judged] = model.predict_proba(vectors[judged])
    return found


def expected(p, y):
    """Return (row, suggested, confidence, margin) of each doubtful row and the noise, found row by row."""
    classes = range(p.shape[1])
    thresholds = [np.mean([float(p[i, k]) for i in range(len(y)) if y[i] == k]) for k in classes]
    doubtful, joint = [], np.zeros((len(classes), len(classes)))
    for i, given in enumerate(y):
        sure = [k for k in classes if p[i, k] >= thresholds[k]]
        if not sure:
            continue
        best = max(sure, key=lambda k: p[i, k])
        joint[given, best] += 1
        if best != given and max(classes, key=lambda k: p[i, k]) != given:
            margin = p[i, given] - max(p[i, k] for k in classes if k != given)
            doubtful.append((i, best, p[i, given], margin))
    shares = joint / joint.sum(axis=1, keepdims=True)
    noise = sum((1 - shares[k, k]) * np.mean(y == k) for k in classes)
    return sorted(doubtful, key=lambda found: (found[2], found[0])), noise


@pytest.mark.parametrize("options", [{}, {"folds": 3, "random_state": 7, "C": 20.0}])
def test_doubts_are_those_of_confident_learning_row_by_row(library, options):
    corpus = library.corpus()
    found = library.doubts("label", **options)
    y = np.array([KINDS.index(label) for label in corpus.column("label").to_pylist()])
    names = {"folds": "folds", "random_state": "seed", "C": "C"}
    p = probabilities(
        library.space().vectors(corpus), y, corpus.positions(), **{names[k]: v for k, v in options.items()}
    )
    wanted, noise = expected(p, y)
    assert found.rows.tolist() == [row for row, *_ in wanted]
    assert found.given == [KINDS[y[row]] for row, *_ in wanted]
    assert found.suggested == [KINDS[best] for _, best, *_ in wanted]
    assert np.allclose(found.confidence, [own for _, _, own, _ in wanted], atol=1e-6)
    assert np.allclose(found.margin, [margin for *_, margin in wanted], atol=1e-6)
    assert (found.rows.dtype, found.confidence.dtype, found.margin.dtype) == (np.int64, np.float32, np.float32)
    assert found.accuracy == np.mean(p.argmax(axis=1) == y)
    assert found.noise == pytest.approx(noise)
    assert (found.checked, found.notes) == (140, ())


def test_classes_of_unlike_sizes_have_thresholds_of_their_own():
    rng = np.random.default_rng(0)
    y = rng.permutation(np.repeat([0, 1, 2], [200, 60, 40]))
    vectors = (rng.normal(size=(3, 8))[y] + 3 * rng.normal(size=(300, 8))).astype(np.float32)
    found = find_label_errors(vectors, y, np.arange(300), folds=5, options=TrainOptions())
    p = probabilities(vectors, y, np.arange(300))
    wanted, noise = expected(p, y)
    assert found.rows.tolist() == [row for row, *_ in wanted]
    assert found.suggested.tolist() == [best for _, best, *_ in wanted]
    assert found.noise == pytest.approx(noise)
    # Rows that only one of the two conditions keeps out are there.
    sure = np.where(p >= [p[y == k, k].mean() for k in range(3)], p, -1)
    suggests_another, most_probable = (sure.max(axis=1) >= 0) & (sure.argmax(axis=1) != y), p.argmax(axis=1) == y
    assert (suggests_another & most_probable).any()
    assert ((sure.max(axis=1) >= 0) & ~suggests_another & ~most_probable).any()


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
    assert np.array_equal(found.rows, [row for row, *_ in expected(p, y)[0]])
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
    assert found.rows.tolist() == [kept[row] for row, *_ in expected(p, y)[0]]
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
