"""Answers outlive an edit of the labels, and go with the rows, in a browser."""

import csv

import pages
from pages import answers, choose_labels, downloaded, expect, named, settled, total

import embedstore
from embedstore.desk import Desk, Query
from embedstore.desk.lens import Lens

pytestmark = pages.NEEDS_CHROMIUM
home, serving, browser, desk, shell = pages.home, pages.forked, pages.browser, pages.desk, pages.shell
OLD, NEW = ["Negative", "Positive"], ["Negative", "Positive", "Mixed"]
SAID = {"r0001": "Negative", "r0002": "Positive"}


def said(home, labels):
    """Return what ada said with some labels, by id."""
    rows = Desk(embedstore.open(home / "desk")).rows(Query(), Lens.of(labels), count=100)["rows"]
    return {one["id"]: one["answers"]["ada"] for one in rows if "ada" in one.get("answers", {})}


def use(page):
    """Use the labels of the editor, and wait until it is closed: answers are taken over before."""
    page.click("#lens-form button.main")
    expect(page.locator("#lens-form")).to_be_hidden()


def add_label(page, name):
    page.click("#choose-labels")
    page.click("#lens-add")
    page.locator("#lens-items .name").last.fill(name)


def test_a_label_is_added_and_the_answers_are_taken_over_and_taken_back(desk, home):
    page = desk()
    named(page, "ada")
    choose_labels(page)
    page.locator(".row[data-index='0'] .text").click()
    page.keyboard.press("1")
    page.keyboard.press("2")
    settled(page)
    assert said(home, OLD) == SAID
    page.click("#choose-labels")
    page.check("#lens-examples")
    expect(page.locator("#notes")).to_contain_text("blended in")
    use(page)

    add_label(page, "Mixed")
    expect(page.locator("#carry-text")).to_have_text("take the answers over (2 texts)")
    expect(page.locator("#notes")).to_contain_text("nobody has answered with these labels yet")
    expect(page.locator("#lens-problem")).to_be_hidden()
    total(page, pages.COUNT)
    expect(page.locator("#labels .share")).to_have_count(len(NEW))
    page.uncheck("#carry")
    use(page)
    expect(page.locator("#carry-line")).to_be_hidden()
    assert said(home, NEW) == {}, "who unticks it keeps the answers apart"

    page.click("#choose-labels")
    page.get_by_label("remove Mixed").click()
    use(page)
    expect(page.locator("#labels .share")).to_have_count(len(OLD))
    add_label(page, "Mixed")
    expect(page.locator("#carry")).to_be_checked()
    use(page)
    expect(page.locator("#notice")).to_contain_text("answers of 2 texts taken over")
    assert said(home, NEW) == SAID
    expect(page.locator(".row[data-index='1'] .answers")).to_contain_text("Positive")
    column = "annotations:Negative|Positive|Mixed"
    for label in OLD:
        expect(page.locator(f"[data-column='{column}'] .bin", has_text=label)).to_contain_text("1")
    page.locator("#notice").get_by_text("Undo").click()
    expect(page.locator("#notice")).to_contain_text("Taken back: answers of 2 texts taken over")
    expect(page.locator(".row[data-index='1'] .answers")).to_have_count(0)
    settled(page)
    assert said(home, NEW) == {}
    assert said(home, OLD) == SAID


def test_the_table_has_the_answers_and_the_bulk_dialog_counts_them(desk, home, shell):
    page = desk()
    named(page, "ada")
    labels = ["Dull", "Bright"]
    choose_labels(page, "\n".join(labels))
    page.click("#bulk")
    expect(page.locator("#bulk-rows li:not(.soft)")).to_have_count(10)
    expect(page.locator("#bulk-answered")).to_be_hidden()
    page.click("#bulk-cancel")
    page.locator(".row[data-index='0'] .text").click()
    for key in "12":
        page.keyboard.press(key)
    settled(page)
    page.click("#bulk")
    expect(page.locator("#bulk-answered")).to_have_text(
        "2 of these texts have an answer already (2 by you); it stays and counts again after undo."
    )
    page.click("#bulk-cancel")

    page.click("#take-away summary")
    expect(page.locator("#with-answers")).to_be_visible()
    expect(page.locator("#with-answers")).to_be_checked()
    expect(page.locator("#without-answers")).to_contain_text("embedstore annotations desk")
    page.click("#take-away summary")
    with downloaded(page, "csv").open(newline="") as stream:
        table = list(csv.DictReader(stream))
    assert {row["id"]: row["annotations"] for row in table if row["annotations"]} == said(home, labels)
    assert {id_: label for id_, label in answers(shell).items() if label in labels} == said(home, labels) != {}
    page.click("#take-away summary")
    page.uncheck("#with-answers")
    expect(page.locator("#without-answers")).to_be_hidden()
    page.click("#take-away summary")
    with downloaded(page, "csv").open(newline="") as stream:
        assert "annotations" not in csv.DictReader(stream).fieldnames
