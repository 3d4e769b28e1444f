"""The desk in a browser: whole journeys through the page of a running `embedstore serve`."""

import csv
import io
import json
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import CommandLine

import embedstore
from embedstore.demo import TRAIN

sync_api = pytest.importorskip("playwright.sync_api", reason="the page is tested with Playwright: pip install playwright")
expect = sync_api.expect
expect.set_options(timeout=20_000)
CHROMIUM = shutil.which("chromium")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="the page is tested in Chromium: install the package chromium")

ODD = 'it\'s "odd"'  # name of a column
HOSTILE = [
    "<img src=x onerror=\"document.title='harm'\"><script>document.title='harm'</script>",
    "\u202ereversed\u202c and \x1b[31mred\x1b[0m, a\u0000zero",
    "long " * 1000 + "end",
]
COUNT = 63


class Serving:
    """A running `embedstore serve`, which can be killed and started again at the same port."""

    def __init__(self, home: Path, port: int = 0) -> None:
        self.home = home
        self.start(port)

    def start(self, port: int) -> None:
        environment = CommandLine.environment_of(self.home) | {"XDG_STATE_HOME": str(self.home / "state")}
        words = ["-m", "embedstore.cli", "serve", "desk", "--no-open", "--port", str(port)]
        python = shutil.which("python", path=str(Path(os.sys.executable).parent))
        self.process = subprocess.Popen([python, *words], stdout=subprocess.PIPE, env=environment, text=True)
        self.address = self.process.stdout.readline().strip()
        self.port = int(re.search(r":(\d+)/", self.address)[1])

    def kill(self) -> None:
        if os.environ.get("DUMP"): self.process.send_signal(signal.SIGABRT)
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self.process.stdout.close()


def demo_rows() -> list[dict[str, object]]:
    with TRAIN.open(newline="") as stream:
        rows = [dict(row) for row in csv.DictReader(stream)][:60]
    rows = [row | {"stars": int(row["stars"]), ODD: f"it's {number % 2}"} for number, row in enumerate(rows)]
    odd = {"product": "<b>lamp</b>", "title": "odd", "stars": 1, "class_index": "", ODD: None}
    return rows + [odd | {"id": f"<i>{number}", "review": text} for number, text in enumerate(HOSTILE)]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("page") / "home"
    home.mkdir()
    made = embedstore.create(home / "desk")
    made.add(demo_rows(), text="{title}: {review}", id="id")
    made.encode()
    made.tag(["Negative", "Positive"])
    return home


@pytest.fixture(scope="module")
def serving(home: Path) -> Iterator[Serving]:
    made = Serving(home)
    yield made
    made.kill()


@pytest.fixture(scope="module")
def browser():
    with sync_api.sync_playwright() as tools:
        words = ["--no-sandbox", "--disable-quic", "--disable-background-networking"]
        opened = tools.chromium.launch(executable_path=CHROMIUM, args=words)
        yield opened
        opened.close()


@pytest.fixture
def desk(browser, serving: Serving):
    """A function that opens the page; nothing may go wrong in its console."""
    problems, contexts = [], []

    def opened(*, width: int = 1280, height: int = 800, scheme: str = "light", forgiven: str = "^$"):
        context = browser.new_context(
            viewport={"width": width, "height": height}, color_scheme=scheme, accept_downloads=True
        )
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(15_000)
        heard = lambda text: None if re.search(forgiven, text) else problems.append(text)  # noqa: E731
        page.on("console", lambda said: said.type in ("error", "warning") and heard(said.text))
        page.on("pageerror", lambda error: heard(str(error)))
        page.goto(serving.address)
        page.wait_for_selector("body[data-ready]")
        page.wait_for_selector(".row:not(.waiting)")
        return page

    yield opened
    for context in contexts:
        context.close()
    assert problems == []


@pytest.fixture
def shell(home: Path, forking) -> CommandLine:
    return CommandLine(home, forking)


def total(page, count: int) -> None:
    """Wait until the page shows so many rows."""
    expect(page.locator("#total")).to_have_text(f"{count} of {COUNT} rows")


def choose_labels(page, labels: str = "Negative\nPositive") -> None:
    page.click("#choose-labels")
    page.fill("#lens-typed", labels)
    page.click("#lens-form button.main")
    expect(page.locator("#labels .share")).to_have_count(len(labels.splitlines()))


def search(page, way: str, asked: str) -> None:
    page.select_option("#way", way)
    page.fill("#asked", asked)
    page.press("#asked", "Enter")


def outline(page) -> None:
    """Draw an outline around the left half of the map."""
    box = page.locator("#marks").bounding_box()
    left, right = box["x"] + 2, box["x"] + box["width"] / 2
    top, low = box["y"] + 2, box["y"] + box["height"] - 2
    page.click("#outline")
    page.mouse.move(left, top)
    page.mouse.down()
    for corner in ((right, top), (right, low), (left, low)):
        page.mouse.move(*corner, steps=4)
    page.mouse.up()


def shown_ids(page) -> list[str]:
    """Return the ids in the table that the page gives away."""
    page.click("#take-away summary")
    with page.expect_download() as told:
        page.click("[data-format=csv]")
    text = Path(told.value.path()).read_text()
    return [row["id"] for row in csv.DictReader(io.StringIO(text))]


def answers(shell: CommandLine) -> dict[str, str]:
    """Return the label of each row that was answered, by id."""
    done = shell("annotations", "desk", "--who", "ada")
    if done.returncode:
        assert "annot" in done.stderr, done.stderr
        return {}
    return {row["id"]: row["label"] for row in csv.DictReader(io.StringIO(done.stdout))}


def settled(page) -> None:
    """Wait until the server has every answer."""
    page.wait_for_function("() => !Object.keys(localStorage).some((name) => name.includes('unsent:'))")


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
