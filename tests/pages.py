"""The page of a running `embedstore serve`, for the tests of the page: fixtures, and what people do there."""

import csv
import io
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from conftest import CommandLine
from forking import Forking

import embedstore
from embedstore.core.parallel import one_thread
from embedstore.demo import TRAIN

sync_api = pytest.importorskip(
    "playwright.sync_api", reason="the page is tested with Playwright: pip install playwright"
)
expect = sync_api.expect
expect.set_options(timeout=60_000)
CHROMIUM = shutil.which("chromium")
NEEDS_CHROMIUM = pytest.mark.skipif(
    CHROMIUM is None, reason="the page is tested in Chromium: install the package chromium"
)

ODD = 'it\'s "odd"'  # name of a column
HOSTILE = [
    "<img src=x onerror=\"document.title='harm'\"><script>document.title='harm'</script>",
    "\u202ereversed\u202c and \x1b[31mred\x1b[0m, a\u0000zero",
    "long " * 1000 + "end",
]
COUNT = 63


class Serving:
    """A running `embedstore serve`, which can be killed and started again at the same port with the same options.

    Where the start itself does not matter, it is a fork of a process that has imported all.
    """

    def __init__(
        self,
        home: Path,
        port: int = 0,
        *,
        options: Sequence[str] = (),
        password: str = "",
        forking: Forking | None = None,
    ) -> None:
        self.home = home
        self.options = options
        self.password = password
        self.forking = forking
        self.start(port)

    def start(self, port: int) -> None:
        environment = CommandLine.environment_of(self.home) | {"XDG_STATE_HOME": str(self.home / "state")}
        environment |= {"EMBEDSTORE_PASSWORD": self.password} if self.password else {}
        words = ["serve", "desk", "--no-open", "--port", str(port), *self.options]
        self.process = (
            self.forking.start(words, environment=environment, folder=self.home)
            if self.forking and self.forking.serves(environment)
            else Started(words, environment)
        )
        self.address = self.process.stdout.readline().strip()
        self.port = int(re.search(r":(\d+)/", self.address)[1])

    def kill(self) -> None:
        self.process.kill()


class Started(subprocess.Popen):
    """A command that is started as a person does."""

    def __init__(self, words: Sequence[str], environment: dict[str, str]) -> None:
        whole = [sys.executable, "-m", "embedstore.cli", *words]
        super().__init__(whole, stdout=subprocess.PIPE, env=environment, text=True)

    def kill(self) -> None:
        """End it; return when it is gone."""
        super().kill()
        self.wait()
        self.stdout.close()


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
def demo_copy(tmp_path_factory: pytest.TempPathFactory, demo_home: Path) -> Path:
    """A home with a store `desk`: 60 shipped reviews, which the tests can fill with answers."""
    home = tmp_path_factory.mktemp("copy") / "home"
    shutil.copytree(demo_home / "demo", home / "desk")
    return home


@pytest.fixture(scope="module")
def serving(home: Path) -> Iterator[Serving]:
    made = Serving(home)
    yield made
    made.kill()


@pytest.fixture(scope="module")
def forked(home: Path, forking: Forking) -> Iterator[Serving]:
    made = Serving(home, forking=forking)
    yield made
    made.kill()


@pytest.fixture(scope="module")
def browser():
    # What the page shows is compared with what the library says in this process: small products of matrices.
    with one_thread, sync_api.sync_playwright() as tools:
        words = ["--no-sandbox", "--disable-quic", "--disable-background-networking"]
        words += ["--disable-gpu", "--disable-software-rasterizer"]  # the page draws in two dimensions
        opened = tools.chromium.launch(executable_path=CHROMIUM, args=words)
        yield opened
        opened.close()


@pytest.fixture
def desk(browser, serving: Serving):
    """A function that opens the page; nothing may go wrong in its console."""
    with opening(browser, serving) as opened:
        yield opened


@contextmanager
def opening(browser, serving: Serving):
    """Yield a function that opens the page in a browser of its own; at the end, nothing went wrong in its console."""
    problems, contexts = [], []

    def opened(*, width: int = 1280, height: int = 800, scheme: str = "light", forgiven: str = "^$", **more):
        context = browser.new_context(
            viewport={"width": width, "height": height}, color_scheme=scheme, accept_downloads=True, **more
        )
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(60_000)
        heard = lambda text: None if re.search(forgiven, text) else problems.append(text)  # noqa: E731
        page.on(
            "console", lambda said: said.type in ("error", "warning") and heard(f"{said.text} {said.location['url']}")
        )
        page.on("pageerror", lambda error: heard(str(error)))
        enter(page, serving)
        return page

    yield opened
    for context in contexts:
        context.close()
    assert not problems, problems


def enter(page, serving: Serving) -> None:
    """Open the desk, with its password if it has one."""
    page.goto(serving.address)
    if serving.password:
        page.fill("#password", serving.password)
        page.press("#password", "Enter")
    page.wait_for_selector("body[data-ready]")
    page.wait_for_selector(".row:not(.waiting)")


@pytest.fixture
def shell(home: Path, forking) -> CommandLine:
    return CommandLine(home, forking)


def total(page, count: int, of: int = COUNT) -> None:
    """Wait until the page shows so many rows."""
    expect(page.locator("#total")).to_have_text(f"{count:,} of {of:,} rows")


def total_shown(page) -> int:
    """Return how many rows the page shows."""
    return int(page.locator("#total").inner_text().partition(" ")[0].replace(",", ""))


def named(page, name: str) -> None:
    """Say who answers."""
    page.fill("#who", name)
    page.press("#who", "Tab")


def downloaded(page, format: str) -> Path:
    """Return the file that the page gives away, with its own name."""
    page.click("#take-away summary")
    with page.expect_download() as told:
        page.click(f"[data-format={format}]")
    path = Path(told.value.path()).with_name(told.value.suggested_filename)
    told.value.save_as(path)
    return path


def choose_labels(page, labels: str = "Negative\nPositive") -> None:
    page.click("#choose-labels")
    page.fill("#lens-typed", labels)
    page.click("#lens-form button.main")
    expect(page.locator("#lens-form")).to_be_hidden()
    expect(page.locator("#labels .share")).to_have_count(len(labels.splitlines()))


def search(page, way: str, asked: str) -> None:
    page.select_option("#way", way)
    page.fill("#asked", asked)
    page.press("#asked", "Enter")


def outline(page) -> None:
    """Draw an outline around the left half of the map; once more if the map by neighbourhood comes meanwhile."""
    page.click("#outline")
    for _ in range(5):
        box = page.locator("#marks").bounding_box()
        left, right = box["x"] + 2, box["x"] + box["width"] / 2
        top, low = box["y"] + 2, box["y"] + box["height"] - 2
        page.mouse.move(left, top)
        page.mouse.down()
        for corner in ((right, top), (right, low), (left, low)):
            page.mouse.move(*corner, steps=4)
        page.mouse.up()
        if page.get_attribute("#outline", "aria-pressed") == "false":  # else the page has left the outline
            return
    raise AssertionError("the page takes no outline")


def shown_ids(page) -> list[str]:
    """Return the ids in the table that the page gives away."""
    text = downloaded(page, "csv").read_text()
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


CONTRASTS = """() => {
  const pen = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const rgb = (colour) => {
    pen.clearRect(0, 0, 1, 1); pen.fillStyle = colour; pen.fillRect(0, 0, 1, 1);
    return [...pen.getImageData(0, 0, 1, 1).data];
  };
  const bright = (colour) => rgb(colour).slice(0, 3).map((one) => one / 255)
    .map((one) => (one <= 0.04045 ? one / 12.92 : ((one + 0.055) / 1.055) ** 2.4))
    .reduce((sum, one, at) => sum + one * [0.2126, 0.7152, 0.0722][at], 0);
  const ground = (one) => {
    const colour = getComputedStyle(one).backgroundColor;
    return rgb(colour)[3] === 255 || !one.parentElement ? colour : ground(one.parentElement);
  };
  const low = [];
  for (const one of document.querySelectorAll("body *")) {
    const own = [...one.childNodes].some((child) => child.nodeType === 3 && child.textContent.trim());
    if (!own || one.disabled || one.closest(":disabled") || !one.checkVisibility() || one.closest("canvas")) continue;
    const [a, b] = [bright(getComputedStyle(one).color), bright(ground(one))].sort((x, y) => y - x);
    if ((a + 0.05) / (b + 0.05) < 4.5) low.push([one.outerHTML.slice(0, 80), (a + 0.05) / (b + 0.05)]);
  }
  return low;
}"""

UNNAMED = """() => [...document.querySelectorAll("button, input, select, textarea, summary, canvas[tabindex]")]
  .filter((one) => !(one.textContent.trim() || one.ariaLabel || one.labels?.length))
  .filter((one) => one.tagName !== "SELECT" || !one.labels.length).map((one) => one.outerHTML)"""


PLACE_OF_RING = """() => {
  const canvas = document.getElementById("marks");
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  let count = 0, x = 0, y = 0;
  for (let at = 0; at < data.length; at += 4) {
    if (!data[at + 3]) continue;
    count += 1; x += (at / 4) % canvas.width; y += Math.floor(at / 4 / canvas.width);
  }
  return [x / count, y / count];
}"""
