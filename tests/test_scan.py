"""The compiled scans against float64, and against the scan without them."""

import os

import numpy as np
import pytest
from conftest import HashEncoder
from hypothesis import given, settings
from hypothesis import strategies as st

import embedstore
from embedstore.vectors import scan as scans
from embedstore.vectors.native import binding

compiled = pytest.mark.skipif(not binding.best_kernel(), reason="there is no compiled scan on this machine")
TORTURE = bool(os.environ.get("EMBEDSTORE_TORTURE"))
KERNELS = [number for number in binding.KERNELS if number <= binding.best_kernel()]


def random_rows(rng, count, width, dtype="float32"):
    vectors = rng.standard_normal((count, width)) * rng.choice([0.01, 1, 30], (count, 1))
    return np.ascontiguousarray(vectors, dtype=dtype)


@compiled
@given(
    rows=st.integers(0, 70),
    width=st.one_of(st.integers(1, 70), st.sampled_from([300, 384, 768])),
    count=st.integers(2, binding.MOST_LABELS),
    half=st.booleans(),
    unit=st.booleans(),
    kernel=st.sampled_from(KERNELS or [0]),
    seed=st.integers(0, 2**32 - 1),
)
@settings(max_examples=300 if TORTURE else 100, deadline=None)
def test_a_compiled_scan_is_right(rows, width, count, half, unit, kernel, seed):
    rng = np.random.default_rng(seed)
    vectors = random_rows(rng, rows, width, "float16" if half else "float32")
    vectors[rng.random(rows) < 0.1] = 0
    vectors[rng.random(rows) < 0.2] = vectors[:1]
    labels = random_rows(rng, count, width)
    labels[rng.integers(count)] = labels[0]
    scores, label = np.full((rows, count), 7, np.float32), np.full(rows, -1, np.int32)
    best, lead = np.full(rows, 7, np.float32), np.full(rows, 7, np.float32)
    binding.scan(vectors, labels, unit=unit, kernel=kernel, scores=scores, label=label, score=best, lead=lead)

    exact = vectors.astype(np.float64) @ labels.astype(np.float64).T
    most = np.abs(vectors.astype(np.float64)) @ np.abs(labels.astype(np.float64)).T  # what rounding errors grow with
    if not unit:
        norms = np.linalg.norm(vectors.astype(np.float64), axis=1, keepdims=True)
        exact, most = exact / np.where(norms > 0, norms, 1), most / np.where(norms > 0, norms, 1)
    assert (np.abs(scores - exact) <= 2e-6 * most + 1e-30).all()
    assert (label == scores.argmax(axis=1)).all()
    ordered = np.sort(scores, axis=1)
    assert (best == ordered[:, -1]).all()
    assert (lead == ordered[:, -1] - ordered[:, -2]).all()

    # Neither the rows beside a row nor the labels beside a label change a bit of a score, nor does leaving scores out.
    alone, again = np.empty((1, 1), np.float32), np.empty(rows, np.int32)
    binding.scan(vectors, labels, unit=unit, kernel=kernel, label=again)
    assert (again == label).all()
    for row in range(0, rows, 7):
        number = int(rng.integers(count))
        binding.scan(vectors[row : row + 1], labels[number : number + 1], unit=unit, kernel=kernel, scores=alone)
        assert alone[0, 0] == scores[row, number]


@compiled
@given(
    sizes=st.lists(st.integers(1, 20), min_size=1, max_size=4),
    width=st.integers(1, 70),
    queries=st.integers(0, 5),
    picked=st.integers(0, 20),
    half=st.booleans(),
    unit=st.booleans(),
    kernel=st.sampled_from(KERNELS or [0]),
    seed=st.integers(0, 2**32 - 1),
)
@settings(max_examples=200 if TORTURE else 100, deadline=None)
def test_picked_vectors_have_the_scores_of_a_scan(sizes, width, queries, picked, half, unit, kernel, seed):
    rng = np.random.default_rng(seed)
    blocks = [random_rows(rng, size, width, "float16" if half else "float32") for size in sizes]
    asked = random_rows(rng, queries, width)
    owner = rng.integers(0, len(blocks), (queries, picked))
    row = np.array([[rng.integers(-1, sizes[number]) for number in line] for line in owner.tolist()], dtype=np.int64)
    row = row.reshape(queries, picked)
    scores = binding.scan_picked(blocks, owner, row, asked, unit=unit, kernel=kernel)
    assert scores.shape == (queries, picked)
    one = np.empty((1, 1), np.float32)
    for query in range(queries):
        for number in range(picked):
            if row[query, number] < 0:
                assert scores[query, number] == -np.inf
                continue
            vector = blocks[owner[query, number]][row[query, number]][None]
            binding.scan(vector, asked[query : query + 1], unit=unit, kernel=kernel, scores=one)
            assert scores[query, number] == one[0, 0]


@compiled
def test_picked_rows_that_are_not_there_are_refused():
    blocks, queries = [np.zeros((3, 8), np.float32), np.zeros((2, 8), np.float32)], np.zeros((1, 8), np.float32)
    fit = {"unit": True, "kernel": KERNELS[0]}
    here = np.array([[0, 1]])
    assert (binding.scan_picked(blocks, here, np.array([[2, 1]]), queries, **fit) == 0).all()
    for owner, row in (([[0, 2]], [[0, 0]]), ([[-1, 0]], [[0, 0]]), ([[0, 1]], [[3, 0]]), ([[0, 1]], [[0, 2]])):
        with pytest.raises(ValueError, match="expected rows of the blocks"):
            binding.scan_picked(blocks, np.array(owner), np.array(row), queries, **fit)
    with pytest.raises(ValueError, match="expected rows of the blocks"):
        binding.scan_picked(blocks, here, np.array([[-2, 0]]), queries, **fit)
    for wrong in (
        (blocks, here, np.zeros((2, 2), np.int64), queries),
        ([*blocks, np.zeros((2, 8), np.float16)], here, here, queries),
        ([np.zeros((3, 9), np.float32)], here * 0, here, queries),
    ):
        with pytest.raises(ValueError, match="expected"):
            binding.scan_picked(*wrong, **fit)
    with pytest.raises(ValueError, match="expected a kernel"):
        binding.scan_picked(blocks, here, here, queries, unit=True, kernel=KERNELS[-1] + 1)


@compiled
@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_what_does_not_fit_is_refused(dtype):
    vectors, labels, label = np.zeros((5, 8), dtype), np.zeros((3, 8), np.float32), np.zeros(5, np.int32)
    fit = {"unit": True, "kernel": KERNELS[0], "label": label}
    binding.scan(vectors, labels, **fit)
    for wrong in (
        (vectors[:, :7], labels),  # not contiguous
        (vectors, labels[:, :7]),
        (vectors, labels.astype(np.float64)),
        (vectors.astype(np.float64), labels),
        (vectors[:4], labels),
        (vectors, labels[:1]),  # there is no second best
        (vectors, np.zeros((binding.MOST_LABELS + 1, 8), np.float32)),
    ):
        with pytest.raises(ValueError, match="expected"):
            binding.scan(*wrong, **fit)
    for kernel in (-1, 0, KERNELS[-1] + 1):
        with pytest.raises(ValueError, match="expected a kernel"):
            binding.scan(vectors, labels, **{**fit, "kernel": kernel})


@compiled
@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_tags_and_neighbours_are_the_same_without_a_compiled_scan(tmp_path, monkeypatch, dtype):
    store = embedstore.create(tmp_path / "store", encoder=HashEncoder(dtype=dtype))
    store.add([{"text": f"text {number}"} for number in range(500)], text="text")
    store.encode()
    labels = ["Negative", "Positive", "neutral words"]

    def answers():
        found = store.search(["some words", "text 7"], k=5, no_encode=False)
        return store.tag(labels, scores=True).to_pandas(), found.table.to_pandas()

    tags, matches = answers()
    monkeypatch.setattr(binding, "best_kernel", lambda: 0)
    other_tags, other_matches = answers()
    assert (tags["Predicted_Labels"] == other_tags["Predicted_Labels"]).all()
    assert matches.equals(other_matches)
    for column in ("score", "margin", *labels):
        np.testing.assert_allclose(tags[column], other_tags[column], atol=1e-6)


def test_many_labels_are_multiplied():
    assert scans._kernel(binding.MOST_LABELS) == binding.best_kernel()
    assert scans._kernel(binding.MOST_LABELS + 1) == 0
