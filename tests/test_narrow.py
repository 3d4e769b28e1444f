"""Tables, lists, reports and messages on terminals of 40 and 60 columns; elsewhere they are as they were."""

import json
import re

import pytest
from conftest import CommandLine, HashEncoder

import embedstore
from embedstore.core.layout import fold, table, wide

SIDES = ("Arrived broken, or not at all", "Does what the description says", "お茶がとてもおいしかったです")
TEXTS = (
    "I gave it to the school fair, where nobody wanted it",
    "毎日この急須でお茶を飲んでいます。とても使いやすいです。",
)
CORPUS = "reviews-of-the-last-month"


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A folder with a store of 60 rows in two corpora; its names and texts are long, and some are Japanese."""
    home = tmp_path_factory.mktemp("narrow")
    store = embedstore.create(home / "long", encoder=HashEncoder())
    for corpus, count in ((CORPUS, 48), ("test", 12)):
        rows = [
            {
                "id": f"review-number-{corpus[0]}{number:04}",
                "text": f"{number % 40} {TEXTS[number % 2]}",
                "side": SIDES[number % 3],
                "wordy": " ".join(["a cell of many words"] * 5),
            }
            for number in range(count)
        ]
        store.add(rows, text="text", id="id", corpus=corpus)
    store.encode()
    store.tag(SIDES, corpus=CORPUS)
    store.train("side", name="side", corpus=CORPUS)
    store.index(kind="flat")
    (home / "answers.csv").write_text(
        "id,label\n" + "".join(f'review-number-r{number:04},"{SIDES[number % 3]}"\n' for number in range(6))
    )
    return home


def commands(home):
    """Return each command that prints a table, a list or a report."""
    store, train = str(home / "long"), ["--corpus", CORPUS]
    labels = [word for side in SIDES for word in ("-l", side)]
    side = ["--target", "side", *train]
    return [
        ["annotations", store, "--import", str(home / "answers.csv"), *labels, *train, "--who", "somebody"],
        ["annotations", store],
        ["compare", store, *side],
        ["corpora", store],
        ["doubts", store, *side],
        ["duplicates", store, "--threshold", "0.6"],
        ["gc", store, "--dry-run"],
        ["index", store, "--kind", "flat"],
        ["info", store],
        ["labels"],
        ["predict", store, "--probe", "side", *train],
        ["search", store, "--row", "review-number-r0003", *train],
        ["tag", store, *train, *labels],
        ["tag", store, *train, *labels, "--gold", "side", "-o", str(home / "out.csv")],
        ["tag", store, *train, *labels, "--explain", "review-number-r0003"],
        ["topics", store, "--count", "3", *train],
        ["train", store, *side],
        ["verify", store],
        ["search", store, "a text that has no vector", "--no-encode"],
        ["tag", store, "--corpus", "a corpus that is not there at all", "-l", "a", "-l", "b"],
    ]


@pytest.fixture
def run(forking, tmp_path):
    """A function that runs commands with these streams and columns; it returns what each showed."""

    def shown(jobs, streams, columns):
        script = "import json, shells, sys\nprint(json.dumps([shells.run(*job) for job in json.load(sys.stdin)]))"
        environment = CommandLine.environment_of(tmp_path) | {"PAGER": "cat", "COLUMNS": str(columns)}
        given = json.dumps([(streams, words) for words in jobs]).encode()
        done = forking(["-c", script], input=given, environment=environment, folder=tmp_path)
        assert done.returncode == 0, done.stderr.decode()
        texts = [text.replace("^D\b\b", "").replace("\r\n", "\n") for _, text in json.loads(done.stdout)]
        return [text.replace("q\n", "", 1) if streams == "terminal" else text for text in texts]  # q is typed

    return shown


def is_whole(line):
    """Return whether a line is one word, or one command."""
    return len(re.sub("`[^`]*`", "", line).split()) <= 1


@pytest.mark.parametrize("columns", [40, 60])
def test_no_line_is_wider_than_the_terminal_but_for_one_word(home, run, columns):
    asked = commands(home)
    for words, text in zip(asked, run(asked, "terminal", columns), strict=True):
        assert text, words
        for line in text.splitlines():
            line = line.rpartition("\r")[2]
            assert wide(line) <= columns or is_whole(line) or line.startswith("Error: "), (words, line)


def test_off_a_terminal_the_columns_say_nothing(home, run):
    asked = [words for words in commands(home) if words[0] not in ("compare", "predict", "tag")]  # times, and bars
    assert run(asked, "stdin closed", 40) == run(asked, "stdin closed", 200)
    lines = "".join(run(asked, "stdin closed", 40)).splitlines()
    assert max(map(len, lines)) > 150


def test_a_wide_terminal_shows_the_lines_of_a_pipe(home, run):
    asked = [words for words in commands(home) if words[0] in ("corpora", "info", "train", "verify")]
    for words, piped, shown in zip(asked, run(asked, "", 500), run(asked, "terminal", 500), strict=True):
        assert sorted(map(str.rstrip, shown.splitlines())) == sorted(map(str.rstrip, piped.splitlines())), words


def test_a_table_keeps_every_cell_when_it_has_a_line_for_each_field():
    rows = [("method", "rows", "accuracy"), ("majority class", "53", "0.509 [0.377, 0.642]"), ("LogReg", "", "0.7")]
    assert table(rows, "<>>", width=30) == [
        "method majority class",
        "  rows      53",
        "  accuracy",
        "    0.509 [0.377, 0.642]",
        "method LogReg",
        "  accuracy  0.7",
    ]


def test_a_list_of_doubts_is_a_table_where_it_fits(home, run):
    words = next(words for words in commands(home) if words[0] == "doubts")
    wide_one, narrow = (run([words], "terminal", columns)[0].splitlines() for columns in (160, 40))
    head = next(line for line in wide_one if line.startswith("id "))
    assert head.split() == ["id", "given", "suggested", "confidence", "margin", "text"]
    first = wide_one[wide_one.index(head) + 1].split()[0]
    at = narrow.index(f"id {first}")
    assert [line.split()[0] for line in narrow[at + 1 : at + 6] if not line.startswith("    ")][:1] == ["given"]


def test_folding_breaks_at_spaces_and_keeps_a_command_whole():
    line = "note: 2 finished segments wait for `embedstore encode a store --collect`, as before"
    assert fold(line, 30) == [
        "note: 2 finished segments wait",
        "  for",
        "  `embedstore encode a store --collect`,",
        "  as before",
    ]
    assert fold("    spec digest 'abc', pooling 'mean'", 24) == ["    spec digest 'abc',", "      pooling 'mean'"]
    assert fold("お茶をください", 8) == ["お茶をく", "  ださい"]


def test_a_report_has_a_line_for_each_figure_where_it_is_wider(home, run):
    words = next(words for words in commands(home) if words[0] == "train")
    (shown,) = run([words], "terminal", 40)
    assert len(re.findall(r"^  (?:precision|recall   |f1-score )  \d\.\d{4}$", shown, re.MULTILINE)) == 3 * 5 + 1
    assert len(re.findall(r"^given .*\n(?:.*\n)?  predicted", shown, re.MULTILINE)) >= 3
