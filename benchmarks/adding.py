"""Measure what it takes to add rows to a large store: ``python benchmarks/adding.py FOLDER [TEXTS] [NEW]``.

The store is made in FOLDER unless it is there: TEXTS short distinct texts (10,000,000), with ids. Then NEW rows
(1,000,000) with as many new texts are added, and one row, each to a copy of the store's manifest in a process of its
own. The memory is the most anonymous memory (RssAnon) of that process, looked at a hundred times a second.
"""

import os
import shutil
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow as pa

import embedstore

_AT_ONCE = 1_000_000


def rows(first: int, last: int, *, ids: bool) -> pa.Table:
    """Return rows with texts of about 30 characters."""
    numbers = np.arange(first, last).astype(str)
    texts = np.char.add(np.char.add("a short text with the number ", numbers), " ")
    return pa.table({"text": texts, **({"id": np.char.add("row-", numbers)} if ids else {})})


def made(folder: Path, texts: int, *, ids: bool) -> None:
    """Make the store."""
    store = embedstore.create(folder)
    start = time.monotonic()
    for first in range(0, texts, _AT_ONCE):
        store.add(rows(first, min(first + _AT_ONCE, texts), ids=ids), text="text", id="id" if ids else None)
    print(f"{texts:,} texts added in {time.monotonic() - start:.0f} s", flush=True)


def measured(folder: Path, first: int, count: int, *, ids: bool) -> None:
    """Add rows in a child process to a copy of the store, whose files are links, and print a line of the table."""
    copy = folder.with_name(f"{folder.name}-copy")
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(folder, copy, copy_function=os.link)
    table = rows(first, first + count, ids=ids)
    child = os.fork()
    if not child:
        embedstore.open(copy).add(table, text="text", id="id" if ids else None)
        os._exit(0)
    most, start = 0, time.monotonic()
    least = None
    while True:
        ended, status, used = os.wait4(child, os.WNOHANG)
        if ended:
            break
        lines = Path(f"/proc/{child}/status").read_text().split("\n")
        now = max([0, *(int(line.split()[1]) for line in lines if line.startswith("RssAnon"))])
        least = now if least is None else least
        most = max(most, now)
        time.sleep(0.01)
    seconds, cpu = time.monotonic() - start, used.ru_utime + used.ru_stime
    print(
        f"| {count:,} | {'with' if ids else 'without'} ids | {(most - (least or 0)) / 1e6:.2f} GB | {seconds:.1f} s | "
        f"{cpu:.1f} s |{f' failed ({status})' if status else ''}",
        flush=True,
    )
    shutil.rmtree(copy)


if __name__ == "__main__":
    place = Path(sys.argv[1])
    texts, new = (int(word) for word in [*sys.argv[2:4], *("10000000", "1000000")[len(sys.argv) - 2 :]])
    print("| rows added | | anonymous memory | time | CPU |\n|---|---|---|---|---|")
    for ids in (False, True):
        store = place / ("ids" if ids else "plain")
        if not store.exists():
            made(store, texts, ids=ids)
        for count in (new, 1):
            for _ in range(3):
                measured(store, texts, count, ids=ids)
