"""What `encode` refuses before it adds rows, and what its error says where rows were added before it."""

import json
import shutil
import sys

import pytest

from embedstore.encoders import DEFAULT_MODEL
from embedstore.encoders.reading import file_hash
from embedstore.errors import CheckpointError, MissingExtraError, UsageError
from embedstore.store import EmbeddingStore


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "reviews.csv"
    path.write_text("id,review,stars\na,good tea,2\nb,bad tea,1\nc,,1\nd,good tea,2\n")
    return path


@pytest.mark.parametrize(
    ("code", "options", "says"),
    [
        (1, ["--backend", "native", "--precision", "float32"], "use the backend torch"),
        (1, ["--backend", "native", "--device", "cuda"], "use the backend torch"),
        (1, ["--backend", "tensorflow", "--precision", "bfloat16"], "use --backend torch"),
        (1, ["--device", "nonsense"], "the device 'nonsense' can't be used"),
        (1, ["--backend", "torch", "--device", "cpu:x"], "the device 'cpu:x' can't be used"),
        (1, ["-m", "no/such-model"], "no/such-model"),
        (1, ["-m", "/no/folder"], "no model folder at '/no/folder': check the path"),
        (1, ["--max-seq-length", "9999"], "from 3 to 512 for this model, found 9999"),
        (2, ["--max-seq-length", "0"], "max_seq_length of 1 or more, found 0"),
        (2, ["--truncate-dim", "9999"], "at most 384"),
        (2, ["--batch-size", "0"], "0 is not in the range"),
        (2, ["--pooling", "median"], "'median' is not one of"),
        (2, ["--backend", "jax"], "'jax' is not one of"),
    ],
    ids=str,
)
def test_options_that_can_not_work_are_refused_before_rows_are_added(store, cli, table, code, options, says):
    before = store.manifest
    for name in ("small", "new"):
        words = ["encode", name, table, "--text", "review", "--corpus", "more", "-m", DEFAULT_MODEL, *options]
        assert says in cli.fails(code, *words)
    assert store.manifest == before
    assert not (cli.home / "new").exists()


def test_a_backend_that_is_not_installed_is_told_before_there_is_a_store(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "keras_hub", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'embedstore\[tensorflow\]'"):
        EmbeddingStore(tmp_path / "s").check_encoding(backend="tensorflow")
    assert not (tmp_path / "s").exists()


def test_a_check_says_what_encode_would_say(store, checkpoint, encoder):
    calm = EmbeddingStore(store.path)
    calm.check_encoding(str(checkpoint("bert")), device="cpu", batch_size=2)
    for options, error in [
        ({"backend": "native", "precision": "float32"}, CheckpointError),
        ({"device": "nonsense"}, CheckpointError),
        ({"batch_size": 0}, UsageError),
        ({"backend": "jax"}, UsageError),
        ({"precision": "half"}, UsageError),
    ]:
        told = []
        for ask in (calm.check_encoding, calm.encode):
            with pytest.raises(error) as caught:
                ask(str(checkpoint("bert")), **options)
            told.append(str(caught.value))
        assert told[0] == told[1]
    EmbeddingStore(store.path, encoder=encoder).check_encoding(device="nonsense")  # its own encoder runs nowhere else


def test_the_files_of_a_checkpoint_are_read_once_for_the_check_and_the_run(tmp_path, checkpoint, monkeypatch):
    read = []

    def noted(path):
        read.append(path.name)
        return file_hash(path)

    monkeypatch.setattr("embedstore.encoders.checkpoint.file_hash", noted)
    store, model = EmbeddingStore(tmp_path / "s"), str(checkpoint("bert"))
    store.check_encoding(model)
    once = list(read)
    assert "model.safetensors" in once
    store.add([{"t": "tea"}], text="t")
    store.encode(model)
    assert read == once
    store.encode(model)  # the files may have changed since
    assert read == [*once, *once]


def test_an_error_after_rows_were_added_says_so_and_running_again_goes_on(cli, table, checkpoint, tmp_path):
    model = shutil.copytree(checkpoint("distilbert"), tmp_path / "model")
    sound = (model / "config.json").read_text()
    (model / "config.json").write_text(json.dumps(json.loads(sound) | {"hidden_dim": 128}))
    words = ["encode", "new", table, "--text", "review", "-m", model]
    kept = "; 4 rows read now are kept in the store, and running again goes on from there"
    assert cli.fails(1, *words).endswith(kept)
    assert "kept" not in cli.fails(1, *words)  # nothing was read the second time
    assert cli.fails(3, "encode", "other", table, "--text", "review", "--no-encode").endswith(kept)
    (model / "config.json").write_text(sound)
    assert "4 rows, 3 distinct texts: 0 already cached, 3 encoded now" in cli(*words).stdout


def test_a_store_without_vectors_says_what_to_run_and_that_works(cli, table):
    for corpus in ("train", "more"):
        cli("add", "new", table, "--text", "review", "--corpus", corpus)
    for words in (["search", "new", "tea"], ["tag", "new", "-l", "a", "-l", "b"], ["index", "new"]):
        assert cli.fails(3, *words).endswith("has no vectors yet: run `embedstore encode STORE`")
    assert "4 rows" in cli("encode", "new", "--corpus", "more").stdout
    assert "8 rows" in cli("encode", "new").stdout
    assert cli("search", "new", "good tea", "-k", "1").returncode == 0


def test_what_takes_the_place_of_earlier_rows_is_told_when_it_has(cli, table):
    words = ["add", "new", table, "--text", "review", "--id", "id"]
    cli(*words)
    table.write_text("id,review,stars\na,good tea,2\na,bad tea,1\n")
    refused = cli(*words)
    assert refused.returncode == 1
    assert "the place" not in refused.stderr
    table.write_text("id,review,stars\na,good tea,2\n")
    assert "reviews.csv: 1 row took the place of 4 rows read from it before" in cli(*words).stderr
    other = cli("add", "new", table, "--text", "id", "--id", "id")
    assert "the texts of corpus 'train' are now {id}; they were {review}" in other.stderr


@pytest.mark.parametrize(
    "words", [["--text", "t"], ["--limit", "3"], ["--replace"], ["--max-cell", "9"], ["--seed", "1"]]
)
def test_options_about_rows_need_a_file(cli, words):
    cli("add", "new", "-", "--text", "t", stdin="t\none\n")
    line = cli.fails(2, "encode", "new", *words)
    assert f"expected a FILE for {words[0]}, found none" in line
