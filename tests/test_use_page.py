"""What people meet while they use the page: undo, two tabs, menus, notices, and narrow windows."""

import shutil
from pathlib import Path

import pages
import pytest
from pages import choose_labels, expect, search, settled

pytestmark = pages.NEEDS_CHROMIUM
serving, browser, desk = pages.serving, pages.browser, pages.desk
COUNT = 60


@pytest.fixture(scope="module")
def home(tmp_path_factory, demo_home) -> Path:
    """A home with a store `desk` that the tests can fill with answers."""
    home = tmp_path_factory.mktemp("use") / "home"
    shutil.copytree(demo_home / "demo", home / "desk")
    return home


def total(page, count: int, of: int = COUNT) -> None:
    pages.total(page, count, of)


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
