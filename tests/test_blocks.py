"""Predictions of many texts and many classes: scored in blocks, in bounded memory, with the same numbers."""

import json
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
from conftest import HashEncoder
from hypothesis import given
from hypothesis import strategies as some

import embedstore
from embedstore.core.blocks import row_blocks
from embedstore.core.heads import Head
from embedstore.encoders import EncoderOptions
from embedstore.errors import DamagedStoreError
from embedstore.learning.probe import Probe, read_probe, save_probe
from embedstore.storage.manifest import commit

TEXTS, CLASSES = 3_000, 6_000
NAMES = tuple(f"c{number}" for number in range(CLASSES))
MOST = 150_000_000  # bytes; the scores of all texts have 72 MB in float32 and 144 MB in float64


@given(some.integers(0, 300_000), some.integers(0, 1_000_000))
def test_blocks_cover_every_row_once_in_bounded_memory(rows, columns):
    blocks = list(row_blocks(rows, columns))
    assert [here.start for here in blocks] == [0, *(here.stop for here in blocks)][: len(blocks)]
    assert [here.stop for here in blocks][-1:] == [rows] * bool(rows)
    assert all(0 < here.stop - here.start <= max(64, 2**25 / (8 * max(1, columns))) for here in blocks)


class Bulk(HashEncoder):
    """An encoder whose vectors are drawn at once: equal batches have equal vectors."""

    def encode(self, texts, **_):
        return np.random.default_rng(len(texts)).normal(size=(len(texts), self.dimension)).astype(np.float32)


def filled(place, encoder, options=None):
    store = embedstore.create(place, encoder=encoder)
    texts = [f"text {number}" for number in range(TEXTS)]
    store.add({"t": [*texts, *texts[5:50][::-1], " "]}, text="t")
    store.encode(options=options)
    return store


def peak(ask):
    """Return an answer, and the most bytes that Python and NumPy held meanwhile."""
    tracemalloc.start()
    try:
        return ask(), tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_predict_keeps_the_best_class_of_a_row_and_no_others(tmp_path):
    encoder = Bulk(8)
    encoder.spec = replace(encoder.spec, normalized=False)
    store = filled(tmp_path / "s", encoder)
    random = np.random.default_rng(0)
    key = next(iter(store.manifest.spaces))
    probe = Probe(NAMES, random.normal(size=(CLASSES, 8)), random.normal(size=CLASSES), key, {})
    with store.snapshot() as now:
        save_probe(now, "many", probe)
    found, most = peak(lambda: store.predict("many"))
    assert most < MOST
    with store.snapshot() as now:
        vectors = now.space().vectors()
    for start in (0, len(vectors) - 251):
        here = slice(start, start + 250)
        expected = probe.probabilities(vectors[here]).astype(np.float32)
        assert found.column("Predicted_Labels")[here].to_pylist() == [NAMES[i] for i in expected.argmax(axis=1)]
        np.testing.assert_allclose(found.column("probability")[here], expected.max(axis=1), rtol=1e-6)
    assert found.column("probability")[len(vectors) - 1].as_py() is None
    np.testing.assert_array_equal(probe.best(vectors[:900]), probe.probabilities(vectors[:900]).argmax(axis=1))


def test_classify_keeps_the_label_of_a_row_and_no_scores(tmp_path):
    encoder = Bulk(CLASSES)
    encoder.spec = replace(encoder.spec, normalized=False, output="logits", truncate_dim=None)
    store = filled(tmp_path / "s", encoder, EncoderOptions(output="logits"))
    head = Head(NAMES, "softmax")

    def with_head(base):
        return replace(base, spaces={key: replace(space, head=head) for key, space in base.spaces.items()})

    commit(store.path, with_head)
    found, most = peak(store.classify)
    assert most < MOST
    with store.snapshot() as now:
        space = now.space(next(iter(now.manifest.spaces)))
        for start in (0, TEXTS - 205):
            here = slice(start, start + 250)
            expected = head.probabilities(space.at(now.corpus(None).positions()[here]))
            np.testing.assert_array_equal(found.column("probability")[here], expected.max(axis=1))
            labels = [NAMES[number] for number in expected.argmax(axis=1)]
            assert found.column("Predicted_Labels")[here].to_pylist() == labels


# Probes whose files say something else than their arrays


def written(place, description, **arrays):
    np.savez(place / "arrays", **arrays)
    (place / "description").write_text(description if isinstance(description, str) else json.dumps(description))
    return place / "arrays.npz", place / "description"


def opened(files):
    return [(path, path.read_bytes()) for path in files]


@pytest.mark.parametrize(
    "description",
    ["[]", "{", "{}", '{"classes": 3}', "[" * 100_000]
    + [json.dumps({"classes": one}) for one in ([], ["a"], ["a", 1], ["a", "a"], [[1], [2]], [None, 1], [2**70, 1])]
    + ['{"classes": ["\\ud800", "b"]}', '{"classes": [NaN, 1.0, 1' + "0" * 5000 + "]}"],
)
def test_a_description_that_is_none_is_refused(tmp_path, description):
    files = written(tmp_path, description, coef=np.zeros((1, 4)), intercept=np.zeros(1))
    with pytest.raises(DamagedStoreError, match=r"description is damaged .*: train the probe again") as caught:
        read_probe(*opened(files), space="ab", dimension=4)
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("coef", "intercept"),
    [
        (np.zeros((1, 5)), np.zeros(1)),
        (np.zeros((1, 4), dtype=np.float32), np.zeros(1)),
        (np.zeros((1, 4), dtype=object), np.zeros(1)),
        (np.full((1, 4), np.nan), np.zeros(1)),
        (np.zeros((1, 4)), np.full(1, np.inf)),
        (np.zeros((1, 4)), np.zeros(2)),
        (np.zeros((1, 40_000)), np.zeros(1)),
    ],
)
def test_arrays_that_do_not_fit_are_refused(tmp_path, coef, intercept):
    files = written(tmp_path, {"classes": ["a", "b"]}, coef=coef, intercept=intercept)
    with pytest.raises(DamagedStoreError, match=r"arrays\.npz is damaged .*: train the probe again"):
        read_probe(*opened(files), space="ab", dimension=4)


def test_an_array_that_claims_more_than_its_file_takes_no_memory(tmp_path):
    arrays, described = written(tmp_path, {"classes": ["a", "b"]}, coef=np.zeros((1, 10**7)), intercept=np.zeros(1))
    np.savez_compressed(arrays, coef=np.zeros((1, 10**7)), intercept=np.zeros(1))

    def refused():
        with pytest.raises(DamagedStoreError, match="has more than"):
            read_probe(*opened([arrays, described]), space="ab", dimension=4)

    assert peak(refused)[1] < 2_000_000
