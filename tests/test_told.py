"""What a command says before it works for nothing, when it is told to end, and of rows that may be there already."""

import os
import signal
import subprocess
import time

import pytest
from conftest import write

from embedstore.errors import InputError


def test_a_wrong_column_is_told_before_labels_are_encoded(store, cli):
    before = store.manifest.sequence
    for command in (["tag", "small", "-l", "never", "-l", "seen"], ["classify", "small", "-m", "no-such-model"]):
        assert "corpus 'train' has no column 'star': did you mean 'stars'" in cli.fails(1, *command, "--gold", "star")
    assert store.manifest.sequence == before


def test_a_second_table_of_the_same_texts_is_told_of(target, caplog):
    rows = [{"text": f"text {number}"} for number in range(10)]
    target.add(rows, text="text")
    target.add([{"text": "text 0"}, {"text": "new"}, {"text": "other"}], text="text")
    assert caplog.text == ""
    target.add([*rows[:9], {"text": "more"}], text="text")
    assert "9 of the 10 rows read now have a text that corpus 'train' had already" in caplog.text
    assert "--id" in caplog.text


def test_rows_that_are_told_apart_by_ids_are_not_told_of(target, caplog):
    for first in (0, 10):
        rows = [{"id": number, "text": "the same"} for number in range(first, first + 10)]
        target.add(rows, text="text", id="id")
    assert caplog.text == ""


@pytest.mark.parametrize("rows", [10, 5000])
def test_two_rows_with_one_id_are_both_named(target, tmp_path, rows):
    one = write(tmp_path, "one.csv", "id,text\n" + "".join(f"a{n},x\n" for n in range(rows)))
    two = write(tmp_path, "two.csv", "id,text\n" + "".join(f"b{n},x\n" for n in range(rows)) + "a3,x\n")
    target.add(one, text="text", id="id")
    says = rf"'a3' twice in column 'id' of corpus 'train' \(row 4 of {one} and row {rows + 1:,} of {two}\)"
    with pytest.raises(InputError, match=says):
        target.add(two, text="text", id="id")


@pytest.mark.parametrize(
    "number", [signal.SIGTERM, signal.SIGINT] if os.environ.get("EMBEDSTORE_TORTURE") else [signal.SIGTERM]
)
def test_who_ends_encode_is_told_how_many_texts_are_kept(cli, tmp_path, number):
    table = write(tmp_path, "many.csv", "text\n" + "".join(f"a lamp with number {n}\n" for n in range(60_000)))
    words = cli.command("encode", "many", table, "--text", "text", "--backend", "torch", "--precision", "float32")
    with subprocess.Popen(words, stdout=-1, stderr=-1, text=True, env=cli.environment) as process:
        limit = time.monotonic() + 120
        while not list(cli.home.glob("many/manifest-*2.json")) and time.monotonic() < limit:
            time.sleep(0.05)
        os.kill(process.pid, number)
        _, told = process.communicate()
    assert process.returncode == 128 + number
    (line,) = [line for line in told.splitlines() if line.startswith("Error: ")]
    assert line.endswith("; the same command goes on from there")
    kept = int(line.split("what was finished is kept; ")[1].split(" text")[0].replace(",", ""))
    assert kept > 0
    again = cli("info", "many", "--json")
    assert f'"texts": {kept}' in again.stdout
