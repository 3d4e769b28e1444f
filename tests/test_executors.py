"""How an encode run hands out its tasks, and when it commits what comes back."""

import pickle

import pytest
from conftest import HashEncoder

import embedstore
from embedstore.encoders import EncoderOptions, describe
from embedstore.vectors import encoding
from embedstore.vectors.loader import Loader
from embedstore.vectors.models import Models


@pytest.fixture
def five(tmp_path, encoder):
    """A store with five text segments without vectors."""
    made = embedstore.create(tmp_path / "five", encoder=encoder, settings=embedstore.Settings(smallest_segment=10))
    made.add([{"t": f"text {i}"} for i in range(50)], text="t")
    return made


@pytest.mark.parametrize(("seconds", "most", "commits"), [(60, 256, 1), (0, 256, 5), (60, 2, 3)])
def test_what_is_done_within_a_second_is_one_commit(five, monkeypatch, seconds, most, commits):
    monkeypatch.setattr(encoding, "_BATCH_SECONDS", seconds)
    monkeypatch.setattr(encoding, "_MOST_RECEIPTS", most)
    before = five.manifest.sequence
    five.encode()
    assert five.manifest.sequence - before == commits
    assert five.space().count == 50


def test_a_long_task_is_committed_before_the_next_begins(five, monkeypatch):
    monkeypatch.setattr(encoding, "_BATCH_SECONDS", 0)
    committed = []

    class Looking(HashEncoder):
        def encode(self, texts, **options):
            committed.extend(len(space.segments) for space in five.manifest.spaces.values())
            return super().encode(texts, **options)

    embedstore.open(five.path, encoder=Looking()).encode()
    assert committed == [1, 2, 3, 4]


def test_what_loads_a_model_can_be_sent_to_another_process(checkpoint):
    described = describe(str(checkpoint("bert")), EncoderOptions(max_seq_length=16))
    load = Loader(models=Models(None), described=described, backend="torch", device="cpu", precision="float32")
    here = load(())
    sent = pickle.loads(pickle.dumps(load))
    assert load(()) is here
    assert (sent.described, sent.backend, sent.precision) == (described, "torch", "float32")
    there = sent(())
    assert there is not here
    assert (there.encode(["good tea"]) == here.encode(["good tea"])).all()


def test_an_own_encoder_is_sent_with_the_loader():
    load = Loader(models=Models(HashEncoder(backend="mine")), described=None)
    sent = pickle.loads(pickle.dumps(load))
    assert sent(()).provenance.backend == "mine"
    assert (sent(()).encode(["a"]) == HashEncoder().encode(["a"])).all()
