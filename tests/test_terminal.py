"""What reaches a terminal, and what a command does whose standard streams are closed or full."""

import ast
import dataclasses
import json
import subprocess
import unicodedata
from pathlib import Path

import pytest
from conftest import CommandLine, HashEncoder
from embedstore.cli.main import group

import embedstore
from embedstore.core.values import clean

HERE = Path(__file__).parent
ROOT = HERE.parent
HOSTILE = "\x1b[31m\x07\x9b31m\u202e\x7f"
A, B = f"a{HOSTILE}", f"b{HOSTILE}"
OURS = ("\r\n", "\x1b[1m", "\x1b[0m", "\x1b[A", "\r")  # ends of lines, bold titles, a progress bar


@pytest.mark.parametrize("path", sorted((ROOT / "cli").glob("*.py")), ids=lambda path: path.name)
def test_one_module_writes_to_the_terminal(path):
    if path.name in ("terminal.py", "interrupts.py"):
        return
    for node in ast.walk(ast.parse(path.read_text())):
        if not isinstance(node, ast.Call):
            continue
        called = ast.unparse(node.func)
        assert called not in ("click.echo", "click.secho", "click.echo_via_pager", "print", "traceback.print_exception")
        assert not called.startswith(("sys.stdout.write", "sys.stderr.write", "sys.stdout.buffer", "sys.__std"))


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A folder with hostile names: a store and its texts, ids, columns, classes, labels, people and model; files."""
    home = tmp_path_factory.mktemp("hostile") / f"home{HOSTILE}"
    encoder = HashEncoder()
    encoder.provenance = dataclasses.replace(encoder.provenance, model=f"model{HOSTILE}")
    store = embedstore.create(home / f"store{HOSTILE}", encoder=encoder)
    sides = (A, B)
    rows = [
        {"id": f"k{i}{HOSTILE}", f"text{HOSTILE}": f"{i} {HOSTILE}", f"side{HOSTILE}": sides[i % 2]} for i in range(20)
    ]
    for corpus in ("train", "test"):
        store.add(rows, text=f"text{HOSTILE}", id="id", corpus=corpus)
    store.encode()
    store.tag([A, B])
    store.train(f"side{HOSTILE}", name="probe", corpus="train")
    (store.path / "texts" / f"stray{HOSTILE}").write_text("x")
    (home / f"in{HOSTILE}.csv").write_text(f"review,same{HOSTILE},same{HOSTILE}\nx,1,2\n", encoding="utf-8")
    (home / "answers.csv").write_text(f"id,label\nk0{HOSTILE},{A}\n", encoding="utf-8")
    (home / f"broken{HOSTILE}.yaml").write_text("A: [x\n")
    (home / "labels.yaml").write_text(json.dumps({A: ["x"], B: ["y"]}))
    (home / f".embedstore-{'0' * 12}.tmp").write_text("left by a killed run")
    return home


def commands(home):
    """Return each command with hostile names, and how it ends: its exit code."""
    store, out = str(home / f"store{HOSTILE}"), str(home / f"out{HOSTILE}")
    train, labels = ["--corpus", "train"], ["-l", A, "-l", B]
    side = ["--target", f"side{HOSTILE}", *train]
    return [
        (0, ["add", str(home / f"new{HOSTILE}"), str(home / f"in{HOSTILE}.csv"), "--text", "review"]),
        (1, ["encode", store, "--no-encode"]),
        (1, ["import", store, str(home / f"in{HOSTILE}.csv"), "--vector", f"v{HOSTILE}", "--model", f"m{HOSTILE}"]),
        (0, ["index", store, "--kind", "flat"]),
        (0, ["tag", store, *train, *labels]),
        (0, ["tag", store, *train, *labels, "--json"]),
        (0, ["tag", store, *train, *labels, "--gold", f"side{HOSTILE}", "--map", f"{A}={A}", "-o", f"{out}.csv"]),
        (0, ["tag", store, *train, *labels, "--explain", f"k1{HOSTILE}"]),
        (1, ["tag", store, *train, *labels, "--against", str(home / f"broken{HOSTILE}.yaml")]),
        (0, ["labels"]),
        (0, ["labels", "show", str(home / "labels.yaml")]),
        (0, ["labels", "init", store, f"{out}.yaml", *side, "--force"]),
        (0, ["search", store, *train, "--row", f"k1{HOSTILE}"]),
        (0, ["search", store, *train, "--row", f"k1{HOSTILE}", "--json"]),
        (0, ["train", store, *side]),
        (0, ["train", store, *side, "--json"]),
        (0, ["predict", store, "--probe", "probe", *train]),
        (1, ["classify", store, *train]),
        (0, ["compare", store, *side]),
        (0, ["annotations", store, "--import", str(home / "answers.csv"), *labels, *train, "--who", f"me{HOSTILE}"]),
        (0, ["annotate", store, *train, *labels, "--who", f"me{HOSTILE}"]),
        (0, ["annotations", store]),
        (0, ["doubts", store, *side]),
        (0, ["duplicates", store]),
        (0, ["topics", store, "--count", "2", *train]),
        (0, ["map", store, *train, "--by", f"side{HOSTILE}", "-o", f"{out}.html"]),
        (0, ["info", store]),
        (0, ["info", store, "--json"]),
        (0, ["verify", store]),
        (0, ["gc", store]),
        (0, ["export", store, *train, "-o", f"{out}.npy"]),
        (0, ["corpora", store]),
        (0, ["rename", store, "test", "more"]),
        (0, ["rename", store, "more", "test"]),
        (0, ["copy", store, f"{store}-{len(list(home.iterdir()))}"]),
        (0, ["drop-corpus", store, "test", "--dry-run"]),
        (2, ["serve", store, "--no-open", "--host", HOSTILE]),
        (2, ["tag", store, f"--{HOSTILE}"]),
        (2, ["index", store, "--kind", HOSTILE]),
        (2, [HOSTILE]),
        (1, ["--debug", "info", str(home / f"none{HOSTILE}")]),
    ]


@pytest.fixture
def run(forking, tmp_path):
    """A function that runs commands with their streams; it returns the exit code of each and what it showed."""

    def shown(jobs):
        given, environment = json.dumps(jobs).encode(), CommandLine.environment_of(tmp_path) | {"PAGER": "cat"}
        done = forking(["-c", "import shells; shells.work()"], input=given, environment=environment, folder=tmp_path)
        assert done.returncode == 0, done.stderr.decode()
        return json.loads(done.stdout)

    return shown


def test_no_command_shows_a_terminal_what_it_would_obey(home, run):
    asked = commands(home)
    assert set(group.commands) - {words[0] for _, words in asked} == {"demo"}
    for (code, words), (left, seen) in zip(asked, run([("terminal", words) for _, words in asked]), strict=True):
        assert left == code, (words, seen)
        text = seen
        for one in OURS:
            text = text.replace(one, "\n")
        raw = {c for c in text if unicodedata.category(c) in ("Cc", "Cf", "Cs") and c != "\n"}
        assert not raw, (words, seen)


def test_every_command_tells_of_closed_and_full_streams_in_one_line(home, run):
    closed = "standard output: Bad file descriptor: it is closed"
    full = "standard output: No space left on device"
    jobs, expected = [], []
    slow = ("add", "encode", "index", "train", "compare", "doubts", "duplicates", "labels", "map", "gc", "copy")
    cheap = [one for one in commands(home)[:-4] if one[1][0] not in slow]
    for streams, code, says in [
        ("stdout closed", 1, closed),
        ("stdout full", 1, full),
        ("stderr closed", 0, ""),
        ("stderr full", 0, ""),
        ("stdin closed stdout closed stderr closed", 1, ""),
    ]:
        for left, words in cheap:
            jobs.append((streams, words))
            if words[0] == "annotate" and "stdin" in streams:
                expected.append((2, "expected answers on standard input, found it closed" if code == 0 else ""))
            elif left:
                expected.append((left, ""))
            else:
                expected.append((code, says))
    for (streams, words), (code, says), (left, seen) in zip(jobs, expected, run(jobs), strict=True):
        assert left == code, (streams, words, seen)
        assert says in seen
        assert "unexpected" not in seen
        assert sum(line.startswith("Error: ") for line in seen.split("\n")) <= 1
        assert "Traceback" not in seen


@pytest.mark.parametrize(
    ("streams", "words", "code", "says"),
    [
        (">&-", ["info", "small"], 1, "standard output: Bad file descriptor: it is closed"),
        (">&-", ["search", "small", "--row", "k1"], 1, "standard output: Bad file descriptor: it is closed"),
        ("<&-", ["search", "small", "-"], 2, "expected one search a line on standard input, found it closed"),
        ("<&-", ["add", "new", "-", "--text", "t"], 2, "expected a table on standard input, found it closed"),
        ("<&- >&- 2>&-", ["tag", "small", "-l", "Negative", "-l", "Positive", "-o", "tagged.csv"], 0, ""),
    ],
)
def test_streams_that_the_shell_has_closed(cli, store, tmp_path, streams, words, code, says):
    command = ["sh", "-c", f'"$@" {streams}', "sh", *cli.command(*words)]
    done = subprocess.run(command, env=cli.environment, cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    assert done.returncode == code, done.stderr
    assert says in done.stderr
    assert done.stderr.count("\n") == bool(says)
    if "-o" in words:
        assert (tmp_path / "tagged.csv").read_text().count("\n") == 11


def test_json_has_escapes_that_stand_for_the_same_text(home, cli):
    found = cli("info", str(home / f"store{HOSTILE}"), "--json").stdout
    assert found[:-1].isprintable()
    assert json.loads(found)["path"].endswith(HOSTILE)


def test_a_pipe_gets_cells_and_names_exactly(home, cli):
    found = cli("predict", str(home / f"store{HOSTILE}"), "--probe", "probe", "--corpus", "train").stdout
    assert found.startswith(f"id,text{HOSTILE},side{HOSTILE},Predicted_Labels")
    assert f"\nk3{HOSTILE},3 {HOSTILE},{B}," in found


def test_a_name_hides_no_words_that_follow_it():
    assert clean("name\x1b]0; can't be read") == "name0; can't be read"
    assert clean("name\x1b]0;title\x07 can't be read") == "name can't be read"
