"""The native encoder: vectors like those of float32 for every architecture, and no answer to what does not fit."""

import json
import os
import shutil
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from checkpoints import reviews
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from networks import SPECIAL, save_network
from safetensors.numpy import load_file, save_file

import embedstore
from embedstore.core.unit import unit_rows
from embedstore.encoders import EncoderOptions, describe, load
from embedstore.encoders.families import FAMILIES
from embedstore.encoders.light import LightEncoder
from embedstore.encoders.native import binding
from embedstore.encoders.native import encoder as native_encoder
from embedstore.encoders.native.encoder import NativeEncoder
from embedstore.encoders.native.layout import POOLINGS, PackedModel
from embedstore.errors import CheckpointError

pytestmark = pytest.mark.skipif(
    not binding.kernels(), reason="this processor does not multiply bfloat16, or the kernels are not built"
)

KERNELS = pytest.mark.parametrize("kernel", binding.kernels())
TORTURE = bool(os.environ.get("EMBEDSTORE_TORTURE"))
EXAMPLES = 400 if TORTURE else 20
WORDS = ["good", "tea", "a", "lamp", "too", "bright", "nice", "awful"]
TEXTS = [*reviews()[:60], "", "a", "good tea " * 60]


def described(folder: Path, length: int = 64, pooling: str = "mean", **options: object):
    return describe(str(folder), EncoderOptions(max_seq_length=length, pooling=pooling, **options))


def text_of(tokens: int, seed: int) -> str:
    """A text of so many tokens, special ones included."""
    return " ".join(np.random.default_rng(seed).choice(WORDS, tokens - SPECIAL)) if tokens > SPECIAL else ""


def assert_alike(found: np.ndarray, exact: np.ndarray) -> None:
    found, exact = unit_rows(found), unit_rows(exact)
    np.testing.assert_allclose(found, exact, atol=1e-2, rtol=0)
    assert np.einsum("ij,ij->i", found, exact).min() >= 0.9995


networks = st.fixed_dictionaries(
    {
        "family": st.sampled_from(sorted(FAMILIES)),
        "heads": st.integers(1, 4),
        "head": st.sampled_from([8, 20, 32, 33, 64, 80, 128]),
        "inner": st.sampled_from([40, 64, 100, 320, 1100]),
        "layers": st.integers(1, 3),
        "activation": st.sampled_from(["gelu", "gelu_new", "relu"]),
        "pooling": st.sampled_from(sorted(POOLINGS)),
        "seed": st.integers(0, 999),
    }
)


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(network=networks, lengths=st.lists(st.integers(2, 140), min_size=1, max_size=12))
def test_every_architecture_has_the_vectors_of_float32_whatever_texts_are_beside_it(tmp_path, network, lengths):
    shutil.rmtree(tmp_path)
    tmp_path.mkdir()
    pooling, width = network.pop("pooling"), max(64, network["heads"] * network.pop("head"))
    width += -width % network["heads"]
    chosen = described(save_network(tmp_path, **network, width=width, positions=200), 150, pooling)
    texts = [text_of(length, number) for number, length in enumerate(lengths)]
    exact = LightEncoder(chosen).encode(texts)
    for kernel in binding.kernels():
        encoder = NativeEncoder(chosen, kernel=kernel)
        found = encoder.encode(texts)
        assert_alike(found, exact)
        np.testing.assert_array_equal(encoder.encode(texts[::-1]), found[::-1])
        np.testing.assert_array_equal(np.concatenate([encoder.encode([text]) for text in texts]), found)


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_every_length_and_those_around_whole_tiles_have_the_vectors_of_float32(tmp_path, family):
    folder = save_network(tmp_path, family, width=64, heads=2, inner=96, layers=2, positions=520)
    longest = 512 if TORTURE or family == "mpnet" else 128
    around = [whole + beside for whole in (80, 96, 128, 256, 496, 512) for beside in (-1, 0, 1)]
    lengths = [*range(SPECIAL, 71), *(length for length in around if length <= longest)]
    texts = [text_of(length, length) for length in lengths]
    chosen = described(folder, 512)
    exact = LightEncoder(chosen).encode(texts)
    for kernel in binding.kernels():
        assert_alike(NativeEncoder(chosen, kernel=kernel).encode(texts), exact)


def test_the_bundled_model_agrees_with_torch_on_reviews_and_says_what_it_is():
    bundled = describe(None, EncoderOptions())
    texts = [*TEXTS, "tea " * 3000]
    exact_counted: list[tuple[int, int]] = []
    exact = load(bundled, backend="torch").encode(texts, on_texts=lambda *numbers: exact_counted.append(numbers))
    for kernel in binding.kernels():
        encoder = NativeEncoder(bundled, kernel=kernel)
        counted: list[tuple[int, int]] = []
        found = encoder.encode(texts, on_texts=lambda *numbers, counted=counted: counted.append(numbers))
        assert_alike(found, exact)
        assert np.abs(np.linalg.norm(found, axis=1) - 1).max() < 1e-6
        assert np.sum(counted, axis=0).tolist() == np.sum(exact_counted, axis=0).tolist() == [len(texts), 1]
        said = encoder.provenance
        assert (said.backend, said.device, said.precision) == ("native", "cpu", "bfloat16")
        assert dict(said.versions)["kernel"] == binding.KERNELS[kernel]


def test_order_threads_and_blocks_do_not_change_a_bit(checkpoint):
    chosen = described(checkpoint("mpnet"))
    encoder = NativeEncoder(chosen)
    texts = TEXTS * 3
    found = encoder.encode(texts)
    order = np.random.default_rng(0).permutation(len(texts))
    with ThreadPoolExecutor(6) as pool:
        shuffled = list(pool.map(lambda _: encoder.encode([texts[number] for number in order]), range(6)))
    for vectors in (*shuffled, NativeEncoder(chosen, batch_size=3).encode([texts[number] for number in order])):
        np.testing.assert_array_equal(vectors, found[order])


def test_fewer_long_texts_are_taken_at_once(checkpoint, monkeypatch):
    monkeypatch.setattr(native_encoder, "_RUN_CHARACTERS", 1000)
    done = []
    texts = ["good tea " * 5000] * 20 + ["a lamp"] * 64
    NativeEncoder(described(checkpoint("bert"))).encode(texts, on_texts=lambda *counts: done.append(counts))
    assert sorted(done) == [(2, 2), *[(3, 3)] * 6, *[(32, 0)] * 2]  # a model of 64 tokens: 320 characters count


def test_the_child_of_a_fork_encodes_what_its_parent_does(checkpoint):
    encoder = NativeEncoder(described(checkpoint("bert")))
    texts = TEXTS * 3
    found = encoder.encode(texts)
    if (child := os.fork()) == 0:
        os._exit(0 if np.array_equal(encoder.encode(texts), found) else 1)
    assert os.waitpid(child, 0)[1] == 0


def test_an_error_in_the_caller_ends_the_run_within_a_block(checkpoint):
    encoder = NativeEncoder(described(checkpoint("bert")))
    before = threading.active_count()

    def interrupt(done: int, cut: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        encoder.encode(TEXTS * 20, on_texts=interrupt)
    assert threading.active_count() == before
    assert np.isfinite(encoder.encode(TEXTS)).all()


@KERNELS
def test_tokens_and_lengths_that_do_not_fit_are_refused_before_the_kernel(tmp_path, kernel):
    folder = save_network(tmp_path, "mpnet", width=32, heads=1, inner=32, layers=1, positions=40)
    packed = PackedModel(described(folder, 30))
    memory = binding.workspace(packed.model, 64, 32)
    last = packed.vocabulary - 1

    def encode(ids, lengths, memory=memory, model=packed.model, kernel=kernel):
        return binding.encode(model, kernel, np.array(ids, np.int32), np.array(lengths, np.int32), memory)

    assert np.isfinite(encode([0, last, last, 0], [1, 3])).all()
    assert np.isfinite(encode([5] * 62, [31, 31])).all()
    assert encode([], []).shape == (0, 32)
    for ids, lengths in [([last + 1], [1]), ([-1], [1]), ([2**31 - 1], [1]), ([5, 5, last + 1], [2, 1])]:
        with pytest.raises(CheckpointError, match="token that the model does not know"):
            encode(ids, lengths)
    for ids, lengths in [([5], [0]), ([5], [2]), ([5, 5], [3, -1]), ([5] * 39, [39]), ([5] * 33, [33])]:
        with pytest.raises(CheckpointError, match="expected texts of one token to as many"):
            encode(ids, lengths)
    for ids, lengths in [([5] * 90, [30] * 3), ([5], [1])]:
        with pytest.raises(CheckpointError, match="workspace is too small"):
            encode(ids, lengths, memory=memory if len(ids) > 1 else binding.aligned(64))
    for wrong in (0, -1, 3):
        with pytest.raises(CheckpointError, match="lacks the kernel"):
            encode([5], [1], kernel=wrong)
    for field, value in [("width", 33), ("layers", 0), ("head", 16), ("used", 33), ("padding", 40), ("inner", -32)]:
        changed = binding.Model.from_buffer_copy(packed.model)
        setattr(changed, field, value)
        with pytest.raises(CheckpointError, match="sizes of the model"):
            encode([5], [1], model=changed)
        with pytest.raises(CheckpointError, match="sizes of the model"):
            binding.workspace(changed, 64, 32)


def test_a_tokenizer_of_another_model_is_refused(checkpoint, tmp_path):
    folder = save_network(tmp_path / "small", "bert", width=32, heads=1, inner=32, layers=1, positions=64)
    shutil.copy(describe(None, EncoderOptions()).transformer / "tokenizer.json", folder / "tokenizer.json")
    with pytest.raises(CheckpointError, match="the model knows 600: they do not belong together"):
        NativeEncoder(described(folder)).encode(["a wonderful lamp"])


@pytest.mark.parametrize("family", ["bert", "mpnet"])
def test_weights_of_another_shape_are_refused(tmp_path, family):
    folder = save_network(tmp_path, family, width=64, heads=2, inner=64, layers=2, positions=64)
    whole = load_file(folder / "model.safetensors")
    for name, value in whole.items():
        longer = np.concatenate([value, value])
        any_length = name.endswith(("word_embeddings.weight", "position_embeddings.weight", "type_embeddings.weight"))
        for other in (value[None], value[..., :-1], *(() if any_length else (value[:-1], longer))):
            save_file(whole | {name: np.ascontiguousarray(other)}, folder / "model.safetensors")
            for encoder in (NativeEncoder, LightEncoder):
                with pytest.raises(CheckpointError):
                    encoder(described(folder))


def test_weights_that_config_does_not_describe_are_refused(checkpoint, tmp_path):
    for name, value in {"num_hidden_layers": 1, "vocab_size": 500, "intermediate_size": 32}.items():
        folder = shutil.copytree(checkpoint("bert"), tmp_path / name)
        config = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps(config | {name: value}))
        for encoder in (NativeEncoder, LightEncoder):
            with pytest.raises(CheckpointError, match=r"config\.json"):
                encoder(described(folder))


def test_auto_is_native_where_it_is_close_and_torch_where_it_is_not(checkpoint, tmp_path):
    folder = checkpoint("bert", initializer_range=0.1)
    close = load(described(folder), sample=TEXTS[:16], device="cpu")
    assert close.provenance.backend == "native"
    assert load(described(folder), device="cpu").provenance.backend == "torch"  # a few texts, in float32
    assert load(described(folder), precision="bfloat16", device="cpu").provenance.backend == "native"
    for precision in ("auto", "float32"):
        sharp = save_network(
            tmp_path / precision, "bert", width=64, heads=2, inner=64, layers=3, positions=64, scale=3.0
        )
        made = load(described(sharp), sample=TEXTS[:16], precision=precision, device="cpu")
        assert (made.provenance.backend, made.provenance.precision) == ("torch", "float32")


@pytest.mark.parametrize(
    ("family", "options", "found"),
    [
        ("deberta-v2", {}, "a model of the BERT, DistilBERT, MPNet or RoBERTa kind"),
        ("bert", {"device": "cuda"}, "the device cpu, found cuda"),
        ("bert", {"precision": "float32"}, "the precision auto or bfloat16, found float32"),
    ],
)
def test_what_is_not_native_is_refused_where_it_is_asked_for(checkpoint, family, options, found):
    with pytest.raises(CheckpointError, match=found):
        load(described(checkpoint(family)), backend="native", **options)


@pytest.mark.skipif(not TORTURE, reason="it loads torch in a process of its own")
def test_without_its_library_everything_works_and_says_so(tmp_path, checkpoint):
    """A copy of the package without the compiled file, as an installation without a compiler has it."""
    source = Path(embedstore.__file__).parent
    copy = tmp_path / "embedstore"
    shutil.copytree(source, copy, ignore=shutil.ignore_patterns("*.so", "__pycache__"))
    code = (
        "import sys; from embedstore.encoders import EncoderOptions, describe, load\n"
        "from embedstore.errors import CheckpointError\n"
        "found = describe(sys.argv[1], EncoderOptions(max_seq_length=64))\n"
        "texts = ['good tea', 'a lamp'] * 8\n"
        "print(load(found, sample=texts).provenance.backend)\n"
        "try: load(found, backend='native')\n"
        "except CheckpointError as error: print(error)\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code, str(checkpoint("bert"))],
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
    )
    backend, refusal = ran.stdout.splitlines()
    assert backend == "torch"
    assert "found an installation without its kernels: use the backend torch" in refusal
