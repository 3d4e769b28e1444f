"""Tag and search 1,000,000 synthetic rows of 384 dimensions; print memory and times beside the machine's limit.

    python benchmarks/million.py [--rows 1000000] [--rounds 5] [--folder DIR]

The store is made segment by segment, through the library's own writers, by an encoder of random unit
vectors. Every figure is of one process of its own; memory is the peak of its anonymous pages (RssAnon).
"""

import argparse
import hashlib
import json
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np

import embedstore
from embedstore.output import write_table
from embedstore.spec import EncoderSpec, Provenance

DIMENSION = 384
LABELS = ["one", "two", "three", "four", "five"]


class RandomEncoder:
    """Unit vectors that depend on the text alone."""

    def __init__(self) -> None:
        self.dimension = DIMENSION
        digest = hashlib.sha256(b"random").hexdigest()
        self.spec = EncoderSpec(digest=digest, pooling="none", normalized=True, max_seq_length=8)
        self.provenance = Provenance(
            model="random", revision="", backend="numpy", device="cpu", precision="float32", batch_size=1, versions=()
        )

    def encode(self, texts, *, prompt=None, on_texts=None):
        """Return vectors seeded with the first text."""
        seed = int.from_bytes(hashlib.sha256(texts[0].encode()).digest()[:8], "little")
        vectors = np.random.default_rng(seed).standard_normal((len(texts), DIMENSION), dtype=np.float32)
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)

    def count_truncated(self, texts):
        """Return 0."""
        return 0


def make(folder: Path, rows: int) -> None:
    """Make the store in parts of 100,000 rows."""
    store = embedstore.create(folder, encoder=RandomEncoder())
    for start in range(0, rows, 100_000):
        texts = [{"review": f"synthetic review number {i}"} for i in range(start, min(rows, start + 100_000))]
        store.add(texts, text="review")
    store.encode()
    store.tagging(LABELS)
    store.matches("a query", k=10)


class PeakAnonymous(threading.Thread):
    """Watches this process' anonymous memory."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.peak = 0

    def run(self) -> None:
        """Sample every 5 ms."""
        while True:
            status = Path("/proc/self/status").read_text()
            self.peak = max(self.peak, int(status.split("RssAnon:")[1].split()[0]))
            time.sleep(0.005)


def measure(folder: Path, work: str, rounds: int) -> None:
    """Do one kind of work in this process and print its figures as JSON."""
    watch = PeakAnonymous()
    watch.start()
    store = embedstore.open(folder)
    out = folder.parent / "tagged.csv"
    space = store.space()
    query = store._query_vectors(space, ["a query"])
    actions = {
        "tag": lambda: store.tagging(LABELS, no_encode=True),
        "tag -o": lambda: write_table((joined := store.tagging(LABELS, no_encode=True)).tables(), joined.schema, out),
        "search": lambda: store.matches("a query", k=10, no_encode=True),
        "one pass": lambda: [block.vectors @ query[0] for block in space.blocks()],
    }
    times = []
    for _ in range(rounds + 1):
        start = time.perf_counter()
        actions[work]()
        times.append(time.perf_counter() - start)
    figures = {"work": work, "median_s": statistics.median(times[1:]), "peak_anonymous_mb": watch.peak / 1000}
    print(json.dumps(figures))


def main() -> None:
    """Make the store, then run each kind of work in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--work")
    arguments = parser.parse_args()
    if arguments.work:
        measure(arguments.folder, arguments.work, arguments.rounds)
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.folder or Path(temporary) / "million"
        if not folder.exists():
            make(folder, arguments.rows)
        found = {}
        for work in ("one pass", "tag", "tag -o", "search"):
            command = [
                sys.executable,
                __file__,
                "--folder",
                str(folder),
                "--work",
                work,
                "--rounds",
                str(arguments.rounds),
            ]
            found[work] = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        limit = found["one pass"]["median_s"]
        print(f"{arguments.rows:,} rows x {DIMENSION} float32, medians of {arguments.rounds} rounds")
        for work, figures in found.items():
            print(
                f"{work:10} {figures['median_s'] / limit:6.2f} x one pass  {figures['median_s']:7.3f} s  "
                f"{figures['peak_anonymous_mb']:6.0f} MB anonymous"
            )


if __name__ == "__main__":
    main()
