"""What a command says before it works for nothing, when it is told to end, and of rows that may be there already."""

import os
import signal
import subprocess

import pytest
from clusters import wait_for
from conftest import write

import embedstore
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


WAITING = """
import os, threading
from conftest import HashEncoder
from embedstore.cli import main
import embedstore.store

class Waiting(HashEncoder):
    def encode(self, texts, **options):
        if "text 20" in texts and self.encoded:  # the canaries came first
            print("at the third segment", flush=True)
            threading.Event().wait()
        return super().encode(texts, **options)

os.dup2(1, 2)
kind, encoder = embedstore.store.EmbeddingStore, Waiting()
make = kind.__init__
kind.__init__ = lambda self, path, **options: make(self, path, **{**options, "encoder": encoder})
main(["encode", "many"])
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_who_ends_encode_is_told_how_many_texts_are_kept(cli, forking, number):
    sizes = embedstore.Settings(smallest_segment=10, largest_segment=10)
    store = embedstore.create(cli.home / "many", settings=sizes)
    store.add([f"text {n}" for n in range(50)], text="text")
    running = forking.start(["-c", WAITING], environment=cli.environment, folder=cli.home)
    assert running.stdout.readline() == "at the third segment\n"
    os.kill(running.pid, number)
    told = running.stdout.read()
    running.stdout.close()
    assert running.wait(60) == 128 + number
    (line,) = [line for line in told.splitlines() if line.startswith("Error: ")]
    assert "what was finished is kept; 20 texts of this run are encoded; " in line
    assert line.endswith("; the same command goes on from there")
    assert store.space().count == 20


@pytest.mark.skipif(not os.environ.get("EMBEDSTORE_TORTURE"), reason="half a minute, for make torture")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_who_ends_a_model_at_work_is_told_how_many_texts_are_kept(cli, tmp_path, number):
    table = write(tmp_path, "many.csv", "text\n" + "".join(f"a lamp with number {n}\n" for n in range(60_000)))
    words = cli.command("encode", "many", table, "--text", "text", "--backend", "torch", "--precision", "float32")
    with subprocess.Popen(words, stdout=-1, stderr=-1, text=True, env=cli.environment) as process:
        wait_for(lambda: list(cli.home.glob("many/manifest-*2.json")) or process.poll() is not None)
        os.kill(process.pid, number)
        _, told = process.communicate()
    assert process.returncode == 128 + number
    (line,) = [line for line in told.splitlines() if line.startswith("Error: ")]
    assert line.endswith("; the same command goes on from there")
    kept = int(line.split("what was finished is kept; ")[1].split(" text")[0].replace(",", ""))
    assert kept > 0
    again = cli("info", "many", "--json")
    assert f'"texts": {kept}' in again.stdout
