"""Whole journeys of people at the desk: on many rows, two at once, and over a server that is killed.

`make test` takes 8,000 rows, `make torture` 200,000.
"""

import csv
import io
import json
import os
import re
import shlex
import shutil

import pages
import pyarrow.parquet as pq
import pytest
from conftest import CommandLine
from large import make_store
from pages import (
    Serving,
    choose_labels,
    downloaded,
    expect,
    named,
    outline,
    search,
    settled,
    total,
    total_shown,
)

pytestmark = pages.NEEDS_CHROMIUM
serving, browser, desk, shell = pages.serving, pages.browser, pages.desk, pages.shell
ROWS = 200_000 if os.environ.get("EMBEDSTORE_TORTURE") else 8_000
FEW = 60  # rows of the small store
LABELS = "broken: it broke after a week; it came damaged\nfine: it works well; I love it"


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A home with a store `desk` of many rows."""
    home = tmp_path_factory.mktemp("journeys") / "home"
    home.mkdir()
    make_store(home / "desk", ROWS)
    return home


@pytest.fixture
def small_home(demo_home, tmp_path):
    """A home with a store `desk` of few rows, r0001 and so on, of which nobody has said anything."""
    shutil.copytree(demo_home / "demo", tmp_path / "home" / "desk")
    return tmp_path / "home"


def said(shell, *words):
    """Return what people said, as (id, person, label)."""
    done = shell("annotations", "desk", *words)
    if done.returncode:
        assert "annot" in done.stderr, done.stderr
        return []
    return sorted((row["id"], row["who"], row["label"]) for row in csv.DictReader(io.StringIO(done.stdout)))


def shown_command(page):
    """Return the shell command that the page shows."""
    page.click("#take-away summary")
    expect(page.locator("#command")).to_contain_text("embedstore")
    command = page.locator("#command").inner_text()
    page.click("#take-away summary")
    return command


def leave_answers_out(page):
    """Take rows away without the answers, as the shell's `tag` gives them."""
    page.click("#take-away summary")
    if page.locator("#with-answers").is_visible():
        page.uncheck("#with-answers")
    page.click("#take-away summary")


def save_labels(page, folder):
    """Save the labels that are shaped as a file."""
    with page.expect_download() as told:
        page.click("#lens-save")
    told.value.save_as(folder / told.value.suggested_filename)


@pytest.fixture
def run(home, tmp_path, forking):
    """A function that runs a command of the page as a person would, in a folder; it returns what is printed."""

    def printed(command):
        environment = CommandLine.environment_of(home)
        done = forking(shlex.split(command)[1:], input=b"", environment=environment, folder=tmp_path)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return printed


def test_a_corpus_is_searched_labelled_shaped_and_taken_away_as_the_shell_gives_it(desk, shell, run, tmp_path):
    page = desk()
    total(page, ROWS, ROWS)
    named(page, "ada")
    choose_labels(page, LABELS)

    search(page, "meaning", "a lamp that does not work any more")
    expect(page.locator(".row[data-index='0'] .similarity")).to_be_visible()
    first = page.locator(".row[data-index='0']")
    liked = first.locator(".id").inner_text()
    first.get_by_text("More like this").click()
    total(page, ROWS - 1, ROWS)  # without the row itself
    shown = [one["id"] for one in csv.DictReader(io.StringIO(run(shown_command(page)).decode()))]
    expect(page.locator(".row[data-index='0'] .id")).to_have_text(shown[0])
    assert page.locator(".row .id").all_inner_texts() == shown[: page.locator(".row .id").count()]
    assert liked not in shown

    page.fill("#least", "0.2")
    page.press("#least", "Enter")
    expect(page.locator("#total")).not_to_have_text(re.compile(f"^{ROWS - 1:,} "))
    near = total_shown(page)
    outline(page)
    expect(page.locator("#chips .chip")).to_have_count(2)
    expect(page.locator("#total")).not_to_have_text(re.compile(f"^{near:,} "))
    inside = total_shown(page)
    assert 0 < inside < near

    page.click("#bulk")
    expect(page.locator("#bulk-rows li:not(.soft)")).to_have_count(10)
    page.click("#bulk-labels [data-label=broken]")
    expect(page.locator("#notice")).to_contain_text(f"{inside:,} texts labelled broken")
    given = said(shell)
    assert len(given) == inside
    assert {label for _, _, label in given} == {"broken"}
    page.locator("#notice").get_by_text("Undo").click()
    expect(page.locator("#notice")).to_contain_text("Taken back")
    settled(page)
    assert said(shell) == []

    page.get_by_text("Clear all").click()
    total(page, ROWS, ROWS)
    page.locator(".row[data-index='0'] .text").click()
    for number, key in enumerate("120"):
        expect(page.locator("#reader .id")).to_have_text(f"k{number}")
        page.keyboard.press(key)
    settled(page)
    assert said(shell) == [("k0", "ada", "broken"), ("k1", "ada", "fine")]  # a skip is no answer

    page.click("#choose-labels")
    page.get_by_label("descriptions of broken").fill("it came late\nit disappoints, poor quality")
    expect(page.locator("#moved-count")).to_contain_text(f" of {ROWS:,} rows change")
    assert not page.locator("#moved-count").inner_text().startswith("0 ")
    save_labels(page, tmp_path)
    page.click("#lens-form button.main")
    search(page, "sql", "stars <= 2 AND product = 'desk lamp'")
    expect(page.locator("#total")).not_to_have_text(re.compile(f"^{ROWS:,} "))
    command = shown_command(page)
    assert "--labels labels.yaml" in command
    table = run(command)
    assert table.count(b"\n") == total_shown(page) + 1
    leave_answers_out(page)
    assert downloaded(page, "csv").read_bytes() == table


# --- files


READ = {
    "parquet": lambda path: pq.read_table(path).to_pylist(),
    "jsonl": lambda path: [json.loads(line) for line in path.read_text().splitlines()],
    "tsv": lambda path: list(csv.DictReader(io.StringIO(path.read_text()), delimiter="\t")),
}


def test_a_file_of_the_page_is_the_file_of_the_shell(desk, run, tmp_path):
    page = desk()
    choose_labels(page, LABELS)
    page.click("#choose-labels")
    save_labels(page, tmp_path)
    page.click("#lens-cancel")
    search(page, "sql", "stars = 5 AND key LIKE '%7'")
    expect(page.locator("#total")).not_to_have_text(re.compile(f"^{ROWS:,} "))
    command = shown_command(page)
    leave_answers_out(page)
    for format, read in READ.items():
        path = downloaded(page, format)
        assert path.name == f"train.{format}"
        run(f"{command} -o shell.{format}")
        rows = read(path)
        assert len(rows) == total_shown(page)
        assert {row["Predicted_Labels"] for row in rows} == {"broken", "fine"}
        assert rows == read(tmp_path / f"shell.{format}")
        assert path.read_bytes() == (tmp_path / f"shell.{format}").read_bytes()


# --- several people


PASSWORD = "a password of two people"
AWAY = "ERR_CONNECTION_REFUSED|ERR_INCOMPLETE|ERR_CONNECTION_RESET|ERR_EMPTY_RESPONSE|Failed to load resource"


@pytest.fixture
def pair(browser, small_home, forking):
    """A desk with a password, and two people at it in browsers of their own."""
    serving = Serving(small_home, options=["--password"], password=PASSWORD, forking=forking)
    try:
        with pages.opening(browser, serving) as opened:
            people = [opened(forgiven=AWAY) for _ in range(2)]
            for name, page in zip(("ada", "bob"), people, strict=True):
                named(page, name)
                choose_labels(page, LABELS)
            yield serving, *people
    finally:
        serving.kill()


@pytest.fixture
def told(pair, forking):
    """A function that returns what the shell tells of the answers: a summary, and each as (id, person, label)."""
    shell = CommandLine(pair[0].home, forking)

    def answers():
        done = shell("annotations", "desk", "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout), said(shell)

    return answers


def id_of(row):
    return f"r{row + 1:04}"


def label(page, row, key):
    """Give a row that is in view a label, by its key."""
    page.locator(f".row[data-index='{row}'] .text").click()
    expect(page.locator("#reader .id")).to_have_text(id_of(row))
    page.keyboard.press(key)


def answers_of(page, row):
    return page.locator(f".row[data-index='{row}'] .answers")


def test_two_people_see_what_the_other_says_and_settle_it(pair, told):
    _, ada, bob = pair
    given = [(ada, 0, "1"), (bob, 1, "2"), (ada, 2, "1"), (bob, 2, "2"), (bob, 3, "1"), (ada, 3, "1")]
    for page, row, key in given:  # the next one does not wait until this one is sent
        label(page, row, key)
    for page in (ada, bob):
        expect(answers_of(page, 0)).to_contain_text(re.compile("broken.*ada"))
        expect(answers_of(page, 1)).to_contain_text(re.compile("fine.*bob"))
        expect(answers_of(page, 2)).to_contain_text("disagree")
        expect(answers_of(page, 3)).to_contain_text(re.compile("^broken.2$"))
    summary, answers = told()
    assert answers == [
        (id_of(0), "ada", "broken"),
        (id_of(1), "bob", "fine"),
        (id_of(2), "ada", "broken"),
        (id_of(2), "bob", "fine"),
        (id_of(3), "ada", "broken"),
        (id_of(3), "bob", "broken"),
    ]
    assert summary["disagreeing"] > 0

    for page in (ada, bob):
        page.select_option("#answered", "disagreed")
        total(page, 1, FEW)
        expect(page.locator(".row[data-index='0'] .id")).to_have_text(id_of(2))
    bob.locator(".row[data-index='0'] .text").click()
    bob.keyboard.press("1")
    for page in (ada, bob):
        total(page, 0, FEW)
        page.select_option("#answered", "")
        expect(answers_of(page, 2)).to_contain_text(re.compile("^broken.2$"))
    summary, answers = told()
    assert (id_of(2), "bob", "broken") in answers
    assert len(answers) == 6
    assert summary["disagreeing"] == 0


def test_a_server_that_is_killed_between_two_answers_loses_none_and_counts_none_twice(pair, told):
    serving, ada, bob = pair
    for row in range(4):
        label(ada, row, "1")
        label(bob, row, "2")
    serving.kill()  # what was sent just now may be kept, or not
    for row in range(4, 7):
        label(ada, row, "1")
        label(bob, row, "2")
    for page in (ada, bob):
        expect(page.locator("#away")).to_contain_text("are kept")
    serving.start(serving.port)
    for page in (ada, bob):
        settled(page)
        expect(page.locator("#away")).to_be_hidden()
        for row in range(4):
            expect(answers_of(page, row)).to_contain_text("disagree")
    summary, answers = told()
    labels = {"ada": "broken", "bob": "fine"}
    assert answers == sorted((id_of(row), who, said) for row in range(7) for who, said in labels.items())
    assert summary["annotations"] == 14


# --- read-only


def test_a_desk_that_is_read_only_says_so_and_no_key_or_button_answers(browser, small_home, forking):
    serving = Serving(small_home, options=["--read-only"], forking=forking)
    try:
        with pages.opening(browser, serving) as opened:
            page = opened()
            expect(page.locator("#read-only")).to_be_visible()
            choose_labels(page, LABELS)
            page.locator(".row[data-index='5'] .text").click()
            for button in page.locator("#labels button").all():
                expect(button).to_be_disabled()
            for name in ("#bulk", "#skip", "#undo", "#ask", "#who"):
                expect(page.locator(name)).to_be_hidden()
            for key in "120su":
                page.keyboard.press(key)
            expect(page.locator("#reader .id")).to_have_text(id_of(5))
            page.keyboard.press("j")
            expect(page.locator("#reader .id")).to_have_text(id_of(6))
            assert page.evaluate("Object.keys(localStorage).filter((name) => name.includes('unsent:'))") == []
    finally:
        serving.kill()
    assert said(CommandLine(small_home, forking)) == []
