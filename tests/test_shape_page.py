"""The least confidence, known shares, questions about one label and learning curves, in a browser."""

from pathlib import Path

import numpy as np
import pages
import pytest
from pages import CONTRASTS, UNNAMED, choose_labels, expect, shown_ids

import embedstore
from embedstore.labels import LabelSet
from embedstore.learning import learning_curve

pytestmark = pages.NEEDS_CHROMIUM
home, serving, browser, desk, shell = pages.demo_copy, pages.forked, pages.browser, pages.desk, pages.shell
COUNT = 60
NAMES = ["Negative", "Positive"]
STANDS_FOR = {"1": "Negative", "2": "Positive"}  # the values of class_index


@pytest.fixture
def store(home):
    return embedstore.open(home / "desk")


def compare_with_classes(page):
    page.click("#judge-open")
    page.select_option("#judge-column", "class_index")
    for value, label in STANDS_FOR.items():
        page.get_by_label(f"label of {value}", exact=True).select_option(label)


def again(page):
    """Load the page again, and wait until it listens."""
    page.reload()
    page.wait_for_selector("body[data-ready]")


def move_to(page, least, *, let_go=False):
    events = ["input", "change"] if let_go else ["input"]
    page.locator("#least-confidence").evaluate(
        """(one, [value, events]) => {
          one.value = value;
          events.forEach((name) => one.dispatchEvent(new Event(name)));
        }""",
        [least, events],
    )


def test_moving_the_least_confidence_asks_nobody_and_letting_it_go_leaves_rows_untagged(desk, store):
    page = desk()
    choose_labels(page)
    compare_with_classes(page)
    page.click("#choose-labels")
    page.click("#least-part summary")
    table = store.tag(NAMES, confidence=True).to_pandas()
    given = table["class_index"].map({1: "Negative", 2: "Positive"})
    middle = round(float(table["confidence"].median()), 2)
    expect(page.locator("#least-right")).to_contain_text("by class_index")
    asked = []
    page.on("request", lambda one: asked.append(one.url))
    for least in (middle - 0.01, middle):
        kept = table[table["confidence"] >= np.float32(least)]
        move_to(page, least)
        expect(page.locator("#least-kept")).to_contain_text(f"{len(kept)} of {table['score'].notna().sum()} rows keep")
        known = given[kept.index].dropna()
        right = (kept["Predicted_Labels"][known.index] == known).mean()
        expect(page.locator("#least-right")).to_contain_text(f"{100 * right:.1f} % of the {len(known)} known")
        shares = kept["Predicted_Labels"].value_counts(normalize=True)
        expect(page.locator("#least-shares li").first).to_have_text(f"Negative{100 * shares['Negative']:.1f} %")
    assert not asked, "a move is shown without the server"

    move_to(page, middle, let_go=True)
    left = table["score"].notna().sum() - len(kept)
    expect(page.locator("#moved-count")).to_have_text(f"{left} of {table['score'].notna().sum()} rows change")
    expect(page.locator("#report .figures dd").first).to_have_text(f"{100 * right:.1f} %")
    expect(page.locator("#labels [data-label=Negative] .share")).to_have_text(f"{100 * shares['Negative']:.0f} %")
    page.click("#moved-show")
    expect(page.locator("#total")).to_have_text(f"{left} of {COUNT} rows")
    assert page.locator(".row .tag").count() == 0
    page.click("#lens-form button.main")
    page.click("#take-away summary")
    expect(page.locator("#command")).to_contain_text(f"--min-confidence {middle:g}")
    page.click("#take-away summary")
    assert shown_ids(page) == list(table["id"])
    again(page)
    page.click("#choose-labels")
    expect(page.locator("#least-value")).to_have_text(f"{middle:.2f}")
    move_to(page, 0, let_go=True)
    expect(page.locator("#least-value")).to_have_text("(none)")
    page.click("#lens-form button.main")
    page.click("#take-away summary")
    expect(page.locator("#command")).to_have_text("embedstore tag desk --labels labels.yaml")


def test_known_shares_move_the_tags_and_are_in_the_file_and_the_command(desk, store):
    wanted = store.tag(NAMES, method="best", shares={"Negative": 0.3, "Positive": 0.7}).shares
    assert wanted != store.tag(NAMES, method="best").shares
    page = desk()  # its server finds the vectors, and loads no model for them
    choose_labels(page)
    page.click("#choose-labels")
    assert page.locator(".known:visible").count() == 0, "the nearest label takes no shares"
    page.select_option("#lens-method", "best")
    page.get_by_label("known share of Positive, in percent").fill("120")
    expect(page.locator("#lens-problem")).to_contain_text("below 100 % together, found 120 %")
    page.get_by_label("known share of Positive, in percent").fill("70")
    expect(page.locator("#lens-problem")).to_be_hidden()
    for label, share in wanted.items():
        expect(page.locator(f"#labels [data-label={label}] .share")).to_have_text(f"{100 * share:.0f} %")
    with page.expect_download() as told:
        page.click("#lens-save")
    path = Path(told.value.path()).with_suffix(".yaml")
    told.value.save_as(path)
    assert LabelSet.read(path).known == {"Positive": 0.7}
    page.click("#lens-form button.main")
    again(page)
    page.click("#take-away summary")
    expect(page.locator("#command")).to_contain_text("--method best --share Positive=0.7")
    page.click("#take-away summary")
    page.click("#choose-labels")
    expect(page.get_by_label("known share of Positive, in percent")).to_have_value("70")
    expect(page.get_by_label("known share of Negative, in percent")).to_have_value("")


def test_questions_about_one_label_are_rows_with_its_tag_the_least_sure_first(desk, store):
    page = desk()
    choose_labels(page)
    page.click("#ask")
    expect(page.locator("#about-line")).to_be_hidden()
    page.select_option("#order", "about")
    table = store.tag(NAMES).to_pandas().dropna(subset="score")
    for label in NAMES:
        page.select_option("#about", label)
        wanted = table[table["Predicted_Labels"] == label].sort_values("margin", kind="stable")["id"]
        for number, id_ in enumerate(wanted[:2], start=1):
            expect(page.locator("#question")).to_have_text(f"Question {number}")  # no key counts before it is there
            expect(page.locator("#reader .id")).to_have_text(id_)
            page.keyboard.press("0")
        expect(page.locator("#reader .tag")).to_have_text(label)


def test_the_learning_curve_of_a_column_is_drawn_with_its_figures(desk, store):
    page = desk()
    choose_labels(page)
    compare_with_classes(page)
    page.click("#learning-find")
    with store.snapshot() as now:
        wanted = learning_curve(now, "class_index", mapping=STANDS_FOR)
    expect(page.locator("#learning circle")).to_have_count(len(wanted.sizes))
    share = f"{100 * wanted.accuracy[-1]:.1f} % of the others"
    expect(page.locator("#learning figcaption")).to_contain_text(f"With {wanted.sizes[-1]} labelled texts, {share}")
    expect(page.locator("#learning figcaption")).to_contain_text(wanted.outlook)
    page.select_option("#judge-column", "annotations")
    expect(page.locator("#learning svg")).to_have_count(0)


@pytest.mark.parametrize(("width", "scheme"), [(1000, "light"), (390, "dark")])
def test_the_parts_of_the_panel_fit_and_can_be_read(desk, width, scheme):
    page = desk(width=width, scheme=scheme)
    choose_labels(page)
    page.click("#choose-labels")
    page.select_option("#lens-method", "best")
    page.click("#least-part summary")
    expect(page.locator("#least-kept")).not_to_be_empty()
    move_to(page, 0.55)
    assert page.evaluate(CONTRASTS) == []
    if width > 900:
        compare_with_classes(page)
        page.click("#learning-find")
        expect(page.locator("#learning svg")).to_be_visible()
    assert page.evaluate(CONTRASTS) == []
    assert page.evaluate(UNNAMED) == []
    for pane in page.locator(".pane:visible .within").all():
        assert pane.evaluate("one => one.scrollWidth <= one.clientWidth")
