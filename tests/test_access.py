"""The desk for those who have no mouse, a small screen, or a screen reader."""

import pages
import pytest
from axe_playwright_python.sync_playwright import Axe
from pages import PLACE_OF_RING, choose_labels, expect, named, search, settled

pytestmark = pages.NEEDS_CHROMIUM
home, serving, browser, desk = pages.demo_copy, pages.forked, pages.browser, pages.desk
STEP, ZOOM = 60, 1.3  # of the keys of the map: pixels, and the factor


# --- the map without a mouse


def ring_of(page):
    """Return where the row that is read is on the map, when the pointer shows no other one."""
    box = page.locator("#marks").bounding_box()
    page.mouse.move(box["x"] + 3, box["y"] + 3)
    page.mouse.move(box["x"] + 3, box["y"] - 30)
    page.wait_for_function("() => new Promise(requestAnimationFrame)")
    x, y = page.evaluate(PLACE_OF_RING)
    return x - box["width"] / 2, y - box["height"] / 2


def near(place):
    return pytest.approx(place, abs=1)


READ_BACK = "willReadFrequently"  # what Chromium says of a test that looks at the map more than once


def read_the_middle(page):
    """Read the row in the middle of the map, with the keys; return the beginning of its text."""
    page.wait_for_selector("#marks[data-method=neighbours]")  # later, the points would move
    page.focus("#marks")
    page.keyboard.press("ArrowLeft")
    expect(page.locator("#tip")).to_be_visible()
    shown = page.locator("#tip").inner_text()
    page.keyboard.press("Enter")
    expect(page.locator("#reader")).to_be_visible()
    return shown[:200]


def test_the_keys_of_the_map_move_it_zoom_it_and_read_the_row_in_the_middle(desk):
    page = desk(forgiven=READ_BACK)
    shown = read_the_middle(page)
    expect(page.locator("#reader .text")).to_contain_text(shown)
    page.keyboard.press("0")
    x, y = ring_of(page)
    for key, place in (("ArrowLeft", (x + STEP, y)), ("ArrowDown", (x + STEP, y - STEP)), ("0", (x, y))):
        page.keyboard.press(key)
        assert ring_of(page) == near(place)
    page.keyboard.press("+")
    assert ring_of(page) == near((x * ZOOM, y * ZOOM))
    page.keyboard.press("-")
    assert ring_of(page) == near((x, y))


def test_two_fingers_zoom_the_map_and_one_moves_it(desk):
    page = desk(has_touch=True, forgiven=READ_BACK)
    read_the_middle(page)
    page.keyboard.press("0")
    x, y = ring_of(page)
    box = page.locator("#marks").bounding_box()
    middle = (box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    screen = page.context.new_cdp_session(page)

    def touch(kind, *places):
        points = [{"x": middle[0] + right, "y": middle[1] + low, "id": one} for one, (right, low) in enumerate(places)]
        screen.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    touch("touchStart", (0, 0))
    touch("touchStart", (0, 0), (80, 0))
    for right in (90, 105, 120):
        touch("touchMove", (0, 0), (right, 0))
    touch("touchEnd")
    assert ring_of(page) == near((1.5 * x, 1.5 * y))
    touch("touchStart", (0, 0))
    for low in (10, 30):
        touch("touchMove", (0, low))
    touch("touchEnd")
    assert ring_of(page) == near((1.5 * x, 1.5 * y + 30))


# --- what axe-core finds


RULES = ["wcag2a", "wcag2aa", "wcag21aa", "best-practice"]


def broken(page, *, only_colours=False, colours=True):
    """Return the rules that the page breaks, each with the elements."""
    rules = {"type": "rule", "values": ["color-contrast"]} if only_colours else RULES
    options = {"runOnly": rules, "rules": {"color-contrast": {"enabled": colours}}, "resultTypes": ["violations"]}
    if page.evaluate("typeof axe === 'undefined'"):
        page.evaluate(Axe().axe_script)
    return page.evaluate(VIOLATIONS, options)


VIOLATIONS = """async (options) => {
  const { violations } = await axe.run(options);
  return Object.fromEntries(violations.map(({ id, nodes }) => [id, nodes.map(({ html }) => html.slice(0, 120))]));
}"""


def search_view(page):
    search(page, "meaning", "a good book")
    expect(page.locator(".row[data-index='0'] .similarity")).to_be_visible()


def reader_view(page):
    page.locator(".row[data-index='0'] .text").click()
    page.keyboard.press("1")
    settled(page)
    page.keyboard.press("k")
    expect(page.locator("#reader .answer")).to_be_visible()


def take_away_view(page):
    page.click("#take-away summary")
    expect(page.locator("#command")).to_contain_text("embedstore")


def ask_view(page):
    page.click("#take-away summary")
    page.click("#ask")
    expect(page.locator("#question")).to_have_text("Question 1")


def shape_view(page):
    page.click("#choose-labels")
    page.get_by_label("descriptions of Negative").fill("it broke\nit is bad")
    expect(page.locator("#moved-count")).to_be_visible()


def judge_view(page):
    page.click("#lens-cancel")
    page.click("#judge-open")
    page.select_option("#judge-column", "class_index")
    for value, label in (("1", "Negative"), ("2", "Positive")):
        page.get_by_label(f"label of {value}", exact=True).select_option(label)
    expect(page.locator("#report table").first).to_be_visible()


def bulk_view(page):
    page.click("#judge-close")
    page.click("#bulk")
    expect(page.locator("#bulk-rows li:not(.soft)").first).to_be_visible()


def help_view(page):
    page.click("#bulk-cancel")
    page.click("#help-open")
    expect(page.locator("#help")).to_be_visible()


VIEWS = (search_view, reader_view, take_away_view, ask_view, shape_view, judge_view, bulk_view, help_view)
WIDE, NARROW = {"width": 1280, "height": 800}, {"width": 390, "height": 844}


def test_no_view_breaks_a_rule_of_axe(desk):
    """In light, in dark, and in a narrow window."""
    page = desk(reduced_motion="reduce")  # no colour is on its way to another one
    named(page, "ada")
    choose_labels(page)
    expect(page.locator("#legend li")).to_have_count(2)
    found = {}
    for view in VIEWS:
        view(page)
        found[view.__name__] = broken(page)
        page.emulate_media(color_scheme="dark")
        found[f"{view.__name__} dark"] = broken(page, only_colours=True)
        page.emulate_media(color_scheme="light")
        page.set_viewport_size(NARROW)
        found[f"{view.__name__} narrow"] = broken(page, colours=False)
        page.set_viewport_size(WIDE)
    assert [(view, rule, html) for view, rules in found.items() for rule, html in rules.items()] == []
