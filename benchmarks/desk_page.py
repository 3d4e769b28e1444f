"""Time the desk in a browser, on a synthetic store: ``python benchmarks/desk_page.py [ROWS ...]`` prints a table.

Each figure is the median of three runs, each with a server that was started for it and a browser without a cache. The
vectors have 64 dimensions and are made without a model. It needs Chromium and Playwright.
"""

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from desk import RandomEncoder, table_of
from playwright.sync_api import Page, sync_playwright

import embedstore

RUNS = 3
LABELS = ("Negative", "Positive")
ROW = ".row:not(.waiting)"
FRAMES = """([box, steps]) => new Promise((done) => {
  const one = document.querySelector(box), times = [];
  let last = performance.now();
  const frame = (now) => {
    times.push(now - last);
    last = now;
    if (times.length > steps) return done(times.slice(1));
    if (box === "#rows") one.scrollTop += 400;
    else one.dispatchEvent(new WheelEvent("wheel", { deltaY: times.length % 20 < 10 ? -40 : 40, cancelable: true }));
    requestAnimationFrame(frame);
  };
  requestAnimationFrame(frame);
})"""


def make(home: Path, rows: int) -> None:
    """Make a store whose labels have vectors."""
    store = embedstore.create(home / "desk", encoder=RandomEncoder())
    store.add(table_of(rows), text="text", id="key")
    store.encode()
    store.tag(list(LABELS))


def serve(home: Path) -> tuple[subprocess.Popen[str], str]:
    """Start a server; return its process and the address."""
    words = [sys.executable, "-m", "embedstore.cli", "-q", "serve", "desk", "--no-open", "--port", "0"]
    environment = {**os.environ, "EMBEDSTORE_HOME": str(home), "XDG_STATE_HOME": str(home / "state")}
    process = subprocess.Popen(words, stdout=subprocess.PIPE, env=environment, text=True)
    return process, process.stdout.readline().strip()


def timed(found: dict[str, float], name: str, work: Callable[[], object]) -> None:
    """Measure a piece of work in milliseconds."""
    start = time.perf_counter()
    work()
    found[name] = 1000 * (time.perf_counter() - start)


def times_of(page: Page, address: str, rows: int) -> dict[str, float]:
    """Return the milliseconds of what a person does."""
    found: dict[str, float] = {}

    def first_map() -> None:
        page.wait_for_selector("#marks[data-method]")
        page.evaluate("() => new Promise(requestAnimationFrame)")

    def opened() -> None:
        page.goto(address)
        page.wait_for_selector(ROW)

    def jump() -> None:
        page.evaluate("() => { const box = document.querySelector('#rows'); box.scrollTop = box.scrollHeight / 2; }")
        page.wait_for_function(
            "(least) => document.querySelector('.row:not(.waiting)')?.dataset.index > least",
            arg=rows // 3,
        )

    def labels() -> None:
        page.click("#choose-labels")
        page.fill("#lens-typed", "\n".join(LABELS))
        page.click("#lens-form button.main")
        page.wait_for_selector(f"{ROW} .tag")

    def narrow() -> None:
        page.select_option("#way", "sql")
        page.fill("#asked", "stars >= 3")
        page.press("#asked", "Enter")
        page.wait_for_function(
            "(all) => !document.querySelector('#total').textContent.startsWith(all)", arg=f"{rows:,}"
        )

    start = time.perf_counter()
    timed(found, "first rows", opened)
    first_map()
    found["first map"] = 1000 * (time.perf_counter() - start)
    timed(found, "half-way down", jump)
    for box, name in (("#rows", "scrolling"), ("#marks", "zooming the map")):
        frames: list[Any] = page.evaluate(FRAMES, [box, 60])
        found[f"{name}: a frame"] = statistics.median(frames)
        found[f"{name}: longest frame"] = max(frames)
    timed(found, "tags of two labels", labels)
    timed(found, "rows of an SQL filter", narrow)
    return found


def run(browser: Any, home: Path, rows: int) -> dict[str, float]:
    """Start a server and a browser, and measure."""
    start = time.perf_counter()
    process, address = serve(home)
    found = {"start of the server": 1000 * (time.perf_counter() - start)}
    try:
        page = browser.new_page()
        page.set_default_timeout(300_000)
        found |= times_of(page, address, rows)
        page.close()
    finally:
        process.kill()
        process.wait()
    return found


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("rows", nargs="*", type=int, default=[10_000, 200_000, 1_000_000])
    columns: dict[int, list[dict[str, float]]] = {}
    with sync_playwright() as tools:
        words = ["--no-sandbox", "--disable-quic", "--disable-background-networking"]
        browser = tools.chromium.launch(executable_path=shutil.which("chromium"), args=words)
        for rows in parser.parse_args().rows:
            with tempfile.TemporaryDirectory(prefix="embedstore-bench-") as folder:
                make(Path(folder), rows)
                print(f"{rows:,} rows are there", file=sys.stderr, flush=True)
                columns[rows] = [run(browser, Path(folder), rows) for _ in range(RUNS)]
        browser.close()
    print("| ms | " + " | ".join(f"{rows:,} rows" for rows in columns) + " |\n|---|" + "---:|" * len(columns))
    for name in next(iter(columns.values()))[0]:
        cells = [statistics.median(one[name] for one in runs) for runs in columns.values()]
        print(f"| {name} | " + " | ".join(f"{cell:,.0f}" for cell in cells) + " |")


if __name__ == "__main__":
    main()
