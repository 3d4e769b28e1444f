"""The TensorFlow backend: the same vectors as PyTorch's, or a refusal."""

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from checkpoints import reviews, save_checkpoint
from test_contracts import EncoderContract
from test_truncation import TEXTS as FEW
from test_truncation import as_sentence_transformers, matryoshka, unit  # noqa: F401  a fixture is among them

import embedstore
from embedstore.encoders import EncoderOptions, describe, load
from embedstore.errors import CheckpointError, SpaceMismatchError

# TensorFlow, Keras and what they import warn of one another's changes.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")

TORTURE = bool(os.environ.get("EMBEDSTORE_TORTURE"))
TEXTS = [*reviews()[:40], "", "a", "good tea " * 60]
LOADED = ["bert", "camembert", "distilbert", "roberta", "xlm-roberta"]


class TestTensorFlowEncoder(EncoderContract):
    @pytest.fixture
    def encoder(self, checkpoint):
        described = describe(str(checkpoint("bert")), EncoderOptions(max_seq_length=16))
        return load(described, backend="tensorflow", batch_size=4)


def on_both(folder: Path | None, **options: object) -> tuple[np.ndarray, np.ndarray]:
    described = describe(folder and str(folder), EncoderOptions(**options))
    return tuple(load(described, backend=name, batch_size=8).encode(TEXTS) for name in ("torch", "tensorflow"))


def lowest_cosine(one: np.ndarray, other: np.ndarray) -> float:
    return float((np.sum(one * other, axis=1) / np.linalg.norm(one, axis=1) / np.linalg.norm(other, axis=1)).min())


@pytest.mark.parametrize("family", LOADED)
def test_tensorflow_gives_the_vectors_and_logits_of_torch(checkpoint, family):
    folder = checkpoint(family, num_labels=3)
    for pooling in ("mean", "cls", "max") if TORTURE or family == "bert" else ("mean",):
        assert lowest_cosine(*on_both(folder, pooling=pooling, max_seq_length=40)) > 0.9999
    torch, tensorflow = on_both(folder, output="logits", max_seq_length=40)
    np.testing.assert_allclose(tensorflow, torch, atol=1e-3, rtol=0)


@pytest.mark.parametrize("family", ["bert", "distilbert"])
def test_mean_padded_agrees_where_padding_has_the_same_positions(checkpoint, family):
    torch, tensorflow = on_both(checkpoint(family), pooling="mean-padded", max_seq_length=40)
    np.testing.assert_allclose(tensorflow, torch, atol=1e-4, rtol=0)


@pytest.mark.skipif(not TORTURE, reason="ten seconds, for make torture")
def test_the_bundled_model_agrees_in_every_length_with_few_traces():
    described = describe(None, EncoderOptions())
    encoder = load(described, backend="tensorflow", batch_size=8)
    vectors = encoder.encode([*TEXTS, *TEXTS])[: len(TEXTS)]
    assert lowest_cosine(vectors, load(described).encode(TEXTS)) > 0.9999
    traced = encoder.traces
    assert traced <= 6
    encoder.encode(TEXTS[::-1])
    assert encoder.traces == traced


def test_other_forms_of_the_same_weights_are_read(checkpoint, tmp_path):
    import torch
    from safetensors.torch import load_file, save_file

    expected, _ = on_both(checkpoint("bert", task="", layer_norm_eps=1e-3, hidden_act="gelu_new"), pooling="mean")
    folder = Path(
        shutil.copytree(checkpoint("bert", task="", layer_norm_eps=1e-3, hidden_act="gelu_new"), tmp_path / "old")
    )
    weights = load_file(folder / "model.safetensors")
    old = {
        "bert." + name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"): value
        for name, value in weights.items()
        if not name.startswith("pooler.")
    }
    save_file(old, folder / "model.safetensors")
    np.testing.assert_allclose(on_both(folder, pooling="mean")[1], expected, atol=1e-4)
    halved = {name: value.to(torch.bfloat16) for name, value in weights.items()}
    save_file(halved, folder / "model.safetensors")
    one, other = on_both(folder, pooling="mean")
    np.testing.assert_allclose(other, one, atol=1e-4)


def test_a_body_saved_alone_is_read(checkpoint):
    for family in ("distilbert", "roberta"):
        assert lowest_cosine(*on_both(checkpoint(family, task=""), pooling="mean")) > 0.9999


def test_tensorflow_truncates(matryoshka):  # noqa: F811  the fixture
    encoder = load(describe(str(matryoshka), EncoderOptions()), backend="tensorflow", device="cpu")
    np.testing.assert_allclose(encoder.encode(FEW), unit(as_sentence_transformers(matryoshka)), atol=1e-4)


def refusal(folder: Path | None, **options: object) -> str:
    with pytest.raises(CheckpointError) as caught:
        load(describe(folder and str(folder), EncoderOptions(**options)), backend="tensorflow")
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_what_keras_hub_lacks_is_refused_with_what_it_has(checkpoint, tmp_path):
    message = refusal(checkpoint("mpnet"), pooling="mean")
    assert "family 'mpnet', which the TensorFlow backend does not load: it loads bert, camembert, distilbert" in message
    assert "the family 'deberta-v2'" in refusal(checkpoint("deberta-v2"), output="logits")
    assert "mean-padded of" in refusal(checkpoint("roberta"), pooling="mean-padded")
    assert "activation 'silu'" in refusal(save_checkpoint(tmp_path / "silu", "bert", hidden_act="silu"), pooling="mean")


def test_missing_weights_and_heads_are_refused(checkpoint, tmp_path):
    folder = Path(shutil.copytree(checkpoint("distilbert", task=""), tmp_path / "headless"))
    config = json.loads((folder / "config.json").read_text())
    claims = config | {"architectures": ["DistilBertForSequenceClassification"]}
    (folder / "config.json").write_text(json.dumps(claims))
    assert "the weight pre_classifier.weight is missing, and random ones are" in refusal(folder, output="logits")
    (folder / "config.json").write_text(json.dumps(claims | {"n_layers": 3}))
    assert "config.json describes 3 layers, its weights have 2" in refusal(folder, pooling="mean")
    (folder / "config.json").write_text(json.dumps(claims | {"hidden_dim": 128}))
    assert "KerasHub can't load" in refusal(folder, pooling="mean")


def test_an_unknown_device_is_refused(checkpoint):
    described = describe(str(checkpoint("bert")), EncoderOptions(pooling="mean"))
    with pytest.raises(CheckpointError, match="the device 'tpu' can't be used: TensorFlow finds the CPU and"):
        load(described, backend="tensorflow", device="tpu")


def test_both_backends_fill_one_space_and_canaries_watch_over_it(checkpoint, tmp_path):
    folder = checkpoint("distilbert", task="")
    store = embedstore.create(tmp_path / "store")
    store.add([{"review": text} for text in TEXTS[:20]], text="review", corpus="one")
    store.encode(str(folder), options=EncoderOptions(pooling="mean"), backend="torch")
    store.add([{"review": text} for text in TEXTS[20:]], text="review", corpus="two")
    report = store.encode(backend="tensorflow")
    (space,) = store.info()["spaces"]
    assert report.encoded == 23
    assert space["texts"] == len(TEXTS)
    assert [one["backend"] for one in space["provenance"]] == ["torch", "tensorflow"]
    whole = load(describe(str(folder), EncoderOptions(pooling="mean"))).encode(TEXTS)
    rows = np.concatenate([store.space().vectors(store.corpus(name)) for name in ("one", "two")])
    np.testing.assert_allclose(rows, whole, atol=1e-4)


def test_a_backend_that_computes_otherwise_is_stopped_by_the_canaries(checkpoint, tmp_path, monkeypatch):
    from embedstore.encoders import keras

    store = embedstore.create(tmp_path / "store")
    store.add([{"review": text} for text in TEXTS[:20]], text="review")
    store.encode(str(checkpoint("distilbert", task="")), options=EncoderOptions(pooling="mean"), backend="torch")
    store.add([{"review": text} for text in TEXTS[20:]], text="review", corpus="two")
    monkeypatch.setattr(keras, "finish", lambda pooled, described: pooled[:, ::-1])
    with pytest.raises(SpaceMismatchError, match=r"torch float32 on cpu .* this is tensorflow float32 on cpu"):
        store.encode(backend="tensorflow")
    assert store.info()["spaces"][0]["texts"] == 20


def test_the_terminal_sees_nothing_of_tensorflow(cli, checkpoint, tmp_path):
    (tmp_path / "some.jsonl").write_text("\n".join(json.dumps({"review": text}) for text in TEXTS))
    model = ["-m", checkpoint("distilbert"), "--pooling", "mean", "--backend", "tensorflow"]
    done = cli("encode", "some", tmp_path / "some.jsonl", "--text", "review", *model)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert "encoded now" in done.stdout


def test_without_the_extra_one_line_names_it(cli, checkpoint, tmp_path):
    (tmp_path / "some.csv").write_text("review\ngood tea\n")
    model = ["-m", str(checkpoint("distilbert")), "--pooling", "mean", "--backend", "tensorflow"]
    words = ["encode", "some", str(tmp_path / "some.csv"), "--text", "review", *model]
    hidden = f"import sys; sys.modules['keras_hub'] = None\nfrom embedstore.cli import main\nmain({words!r})"
    done = cli("-c", hidden)
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        "Error: the TensorFlow backend needs keras_hub, which is not installed: run `pip install "
        "'embedstore[tensorflow]'`"
    ]
