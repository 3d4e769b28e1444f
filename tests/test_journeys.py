"""Whole journeys of people at the desk: on many rows, two at once, and over a server that is killed.

`make test` takes 20,000 rows, `make torture` 200,000.
"""

import csv
import io
import json
import os
import re
import shlex
import subprocess
import sys

import pages
import pytest
from conftest import CommandLine
from large import make_store
from pages import (
    Serving,
    choose_labels,
    downloaded,
    enter,
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
ROWS = 200_000 if os.environ.get("EMBEDSTORE_TORTURE") else 20_000
LABELS = "broken: it broke after a week; it came damaged\nfine: it works well; I love it"


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    home = tmp_path_factory.mktemp("journeys") / "home"
    home.mkdir()
    make_store(home / "desk", ROWS)
    return home


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


def run(command, home, folder):
    """Run a command of the page as a person would, in a shell; return what it prints."""
    words = [sys.executable, "-m", "embedstore.cli", *shlex.split(command)[1:]]
    done = subprocess.run(words, cwd=folder, env=CommandLine.environment_of(home), capture_output=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_corpus_is_searched_labelled_shaped_and_taken_away_as_the_shell_gives_it(desk, home, shell, tmp_path):
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
    shown = [one["id"] for one in csv.DictReader(io.StringIO(run(shown_command(page), home, tmp_path).decode()))]
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
    with page.expect_download() as told:
        page.click("#lens-save")
    told.value.save_as(tmp_path / told.value.suggested_filename)
    page.click("#lens-form button.main")
    search(page, "sql", "stars <= 2 AND product = 'desk lamp'")
    expect(page.locator("#total")).not_to_have_text(re.compile(f"^{ROWS:,} "))
    command = shown_command(page)
    assert "--labels labels.yaml" in command
    table = run(command, home, tmp_path)
    assert table.count(b"\n") == total_shown(page) + 1
    assert downloaded(page, "csv").read_bytes() == table
