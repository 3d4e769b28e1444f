"""Texts, tables and places that nobody expects: all come back as they were, and nothing reaches a terminal raw."""

import csv
import json
import os
import pty
import shutil
import subprocess

import pandas as pd
import pytest

import embedstore
from embedstore.tables import write as output

STRANGE = [
    "plain",
    "\x1b[31mred\x1b[0m \x1b]0;title\x07",
    "\u202eright to left\u202c \u2066isolate\u2069",
    "a\x00b",
    "line\nbreak\r\nand\u2028more\x85",
    'quo"te, comma\ttab',
    "\ufeffmark \ufffd \U0001f642\u200d\U0001f9d1",
    " leading and trailing ",
    "=1+1",
    "-2",
    "@here",
    "+3",
    "\t=4",
]


@pytest.fixture
def strange(tmp_path, encoder):
    store = embedstore.create(tmp_path / "home" / "strange", encoder=encoder)
    store.add([{"review": text, "number": -1.5} for text in STRANGE], text="review")
    store.encode()
    store.tag(["a", "b"])
    return store


def test_strange_texts_come_back_exactly(strange, cli, tmp_path):
    assert strange.corpus().column("review").to_pylist() == STRANGE
    for suffix in ("csv", "tsv", "jsonl", "parquet"):
        done = cli("tag", "strange", "-l", "a", "-l", "b", "-o", tmp_path / f"out.{suffix}")
        assert done.returncode == 0, done.stderr
    for suffix, delimiter in (("csv", ","), ("tsv", "\t")):
        with (tmp_path / f"out.{suffix}").open(newline="", encoding="utf-8") as stream:
            assert [row["review"] for row in csv.DictReader(stream, delimiter=delimiter)] == STRANGE
    lines = (tmp_path / "out.jsonl").read_text(encoding="utf-8").split("\n")
    assert [json.loads(line)["review"] for line in lines if line] == STRANGE
    assert list(pd.read_parquet(tmp_path / "out.parquet")["review"]) == STRANGE


def test_a_terminal_sees_no_control_character_of_a_text(strange, cli):
    for words in (["search", "strange", "--row", "1", "-k", "12"], ["tag", "strange", "-l", "a", "-l", "b"]):
        main_end, terminal = pty.openpty()
        process = subprocess.Popen(cli.command(*words), env=cli.environment, stdout=terminal, stderr=terminal)
        os.close(terminal)
        seen = b""
        while True:
            try:
                block = os.read(main_end, 65_536)
            except OSError:  # the other end is closed
                break
            if not block:
                break
            seen += block
        assert process.wait() == 0
        text = seen.decode()
        assert "plain" in text
        assert not set(text) & set("\x1b\x07\x00\u202e\u2066\u2028\x85")


def test_cells_are_kept_as_they_are_unless_spreadsheet_safe(strange, cli, tmp_path):
    cli("tag", "strange", "-l", "a", "-l", "b", "-o", tmp_path / "out.csv", "--spreadsheet-safe")
    with (tmp_path / "out.csv").open(newline="", encoding="utf-8") as stream:
        found = list(csv.DictReader(stream))
    expected = ["'" + text if text[0] in "=+-@\t" and text not in ("-2", "+3") else text for text in STRANGE]
    assert [row["review"] for row in found] == expected
    assert {row["number"] for row in found} == {"-1.5"}  # a number is no formula
    piped = cli("search", "strange", "--row", "8", "-k", "12", "--spreadsheet-safe").stdout
    assert "'@here" in piped
    assert ",@here" not in piped


def test_names_of_columns_are_cells_too(tmp_path, encoder):
    store = embedstore.create(tmp_path / "s", encoder=encoder)
    store.add([{"review": "a", "=cmd": "x"}, {"review": "b", "=cmd": "y"}], text="review")
    store.encode()
    joined = store.tag(["p", "q"])
    tables, schema = output.spreadsheet_safe(joined.batches(), joined.schema)
    output.write_table(tables, schema, tmp_path / "out.csv")
    header = (tmp_path / "out.csv").read_text().splitlines()[0]
    assert header == "review,'=cmd,Predicted_Labels,score,margin"


@pytest.mark.skipif(not os.environ.get("EMBEDSTORE_TORTURE"), reason="ten seconds, for make torture")
def test_fifty_megabytes_in_a_row_and_ten_thousand_columns(tmp_path, encoder):
    store = embedstore.create(tmp_path / "s", encoder=encoder)
    long = "long " * 10_000_000
    wide = {f"column {i}": i for i in range(10_000)}
    store.add([{"review": long, **wide}, {"review": "short", **wide}], text="review")
    store.encode()
    frame = store.tag(["a", "b"]).to_pandas()
    assert list(frame["review"]) == [long, "short"]
    assert frame.shape == (2, 10_001 + 3)


def test_many_rows_of_one_text_are_one_text(tmp_path, encoder):
    (tmp_path / "same.csv").write_text("review\n" + "good tea\n" * 300_000)
    store = embedstore.create(tmp_path / "s", encoder=encoder)
    report = store.add(tmp_path / "same.csv", text="review")
    assert (report.rows, report.new_texts) == (300_000, 1)
    store.encode()
    assert encoder.encoded == ["good tea"]


def test_a_store_that_was_moved_or_copied_works(strange, tmp_path, encoder):
    expected = strange.tag(["a", "b"]).to_pandas()
    copied = shutil.copytree(strange.path, tmp_path / "elsewhere" / "copy")
    moved = strange.path.rename(tmp_path / "moved")
    for path in (copied, moved):
        store = embedstore.open(path, encoder=encoder)
        assert not store.verify().faults
        pd.testing.assert_frame_equal(store.tag(["a", "b"]).to_pandas(), expected)
        store.add([{"review": "one more", "number": 1}], text="review")
        assert store.encode().encoded == 1


def test_a_clock_that_runs_backwards_changes_nothing(strange, encoder):
    for path in strange.path.rglob("*"):
        os.utime(path, (4e9, 4e9) if path.suffix == ".h5" else (0, 0))
    strange.add([{"review": "one more", "number": 1}], text="review")
    assert strange.encode().encoded == 1
    assert strange.gc().size >= 0
    assert not strange.verify().faults


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_a_probe_that_can_not_be_kept_is_reported_on(strange, caplog):
    strange.add([{"t": f"text {i}", "side": i % 2} for i in range(20)], text="t", corpus="sides")
    strange.encode()
    for path in [strange.path, *strange.path.parents]:
        if str(path).startswith("/tmp/"):
            path.chmod(0o755)
    strange.train("side", corpus="sides")  # the other user can't import what it needs
    os.seteuid(65_534)
    try:
        trained = strange.train("side", corpus="sides", name="other")
    finally:
        os.seteuid(0)
    assert trained.report.rows == 4
    assert "the probe is not kept" in caplog.text
    assert list(strange.manifest.probes) == ["side"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_another_user_can_read_and_is_told_that_they_can_not_write(strange, encoder):
    for path in [strange.path, *strange.path.parents]:
        if str(path).startswith("/tmp/"):
            path.chmod(0o755)
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        os.setuid(65_534)
        said = []
        for ask in (
            lambda: len(strange.tag(["a", "b"])),
            lambda: len(strange.tag(["never", "seen"])),
            lambda: len(strange.verify().faults),
            lambda: strange.add([{"review": "x", "number": 1}], text="review"),
            lambda: strange.gc(),
        ):
            try:
                said.append(ask())
            except (OSError, embedstore.EmbedstoreError) as error:
                said.append(f"{type(error).__name__}: {error}")
        os.write(writer, json.dumps(said, default=str).encode())
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as stream:
        said = json.loads(stream.read())
    os.waitpid(child, 0)
    assert said[:3] == [len(STRANGE), len(STRANGE), 0]
    assert all("Permission denied" in line for line in said[3:])
    assert len(strange.corpus()) == len(STRANGE)
