"""What a command shows of many rows: a list on a terminal, all rows elsewhere, one JSON object for each hit."""

import csv
import io
import json

import pytest
from conftest import LABELS, CommandLine

TAG = ["tag", "small", "-l", "Negative", "-l", "Positive"]


@pytest.fixture
def on_terminal(forking, cli, store):
    """A function that runs a command on a terminal; it returns what was shown, line by line."""

    def shown(*words, **variables):
        script = (
            "import json, os, shells, sys\n"
            "given = json.load(sys.stdin)\n"
            "os.environ.update(given['variables'])\n"
            "print(json.dumps(shells.run('terminal', given['words'])))"
        )
        given = json.dumps({"words": list(map(str, words)), "variables": variables}).encode()
        done = forking(
            ["-c", script], input=given, environment=CommandLine.environment_of(cli.home), folder=cli.home.parent
        )
        assert done.returncode == 0, done.stderr.decode()
        code, text = json.loads(done.stdout)
        assert code == 0, text
        echoed = text.replace("\r\n", "\n").replace("^D\b\b", "")
        lines = shown.all = echoed.splitlines()
        first = next(n for n, line in enumerate(lines) if line.startswith(("id ", "row ", "key,")))
        return lines[first:]  # what went to stderr can come before

    return shown


@pytest.mark.parametrize("columns", [40, 80, 200])
def test_a_terminal_gets_the_first_rows_in_its_width(on_terminal, store, columns):
    lines = on_terminal(*TAG, COLUMNS=str(columns))
    assert lines[0].split() == ["id", "text", "Predicted_Labels", *(["score", "margin"] if columns > 40 else [])]
    expected = store.tag(LABELS).to_pandas()
    for line, key, text, label in zip(
        lines[1:11], expected["key"], expected["review"], expected["Predicted_Labels"].fillna(""), strict=True
    ):
        assert line.split()[0] == key
        assert text in line
        assert label in line
    assert max(map(len, lines[:11])) <= columns
    hidden = 3 if columns > 40 else 5
    told = f"10 of 10 rows shown, without {hidden} columns: -o FILE.csv keeps all, -o - prints all"
    assert told in " ".join(map(str.strip, on_terminal.all))


def test_a_long_text_is_cut_to_what_is_left_of_the_line(on_terminal, store):
    store.add([{"words": "tea " * 50}], text="words", corpus="long")
    store.encode()
    head, row, *_ = on_terminal(*TAG, "--corpus", "long", COLUMNS="72")
    assert head.startswith("row  text  ")
    assert 70 <= len(row) <= 72
    assert row.startswith("0    tea tea ")
    assert "…" in row


def test_a_list_of_labels_is_shown_as_one(on_terminal):
    lines = on_terminal(*TAG, "--multi", "--threshold", "0.01", COLUMNS="100")
    assert lines[1].split()[3:] == ["Negative", "True", "False"]


@pytest.mark.parametrize("name", ["-", "/dev/stdout"])
def test_all_rows_go_to_standard_output(cli, store, on_terminal, name):
    plain = cli(*TAG)
    named = cli(*TAG, "-o", name)
    assert named.returncode == 0
    assert (named.stdout, named.stderr) == (plain.stdout, plain.stderr)
    assert len(list(csv.reader(io.StringIO(plain.stdout)))) == 11
    assert "Negative" in named.stderr
    shown = on_terminal(*TAG, "-o", name)
    assert shown[:11] == plain.stdout.splitlines()


def test_rows_and_json_do_not_share_standard_output(cli, store):
    assert "expected -o - or --json, found both" in cli.fails(2, *TAG, "-o", "-", "--json")


@pytest.mark.parametrize("where", [[], ["--where", "stars = 2"]])
def test_a_search_gives_one_object_for_each_hit(cli, store, where):
    done = cli("search", "small", "good tea", "-k", "3", "--json", *where)
    hits = [json.loads(line) for line in done.stdout.splitlines()]
    assert [list(hit) for hit in hits] == [["query", "rank", "score", "corpus", "id", "text", "row"]] * 3
    assert [hit["rank"] for hit in hits] == [1, 2, 3]
    keys = store.corpus().ids().to_pylist()
    assert [keys[hit["row"]] for hit in hits] == [hit["id"] for hit in hits]
    if where:
        assert all(hit["row"] % 2 for hit in hits)


def test_a_search_for_several_texts_gives_the_row_of_each_hit(store):
    found = store.search(["good tea", "a lamp"], k=2)
    assert len(found.rows) == 4
    assert found.rows[2] == 4


@pytest.mark.parametrize(
    "words", [["duplicates", "small", "--threshold", "0.01"], ["search", "small", "--row", "k0", "-k", "8"]]
)
def test_a_list_that_is_longer_than_the_screen_goes_to_the_pager(on_terminal, cli, tmp_path, words):
    rows = len(cli(*words).stdout.splitlines()) - 1
    assert rows > 5
    pager = tmp_path / "pager"
    pager.write_text(f"#!/bin/sh\necho id of the pager\ncat > {tmp_path}/paged\n")
    pager.chmod(0o755)
    shown = {"COLUMNS": "80", "PAGER": str(pager)}
    on_terminal(*words, **shown, LINES="5")
    paged = (tmp_path / "paged").read_text().splitlines()
    assert len([line for line in paged if " k" in line or ",k" in line]) == rows
    (tmp_path / "paged").unlink()
    for variables in ({**shown, "LINES": "50"}, {**shown, "LINES": "5", "PAGER": ""}, {"LINES": "5", "PAGER": "cat"}):
        with pytest.raises(StopIteration):
            on_terminal(*words, **variables)
        assert not (tmp_path / "paged").exists()


def test_nothing_is_paged_off_a_terminal(cli, store, tmp_path):
    done = cli(
        "duplicates", "small", "--threshold", "0.01", environment=cli.environment | {"PAGER": "false", "LINES": "2"}
    )
    assert len(done.stdout.splitlines()) > 5
