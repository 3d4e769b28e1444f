"""The map on the page: it is made and kept by itself, it follows new rows, and it can be coloured by what is found."""

from pages import (
    COUNT,
    NEEDS_CHROMIUM,
    browser,
    desk,
    expect,
    home,
    outline,
    serving,
    shell,
)

import embedstore

pytestmark = NEEDS_CHROMIUM
__all__ = ["browser", "desk", "home", "serving", "shell"]  # fixtures


def shown(page, method):
    expect(page.locator(f"#marks[data-method={method}]")).to_be_visible()


def test_the_map_by_neighbourhood_comes_by_itself_is_kept_and_can_be_left(desk, home):
    page = desk()
    shown(page, "neighbours")
    expect(page.locator("#layout")).to_have_text("")
    (kept,) = embedstore.open(home / "desk").info()["maps"]
    assert kept["texts"] == COUNT
    page.uncheck("#method")
    shown(page, "pca")
    page.reload()
    page.wait_for_selector("#method-line:not([hidden])")
    shown(page, "pca")
    page.check("#method")
    shown(page, "neighbours")
    page.click("#anew")
    expect(page.locator("#anew")).to_be_visible()
    expect(page.locator("#layout")).to_have_text("")
    shown(page, "neighbours")


def test_the_map_that_is_kept_is_shown_even_if_the_first_one_comes_later(desk):
    page = desk()
    shown(page, "neighbours")
    asked = []

    def later(route):
        asked.append(route)

    page.route("**/api/map?method=pca", later)
    page.reload()
    shown(page, "neighbours")
    with page.expect_response("**/api/map?method=pca"):
        asked[0].continue_()
    page.click("#zoom-all")
    shown(page, "neighbours")


def test_an_outline_holds_for_the_map_on_which_it_was_drawn(desk):
    page = desk()
    shown(page, "neighbours")
    page.uncheck("#method")
    shown(page, "pca")
    asked = []

    def later(route):
        asked.append(route)

    page.route("**/api/map?method=neighbours", later)
    page.check("#method")
    outline(page)
    expect(page.locator("#chips .chip")).to_contain_text("inside the outline")
    asked[0].continue_()
    expect(page.locator("#method")).not_to_be_checked()
    shown(page, "pca")


def test_rows_that_are_added_come_to_the_list_the_counts_and_the_map(desk, home, serving):
    page = desk()
    shown(page, "neighbours")
    store = embedstore.open(home / "desk")
    rows = [{"id": "new", "title": "A new row", "review": "A kettle that sings.", "product": "kettle", "stars": 5}]
    store.add(rows, text="{title}: {review}", id="id")
    store.encode()
    expect(page.locator("#total")).to_have_text(f"{COUNT + 1} of {COUNT + 1} rows")
    expect(page.locator("#notice")).to_contain_text("1 new row is here")
    expect(page.locator("[data-column=product] .bin", has_text="kettle")).to_contain_text("1 / 1")
    page.select_option("#way", "words")
    page.fill("#asked", "sings")
    page.press("#asked", "Enter")
    expect(page.locator("#total")).to_have_text(f"1 of {COUNT + 1} rows")
    page.locator(".row .text").click()
    expect(page.locator("#reader .text")).to_have_text("A new row: A kettle that sings.")
    assert serving.process.poll() is None


def test_the_map_is_coloured_by_topics_and_by_what_judging_doubts(desk):
    page = desk()
    page.select_option("#by", "topics")
    expect(page.locator("#legend li").nth(1)).to_be_visible()
    page.click("#judge-open")
    page.select_option("#judge-column", "class_index")
    page.click("#doubts-find")
    expect(page.locator("#doubts-head")).to_contain_text("doubtful")
    page.click("#judge-close")
    page.select_option("#by", "doubts:class_index")
    expect(page.locator("#legend")).to_contain_text("as given")
