"""Measure the memory and the time of commands on a large store: ``python benchmarks/scale.py FOLDER ROWS [NAME ...]``.

The store is made in FOLDER unless it is there. Its texts have random vectors around the centres of five classes, and a
column of classes of which a tenth is wrong; one row in a hundred has the text of another. Each command runs in a
process of its own. The memory is the most that RssAnon of /proc/PID/status was, looked at a hundred times a second:
pages of the store's files, which the system can drop, do not count.
"""

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
from common import LABELS, RandomEncoder

import embedstore
from embedstore.learning.fitting import TrainOptions

_ROWS = 500_000  # rows that are added at once
_WORDS = 12
_COLUMNS = ("text", "class")

Question = Callable[[embedstore.EmbeddingStore, Path], object]


class ClassedEncoder(RandomEncoder):
    """An encoder whose vectors lie around the centre of the class that a text's last word names."""

    def encode(self, texts, *, prompt=None, on_texts=None):
        """Return unit vectors; a label's own vector is near to its centre."""
        centres = RandomEncoder(self.dimension).encode(LABELS)
        number = {name: place for place, name in enumerate(LABELS)}
        of_text = [number.get(text.rpartition(" ")[2], 0) for text in texts]
        vectors = super().encode(texts) + 0.4 * centres[of_text]
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def made(folder: Path, rows: int) -> None:
    """Make the store."""
    store = embedstore.create(folder, encoder=ClassedEncoder())
    rng = np.random.default_rng(0)
    words = np.array([f"w{number}" for number in range(5_000)])
    for start in range(0, rows, _ROWS):
        count = min(_ROWS, rows - start)
        right = rng.integers(0, len(LABELS), count)
        drawn = words[(len(words) * rng.random((count, _WORDS)) ** 3).astype(int)]
        texts = [
            f"{' '.join(line)} {start + n} {LABELS[of]}" for n, (line, of) in enumerate(zip(drawn, right, strict=True))
        ]
        texts[1::100] = texts[::100][: len(texts[1::100])]
        given = np.where(rng.random(count) < 0.1, rng.integers(0, len(LABELS), count), right)
        store.add(pa.table({"text": texts, "class": np.array(LABELS)[given]}), text="text")
        store.encode()
    store.tag(LABELS)
    for position in range(50):
        store.annotations.add(position, LABELS[position % len(LABELS)], LABELS)
    os.sync()


def _saved(found: "embedstore.Result", folder: Path) -> None:
    found.save(folder / "out.parquet")


QUESTIONS: dict[str, Question] = {
    "info": lambda store, out: store.info(),
    "search": lambda store, out: store.search(row=0),
    "tag": lambda store, out: _saved(store.tag(LABELS), out),
    "tag --method best": lambda store, out: _saved(store.tag(LABELS, method="best"), out),
    "tag --method scale": lambda store, out: _saved(store.tag(LABELS, method="scale"), out),
    "tag --method topics": lambda store, out: _saved(store.tag(LABELS, method="topics"), out),
    "tag --confidence": lambda store, out: _saved(store.tag(LABELS, confidence=True), out),
    "tag --confidence --gold": lambda store, out: _saved(store.tag(LABELS, confidence=True, gold="class"), out),
    "tag --method best --examples": lambda store, out: _saved(store.tag(LABELS, method="best", examples=True), out),
    "tag --multi": lambda store, out: _saved(store.tag(LABELS, multi=True), out),
    "tag --multi --method best": lambda store, out: _saved(store.tag(LABELS, multi=True, method="best"), out),
    "doubts": lambda store, out: store.doubts("class"),
    "train": lambda store, out: store.train("class"),
    "train --cv 3": lambda store, out: store.train("class", options=TrainOptions(cv=3)),
    "train --curve": lambda store, out: store.train("class", options=TrainOptions(curve=True)),
    "train --multi": lambda store, out: store.train("class", multi=True, name="several"),
    "predict": lambda store, out: _saved(store.predict("class"), out),
    "compare": lambda store, out: store.compare("class", labels=LABELS),
    "map": lambda store, out: store.map(labels=LABELS),
    "topics": lambda store, out: _saved(store.topics(5), out),
    "duplicates": lambda store, out: store.duplicates(),
    "export --to parquet": lambda store, out: store.export(out / "export.parquet", to="parquet"),
    "export --to parquet -l": lambda store, out: store.export(out / "tags.parquet", to="parquet", labels=LABELS),
    "export --to lance": lambda store, out: store.export(out / "export.lance", to="lance"),
    "export --to faiss": lambda store, out: store.export(out / "export.faiss", to="faiss"),
    "export --to milvus": lambda store, out: store.export(out / "milvus.parquet", to="milvus"),
    "export --to pgvector (file)": lambda store, out: store.export(out / "export.copy", to="pgvector"),
    "export --to npy": lambda store, out: store.export(out / "export.npy", to="npy"),
}


def measured(name: str, folder: Path) -> None:
    """Run a command in a child process and print a line of the table."""
    start = time.monotonic()
    child = os.fork()
    if not child:
        try:
            QUESTIONS[name](embedstore.open(folder, encoder=ClassedEncoder()), folder.parent)
        except BaseException as error:
            print(f"{type(error).__name__}: {error}", file=sys.stderr)
            os._exit(1)
        os._exit(0)
    most = 0
    while True:
        ended, status, used = os.wait4(child, os.WNOHANG)
        if ended:
            break
        lines = Path(f"/proc/{child}/status").read_text().split("\n")
        most = max([most, *(int(line.split()[1]) for line in lines if line.startswith("RssAnon"))])
        time.sleep(0.01)
    seconds, cpu = time.monotonic() - start, used.ru_utime + used.ru_stime
    failed = f" failed ({status})" if status else ""
    print(f"| {name} | {most / 1e6:.2f} GB | {seconds:.1f} s | {cpu:.1f} s |{failed}", flush=True)


if __name__ == "__main__":
    place = Path(sys.argv[1])
    if not place.exists():
        made(place, int(sys.argv[2]))
    print("| command | anonymous memory | time | CPU |\n|---|---|---|---|")
    for one in sys.argv[3:] or QUESTIONS:
        measured(one, place)
