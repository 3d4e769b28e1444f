"""What a shell completes after Tab: through the protocol of its script, and in a real bash."""

import os
import shlex
import shutil
import subprocess
import sys

import pytest
from conftest import HashEncoder, write

import embedstore


@pytest.fixture
def tab(cli):
    """A function that completes the last of some words and returns the lines of the answer."""

    def complete(*words, shell="bash"):
        given = {"COMP_WORDS": "\n".join(["embedstore", *words]), "COMP_CWORD": str(len(words))}
        environment = {**cli.environment, **given, "_EMBEDSTORE_COMPLETE": f"{shell}_complete"}
        done = cli(environment=environment)
        assert (done.returncode, done.stderr) == (0, "")
        return [line for line in done.stdout.splitlines() if line]

    return complete


@pytest.fixture(scope="module")
def made_once(small, tmp_path_factory):
    """The folder of the small store with a second corpus, a column with a space in its name, and a probe."""
    path = tmp_path_factory.mktemp("once") / "small"
    shutil.copytree(small.path, path)
    made = embedstore.open(path, encoder=HashEncoder())
    made.add([{"k": 1, "my text": "more"}], text="my text", corpus="more")
    made.encode()
    made.train("stars", corpus="train", name="by-stars")
    return path


@pytest.fixture
def filled(made_once, tmp_path):
    """A copy of that store."""
    shutil.copytree(made_once, tmp_path / "home" / "small")
    return embedstore.open(tmp_path / "home" / "small", encoder=HashEncoder())


@pytest.mark.parametrize(
    ("words", "names"),
    [
        (["du"], ["duplicates"]),
        (["info", ""], ["small"]),
        (["info", "x"], []),
        (["tag", "small", "--corpus", ""], ["train", "more"]),
        (["tag", "small", "--corpus", "m"], ["more"]),
        (["tag", "small", "--corpus", "=", "m"], ["more"]),
        (["tag", "small", "--corpus", "="], ["train", "more"]),
        (["duplicates", "small", "--corpus", "train", "--corpus", "m"], ["more"]),
        (["tag", "small", "--corpus", "train", "--gold", ""], ["key", "review", "stars", "annotations"]),
        (["train", "small", "--target", "st"], ["stars"]),
        (["predict", "small", "--probe", ""], ["by-stars"]),
        (["rename", "small", "m"], ["more"]),
        (["drop-corpus", "small", "t"], ["train"]),
        (["tag", "small", "--labels", "sen"], ["sentiment"]),
        (["labels", "show", "li"], ["likert5"]),
        (["encode", "small", "--model", "hash"], ["hash"]),
        (["encode", "new", "--model", "sentence-transformers/all-Mini"], ["sentence-transformers/all-MiniLM-L6-v2"]),
        (["export", "small", "--sp"], ["--space"]),
    ],
)
def test_names_are_those_that_are_there(filled, tab, words, names):
    assert tab(*words) == [f"plain,{name}" for name in names]


def test_spaces_have_a_key_and_a_model(filled, tab):
    assert tab("tag", "small", "--space", "") == [f"plain,{filled.space().key[:12]}", "plain,hash"]


def test_columns_of_a_table_are_completed_before_there_is_a_store(tab, tmp_path):
    write(tmp_path, "new.csv", '﻿id,"the, text",stars\r\n1,x,2\r\n')
    assert tab("add", "new", "new.csv", "--text", "") == ["plain,id", "plain,the,\\\\ text", "plain,stars"]
    assert tab("add", "new", "new.csv", "--id", "i", shell="zsh") == ["plain", "id", "_"]


def test_a_label_file_is_completed_beside_the_shipped_sets(filled, tab, tmp_path):
    write(tmp_path, "stages.yaml", "A: [x]\nB: [y]\n")
    write(tmp_path, "stars.csv", "")
    assert tab("tag", "small", "--labels", "sta") == ["plain,stars", "plain,stages.yaml"]
    assert tab("tag", "small", "--labels", "sub/x") == ["file,sub/x"]


def test_other_files_are_left_to_the_shell(filled, tab):
    assert tab("add", "small", "rev") == ["file,rev"]
    assert tab("tag", "small", "-o", "ta") == ["file,ta"]
    assert tab("info", "./sm") == ["dir,./sm"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_has_a_script(cli, shell):
    environment = {**cli.environment, "_EMBEDSTORE_COMPLETE": f"{shell}_source"}
    done = cli(environment=environment)
    assert (done.returncode, done.stderr) == (0, "")
    assert f"_EMBEDSTORE_COMPLETE={shell}_complete" in done.stdout


def test_fish_gets_the_names(filled, cli):
    given = {"COMP_WORDS": "embedstore tag small --corpus ", "COMP_CWORD": "", "_EMBEDSTORE_COMPLETE": "fish_complete"}
    done = cli(environment={**cli.environment, **given})
    assert [line.split(",")[1].split("\t")[0] for line in done.stdout.split()] == ["train", "more"]


@pytest.mark.parametrize("what", ["no home", "no store", "no manifest", "damaged", "a pipe", "not allowed"])
def test_what_can_not_be_read_completes_to_nothing(filled, tab, tmp_path, what):
    (manifest,) = sorted(filled.path.glob("manifest-*.json"))[-1:]
    if what == "no home":
        shutil.rmtree(filled.path.parent)
        assert tab("info", "") == []
    if what == "no store":
        shutil.rmtree(filled.path)
    elif what == "no manifest":
        for path in filled.path.glob("manifest-*.json"):
            path.unlink()
    elif what == "damaged":
        manifest.write_bytes(manifest.read_bytes().replace(b"train", b"trail"))
    elif what == "a pipe":
        manifest.unlink()
        os.mkfifo(manifest)
    elif what == "not allowed":
        if os.geteuid() == 0:
            pytest.skip("nothing is forbidden to root")
        filled.path.chmod(0)
    for option in ("--corpus", "--gold", "--space"):
        assert tab("tag", "small", option, "") == [], option
    if what == "not allowed":
        filled.path.chmod(0o755)


def test_completion_writes_nothing_and_loads_nothing_heavy(filled, cli):
    def files():
        return {path: path.stat().st_mtime_ns for path in [filled.path, *filled.path.rglob("*")]}

    before = files()
    for option, heavy in (("--corpus", {"pyarrow"}), ("--gold", set())):
        given = {"COMP_WORDS": f"embedstore\ntag\nsmall\n{option}\n", "COMP_CWORD": "4"}
        script = (
            "import sys, json\nfrom embedstore.cli import main\n"
            "try: main([])\nexcept SystemExit: pass\nprint(json.dumps(sorted(sys.modules)), file=sys.stderr)"
        )
        environment = {**cli.environment, **given, "_EMBEDSTORE_COMPLETE": "bash_complete"}
        done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=environment)
        assert done.stdout.startswith("plain,"), done.stderr
        loaded = set(done.stderr.replace('"', "").replace("[", "").replace("]", "").strip().split(", "))
        assert "embedstore.storage.manifest" in loaded
        assert not loaded & {"torch", "faiss", "sklearn", "h5py", "pandas", "yaml", "scipy", *heavy}
    assert files() == before


BASH = """
COMP_WORDBREAKS=$' \\t\\n"\\'><=;|&(:'
eval "$(_EMBEDSTORE_COMPLETE=bash_source embedstore)"
compopt() {{ :; }}
COMP_WORDS=({words}); COMP_CWORD={place}; COMPREPLY=()
_embedstore_completion embedstore
printf '%s\\n' "${{COMPREPLY[@]}}"
"""


@pytest.mark.skipif(not shutil.which("bash"), reason="there is no bash")
@pytest.mark.parametrize(
    ("words", "replies"),
    [
        (["info", "s"], ["small"]),
        (["tag", "small", "--corpus", "=", "m"], ["more"]),
        (["tag", "small", "--corpus", "more", "--gold", "my"], ["my\\ text"]),
        (["tag", "small", "--corpus", "more", "--gold", "my\\\\ t"], ["my\\ text"]),
        (["predict", "small", "--probe", "''"], ["by-stars"]),
    ],
)
def test_a_real_bash_completes(filled, cli, tmp_path, words, replies):
    command = write(tmp_path, "embedstore", f'#!/bin/sh\nexec {shlex.join(cli.command())} "$@"\n')
    command.chmod(0o755)
    script = BASH.format(words=" ".join(["embedstore", *words]), place=len(words))
    environment = {**cli.environment, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    done = subprocess.run(["bash", "--norc", "-c", script], capture_output=True, text=True, env=environment)
    assert (done.stdout.splitlines(), done.stderr) == (replies, "")
