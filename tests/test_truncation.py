"""Shorter vectors: a truncate_dim saved with a sentence-transformers model, or given by the user."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest

import embedstore
from embedstore.encoders import EncoderOptions, describe, load
from embedstore.encoders.light import LightEncoder
from embedstore.encoders.sentence import SentenceEncoder
from embedstore.errors import CheckpointError, UsageError

TEXTS = ["good tea", "", "a lamp that is too bright"]
SAVED = 8


@pytest.fixture(scope="module")
def matryoshka(checkpoint, tmp_path_factory):
    """A random BERT with mean pooling, saved by sentence-transformers with a truncate_dim."""
    from sentence_transformers import SentenceTransformer

    folder = tmp_path_factory.mktemp("matryoshka") / "model"
    SentenceTransformer(str(checkpoint("bert")), device="cpu", truncate_dim=SAVED).save(str(folder))
    return folder


@pytest.fixture
def rows_in_store(tmp_path):
    store = embedstore.create(tmp_path / "s")
    store.add([{"t": text} for text in TEXTS], text="t")
    return store


def as_sentence_transformers(folder, **options):
    from sentence_transformers import SentenceTransformer

    return SentenceTransformer(str(folder), device="cpu", **options).encode(TEXTS, show_progress_bar=False)


def unit(vectors):
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def test_a_store_gives_the_vectors_of_sentence_transformers(matryoshka, rows_in_store):
    expected = as_sentence_transformers(matryoshka)
    assert expected.shape == (3, SAVED)
    space = rows_in_store.encode(matryoshka).space
    np.testing.assert_allclose(rows_in_store.space(space).vectors(), unit(expected), atol=1e-5)
    plain = rows_in_store.encode(matryoshka, options=EncoderOptions(normalize=False)).space
    np.testing.assert_allclose(rows_in_store.space(plain).vectors(), expected, atol=1e-5)
    assert rows_in_store.manifest.spaces[space].spec.truncate_dim == SAVED


def test_every_encoder_truncates(matryoshka):
    expected = unit(as_sentence_transformers(matryoshka))
    described = describe(str(matryoshka), EncoderOptions())
    made = [load(described), LightEncoder(described), SentenceEncoder(described, device="cpu", batch_size=None)]
    for encoder in made:
        assert encoder.dimension == SAVED
        np.testing.assert_allclose(encoder.encode(TEXTS), expected, atol=1e-5)


@pytest.mark.parametrize("given", [4, 16, 32])
def test_what_the_user_gives_wins_over_what_was_saved(matryoshka, rows_in_store, given):
    expected = as_sentence_transformers(matryoshka, truncate_dim=given)
    space = rows_in_store.encode(matryoshka, options=EncoderOptions(truncate_dim=given)).space
    assert rows_in_store.space(space).dimension == given
    np.testing.assert_allclose(rows_in_store.space(space).vectors(), unit(expected), atol=1e-5)
    assert describe(str(matryoshka), EncoderOptions()).spec.key != space


def test_more_dimensions_than_the_model_has_are_refused(matryoshka, rows_in_store, cli):
    with pytest.raises(UsageError, match=r"expected a truncate_dim of at most 32, .* found 33"):
        rows_in_store.encode(matryoshka, options=EncoderOptions(truncate_dim=33))
    found = cli.fails(2, "encode", rows_in_store.path, "-m", matryoshka, "--truncate-dim", 33)
    assert "at most 32" in found
    with pytest.raises(UsageError, match="at most 32"):
        rows_in_store.encode(matryoshka, options=EncoderOptions(truncate_dim=33, pooling="cls"))


@pytest.mark.parametrize(("saved", "spec"), [(None, None), (32, None), (100, None), (31, 31)])
def test_a_saved_number_that_cuts_nothing_is_none(matryoshka, tmp_path, saved, spec):
    folder = saved_with(matryoshka, tmp_path, saved)
    assert describe(str(folder), EncoderOptions()).spec.truncate_dim == spec


@pytest.mark.parametrize("saved", ["8", 0, -1, True, 1.5])
def test_a_saved_number_that_is_none_is_refused(matryoshka, tmp_path, saved):
    folder = saved_with(matryoshka, tmp_path, saved)
    with pytest.raises(CheckpointError, match="expected a truncate_dim of at least 1 in config_sentence_trans"):
        describe(str(folder), EncoderOptions())
    assert describe(str(folder), EncoderOptions(truncate_dim=4)).spec.truncate_dim == 4


def test_a_space_with_all_dimensions_of_an_earlier_release_can_still_be_asked(matryoshka, rows_in_store, tmp_path):
    folder = saved_with(matryoshka, tmp_path, None)
    rows_in_store.encode(folder)
    saved_with(matryoshka, tmp_path, SAVED)  # as if the earlier release had not read that number
    again = embedstore.open(rows_in_store.path)
    assert len(again.search("a new text", k=2)) == 2
    long = "a new text " * 500  # no light work: with torch
    with again.snapshot() as now:
        vectors = now.queries(now.space())([long, "good tea"])
    assert vectors.shape == (2, 32)
    described = describe(str(folder), EncoderOptions(truncate_dim=32))
    whole = replace(described, spec=replace(described.spec, truncate_dim=None))
    assert SentenceEncoder(whole, device="cpu", batch_size=None).encode(TEXTS).shape == (3, 32)
    assert again.encode().encoded == 0
    assert again.encode(folder).encoded == 3
    assert sorted(space.dimension for space in again.manifest.spaces.values()) == [SAVED, 32]


def saved_with(folder, tmp_path, number):
    """Return a copy of a model that says that it was saved with this truncate_dim."""
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy, dirs_exist_ok=True)
    path = copy / "config_sentence_transformers.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "truncate_dim": number}))
    return copy
