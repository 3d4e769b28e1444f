import json
import os
import pty
import re
import signal
import subprocess
import tempfile
import time

import pandas as pd
import pytest
from click.shell_completion import ShellComplete
from click.testing import CliRunner
from conftest import query_vectors
from embedstore.cli.main import group

from embedstore.core.values import clean
from embedstore.storage import manifest

LIKERT = ["Very Negative", "Negative", "Neutral", "Positive", "Very Positive"]


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "reviews.csv"
    path.write_text("id,review,stars\na,good tea,2\nb,bad tea,1\nc,,1\nd,good tea,2\n")
    return path


def test_every_command_has_help_and_every_option_says_what_it_does():
    for name, command in group.commands.items():
        result = CliRunner().invoke(group, [name, "--help"])
        assert result.exit_code == 0
        assert command.help, name


@pytest.mark.parametrize(
    ("command", "option", "names"),
    [
        ("tag", "--method", ["cosine", "best", "scale", "topics"]),
        ("encode", "--backend", ["auto", "native", "torch", "tensorflow"]),
        ("train", "--m", ["--max-iter", "--multi"]),
    ],
)
def test_a_shell_completes_options_and_their_values(command, option, names):
    complete = ShellComplete(group, {}, "embedstore", "_EMBEDSTORE_COMPLETE").get_completions
    found = complete([command, "small", option], "") if names[0][0] != "-" else complete([command, "small"], option)
    assert [one.value for one in found] == names


def test_tag_writes_the_rows_with_three_columns(store, cli):
    done = cli("tag", "small", "-l", "Negative", "-l", "Positive")
    assert done.returncode == 0
    lines = done.stdout.splitlines()
    assert lines[0] == "key,review,stars,Predicted_Labels,score,margin"
    assert len(lines) == 11
    assert "Negative" in done.stderr
    expected = store.tag(["Negative", "Positive"]).to_pandas()
    assert [line.split(",")[3] for line in lines[1:]] == expected["Predicted_Labels"].fillna("").tolist()


@pytest.mark.parametrize("suffix", ["csv", "tsv", "jsonl", "parquet"])
def test_outputs_are_files_of_the_kind_their_name_says(store, cli, tmp_path, suffix):
    out = tmp_path / f"out.{suffix}"
    done = cli("tag", "small", "-l", "Negative", "-l", "Positive", "-o", out, "--scores")
    assert (done.returncode, done.stdout) == (0, "")
    read = {"csv": pd.read_csv, "tsv": lambda p: pd.read_csv(p, sep="\t"), "parquet": pd.read_parquet}
    frame = read.get(suffix, lambda p: pd.read_json(p, lines=True))(out)
    assert list(frame.columns)[3:] == ["Predicted_Labels", "score", "margin", "Negative", "Positive"]
    assert frame["key"].tolist() == [f"k{i}" for i in range(10)]


def test_json_summaries_are_json_alone(store, cli, tmp_path):
    words = ["tag", "small", "-l", "Negative", "-l", "Positive", "--gold", "stars", "--map", "1=Negative"]
    summary = json.loads(cli(*words, "--map", "2=Positive", "--json").stdout)
    assert summary["rows"] == 10
    assert summary["report"]["rows"] == 9
    assert json.loads(cli("train", "small", "--target", "stars", "--json").stdout)["report"]["rows"] == 2
    assert json.loads(cli("info", "small", "--json").stdout)["texts"] == 9
    assert json.loads(cli("verify", "small", "--json").stdout)["faults"] == []
    assert json.loads(cli("index", "small", "--json").stdout)["kind"] == "flat"
    assert json.loads(cli("predict", "small", "--probe", "stars", "--json").stdout)["rows"] == 10
    assert json.loads(cli("export", "small", "-o", tmp_path / "v.npy", "--json").stdout)["rows"] == 10
    assert json.loads(cli("gc", "small", "--dry-run", "--json").stdout)["merged"] == 0


def test_reports_are_printed_for_people(store, cli, tmp_path):
    gold = ["--gold", "stars", "--map", "1=Negative", "--map", "2=Positive", "-o", tmp_path / "o.csv"]
    done = cli("tag", "small", "-l", "Negative", "-l", "Positive", *gold)
    assert "macro avg" in done.stdout
    assert "given \\ predicted" in done.stdout
    done = cli("train", "small", "--target", "stars")
    assert "probe stars saved" in done.stderr
    assert "macro avg" in done.stdout
    done = cli("info", "small")
    assert store.space().key in done.stdout
    assert "corpus train: 10 rows, 9 distinct texts, 1 empty" in done.stdout
    assert "all as written" in cli("verify", "small").stdout


def test_labels_that_take_nearly_every_row_are_warned_of(store, cli):
    store.tag(["good tea", "zzz"])
    store.add([{"t": "good tea"}], text="t", corpus="one")
    done = cli("tag", "small", "--corpus", "one", "-l", "good tea", "-l", "zzz")
    assert "warning: 100% of the rows got 'good tea'" in done.stderr
    assert cli("-q", "tag", "small", "--corpus", "one", "-l", "good tea", "-l", "zzz").stderr == ""


def refuse_constant(name):
    raise AssertionError(f"{name} is no JSON")


def test_json_has_null_where_a_figure_is_not_a_number(store, cli, tmp_path):
    (tmp_path / "scale.yaml").write_text("ordinal: true\nlabels: [Low, Middle, High]\n")
    store.tag(["Low", "Middle", "High"])
    middle = ["--gold", "stars", "--map", "1=Middle", "--map", "2=Middle"]  # so no row is in a half of the scale
    done = cli("tag", "small", "--labels", tmp_path / "scale.yaml", *middle, "--json", "-o", tmp_path / "o.csv")
    ordinal = json.loads(done.stdout, parse_constant=refuse_constant)["report"]["ordinal"]
    assert None in ordinal.values()
    assert ordinal == {name: value for name, value in ordinal.items() if value is None or value >= 0}


def test_json_has_dates_as_texts(store, cli, tmp_path):
    days = pd.DataFrame({"day": pd.to_datetime(["2026-01-31", "2026-02-28"]), "t": ["good tea", "bad tea"]})
    days.to_parquet(tmp_path / "days.parquet")
    store.add(tmp_path / "days.parquet", text="t", id="day", corpus="days")
    store.encode()
    store.search("tea", k=1)
    found = json.loads(cli("search", "small", "tea", "--corpus", "days", "-k", "1", "--json").stdout)
    assert found["id"].startswith("2026-0")


def test_search_by_row_and_by_lines_of_standard_input(store, cli):
    done = cli("search", "small", "--row", "k0", "-k", "2")
    lines = done.stdout.splitlines()
    assert lines[0] == "query,rank,score,corpus,id,text"
    assert lines[1] == "good tea,1,1.0,train,k3,good tea"
    store.search(["one", "two"], k=1)
    done = cli("search", "small", "-", "-k", "2", "--no-encode", stdin="one\n\ntwo\n")
    assert [line.split(",")[0] for line in done.stdout.splitlines()[1:]] == ["one", "one", "two", "two"]


def test_more_rows_than_there_are_is_a_note(store, cli):
    done = cli("search", "small", "--row", "k1", "-k", "10")
    assert len(done.stdout.splitlines()) == 9
    assert done.stderr.splitlines() == ["note: 10 rows were asked for; there are 8 to be found"]


def test_encode_ends_with_a_line_that_adds_up_and_resumes(cli, table):
    first = cli("encode", "new", table, "--text", "review", "--id", "id")
    assert first.returncode == 0, first.stderr
    assert re.fullmatch(
        r"4 rows, 3 distinct texts: 0 already cached, 3 encoded now; 0 truncated, 1 empty; [\d.]+ s\n", first.stdout
    )
    again = cli("encode", "new", table, "--text", "review", "--id", "id")
    assert "3 already cached, 0 encoded now" in again.stdout
    piped = cli("encode", "new", "-", "--no-encode", "--corpus", "test", "--text", "t", stdin='{"t": "bad tea"}\n')
    assert "1 row, 1 distinct text: 1 already cached, 0 encoded now" in piped.stdout
    summary = json.loads(cli("encode", "new", "--json").stdout)
    assert (summary["rows"], summary["encoded"]) == (5, 0)


def test_no_encode_leaves_with_3(store, cli, table):
    assert "3 texts" not in cli.fails(3, "tag", "small", "-l", "Negative", "-l", "Unseen", "--no-encode")
    assert "no vector" in cli.fails(3, "search", "small", "unseen", "--no-encode")
    assert "texts have no vector" in cli.fails(3, "encode", "new", table, "--text", "review", "--no-encode")


BAD_INPUT = [
    (1, ["encode", "new", "missing.csv", "--text", "review"], "no such file: missing.csv"),
    (1, ["encode", "new", "{table}", "--text", "reviw"], "no column 'reviw': did you mean 'review'"),
    (2, ["encode", "new", "{table}"], "expected --text COLUMN"),
    (1, ["encode", "new", "{table}", "--text", "stars"], "found int64 values; columns of text are id, review"),
    (1, ["encode", "new", "{table}", "--text", "review", "-m", "no/such-model"], "no/such-model"),
    (1, ["encode", "new", "{table}", "--text", "review", "-m", "/no/folder"], "no model folder at '/no/folder'"),
    (2, ["encode", "../up", "{table}", "--text", "review"], "without '..'"),
    (2, ["encode", "a/../../up", "{table}", "--text", "review"], "without '..'"),
    (2, ["encode", ".hidden", "{table}", "--text", "review"], "expected a store name"),
    (2, ["encode", "new", "{table}", "--text", "review", "--corpus", "a/b"], "expected a corpus name"),
    (2, ["encode", "new", "{table}", "--text", "review", "--limit", "0"], "0 is not in the range"),
    (2, ["encode", "new", "-", "-", "--text", "review"], "found it twice"),
    (1, ["encode", "new", "-", "--text", "review"], "standard input is empty"),
    (1, ["encode", "/proc/no-such", "{table}", "--text", "review"], "/proc/no-such"),
    (1, ["tag", "unknown", "-l", "a", "-l", "b"], "no store at"),
    (2, ["tag", "small", "-l", "a"], "at least two labels"),
    (2, ["tag", "small", "-l", "a", "-l", "a"], "every label once"),
    (2, ["tag", "small", "-l", "a", "-l", " "], "blank"),
    (2, ["tag", "small"], "found neither"),
    (1, ["tag", "small", "--labels", "missing.txt"], "label file missing.txt can't be read"),
    (
        1,
        ["tag", "small", "-l", "Negative", "-l", "Positive", "--corpus", "tran"],
        "no corpus 'tran': did you mean 'train'",
    ),
    (1, ["tag", "small", "-l", "Negative", "-l", "Positive", "--space", "zz"], "expected one space for 'zz'"),
    (1, ["tag", "small", "-l", "Negative", "-l", "Positive", "-o", "nowhere/out.csv"], "there is no folder nowhere"),
    (1, ["tag", "small", "-l", "Negative", "-l", "Positive", "-o", "out.xls"], "can't tell the format"),
    (1, ["tag", "small", "-l", "Negative", "-l", "Positive", "--gold", "nope"], "no column 'nope'"),
    (2, ["search", "small", "x", "-k", "0"], "a k of 1 or more, found 0"),
    (1, ["search", "small", "--row", "zz"], "no row with key 'zz'"),
    (2, ["search", "small"], "a row to search for, found neither: give one"),
    (2, ["search", "small", "x", "--row", "k1"], "a row to search for, found both: leave one out"),
    (1, ["train", "small", "--target", "nope"], "no column 'nope'"),
    (1, ["train", "small", "--target", "key"], "at least 2 rows of each class"),
    (1, ["predict", "small", "--probe", "nope"], "no probe 'nope': make one with `embedstore train"),
    (1, ["export", "small", "-o", "x.txt"], "can't export to x.txt"),
    (2, ["nonsense"], "No such command 'nonsense'"),
    (2, ["tag", "small", "-l", "a", "-l", "b", "--quiet"], "--quiet goes before the command: `embedstore --quiet tag"),
]


@pytest.mark.parametrize(("code", "words", "says"), BAD_INPUT, ids=[" ".join(words) for _, words, _ in BAD_INPUT])
def test_bad_input_is_one_line_and_changes_nothing(store, cli, table, code, words, says):
    query_vectors(store, ["x"])
    before = store.manifest
    assert says in cli.fails(code, *(word.replace("{table}", str(table)) for word in words))
    assert store.manifest == before
    assert not (cli.home.parent / "out.csv").exists()


def test_a_failed_first_encode_leaves_no_store(cli, table):
    cli.fails(1, "encode", "new", table, "--text", "nope")
    assert list(cli.home.iterdir()) == []


def test_a_damaged_store_leaves_with_4_and_names_the_file(store, cli):
    record = store.manifest.texts[0].file
    path = store.path / record.path
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    done = cli("verify", "small")
    assert done.returncode == 4
    assert path.name in done.stderr
    _, newest = manifest.manifest_files(store.path)[-1]
    newest.write_bytes(newest.read_bytes()[:50])
    assert newest.name in cli.fails(4, "info", "small")


def test_a_newer_store_is_refused(store, cli):
    _, newest = manifest.manifest_files(store.path)[-1]
    newest.write_text(newest.read_text().replace('"format_version":3', '"format_version":9'))
    assert "upgrade embedstore" in cli.fails(1, "info", "small")


def test_a_closed_pipe_is_no_error(store, cli):
    store.add([{"t": f"text {i}" * 50} for i in range(3000)], text="t", corpus="long")
    store.encode()
    words = cli.command("tag", "small", "--corpus", "long", "-l", "Negative", "-l", "Positive")
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=cli.environment) as process:
        process.stdout.readline()
        process.stdout.close()
        errors = process.stderr.read().decode()
        assert process.wait() == 0
    assert "Error" not in errors
    assert "Traceback" not in errors


def test_an_interrupt_keeps_finished_segments_and_leaves_with_130(cli, tmp_path):
    pd.DataFrame({"t": [f"some text number {i} " * 10 for i in range(3000)]}).to_csv(tmp_path / "t.csv", index=False)
    words = cli.command("encode", "new", tmp_path / "t.csv", "--text", "t")
    process = subprocess.Popen(words, stderr=subprocess.PIPE, stdout=subprocess.PIPE, env=cli.environment)
    deadline = time.monotonic() + 300
    while not (cli.home / "new" / "manifest-00000002.json").exists() and time.monotonic() < deadline:
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate()
    assert process.returncode == 130, errors
    assert b"interrupted" in errors
    info = json.loads(cli("info", "new", "--json").stdout)
    assert 0 < info["spaces"][0]["texts"] < 3000
    assert cli("verify", "new").returncode == 0


def test_a_terminal_gets_a_list_and_no_escape_sequences(store, cli):
    store.add([{"t": "\x1b[31mred\x1b]0;title\x07 alert\u202e\nnext line"}], text="t", corpus="hostile")
    store.encode()
    words = cli.command("search", "small", "--row", "k1", "-k", "10")
    parent, child = pty.openpty()
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(words, stdout=child, stderr=errors, env=cli.environment)
        os.close(child)
        shown = b""
        while True:
            try:
                shown += os.read(parent, 65536)
            except OSError:
                break
        os.close(parent)
        code = process.wait()
        errors.seek(0)
        assert code == 0, errors.read().decode()
    text = shown.decode()
    assert "red alert next line" in text
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert len(text.splitlines()) == 9
    assert max(map(len, text.splitlines())) <= 80
    assert "\x1b[31mred" in cli("search", "small", "--row", "k1", "-k", "10").stdout


def test_clean_takes_out_what_a_terminal_would_obey():
    assert clean("a\x1b[2Jb\x9bc\x00d\u202ee\x7ff\u200dg\u2028h") == "abcdef\u200dg h"


def test_the_readme_default_home_is_indexes(cli, table, store):
    environment = {k: v for k, v in cli.environment.items() if k != "EMBEDSTORE_HOME"}
    cli.home.rename(cli.home.parent / "indexes")
    done = subprocess.run(cli.command("info", "small"), env=environment, cwd=cli.home.parent, capture_output=True)
    assert done.returncode == 0
    done = subprocess.run(
        cli.command("info", "./indexes/small"), env=environment, cwd=cli.home.parent, capture_output=True
    )
    assert done.returncode == 0
