"""Time what the desk does, on a synthetic store: ``python benchmarks/desk.py [ROWS ...]`` prints a table of medians.

Vectors have 64 dimensions and are made without a model. "first" is the first call of its kind in a desk, the others
are medians of calls that differ, in a desk that is warm. Each bulk answer is of half of the rows, and is taken back.
"""

import argparse
import sys
import tempfile
import time
import zlib
from collections.abc import Callable, Sequence
from itertools import count
from pathlib import Path

import numpy as np
import pyarrow as pa

import embedstore
from embedstore.core.spec import EncoderSpec, Provenance
from embedstore.desk import Desk, Query
from embedstore.desk.lens import Lens

LENS = Lens.of(["Negative", "Positive"])
KINDS = np.array(["kettle", "lamp", "chair", "book", "phone"])
DIMENSION = 64


class RandomEncoder:
    """An encoder whose vectors are made of a checksum of the text, and are near to nothing."""

    dimension = DIMENSION
    spec = EncoderSpec(digest="0" * 64, pooling="none", normalized=True, max_seq_length=8)
    provenance = Provenance(
        model="random", revision="", backend="random", device="cpu", precision="float32", batch_size=1, versions=()
    )

    def encode(
        self, texts: Sequence[str], *, prompt: str | None = None, on_texts: Callable[[int, int], None] | None = None
    ) -> np.ndarray:
        """Return a unit vector for each text; equal texts have equal vectors."""
        if on_texts:
            on_texts(len(texts), 0)
        sums = np.array([[zlib.crc32(text.encode()) & 0xFFFF, len(text)] for text in texts], dtype=np.uint64)
        grid = np.arange(1, DIMENSION + 1, dtype=np.float64)
        vectors = np.sin(sums[:, :1] * grid * 0.7 + sums[:, 1:] * grid**2)
        return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def table_of(rows: int) -> pa.Table:
    """Return a table of texts with a column of text, one of numbers, and an id."""
    rng = np.random.default_rng(0)
    kinds = KINDS[rng.integers(len(KINDS), size=rows)]
    words = rng.integers(1000, size=(rows, 3))
    texts = [
        f"the {kind} number {n} is {a} and {b}, but not {c}"
        for n, (kind, (a, b, c)) in enumerate(zip(kinds, words.tolist(), strict=True))
    ]
    return pa.table(
        {"key": [f"k{n}" for n in range(rows)], "text": texts, "kind": kinds, "stars": rng.integers(1, 6, size=rows)}
    )


def median(calls: int, work: Callable[[int], object]) -> float:
    """Return the median seconds of calls with the numbers from 0."""
    seconds = []
    for number in range(calls):
        start = time.perf_counter()
        work(number)
        seconds.append(time.perf_counter() - start)
    return float(np.median(seconds))


def times_of(store: embedstore.EmbeddingStore, rows: int) -> dict[str, float]:
    """Return the seconds of each piece of work."""
    names = count()
    found: dict[str, float] = {}
    desks: list[Desk] = []

    def opened(_: int) -> None:
        desks.append(Desk(embedstore.open(store.path, encoder=RandomEncoder())))
        desks[-1].about()
        desks[-1].rows(Query())

    found["open, about, first rows"] = median(3, opened)
    desk = desks[-1]
    queries = {
        "where": lambda n: Query(where=f"stars >= 3 AND kind <> 'lamp{n}'"),
        "words": lambda n: Query(words=f"not {n + 7}"),
        "meaning": lambda n: Query(meaning=f"a sentence {n}"),
    }
    for name, query in queries.items():
        found[name] = median(5, lambda n, query=query: desk.rows(query(n)))
    found["a page further"] = median(5, lambda n: desk.rows(Query(), start=rows // 2 + 50 * n))
    found["tags, first"] = median(1, lambda n: desk.rows(Query(), LENS))
    found["counts of 3 columns, first"] = median(1, lambda n: desk.counts(Query(), ["kind", "stars", "score"], LENS))
    some = [Query(where=f"stars >= {n}") for n in range(1, 6)]
    found["counts of 3 columns"] = median(5, lambda n: desk.counts(some[n], ["kind", "stars", "score"], LENS))
    found["colours"] = median(3, lambda n: desk.colours("kind"))
    found["mask"] = median(5, lambda n: desk.mask(some[n]))
    found["map by components, first"] = median(1, lambda n: desk.maps.newest().points())
    found["map by neighbourhood, made and kept"] = median(1, lambda n: (desk.maps.begin(), desk.maps.wait()))
    again = Desk(embedstore.open(store.path, encoder=RandomEncoder()))
    found["map by neighbourhood, as it is kept"] = median(1, lambda n: again.maps.newest().points("neighbours"))
    found["ask for 20"] = median(3, lambda n: desk.ask(LENS, who=f"w{n}"))
    found["one answer"] = median(20, lambda n: desk.answer([n], "Positive", LENS, action=f"a{next(names)}"))
    half = Query(where="CAST(substr(key, 2) AS BIGINT) % 2 = 0")
    total = desk.rows(half, count=0)["total"]
    actions = [f"bulk {n}" for n in range(3)]
    took: dict[str, list[float]] = {}
    steps = {
        f"bulk answer of half ({total:,})": lambda action: desk.answer(half, "Negative", LENS, action=action),
        "rows after it": lambda action: desk.rows(Query(), LENS),
        "one answer after it": lambda action: desk.answer([1], "Positive", LENS, action=f"{action} one"),
        "rows with answers after that": lambda action: desk.rows(Query(), LENS),
        "ask for 20 after it": lambda action: desk.ask(LENS, who="new"),
        "take back": lambda action: desk.take_back(action),
        "rows after that": lambda action: desk.rows(Query(), LENS),
    }
    for action in actions:
        for name, step in steps.items():
            took.setdefault(name, []).append(median(1, lambda _, step=step, action=action: step(action)))
    return found | {name: float(np.median(seconds)) for name, seconds in took.items()}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("rows", nargs="*", type=int, default=[10_000, 200_000])
    columns: dict[int, dict[str, float]] = {}
    for rows in parser.parse_args().rows:
        with tempfile.TemporaryDirectory(prefix="embedstore-bench-") as folder:
            store = embedstore.create(Path(folder) / "store", encoder=RandomEncoder())
            store.add(table_of(rows), text="text", id="key")
            store.encode()
            print(f"{rows:,} rows are encoded", file=sys.stderr, flush=True)
            columns[rows] = times_of(store, rows)
    names = list(dict.fromkeys(name.partition(" (")[0] for found in columns.values() for name in found))
    print("| ms | " + " | ".join(f"{rows:,} rows" for rows in columns) + " |\n|---|" + "---:|" * len(columns))
    for name in names:
        cells = [
            next(1000 * s for key, s in found.items() if key.partition(" (")[0] == name) for found in columns.values()
        ]
        print(f"| {name} | " + " | ".join(f"{cell:,.1f}" for cell in cells) + " |")


if __name__ == "__main__":
    main()
