"""What people meet while they use the page: undo, two tabs, menus, notices, and narrow windows."""

import re

import pages
import pytest
from pages import CONTRASTS, UNNAMED, choose_labels, expect, named, search, settled

import embedstore

pytestmark = pages.NEEDS_CHROMIUM
home, serving, browser, desk = pages.demo_copy, pages.forked, pages.browser, pages.desk
COUNT = 60
PHONE = {"width": 390, "height": 844}


def total(page, count: int, of: int = COUNT) -> None:
    pages.total(page, count, of)


def again(page) -> None:
    """Load the page again, and wait until it listens."""
    page.reload()
    page.wait_for_selector("body[data-ready]")


def test_rows_that_left_the_list_come_back_when_the_label_of_all_is_taken_back(desk):
    page = desk()
    choose_labels(page)
    page.select_option("#answered", "none")
    search(page, "sql", "stars >= 4")
    expect(page.locator("#chips .chip")).to_have_count(2)
    expect(page.locator("#rows[aria-busy=false]")).to_be_visible()
    before = pages.total_shown(page)
    assert 0 < before < COUNT
    page.click("#bulk")
    page.click("#bulk-labels [data-label=Positive]")
    total(page, 0)
    expect(page.locator("#empty")).to_be_visible()
    page.keyboard.press("u")
    settled(page)
    total(page, before)
    expect(page.locator("#empty")).to_be_hidden()
    expect(page.locator(".row[data-index='0'] .text")).to_be_visible()


def test_rows_that_come_late_do_not_take_the_place_of_newer_ones(desk):
    page = desk()
    assert page.evaluate(LATE_ROWS) == {"first": ["new"], "last": ["new"], "total": 1}


def test_only_edited_labels_that_are_not_used_ask_before_the_page_is_left(desk):
    page = desk()
    choose_labels(page)
    asked = []
    page.on("dialog", lambda one: (asked.append(one.type), one.accept()))
    page.click("#choose-labels")
    expect(page.locator("#lens-items .name")).to_have_count(2)
    again(page)
    assert asked == []
    page.click("#choose-labels")
    page.locator("#lens-items .name").first.fill("Bad")
    again(page)
    assert asked == ["beforeunload"]
    expect(page.locator("#labels .label")).to_have_text([re.compile("Negative"), re.compile("Positive")])
    again(page)
    assert asked == ["beforeunload"]


def test_each_tab_has_its_own_name_and_a_new_one_begins_with_the_last(desk, serving):
    one = desk()
    named(one, "ada")
    other = one.context.new_page()
    pages.enter(other, serving)
    expect(other.locator("#who")).to_have_value("ada")
    named(other, "bob")
    again(one)
    expect(one.locator("#who")).to_have_value("ada")
    again(other)
    expect(other.locator("#who")).to_have_value("bob")


@pytest.mark.parametrize("window", [{}, PHONE], ids=["wide", "phone"])
def test_menus_stay_in_the_window_and_close_with_escape_or_a_press_outside(desk, window):
    page = desk(**window)
    width, height = page.viewport_size["width"], page.viewport_size["height"]
    for word in ("Take away", "Columns"):
        summary = page.locator(".menu > summary", has_text=word)
        sheet = summary.locator("xpath=../*[contains(@class, 'sheet')]")
        summary.click()
        expect(sheet).to_be_visible()
        expect(sheet).to_have_attribute("style", re.compile("max-height"))
        box = sheet.bounding_box()
        assert box["x"] >= 0 and box["x"] + box["width"] <= width
        assert box["y"] + box["height"] <= height
        page.keyboard.press("Escape")
        expect(sheet).to_be_hidden()
        expect(summary).to_be_focused()
        summary.click()
        sheet.click(position={"x": 3, "y": 3})
        expect(sheet).to_be_visible()
        page.click("#store")
        expect(sheet).to_be_hidden()


def test_what_is_said_is_short_or_scrolls_and_a_failure_is_forgotten_when_the_rows_come_again(desk):
    page = desk(forgiven="status of 400")
    page.locator(".row[data-index='0']").get_by_text("More like this").click()
    expect(page.locator(".row[data-index='0'] .similarity")).to_be_visible()
    expect(page.locator("#blank")).to_be_hidden()
    wrong = {"status": 400, "json": {"error": "wrong " * 1000}}
    page.route("**/api/rows", lambda one: one.fulfill(**wrong) if "0.1" in one.request.post_data else one.continue_())
    page.fill("#least", "0.1")
    page.press("#least", "Tab")
    expect(page.locator("#notice.error .said")).to_have_text(re.compile("^(wrong ){50}…$"))
    page.fill("#least", "0.05")
    page.press("#least", "Tab")
    expect(page.locator("#notice")).to_be_hidden()
    assert page.evaluate(FAILURES) == [True, False]
    expect(page.locator(".row[data-index='0'] .similarity")).to_have_attribute("title", "cosine similarity")
    page.evaluate("""async () => (await import("/static/notices.js")).say("a long message ".repeat(500))""")
    said = page.locator("#notice .said")
    said.focus()
    expect(said).to_be_focused()
    assert said.evaluate("one => one.clientHeight / parseFloat(getComputedStyle(one).lineHeight)") <= 6.1
    page.keyboard.press("End")
    page.wait_for_function("() => document.querySelector('#notice .said').scrollTop > 100")


def test_a_long_name_hides_no_tag_and_labels_that_were_answered_with_are_read_as_words(desk):
    # Counts of "annotations" that are under way when a second set is answered with are refused, and asked for anew.
    page = desk(forgiven="status of 400")
    named(page, "a" * 100)
    choose_labels(page, "broken\nbattery")
    page.locator(".row[data-index='0'] .text").click()
    page.keyboard.press("1")
    tag = page.locator(".row[data-index='0'] .tag > span").last
    expect(page.locator(".row[data-index='0'] .answer")).to_contain_text("aaa")
    assert tag.evaluate("one => one.scrollWidth <= one.clientWidth")
    settled(page)
    page.click("#choose-labels")
    page.select_option("#lens-start", label="names that I type")
    page.fill("#lens-typed", "Negative\nPositive")
    page.click("#lens-form button.main")
    expect(page.locator("#labels .label")).to_contain_text(["Negative", "Positive"])
    expect(page.locator("#lens-form")).to_be_hidden()
    page.keyboard.press("1")
    settled(page)
    words = "annotations (broken, battery)"
    expect(page.locator("#facets summary", has_text=words)).to_have_text(words)
    expect(page.locator("#by option", has_text=words).first).to_have_attribute("value", "annotations:broken|battery")
    page.click("#judge-open")
    expect(page.locator("#judge-column option", has_text=words)).to_have_count(1)
    title = r"""async () => (await import("/static/query.js")).titleOf(String.raw`annotations:a\|b|c:\\d`)"""
    assert page.evaluate(title) == r"annotations (a|b, c:\d)"
    assert "annotations:" not in page.locator("body").inner_text()


def test_a_narrow_window_has_two_lines_of_long_notes_and_brings_a_question_to_the_front(desk):
    page = desk(**PHONE)
    shares = {"Negative": 0.5, "Positive": 0.5}
    page.route("**/api/tags", lambda one: one.fulfill(json={"shares": shares, "notes": ["a long note " * 60]}))
    choose_labels(page)
    note = page.locator("#notes p")
    lines = "one => Math.round(one.clientHeight / parseFloat(getComputedStyle(one).lineHeight))"
    expect(page.locator("#notes-more")).to_have_text("More")
    assert note.evaluate(lines) == 2
    page.click("#notes-more")
    expect(page.locator("#notes-more")).to_have_attribute("aria-expanded", "true")
    assert note.evaluate(lines) > 6
    page.click("#notes-more")
    assert note.evaluate(lines) == 2
    assert page.evaluate(UNNAMED) == []
    assert page.evaluate(CONTRASTS) == []
    page.click("[data-tab=map]")
    page.click("#ask")
    expect(page.locator("#question")).to_be_visible()
    expect(page.locator("[data-tab=list]")).to_have_attribute("aria-pressed", "true")


def test_the_choice_by_answers_shows_each_word_whole_in_one_line(desk):
    page = desk()
    choose_labels(page)
    for how in ("", "any", "none", "mine", "disagreed"):
        page.select_option("#answered", how)
        assert page.locator("#answered").evaluate(NEEDED) <= page.locator("#answered").evaluate(
            "one => one.clientWidth"
        )
        assert page.locator("[data-name=list] > .bar-line").bounding_box()["height"] < 48


def test_rows_that_are_added_wait_for_their_vectors_without_an_error(desk, home):
    page = desk()
    choose_labels(page)
    store = embedstore.open(home / "desk")
    rows = [
        {"id": "new", "title": "New", "review": "A kettle that sings."},
        {"id": "blank", "title": None, "review": None},
    ]
    store.add([{"product": "kettle", "stars": 5} | row for row in rows], text="{title}: {review}", id="id")
    expect(page.locator("#notice")).to_contain_text("2 new rows come as soon as they are encoded")
    expect(page.locator("#notice.error")).to_have_count(0)
    total(page, COUNT)
    store.encode()
    expect(page.locator("#notice")).to_contain_text("2 new rows are here")
    total(page, COUNT + 2, COUNT + 2)
    page.locator(".row[data-index='0']").get_by_text("More like this").click()
    total(page, COUNT, COUNT + 2)  # without the row itself, and without that which has no text
    expect(page.locator("#blank")).to_have_text("1 row has no text")


FAILURES = """async () => {
  const { complain, works } = await import("/static/notices.js");
  const said = () => !document.getElementById("notice").hidden;
  complain(new Error("there are no rows"), "rows");
  works("colours");
  const before = said();
  works("rows");
  return [before, said()];
}"""

LATE_ROWS = """async () => {
  const { Rows } = await import("/static/rows.js");
  const { State } = await import("/static/state.js");
  const { api } = await import("/static/api.js");
  const waiting = [];
  const before = api.rows;
  api.rows = () => new Promise((come) => waiting.push((name) => come({ total: 1, rows: [{ row: 0, name }] })));
  const rows = new Rows(new State(), () => {}, (error) => { throw error; });
  const names = () => rows.pages.get(0).map((one) => one.name);
  const loads = [rows.reset(), rows.refresh(0, -1)];
  waiting[1]("new");
  await loads[1];
  const first = names();
  waiting[0]("old");
  await Promise.all(loads);
  api.rows = before;
  return { first, last: names(), total: rows.state.values.total };
}"""


NEEDED = """one => {
  const pen = document.createElement("canvas").getContext("2d");
  const { font, paddingLeft, paddingRight } = getComputedStyle(one);
  pen.font = font;
  return pen.measureText(one.selectedOptions[0].text).width + parseFloat(paddingLeft) + parseFloat(paddingRight) + 14;
}"""
