"""The panels of the desk that shape the labels and judge them, in a browser."""

from pathlib import Path

import pages
import pytest
from pages import CONTRASTS, UNNAMED, answers, choose_labels, expect, named, search, settled, shown_ids
from sklearn import metrics

import embedstore
from embedstore.labels import LabelSet

pytestmark = pages.NEEDS_CHROMIUM
home, serving, browser, desk, shell = pages.demo_copy, pages.forked, pages.browser, pages.desk, pages.shell
COUNT = 60
BROKEN = {"Negative": ["it broke after a week", "the battery is dead"], "Positive": ["Positive"]}
STANDS_FOR = {"1": "Negative", "2": "Positive"}  # the values of class_index


@pytest.fixture
def store(home):
    return embedstore.open(home / "desk")


def tags_of(store, labels):
    """Return the rows with their tags, by id."""
    return store.tag(labels).to_pandas().set_index("id")


def total(page, count):
    expect(page.locator("#total")).to_have_text(f"{count} of {COUNT} rows")


def expect_labels(page, names):
    expect(page.locator("#labels .label > span:not(.dot, .share)")).to_have_text(names)


def in_percent(shares):
    return {name: f"{100 * share:.0f}" for name, share in shares.items()}


def expect_shares(page, labels, store):
    for name, share in in_percent(store.tag(labels).shares).items():
        expect(page.locator(f"#labels [data-label='{name}'] .share")).to_have_text(f"{share} %")


def colour_of(page, label):
    dot = page.locator(f"#labels [data-label='{label}'] .dot")
    return dot.evaluate("one => getComputedStyle(one).backgroundColor")


def compare_with(page, column):
    page.click("#judge-open")
    page.select_option("#judge-column", column)


def compare_with_classes(page):
    compare_with(page, "class_index")
    for value, label in STANDS_FOR.items():
        page.get_by_label(f"label of {value}", exact=True).select_option(label)


def test_an_edit_is_seen_at_once_and_cancelled_saved_and_used(desk, store):
    page = desk()
    choose_labels(page)
    expect_shares(page, ["Negative", "Positive"], store)
    colour = colour_of(page, "Positive")
    before = tags_of(store, ["Negative", "Positive"])["Predicted_Labels"]
    after = tags_of(store, BROKEN)["Predicted_Labels"]
    moved = (before.notna() & (before != after)).sum()
    assert 0 < moved < before.notna().sum()

    def edit():
        page.click("#choose-labels")
        page.get_by_label("descriptions of Negative").fill("\n".join(BROKEN["Negative"]))
        expect(page.locator("#moved-count")).to_have_text(f"{moved} of {before.notna().sum()} rows change")
        expect_shares(page, BROKEN, store)

    edit()
    one, two = (store.tag(labels).shares["Negative"] for labels in (["Negative", "Positive"], BROKEN))
    expect(page.locator(".card .share").first).to_have_text(f"{100 * one:.1f} % → {100 * two:.1f} %")
    expect(page.locator("#moved-table tbody tr")).to_have_count(2)
    page.click("#moved-show")
    total(page, moved)
    assert page.locator(".row .tag").first.inner_text() == after[page.locator(".row .id").first.inner_text()]
    page.get_by_label("move Positive up").click()
    expect(page.locator("#labels .label").first).to_contain_text("Positive")
    expect(page.locator("#labels [data-label=Positive] .dot")).to_have_css("background-color", colour)
    page.locator(".row .text").first.click()
    expect(page.locator("#reader .id")).to_be_visible()
    page.keyboard.press("1")  # nothing is answered with labels that are only tried
    settled(page)

    page.click("#lens-cancel")
    total(page, COUNT)
    expect_shares(page, ["Negative", "Positive"], store)
    expect_labels(page, ["Negative", "Positive"])
    assert page.locator(".pane[data-name=shape]").is_hidden()
    assert len(store.annotations.export_table()) == 0

    edit()
    with page.expect_download() as told:
        page.click("#lens-save")
    assert told.value.suggested_filename == "labels.yaml"
    path = Path(told.value.path()).with_suffix(".yaml")
    told.value.save_as(path)
    assert store.tag(LabelSet.read(path)).shares == store.tag(BROKEN).shares
    page.click("#lens-form button.main")
    expect_shares(page, BROKEN, store)
    total(page, COUNT)
    page.reload()
    expect_shares(page, BROKEN, store)


def test_a_label_with_another_name_keeps_its_rows_and_its_colour(desk, store):
    page = desk()
    choose_labels(page, "Bad: it is bad\nGood: it is good\nOther: a book")
    page.click("#choose-labels")
    page.get_by_label("name of label 2").fill("Fine")
    expect(page.locator("#moved-count")).to_have_text(f"0 of {COUNT} rows change")
    page.get_by_label("remove Bad").click()
    labels = {"Fine": ["it is good"], "Other": ["a book"]}
    expect_shares(page, labels, store)
    bad = (tags_of(store, {"Bad": ["it is bad"], "Good": ["it is good"], "Other": ["a book"]}))[
        "Predicted_Labels"
    ] == "Bad"
    expect(page.locator("#moved-count")).to_have_text(f"{bad.sum()} of {COUNT} rows change")
    page.get_by_label("name of label 2").fill("")
    expect(page.locator("#lens-problem")).to_contain_text("expected a name for each label")
    page.click("#lens-cancel")
    expect_labels(page, ["Bad", "Good", "Other"])


def test_labels_can_start_from_topics_and_from_shipped_sets(desk, store):
    page = desk()
    page.click("#choose-labels")
    page.select_option("#lens-start", label="topics of the rows")
    page.fill("#topics-count", "3")
    page.click("#topics-find")
    page.locator("#topics-list input").nth(2).uncheck()
    page.get_by_text("Take these as labels").click()
    topics = store.topics(3).topics[:2]
    expect(page.locator("#labels .label")).to_have_count(2)
    said = {one.name: [" ".join(text.split()) for text in one.typical] for one in topics}
    expect_shares(page, said, store)
    page.select_option("#lens-start", label="emotions: " + ", ".join(LabelSet.shipped("emotions").names))
    expect(page.locator("#lens-items .card")).to_have_count(7)
    first = page.locator("#lens-items textarea").first
    expect(first).to_have_value("\n".join(LabelSet.shipped("emotions").texts[0]))
    expect_shares(page, LabelSet.shipped("emotions"), store)
    page.click("#lens-form button.main")
    kept = page.evaluate("Object.entries(localStorage).find(([name]) => name.endsWith(':lens'))[1]")
    assert '"labels":"emotions"' in kept


def test_a_cell_of_the_matrix_lists_exactly_its_rows(desk, store):
    page = desk()
    choose_labels(page)
    search(page, "words", "the")
    page.locator("[data-column=stars] .bin").first.click()
    compare_with_classes(page)
    table = tags_of(store, ["Negative", "Positive"])
    known = table[table["class_index"].notna() & table["Predicted_Labels"].notna()]
    given = known["class_index"].astype(int).astype(str).map(STANDS_FOR)
    accuracy = metrics.accuracy_score(given, known["Predicted_Labels"])
    macro = metrics.f1_score(given, known["Predicted_Labels"], average="macro")
    figures = page.locator("#report .figures dd")
    expect(figures).to_have_text(
        [f"{100 * accuracy:.1f} %", f"{100 * macro:.1f} %", str(len(known)), str(COUNT - len(known))]
    )
    for label in STANDS_FOR.values():
        for tag in STANDS_FOR.values():
            wanted = known.index[(given == label) & (known["Predicted_Labels"] == tag)]
            cell = page.locator(f".cell-button[title='{len(wanted)} rows: given {label}, tagged {tag}']")
            expect(cell).to_have_text(str(len(wanted)))
            if not len(wanted):
                expect(cell).to_be_disabled()
                continue
            cell.click()
            total(page, len(wanted))
            assert shown_ids(page) == list(wanted)
    assert page.locator("svg.curve circle").count() > 0
    page.get_by_label("label of 1", exact=True).select_option("left out")
    expect(figures.nth(2)).to_have_text(str((given == "Positive").sum()))


def test_doubts_are_answered_and_ten_answers_bring_advice(desk, store, shell):
    page = desk()
    named(page, "ada")
    choose_labels(page)
    compare_with_classes(page)
    expect(page.locator("#advice")).to_contain_text("after ten answers")
    doubts = store.doubts("class_index", drop_missing=True).table.to_pylist()
    page.click("#doubts-find")
    expect(page.locator("#doubts > li")).to_have_count(len(doubts))
    first, second = page.locator("#doubts > li").nth(0), page.locator("#doubts > li").nth(1)
    first.get_by_text("Accept").click()
    expect(first.locator(".answer")).to_contain_text("✓")
    second.get_by_text("Keep").click()
    expect(second.locator(".answer")).to_contain_text("✓")
    settled(page)
    value = lambda one: STANDS_FOR[str(int(float(one)))]  # noqa: E731
    wanted = {doubts[0]["id"]: value(doubts[0]["suggested"]), doubts[1]["id"]: value(doubts[1]["given"])}
    assert answers(shell) == wanted
    page.keyboard.press("u")
    expect(second.get_by_text("Keep")).to_be_enabled()
    settled(page)
    assert answers(shell) == {doubts[0]["id"]: wanted[doubts[0]["id"]]}
    page.locator(".row .text").first.click()
    for _ in range(13):  # with two doubts that is the fifteenth answer, one of which was taken back
        here = page.locator("#reader .id").inner_text()
        page.keyboard.press("1" if int(here[1:]) % 2 else "2")
        expect(page.locator("#reader .id")).not_to_have_text(here)
    settled(page)
    advice = store.annotations.session(["Negative", "Positive"], who="ada").advice()
    expect(page.locator("#advice")).to_have_text(f"Answers: {advice}")


def test_people_who_disagree_are_found_and_an_answer_settles_it(desk, store):
    labels = ["Mild", "Harsh"]
    store.annotations.import_table(
        [{"id": one, "label": "Mild"} for one in ("r0002", "r0005", "r0007")], labels, who="ann"
    )
    store.annotations.import_table(
        [{"id": "r0002", "label": "Mild"}, {"id": "r0005", "label": "Harsh"}], labels, who="bob"
    )
    page = desk()
    named(page, "cleo")
    choose_labels(page, "\n".join(labels))
    expect(page.locator(".row[data-index='4'] .disputed")).to_have_text("disagree")
    assert page.locator(".disputed").count() == 1
    page.select_option("#answered", "any")
    total(page, 3)
    page.select_option("#answered", "disagreed")
    total(page, 1)
    expect(page.locator("#chips .chip")).to_contain_text("people disagree")
    page.locator(".row[data-index='0'] .text").click()
    expect(page.locator("#reader .answers")).to_contain_text("people disagree")
    page.keyboard.press("2")
    expect(page.locator("#reader .answers")).to_contain_text("most say Harsh")
    total(page, 0)
    expect(page.locator("[data-column=Predicted_Labels] .bin b").first).to_have_text("0")
    page.locator("#chips .chip button").click()
    page.select_option("#answered", "mine")
    total(page, 1)
    assert page.locator(".row .id").all_inner_texts() == ["r0005"]
    said = store.where("\"annotations:Mild|Harsh\" = 'Harsh'").tag(labels).to_pandas()
    assert list(said["id"]) == ["r0005"]


def test_what_takes_long_can_be_left_and_what_fails_is_one_line(desk):
    page = desk(forgiven="status of 400")
    choose_labels(page)
    page.click("#choose-labels")
    page.select_option("#lens-start", label="topics of the rows")
    page.fill("#topics-count", "1000")
    page.click("#topics-find")
    expect(page.locator("#topics-task.problem")).to_contain_text("expected")
    page.click("#lens-cancel")
    compare_with(page, "product")
    expect(page.locator("#report-task")).to_contain_text("which label each value stands for")
    page.fill("#threshold", "1")
    page.click("#duplicates-form button")
    expect(page.locator("#duplicates-head")).not_to_be_empty()
    page.route("**/api/compare", lambda route: None)  # an answer that does not come
    page.click("#methods-find")
    expect(page.locator("#methods-task")).to_contain_text("minutes")
    page.locator("#methods-task").get_by_text("Stop").click()
    expect(page.locator("#methods-task")).to_be_hidden()
    page.unroute("**/api/compare")
    page.select_option("#judge-column", "class_index")
    page.click("#methods-find")
    expect(page.locator("#methods tbody th")).to_contain_text(["majority class", "LogReg"])


@pytest.mark.parametrize(("width", "scheme"), [(1000, "light"), (390, "dark")])
def test_the_panels_fit_and_can_be_read(desk, width, scheme):
    page = desk(width=width, scheme=scheme)
    choose_labels(page)
    if width < 900:
        page.click("[data-tab=judge]")
        page.select_option("#judge-column", "class_index")
    else:
        compare_with(page, "class_index")
    page.get_by_label("label of 1", exact=True).select_option("Negative")
    expect(page.locator("#report svg.curve")).to_be_visible()
    assert page.evaluate(CONTRASTS) == []
    page.click("#choose-labels")
    page.get_by_label("descriptions of Negative").fill("it broke")
    expect(page.locator("#moved-count")).to_be_visible()
    assert page.evaluate(CONTRASTS) == []
    assert page.evaluate(UNNAMED) == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert page.evaluate("document.documentElement.scrollHeight <= innerHeight")
    for pane in page.locator(".pane:visible .within").all():
        assert pane.evaluate("one => one.scrollWidth <= one.clientWidth")
