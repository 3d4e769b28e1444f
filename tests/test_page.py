"""The desk in a browser: whole journeys through the page of a running `embedstore serve`."""

import csv
import io
import re
from pathlib import Path

import pages
import pytest
from pages import (
    CONTRASTS,
    COUNT,
    HOSTILE,
    ODD,
    PLACE_OF_RING,
    UNNAMED,
    answers,
    choose_labels,
    expect,
    outline,
    search,
    settled,
    shown_ids,
    total,
)

import embedstore

pytestmark = pages.NEEDS_CHROMIUM
home, serving, browser, desk, shell = pages.home, pages.serving, pages.browser, pages.desk, pages.shell
PAGE = sorted((Path(embedstore.__file__).parent / "web" / "page").iterdir())


@pytest.mark.parametrize("path", PAGE, ids=lambda path: path.name)
def test_a_file_of_the_page_is_short_and_makes_no_html_of_texts(path):
    text = path.read_text()
    assert text.count("\n") <= 300
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function", text)
    assert not re.search(
        r"<script(?![^>]* src=\"/static/)|<style| style=| on\w+=|https?://(?!www.w3.org/2000/svg\")", text
    )


def test_a_search_is_narrowed_down_labelled_and_taken_away(desk, shell):
    page = desk()
    total(page, COUNT)
    page.fill("#who", "ada")
    page.press("#who", "Tab")
    choose_labels(page)

    search(page, "meaning", "it broke after a week")
    expect(page.locator("#chips .chip")).to_have_text(re.compile("meaning"))
    expect(page.locator(".row[data-index='0'] .similarity")).to_be_visible()
    first = page.locator(".row[data-index='0'] .id").inner_text()
    page.locator(".row[data-index='0']").get_by_text("More like this").click()
    total(page, COUNT - 1)  # without the row itself
    assert first not in page.locator(".row .id").all_inner_texts()
    page.locator("#chips .chip button").click()
    total(page, COUNT)

    page.locator("[data-column=stars] .bin", has_text="1").first.click()
    expect(page.locator("#chips .chip")).to_have_text(re.compile("stars"))
    done = shell("tag", "desk", "--label", "Negative", "--label", "Positive", "--where", '"stars" = 1')
    table = list(csv.DictReader(io.StringIO(done.stdout)))
    total(page, len(table))
    assert shown_ids(page) == [row["id"] for row in table]

    outline(page)
    expect(page.locator("#chips .chip")).to_have_count(2)
    inside = shown_ids(page)
    assert 0 < len(inside) < len(table)
    total(page, len(inside))

    page.click("#bulk")
    expect(page.locator("#bulk-rows li:not(.soft)")).to_have_count(min(10, len(inside)))
    page.click("#bulk-labels [data-label=Negative]")
    expect(page.locator("#notice")).to_contain_text(f"{len(inside)} texts labelled Negative")
    assert answers(shell) == dict.fromkeys(inside, "Negative")
    expect(page.locator("[data-column=annotations] .bin", has_text="Negative")).to_contain_text(str(len(inside)))
    page.locator("#notice").get_by_text("Undo").click()
    settled(page)
    assert answers(shell) == {}

    page.get_by_text("Clear all").click()
    total(page, COUNT)
    page.locator(".row[data-index='0'] .text").click()
    for key in "120":
        page.keyboard.press(key)
    expect(page.locator("#reader .id")).to_have_text("r0004")
    expect(page.locator(".row[data-index='1'] .answers")).to_contain_text("Positive")
    page.keyboard.press("u")
    expect(page.locator("#reader .id")).to_have_text("r0003")
    page.keyboard.press("u")
    expect(page.locator("#reader .id")).to_have_text("r0002")
    settled(page)
    assert answers(shell) == {"r0001": "Negative"}


def test_hostile_texts_are_shown_as_texts(desk):
    page = desk()
    search(page, "sql", "id LIKE '<i>%'")
    total(page, 3)
    expect(page.locator(".row[data-index='0'] .text")).to_have_text(f"odd: {HOSTILE[0]}")
    assert page.locator(".row img, .row script, .row i, .bin b b, #facets i").count() == 0
    expect(page.locator("[data-column=product] .bin", has_text="<b>lamp</b>")).to_contain_text("3 / 3")
    page.locator(".row[data-index='2']").get_by_text("Show all").click()
    expect(page.locator("#reader .text")).to_contain_text("long end")
    assert page.locator("#reader .text").inner_text().rstrip() == f"odd: {HOSTILE[2]}"
    page.locator(".row[data-index='1'] .text").click()
    assert page.locator("#reader .text").evaluate("one => one.textContent") == f"odd: {HOSTILE[1]}"
    assert page.title() == "desk: train"


def test_a_value_or_column_with_quotes_makes_a_right_filter(desk):
    page = desk()
    column = page.locator("#facets details").filter(has=page.get_by_text(ODD, exact=True))
    column.locator(".bin", has_text="it's 0").click()
    total(page, 30)
    column.locator(".bin", has_text="(none)").click()
    total(page, 33)
    page.click("#take-away summary")
    expect(page.locator("#command")).to_contain_text("no command")
    page.click("#take-away summary")
    column.locator(".bin", has_text="it's 0").click()
    total(page, 3)
    search(page, "words", "RED")
    total(page, 1)


def test_another_query_begins_at_its_first_row(desk):
    page = desk()
    page.locator("#rows").evaluate("box => { box.scrollTop = box.scrollHeight; }")
    expect(page.locator(".row .id", has_text="r0060")).to_be_visible()
    search(page, "meaning", "a good book")
    expect(page.locator(".row[data-index='0'] .similarity")).to_be_visible()
    assert page.locator("#rows").evaluate("box => box.scrollTop") == 0
    assert page.locator("#rows .row").count() < 20


def test_a_wrong_condition_is_said_and_changes_nothing(desk):
    page = desk(forgiven="status of 400")
    search(page, "sql", "stars <")
    expect(page.locator("#search-problem")).to_contain_text("expected a condition")
    total(page, COUNT)
    assert page.locator("#chips .chip").count() == 0


def test_answers_outlive_a_server_that_is_killed(desk, serving, shell):
    page = desk(forgiven="ERR_CONNECTION_REFUSED|ERR_INCOMPLETE|Failed to load resource")
    page.fill("#who", "ada")
    page.press("#who", "Tab")
    choose_labels(page, "Good\nBad")
    page.click("#ask")
    expect(page.locator("#question")).to_have_text("Question 1")
    asked = page.locator("#reader .id").inner_text()
    page.keyboard.press("2")
    expect(page.locator("#question")).to_have_text("Question 2")
    settled(page)
    serving.kill()
    expect(page.locator("#away")).to_be_visible()
    away = []
    for _ in range(3):
        away.append(page.locator("#reader .id").inner_text())
        page.keyboard.press("1")
    expect(page.locator("#away")).to_contain_text("3 answers are kept")
    page.keyboard.press("u")
    expect(page.locator("#reader .id")).to_have_text(away[2])
    assert len({asked, *away}) == 4
    search(page, "words", "lamp")
    expect(page.locator("#empty")).to_contain_text("does not answer")
    serving.start(serving.port)
    settled(page)
    expect(page.locator("#away")).to_be_hidden()
    expect(page.locator(".row[data-index='0'] .text")).to_contain_text(re.compile("lamp", re.IGNORECASE))
    given = {id_: label for id_, label in answers(shell).items() if label in ("Good", "Bad")}
    assert given == {asked: "Bad", away[0]: "Good", away[1]: "Good"}


def test_answers_outlive_a_page_that_is_closed_without_a_network(desk, serving, shell):
    page = desk(forgiven="ERR_INTERNET_DISCONNECTED")
    page.fill("#who", "ada")
    page.press("#who", "Tab")
    choose_labels(page, "Here\nThere")
    page.locator(".row[data-index='7'] .text").click()
    context = page.context
    context.set_offline(True)
    page.keyboard.press("1")
    expect(page.locator("#away")).to_contain_text("1 answer is kept")
    page.close()
    context.set_offline(False)
    page = context.new_page()
    page.goto(serving.address)
    page.wait_for_selector("body[data-ready]")
    settled(page)
    assert answers(shell)["r0008"] == "Here"
    page.keyboard.press("u")
    expect(page.locator("#reader .id")).to_have_text("r0008")
    settled(page)
    assert "Here" not in answers(shell).values()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_can_be_read_against_its_ground(desk, scheme):
    page = desk(scheme=scheme)
    choose_labels(page)
    page.locator("[data-column=stars] .bin").first.click()
    page.locator(".row[data-index='0'] .text").click()
    assert page.evaluate(CONTRASTS) == []


@pytest.mark.parametrize(("width", "height"), [(1280, 800), (390, 844)])
def test_all_fits_the_window_and_every_control_has_a_name(desk, width, height):
    page = desk(width=width, height=height)
    choose_labels(page)
    for tab in ("facets", "map", "list") if width < 900 else ():
        page.click(f"[data-tab={tab}]")
        expect(page.locator(f".pane[data-name={tab}]")).to_be_visible()
        assert page.locator(".pane:visible").count() == 1
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert page.evaluate("document.documentElement.scrollHeight <= innerHeight")
    assert page.evaluate(UNNAMED) == []


def test_the_choice_of_dark_is_kept(desk):
    page = desk(scheme="light")
    ground = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(ground)
    page.click("#theme")
    dark = page.evaluate(ground)
    assert dark != light
    page.reload()
    page.wait_for_selector("body[data-ready]")
    assert page.evaluate(ground) == dark


def test_a_list_of_a_million_rows_reaches_its_ends_and_keeps_few_elements(desk):
    page = desk()
    assert page.evaluate(LONG_LIST) == {"first": 0, "wheel": 3, "half": 500_000, "last": 999_999, "most": True}


def test_points_are_drawn_where_they_are_and_found_again(desk):
    page = desk()
    drawn = page.evaluate(PAINTED)
    assert drawn == {"shown": [0, 114, 178, 255], "out": [222, 222, 218, 255], "ground": [255, 255, 255, 255]}
    assert page.evaluate(NEAREST) == 0


def test_the_map_answers_to_pointer_and_keys(desk):
    page = desk()
    choose_labels(page)
    expect(page.locator("#legend li")).to_have_text(["Negative", "Positive"])
    colour = "one => getComputedStyle(one).backgroundColor"
    legend = page.locator("#legend .dot").nth(1).evaluate(colour)
    assert legend == page.locator("#labels .dot").nth(1).evaluate(colour)
    assert legend == page.locator(".row .tag", has_text="Positive").first.locator(".dot").evaluate(colour)
    bin_ = page.locator("[data-column=Predicted_Labels] .bin", has_text="Positive")
    expect(bin_.locator(".dot")).to_have_css("background-color", legend)
    page.locator(".row[data-index='5'] .text").click()
    text = page.locator("#reader .text").inner_text()
    x, y = page.evaluate(PLACE_OF_RING)
    box = page.locator("#marks").bounding_box()
    page.mouse.move(box["x"] + x, box["y"] + y)
    expect(page.locator("#tip")).to_contain_text(text[:30])
    page.locator(".row[data-index='0'] .text").click()
    page.mouse.click(box["x"] + x, box["y"] + y)
    expect(page.locator("#reader .text")).to_have_text(text)
    page.focus("#marks")
    before = page.screenshot(clip=box)
    page.keyboard.press("+")
    page.keyboard.press("ArrowLeft")
    page.wait_for_function("() => new Promise(requestAnimationFrame)")
    assert page.screenshot(clip=box) != before


LONG_LIST = """async () => {
  const { Scroll } = await import("/static/scroll.js");
  const box = document.createElement("div");
  box.append(document.createElement("div"));
  Object.assign(box.style, { position: "fixed", inset: "0", height: "600px", overflowY: "auto" });
  document.body.append(box);
  let range = [0, 0], most = 0;
  const scroll = new Scroll(box, 100, (first, last) => { range = [first, last]; most = Math.max(most, last - first); });
  const moved = async (bar) => {
    box.scrollTop = bar;
    await new Promise((done) => box.addEventListener("scroll", () => done(), { once: true }));
  };
  scroll.setTotal(1_000_000);
  const found = { first: range[0] };
  await moved(300);
  found.wheel = scroll.top / 100;
  await moved((box.scrollHeight - 600) / 2);
  found.half = Math.round(scroll.top / 100) + 3;
  await moved(box.scrollHeight);
  found.last = range[1];
  found.most = most < 20;
  box.remove();
  return found;
}"""

PAINTED = """async () => {
  const { paint, packed } = await import("/static/painter.js");
  const image = new ImageData(100, 100);
  const points = Float32Array.from([-0.5, 0.5, 0.5, -0.5, NaN, NaN]);
  const look = { mask: Uint8Array.from([0b101]), codes: Int16Array.from([1, 0, 0]), radius: 3, outRadius: 2, none: 0,
    colours: Uint32Array.from(["#ff0000", "#0072B2"], packed), out: packed("#dededa"), ground: packed("#ffffff") };
  paint(image, points, { x: 0, y: 0, scale: 50 }, look);
  const at = (x, y) => [...image.data.slice(4 * (100 * y + x), 4 * (100 * y + x) + 4)];
  return { shown: at(25, 25), out: at(75, 75), ground: at(50, 50) };
}"""

NEAREST = """async () => {
  const { Grid } = await import("/static/grid.js");
  const points = Float32Array.from({ length: 4000 }, (_, at) => Math.sin(at * at));
  const grid = new Grid(points);
  let wrong = 0;
  for (let one = 0; one < 300; one++) {
    const x = Math.cos(one * 7), y = Math.cos(one * one), far = 0.05;
    let best = -1, least = far * far;
    for (let row = 0; row < 2000; row += 3) {
      const distance = (points[2 * row] - x) ** 2 + (points[2 * row + 1] - y) ** 2;
      if (distance <= least) [best, least] = [row, distance];
    }
    if (grid.nearest(x, y, far, (row) => row % 3 === 0) !== best) wrong += 1;
  }
  return wrong;
}"""
