"""Checkpoints of the Hugging Face format: what is read from their files, and vectors like those of transformers."""

import functools
import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import transformers
from checkpoints import FAMILIES, reviews
from threadpoolctl import threadpool_info

import embedstore
from embedstore.core.unit import lowest_cosine
from embedstore.encoders import EncoderOptions, describe, light, load
from embedstore.encoders.families import relative_buckets
from embedstore.encoders.parameters import is_known
from embedstore.errors import CheckpointError, UsageError

LENGTH = 40
SHORT = ["", "a", "good tea", "bad tea", "a lamp", "too bright", "nice", "awful", "fine", "poor"]
TEXTS = [*reviews()[:40], *SHORT, "good tea " * 60]


def encoded(folder: Path, texts: list[str], **options: object) -> np.ndarray:
    options = {"max_seq_length": LENGTH} | options
    return load(describe(str(folder), EncoderOptions(**options)), batch_size=8).encode(texts)


@functools.cache
def loaded(folder: Path) -> tuple[Any, Any, Any]:
    """Return tokenizer, body and classifier of a checkpoint, as transformers loads them."""
    body = transformers.AutoModel.from_pretrained(folder).eval()
    head = transformers.AutoModelForSequenceClassification.from_pretrained(folder).eval()
    return transformers.AutoTokenizer.from_pretrained(folder), body, head


def plain(folder: Path, texts: list[str], padding: object = True) -> dict[str, np.ndarray]:
    """The oracle: transformers, as its documentation uses it."""
    import torch

    tokenizer, body, head = loaded(folder)
    inputs = tokenizer(texts, truncation=True, max_length=LENGTH, padding=padding, return_tensors="pt")
    mask = inputs["attention_mask"][..., None]
    with torch.no_grad():
        hidden = body(**inputs).last_hidden_state
        logits = head(**inputs).logits
    return {
        "mean": ((hidden * mask).sum(axis=1) / mask.sum(axis=1)).numpy(),
        "cls": hidden[:, 0].numpy(),
        "max": hidden.masked_fill(mask == 0, -torch.inf).amax(axis=1).numpy(),
        "mean-padded": hidden.mean(axis=1).numpy(),
        "logits": logits.numpy(),
    }


@pytest.mark.parametrize("family", FAMILIES)
def test_vectors_and_logits_equal_plain_transformers_alone_and_in_batches(checkpoint, family):
    folder = checkpoint(family, num_labels=3)
    alone = [plain(folder, [text]) for text in TEXTS]
    together = plain(folder, TEXTS)
    for pooling in ("mean", "cls", "max", "logits"):
        options = {"output": "logits"} if pooling == "logits" else {"pooling": pooling}
        vectors = encoded(folder, TEXTS, **options)
        assert vectors.dtype == np.float32
        np.testing.assert_allclose(vectors, np.concatenate([one[pooling] for one in alone]), atol=1e-5, rtol=0)
        np.testing.assert_allclose(vectors, together[pooling], atol=1e-5, rtol=0)


@pytest.mark.parametrize("family", FAMILIES)
def test_mean_padded_is_the_mean_over_every_position_in_any_order(checkpoint, family):
    folder = checkpoint(family, num_labels=3)
    expected = plain(folder, TEXTS, "max_length")["mean-padded"]
    np.testing.assert_allclose(encoded(folder, TEXTS, pooling="mean-padded"), expected, atol=1e-6, rtol=0)
    backwards = encoded(folder, TEXTS[::-1], pooling="mean-padded")[::-1]
    np.testing.assert_allclose(backwards, expected, atol=1e-6, rtol=0)
    short = encoded(folder, SHORT, pooling="mean-padded")
    np.testing.assert_allclose(short, expected[40 : 40 + len(SHORT)], atol=1e-6, rtol=0)
    assert not np.allclose(expected, plain(folder, TEXTS)["mean"], atol=1e-2)


def test_a_model_without_a_padding_token_takes_texts_one_by_one(checkpoint):
    folder = Path(shutil.copytree(checkpoint("bert"), checkpoint("bert").parent / "unpadded", dirs_exist_ok=True))
    for name in ("tokenizer_config.json", "special_tokens_map.json"):
        if (folder / name).exists():
            settings = json.loads((folder / name).read_text())
            settings.pop("pad_token", None)
            (folder / name).write_text(json.dumps(settings))
    np.testing.assert_allclose(
        encoded(folder, TEXTS, pooling="mean"), encoded(checkpoint("bert"), TEXTS, pooling="mean"), atol=1e-5
    )
    with pytest.raises(CheckpointError, match="no padding token for mean-padded: choose another pooling"):
        encoded(folder, TEXTS, pooling="mean-padded")


def test_a_model_whose_answer_depends_on_padding_takes_texts_one_by_one(tmp_path):
    """XLNet takes the last position as the summary, GPT-2 looks for the padding token that it may lack."""
    import torch
    import transformers
    from checkpoints import tokenizer

    words = tokenizer("bert")
    small = {"vocab_size": len(words), "num_labels": 3, "n_layer": 2, "n_head": 4, "initializer_range": 0.3}
    xlnet = transformers.XLNetConfig(d_model=32, d_inner=64, **small)
    gpt2 = transformers.GPT2Config(n_embd=32, n_positions=64, eos_token_id=3, **small)
    torch.manual_seed(0)
    for name, model in (
        ("xlnet", transformers.XLNetForSequenceClassification(xlnet)),
        ("gpt2", transformers.GPT2ForSequenceClassification(gpt2)),
    ):
        model.save_pretrained(tmp_path / name)
        words.save_pretrained(tmp_path / name)
        alone = np.concatenate([plain(tmp_path / name, [text])["logits"] for text in TEXTS])
        np.testing.assert_allclose(encoded(tmp_path / name, TEXTS, output="logits"), alone, atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("config.json", "[]"),
        ("config.json", '{"model_type": "bert", "max_position_embeddings": "many"}'),
        ("config.json", '{"model_type": "bert", "id2label": ["a", "b"]}'),
        ("modules.json", "[1]"),
        ("modules.json", "{}"),
        ("modules.json", '[{"idx": 0, "path": "../elsewhere", "type": "Transformer"}]'),
        ("tokenizer_config.json", "[]"),
        ("tokenizer.json", "{}"),
    ],
)
def test_files_of_another_form_are_refused(checkpoint, tmp_path, file, content):
    folder = damaged(checkpoint("bert"), tmp_path)
    (folder / file).write_text(content)
    refusal(folder, output="logits")


def test_features_are_not_normalised_unless_asked_for_and_can_be_cut(checkpoint):
    folder = checkpoint("distilbert")
    vectors = encoded(folder, TEXTS, pooling="cls")
    unit = encoded(folder, TEXTS, pooling="cls", normalize=True)
    np.testing.assert_allclose(unit, vectors / np.linalg.norm(vectors, axis=1, keepdims=True), atol=1e-6)
    np.testing.assert_array_equal(encoded(folder, TEXTS, pooling="cls", truncate_dim=5), vectors[:, :5])


def test_a_transformer_without_pooling_of_its_own_takes_the_masked_mean(checkpoint):
    folder = checkpoint("mpnet")
    assert describe(str(folder), EncoderOptions()).spec == describe(str(folder), EncoderOptions(pooling="mean")).spec


def test_truncated_texts_are_counted_and_lengths_fit_the_positions(checkpoint):
    folder = checkpoint("bert")
    lengths = [len(ids) for ids in transformers.AutoTokenizer.from_pretrained(folder)(TEXTS)["input_ids"]]
    counted = []
    encoder = load(describe(str(folder), EncoderOptions(max_seq_length=10)))
    encoder.encode(TEXTS, on_texts=lambda done, cut: counted.append((done, cut)))
    assert np.sum(counted, axis=0).tolist() == [len(TEXTS), sum(length > 10 for length in lengths)]
    # 66 positions, of which the padding token and those before it take two.
    assert describe(str(checkpoint("roberta")), EncoderOptions()).spec.max_seq_length == 64
    with pytest.raises(CheckpointError, match="from 3 to 64 for this model, found 65"):
        describe(str(checkpoint("roberta")), EncoderOptions(max_seq_length=65))


def test_the_bundled_model_pooled_by_name_and_normalised_is_the_space_it_has_anyway():
    own = describe(None, EncoderOptions())
    assert describe(None, EncoderOptions(pooling="mean", normalize=True)).spec == own.spec
    assert describe(None, EncoderOptions(pooling="mean")).spec != own.spec
    assert describe(None, EncoderOptions(pooling="cls", normalize=True)).spec != own.spec


def test_each_file_of_the_bundled_model_is_hashed_once(monkeypatch):
    hashed, file_digest = [], hashlib.file_digest

    def counted(stream, kind):
        hashed.append(Path(stream.name).name)
        return file_digest(stream, kind)

    monkeypatch.setattr(hashlib, "file_digest", counted)
    describe(None, EncoderOptions())
    assert "model.safetensors" in hashed and "tokenizer.json" in hashed
    assert len(hashed) == len(set(hashed))


def test_names_of_labels_are_not_part_of_the_key(checkpoint, tmp_path):
    named = Path(shutil.copytree(checkpoint("bert", num_labels=2), tmp_path / "named"))
    config = json.loads((named / "config.json").read_text())
    (named / "config.json").write_text(json.dumps(config | {"id2label": {"0": "bad", "1": "good"}}))
    options = EncoderOptions(output="logits")
    before, after = describe(str(checkpoint("bert", num_labels=2)), options), describe(str(named), options)
    assert before.spec == after.spec
    assert after.head.labels == ("bad", "good")
    assert describe(str(named), EncoderOptions(pooling="cls")).spec != after.spec


# Checkpoints that can't be used: one line each


def damaged(folder: Path, place: Path, **config: object) -> Path:
    copy = Path(shutil.copytree(folder, place / "copy"))
    if config:
        (copy / "config.json").write_text(json.dumps(json.loads((copy / "config.json").read_text()) | config))
    return copy


def refusal(folder: Path, **options: object) -> str:
    with pytest.raises(CheckpointError) as caught:
        load(describe(str(folder), EncoderOptions(**options)))
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_a_head_with_random_weights_is_refused(checkpoint, tmp_path):
    assert "no classification head" in refusal(checkpoint("bert", task="MaskedLM"), output="logits")
    body = damaged(checkpoint("distilbert", task=""), tmp_path, architectures=["DistilBertForSequenceClassification"])
    message = refusal(body, output="logits")
    assert "4 weights are missing, and random ones are never used (classifier.bias, classifier.weight, " in message


def test_a_pretrained_body_is_used_without_its_head_and_without_a_pooler(checkpoint):
    folder = checkpoint("bert", task="MaskedLM")
    assert encoded(folder, ["good tea"], pooling="mean").shape == (1, 32)


def test_missing_and_unexpected_layers_are_refused(checkpoint, tmp_path):
    for number, (layers, fault) in enumerate([(3, "are missing"), (1, "are not part of the model")]):
        folder = damaged(checkpoint("distilbert"), tmp_path / str(number), n_layers=layers)
        assert fault in refusal(folder, pooling="mean")
        assert fault in (told := refusal(folder, output="logits"))
        assert told.endswith("; download it again")


def test_weights_of_another_shape_are_refused(checkpoint, tmp_path):
    assert "have another shape" in refusal(damaged(checkpoint("distilbert"), tmp_path, hidden_dim=128), pooling="mean")


def test_a_sentence_transformers_model_with_missing_weights_is_refused(checkpoint, tmp_path):
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Pooling, Transformer

    transformer = Transformer(str(checkpoint("bert", task="")))
    folder = tmp_path / "model"
    pooling = Pooling(transformer.get_embedding_dimension())
    SentenceTransformer(modules=[transformer, pooling], device="cpu").save_pretrained(str(folder))
    assert encoded(folder, ["good tea"]).shape == (1, 32)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"num_hidden_layers": 3}))
    assert "are missing, and random ones are never used" in refusal(folder)


def test_pickled_weights_are_refused_with_the_way_out(checkpoint, tmp_path):
    folder = damaged(checkpoint("bert"), tmp_path)
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    assert "found 'pytorch_model.bin': pickled weights are not read; save it with" in refusal(folder, pooling="mean")


@pytest.mark.parametrize("file", ["config.json", "tokenizer_config.json"])
def test_code_of_its_own_is_never_run(checkpoint, tmp_path, file):
    folder = damaged(checkpoint("bert"), tmp_path)
    (folder / "own.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    asks = {"auto_map": {"AutoModel": "own.Model", "AutoTokenizer": "own.Tokens"}}
    (folder / file).write_text(json.dumps(json.loads((folder / file).read_text()) | asks))
    assert f"asks for code of its own (auto_map in {file}: 'AutoModel', 'AutoTokenizer')" in refusal(
        folder, pooling="mean"
    )
    assert not (tmp_path / "ran").exists()


def test_weights_with_another_hash_than_recorded_are_refused(checkpoint, tmp_path):
    folder = damaged(checkpoint("bert"), tmp_path)
    store = embedstore.create(tmp_path / "store")
    store.add([{"review": "good tea"}], text="review")
    store.encode(str(folder), options=EncoderOptions(pooling="cls"))
    weights = bytearray((folder / "model.safetensors").read_bytes())
    weights[-1] ^= 1
    (folder / "model.safetensors").write_bytes(weights)
    with pytest.raises(CheckpointError, match="is not the one that made this space"):
        embedstore.open(tmp_path / "store").tag(["a new label", "another"])


def test_an_unknown_architecture_is_named(checkpoint, tmp_path):
    message = refusal(damaged(checkpoint("bert"), tmp_path, model_type="nosuchmodel"), pooling="mean")
    assert "nosuchmodel" in message


def test_an_encoder_decoder_is_refused(checkpoint, tmp_path):
    assert "encoder-decoder" in refusal(damaged(checkpoint("bert"), tmp_path, is_encoder_decoder=True))


def test_half_a_download_is_refused(checkpoint, tmp_path):
    whole = checkpoint("bert")
    short = damaged(whole, tmp_path / "short")
    weights = (short / "model.safetensors").read_bytes()
    (short / "model.safetensors").write_bytes(weights[:-100])
    assert f"is cut off: expected {len(weights):,} bytes, found {len(weights) - 100:,}" in refusal(short)
    (short / "model.safetensors").write_bytes(weights[:100])
    assert "is no safetensors file" in refusal(short)
    (short / "model.safetensors").write_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:00\n")
    assert "git lfs pull" in refusal(short)
    (short / "model.safetensors").unlink()
    assert "found none: download the checkpoint again" in refusal(short)
    index = {"weight_map": {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}}
    (short / "model.safetensors.index.json").write_text(json.dumps(index))
    (short / "model-00001-of-00002.safetensors").write_bytes(weights)
    assert "1 of 2 weight files is missing, model-00002-of-00002.safetensors first" in refusal(short)
    dumb = damaged(whole, tmp_path / "dumb")
    (dumb / "tokenizer.json").unlink()
    assert "expected a tokenizer" in refusal(dumb)
    unset = damaged(whole, tmp_path / "unset")
    (unset / "config.json").write_text("{")
    assert "config.json can't be read" in refusal(unset)


def test_sharded_weights_are_read(checkpoint, tmp_path):
    import transformers

    model = transformers.AutoModelForSequenceClassification.from_pretrained(checkpoint("bert"))
    model.save_pretrained(tmp_path / "sharded", max_shard_size="50KB")
    for path in checkpoint("bert").glob("tokenizer*"):
        shutil.copy(path, tmp_path / "sharded")
    assert len(list((tmp_path / "sharded").glob("*.safetensors"))) > 1
    np.testing.assert_array_equal(
        encoded(tmp_path / "sharded", TEXTS, output="logits"), encoded(checkpoint("bert"), TEXTS, output="logits")
    )


def test_a_tokenizer_of_another_model_is_refused(checkpoint, tmp_path):
    from checkpoints import save_checkpoint

    folder = save_checkpoint(tmp_path / "small", "bert", vocab_size=50)
    with pytest.raises(
        CheckpointError, match="and the model knows 50: they do not belong together; download the checkpoint again"
    ):
        encoded(folder, TEXTS, pooling="mean")


def test_an_unknown_pooling_and_options_that_logits_lack_are_refused(checkpoint):
    with pytest.raises(UsageError, match="expected a pooling of mean, cls, max, mean-padded, found 'median'"):
        EncoderOptions(pooling="median")
    with pytest.raises(UsageError, match="logits are kept as they are"):
        describe(str(checkpoint("bert")), EncoderOptions(output="logits", truncate_dim=2))


def test_an_unknown_device_is_refused(checkpoint):
    described = describe(str(checkpoint("bert")), EncoderOptions(pooling="mean"))
    with pytest.raises(CheckpointError, match="the device 'nonsense' can't be used"):
        load(described, device="nonsense")


@pytest.mark.parametrize("pooling", ["mean", "cls", "max"])
@pytest.mark.parametrize("family", ["bert", "distilbert", "mpnet", "roberta", "camembert", "xlm-roberta"])
def test_the_light_encoder_gives_the_vectors_of_torch(checkpoint, family, pooling):
    options = EncoderOptions(pooling=pooling, max_seq_length=LENGTH, prompt="about: ", normalize=True)
    described = describe(str(checkpoint(family)), options)
    assert is_known(described)
    counted = []
    vectors = light.LightEncoder(described).encode(TEXTS, on_texts=lambda *words: counted.append(words))
    exact_counted = []
    exact = load(described).encode(TEXTS, on_texts=lambda *words: exact_counted.append(words))
    np.testing.assert_allclose(vectors, exact, atol=2e-6, rtol=0)
    assert np.sum(counted, axis=0).tolist() == np.sum(exact_counted, axis=0).tolist()


@pytest.mark.usefixtures("two_threads_of_blas")
@pytest.mark.parametrize("texts", [["good tea " * 60], ["good tea " * 60, "a lamp"]])
def test_the_light_encoder_multiplies_longer_texts_with_one_thread_of_blas_each(checkpoint, monkeypatch, texts):
    found = []

    def recording(states):
        found.extend(one["num_threads"] for one in threadpool_info() if one.get("threading_layer") == "pthreads")
        return light.ACTIVATIONS["gelu"](states)

    encoder = light.LightEncoder(describe(str(checkpoint("bert")), EncoderOptions(max_seq_length=LENGTH)))
    before = encoder.encode(["a lamp"])
    monkeypatch.setattr(encoder, "_activation", recording)
    vectors = encoder.encode(texts)
    assert set(found) == {1}
    np.testing.assert_array_equal(vectors[1:], before[: len(texts) - 1])


def test_the_light_encoder_reads_half_precision_and_older_names(checkpoint, tmp_path):
    from safetensors.torch import load_file, save_file

    folder = damaged(checkpoint("bert"), tmp_path)
    older = {"LayerNorm.weight": "LayerNorm.gamma", "LayerNorm.bias": "LayerNorm.beta"}
    weights = {}
    for name, value in load_file(folder / "model.safetensors").items():
        for new, old in older.items():
            name = name.replace(new, old)
        weights["bert." + name.removeprefix("bert.")] = value
    save_file({name: value.half() for name, value in weights.items()}, folder / "model.safetensors", {"format": "pt"})
    described = describe(str(folder), EncoderOptions(max_seq_length=LENGTH))
    np.testing.assert_allclose(light.LightEncoder(described).encode(TEXTS), load(described).encode(TEXTS), atol=2e-5)


@pytest.mark.parametrize("family", ["mpnet", "roberta"])
def test_padding_tokens_in_a_text_have_the_positions_of_torch(checkpoint, family):
    described = describe(str(checkpoint(family)), EncoderOptions(max_seq_length=LENGTH))
    texts = ["good <pad> tea", "<pad>", "a lamp <pad><pad> too bright <pad>"]
    alone = np.concatenate([load(described).encode([text]) for text in texts])
    np.testing.assert_allclose(light.LightEncoder(described).encode(texts), alone, atol=2e-6, rtol=0)


def test_distances_have_the_buckets_of_mpnet_in_transformers():
    import torch
    from transformers.models.mpnet.modeling_mpnet import MPNetEncoder

    numbers = torch.arange(512)
    exact = MPNetEncoder.relative_position_bucket(numbers[None, :] - numbers[:, None]).numpy()
    np.testing.assert_array_equal(relative_buckets(512), exact)


def test_the_light_encoder_leaves_other_families_to_torch(checkpoint):
    assert not is_known(describe(str(checkpoint("deberta-v2")), EncoderOptions()))
    assert not is_known(describe(str(checkpoint("mpnet", relative_attention_num_buckets=40)), EncoderOptions()))
    assert not is_known(describe(str(checkpoint("bert", num_labels=3)), EncoderOptions(output="logits")))


def test_bfloat16_is_close_to_float32_and_says_so(checkpoint):
    described = describe(str(checkpoint("bert")), EncoderOptions())
    exact = load(described, precision="float32")
    rough = load(described, precision="bfloat16")
    assert (exact.provenance.precision, rough.provenance.precision) == ("float32", "bfloat16")
    vectors = rough.encode(TEXTS)
    assert not np.array_equal(vectors, exact.encode(TEXTS))
    assert lowest_cosine(vectors, exact.encode(TEXTS)) > 0.999


def test_auto_takes_bfloat16_only_where_it_is_fast_and_close(checkpoint, monkeypatch):
    from embedstore.encoders import pytorch

    def auto(described, lowest_cosine):
        options = {"device": None, "batch_size": None, "sample": TEXTS[:16], "lowest_cosine": lowest_cosine}
        return pytorch.TorchEncoder(described, **options)

    described = describe(str(checkpoint("bert")), EncoderOptions())
    logits = describe(str(checkpoint("bert", num_labels=3)), EncoderOptions(output="logits"))
    assert load(described).provenance.precision == "float32"  # no sample: a few texts
    monkeypatch.setattr(pytorch, "computes_bfloat16", lambda device: True)
    assert auto(described, 0.99).provenance.precision == "bfloat16"
    assert auto(logits, 0.99).provenance.precision == "float32"
    exact = auto(described, 1.1)  # not close enough: the weights are read again
    assert exact.provenance.precision == "float32"
    np.testing.assert_array_equal(exact.encode(TEXTS), load(described, precision="float32").encode(TEXTS))
    monkeypatch.setattr(pytorch, "computes_bfloat16", lambda device: False)
    assert auto(described, 0.0).provenance.precision == "float32"


def test_batches_filled_by_tokens_give_each_text_its_own_vector(checkpoint):
    from embedstore.encoders.pytorch import TorchEncoder

    described = describe(str(checkpoint("bert")), EncoderOptions(max_seq_length=LENGTH))
    one_by_one = load(described, batch_size=1).encode(TEXTS)
    for tokens in (1, 100, 100_000):  # every text alone, many batches on several threads, one batch
        filled = TorchEncoder(described, device=None, batch_size=None, tokens=tokens).encode(TEXTS)
        np.testing.assert_allclose(filled, one_by_one, atol=1e-5, rtol=0)
