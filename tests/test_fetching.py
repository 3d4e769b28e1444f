"""What is fetched, and on whose word: a store never decides it; a checkpoint's files name nothing else that is read."""

import json
import os
import re
import shutil
import struct
import subprocess
import sys
import threading
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import huggingface_hub
import pytest

import embedstore
from embedstore.core.values import clean
from embedstore.encoders import EncoderOptions, describe, load
from embedstore.encoders.loading import load_checked
from embedstore.errors import CheckpointError
from embedstore.storage.manifest import commit

# Runs commands, and writes every address that Python asks for or connects to into a file.
WATCHED = """
import json, sys
def watch(event, given):
    if event == "socket.getaddrinfo" or (event == "socket.connect" and isinstance(given[1], tuple)):
        with open(sys.argv[1], "a") as stream:
            print(event, *given[-2:], file=stream)
sys.addaudithook(watch)
from embedstore.cli import main
for words in json.loads(sys.argv[2]):
    try:
        main(words)
    except SystemExit as end:
        print("ended", end.code or 0, file=sys.stderr)
"""


@pytest.fixture
def hub():
    """A server in the place of the model hub that has no model, and the list of what it was asked for."""
    asked: list[str] = []

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_error(404)

        do_HEAD = do_POST = do_GET  # noqa: N815

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", asked
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def run(hub, tmp_path):
    """A function that runs commands which may use the network; it returns their error lines, and where they went."""
    log = tmp_path / "addresses"
    online = {"HF_ENDPOINT": hub[0], "HF_HOME": str(tmp_path / "hub"), "EMBEDSTORE_HOME": str(tmp_path / "home")}

    def run(*commands: list[str], code: int = 0) -> tuple[list[str], str]:
        log.write_text("")
        hub[1].clear()
        done = subprocess.run(
            [sys.executable, "-c", WATCHED, log, json.dumps(commands)],
            capture_output=True,
            text=True,
            env={name: value for name, value in os.environ.items() if "OFFLINE" not in name} | online,
        )
        said = done.stderr.splitlines()
        assert [line for line in said if line.startswith("ended")] == [f"ended {code}"] * len(commands), done.stderr
        return [line for line in said if line.startswith("Error: ")], log.read_text()

    return run


def renamed(root: Path, model: str, revision: str = "") -> None:
    """Make the store name another model, as somebody else could who hands it on."""

    def change(base):
        spaces = {key: replace(space, model=model, revision=revision) for key, space in base.spaces.items()}
        return replace(base, spaces=spaces)

    commit(root, change)


@pytest.fixture
def given(tmp_path, checkpoint):
    """A store from somebody else, with a row that has no vector yet."""
    root = tmp_path / "home" / "given"
    store = embedstore.create(root)
    store.add([{"review": "good tea"}, {"review": "bad tea"}], text="review")
    store.encode(str(checkpoint("bert")), options=EncoderOptions(pooling="cls"))
    store.add([{"review": "a lamp"}], text="review", corpus="more")
    return root


@pytest.mark.parametrize("revision", ["", "0123456789abcdef0123456789abcdef01234567"])
def test_nothing_is_fetched_because_a_store_names_it(given, run, hub, revision):
    renamed(given, "somebody/model", revision)
    command = "embedstore encode STORE -m somebody/model" + (f" --revision {revision}" if revision else "")
    messages, addresses = run(
        ["search", "given", "tea"],
        ["tag", "given", "--corpus", "train", "-l", "Good", "-l", "Bad"],
        ["encode", "given"],
        ["encode", "given", "--prompt", "about: "],
        code=1,
    )
    assert messages == 4 * [
        "Error: the store names the model 'somebody/model', which is not on this machine, and what a store names is "
        f"never fetched: if you trust it, fetch it with `{command}`"
    ]
    assert (hub[1], addresses) == ([], "")
    messages, addresses = run(["encode", "given", *command.split()[3:]], code=1)
    assert "can't be had from the Hugging Face hub" in messages[0]
    assert any(path.startswith("/api/models/somebody/model") for path in hub[1])
    assert addresses


@pytest.mark.parametrize(
    "name",
    [
        "x; touch ran",
        "x\n--revision y",
        "../../model",
        "/no/such/folder",
        "a/b/c",
        "https://somewhere/model",
        "n" * 300,
    ],
)
def test_a_name_that_is_no_name_of_a_model_stands_in_no_command(given, name):
    renamed(given, name, "-x")
    with pytest.raises(CheckpointError) as caught:
        embedstore.open(given).search("tea")
    assert f"the store names the model '{clean(name)[:95]}" in str(caught.value)
    assert str(caught.value).endswith("put its folder there, or name it with `embedstore encode STORE -m FOLDER`")
    assert "\n" not in str(caught.value)


def test_models_on_this_machine_are_used_and_nobody_is_asked(given, run, hub, checkpoint, tmp_path):
    """The cache is laid out as the hub's client does it: files are links to blobs."""
    revision = "0123456789abcdef0123456789abcdef01234567"
    cached = tmp_path / "hub" / "hub" / "models--somebody--model"
    (cached / "blobs").mkdir(parents=True)
    (cached / "snapshots" / revision).mkdir(parents=True)
    for number, path in enumerate(sorted(checkpoint("bert").iterdir())):
        shutil.copy(path, cached / "blobs" / str(number))
        (cached / "snapshots" / revision / path.name).symlink_to(Path("../../blobs") / str(number))
    renamed(given, "somebody/model", revision)
    own = embedstore.create(tmp_path / "home" / "own")
    own.add([{"review": "good tea"}], text="review")
    slow = ["encode", "given", "--backend", "tensorflow", "--prompt", "about: ", "--pooling", "mean"]
    _, addresses = run(
        ["search", "given", "tea", "--corpus", "train"],
        ["encode", "given"],
        ["tag", "given", "--corpus", "train", "-l", "Good " * 800, "-l", "Bad"],
        *([slow] if os.environ.get("EMBEDSTORE_TORTURE") else []),
        ["encode", "own"],
        ["search", "own", "tea"],
        ["info", "own"],
    )
    assert (hub[1], addresses) == ([], "")


# A checkpoint of a folder


@pytest.mark.parametrize(
    ("file", "content", "fault"),
    [
        ("modules.json", [{"idx": 0, "path": "", "type": "own.Transformer"}], "remote code is not run"),
        ("modules.json", [{"idx": 0, "path": "a\nb", "type": "Transformer"}], "a module outside its folder ('a"),
        ("config.json", {"transformers_weights": "../other.safetensors"}, "asks for other files than its own"),
        ("config.json", {"attn_implementation": "somebody/kernel"}, "asks for other files than its own"),
        ("config.json", {"num_labels": 10**12, "id2label": None}, "its weights have at most 600 rows"),
        ("adapter_config.json", {"base_model_name_or_path": "somebody/model"}, "is an adapter of another model"),
        ("sentence_bert_config.json", {"max_seq_length": [1]}, "are not those of a checkpoint"),
    ],
)
def test_files_that_name_code_or_other_files_are_refused(checkpoint, tmp_path, file, content, fault):
    folder = Path(shutil.copytree(checkpoint("bert"), tmp_path / "copy"))
    (folder / "own.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    path = folder / file
    if path.exists():
        content = json.loads(path.read_text()) | content
    path.write_text(json.dumps(content))
    with pytest.raises(CheckpointError, match=re.escape(fault)) as caught:
        load(describe(str(folder), EncoderOptions(output="logits")))
    assert len(str(caught.value).splitlines()) == 1
    assert not (tmp_path / "ran").exists()


def test_a_layer_with_pickled_weights_is_refused(checkpoint, tmp_path):
    folder = Path(shutil.copytree(checkpoint("bert"), tmp_path / "copy"))
    kinds = ["Transformer", "Pooling", "Dense"]
    paths = ["", "1_Pooling", "2_Dense"]
    listed = [
        {"idx": number, "path": path, "type": f"sentence_transformers.models.{kind}"}
        for number, (path, kind) in enumerate(zip(paths, kinds, strict=True))
    ]
    (folder / "modules.json").write_text(json.dumps(listed))
    (folder / "2_Dense").mkdir()
    (folder / "2_Dense" / "pytorch_model.bin").write_bytes(b"")
    with pytest.raises(CheckpointError, match=r"found 'pytorch_model\.bin': pickled weights are not read"):
        describe(str(folder), EncoderOptions())


@pytest.mark.parametrize("name", ["../model.safetensors", "/etc/passwd", "..", "sub/model.safetensors", "a\nb"])
def test_an_index_names_no_weights_outside_its_folder(checkpoint, tmp_path, name):
    folder = Path(shutil.copytree(checkpoint("bert"), tmp_path / "sub"))
    (folder / "model.safetensors").rename(tmp_path / "model.safetensors")
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"weight": name}}))
    with pytest.raises(CheckpointError, match="asks for weights outside its folder") as caught:
        describe(str(folder), EncoderOptions())
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"shape": [10**6, 32]}, "sizes and shapes of its tensors differ"),
        ({"shape": [-600, -32]}, "its sizes are no numbers of bytes"),
        ({"shape": [1] * 100_000}, "sizes and shapes of its tensors differ"),
        ({"data_offsets": [True, 9]}, "its sizes are no numbers of bytes"),
        ({"data_offsets": [0, 2**50], "shape": [2**48]}, "is cut off"),
        ({"data_offsets": [8, 0]}, "sizes and shapes of its tensors differ"),
    ],
)
def test_a_header_that_does_not_fit_its_file_is_refused(checkpoint, tmp_path, change, fault):
    folder = Path(shutil.copytree(checkpoint("bert"), tmp_path / "copy"))
    whole = (folder / "model.safetensors").read_bytes()
    (length,) = struct.unpack("<Q", whole[:8])
    header = json.loads(whole[8 : 8 + length])
    header["bert.embeddings.word_embeddings.weight"] |= change
    written = json.dumps(header).encode()
    (folder / "model.safetensors").write_bytes(struct.pack("<Q", len(written)) + written + whole[8 + length :])
    with pytest.raises(CheckpointError, match=fault):
        describe(str(folder), EncoderOptions())


def test_a_pipe_among_the_files_does_not_stop_the_process(checkpoint, tmp_path):
    folder = Path(shutil.copytree(checkpoint("bert"), tmp_path / "copy"))
    for file in ("sentence_bert_config.json", "vocab.txt"):
        os.mkfifo(folder / file)
        with pytest.raises(CheckpointError, match="expected a file at"):
            describe(str(folder), EncoderOptions())
        (folder / file).unlink()


def test_what_a_library_asks_for_while_it_loads_a_folder_is_not_fetched(hub, checkpoint):
    """As transformers does for a configuration that names a backbone, in spite of `local_files_only`."""

    class NamesAnother:
        @staticmethod
        def from_pretrained(*_: object, **__: object) -> object:
            return huggingface_hub.HfApi(endpoint=hub[0]).model_info("somebody/model")

    with pytest.raises(CheckpointError, match="offline mode is enabled"):
        load_checked(NamesAnother, checkpoint("bert"))
    assert hub[1] == []
