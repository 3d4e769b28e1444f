"""Measure what a Ray cluster costs: each segment's way there and back, a whole run; and what a commit costs.

The cluster is simulated: all its workers are on this machine, and its folder is on a local disk. The texts, the model,
its precision and the number of cores are the same for all.
"""

import itertools
import os
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import psutil
import ray
from common import RandomEncoder, result, reviews, scratch, side_by_side

import embedstore
from embedstore.cluster import RayExecutor
from embedstore.encoders import Described
from embedstore.storage.manifest import commit
from embedstore.storage.segments import write_texts
from embedstore.vectors.executors import store_vectors
from embedstore.vectors.receipts import Receipt, with_receipts

TEXTS = int(os.environ.get("BENCH_TEXTS", "4000"))
SMALL = embedstore.Settings(smallest_segment=256, largest_segment=256)
os.environ["PYTHONPATH"] = str(Path(__file__).parent)  # workers import `RandomEncoder`


def filled(folder: Path, texts: list[str], encoder: object = None) -> embedstore.EmbeddingStore:
    """Return a store of these texts without vectors."""
    store = embedstore.create(folder, encoder=encoder, settings=SMALL)
    store.add([{"t": text} for text in texts], text="t")
    return store


def run(folder: Path, texts: list[str], encoder: object = None, **options: object) -> Callable[[], object]:
    """Return a function that encodes a new store of these texts."""
    numbers = itertools.count()

    def once() -> object:
        store = filled(folder / f"{id(once)}-{next(numbers)}", texts, encoder)
        report = store.encode(device="cpu", precision="bfloat16", **options)
        assert (report.encoded, report.set_aside) == (len(texts), ())
        return store

    return once


def cost_of_a_segment(folder: Path) -> None:
    """Time an encoder that takes no time, for few and for many segments: the start of workers cancels out."""
    encoder, few, many = RandomEncoder(), 10, 110
    ways = {
        "local": "local",
        "ray, shared": RayExecutor(workers=2, storage="shared"),
        "ray, sent": RayExecutor(workers=2, storage="sent"),
    }
    texts = [f"text number {i}" for i in range(256 * many)]
    actions = {
        f"{name}, {size}": run(folder, texts[: 256 * size], encoder, executor=way)
        for name, way in ways.items()
        for size in (few, many)
    }
    found = side_by_side(actions, rounds=3)
    each = {name: (found[f"{name}, {many}"].least - found[f"{name}, {few}"].least) / (many - few) for name in ways}
    for name in ("ray, shared", "ray, sent"):
        result(
            f"a segment of 256 vectors of 384, {name}, beside local",
            each[name],
            each["local"],
            "local",
            {},
            "20 ms a segment",
            f"from {few} to {many} segments, the shortest of 3 rounds; {few} segments take "
            f"{found[f'{name}, {few}'].least:.1f} s with the start of the workers",
        )


def cost_of_a_run(folder: Path, texts: list[str]) -> None:
    """Encode an eighth of the reviews, and all: this process on both cores, and two workers of a core each."""
    few = len(texts) // 8
    ways = {"local": "local", "ray": RayExecutor(workers=2)}
    actions = {
        f"{name}, {size}": run(folder, texts[:size], executor=way)
        for name, way in ways.items()
        for size in (few, len(texts))
    }
    found = side_by_side(actions, rounds=2)
    rate = {
        name: (len(texts) - few) / (found[f"{name}, {len(texts)}"].least - found[f"{name}, {few}"].least)
        for name in ways
    }
    result(
        "reviews a second, Ray with 2 workers of a core beside local on 2 cores",
        rate["ray"],
        rate["local"],
        "local",
        {},
        "0.9 of local",
        f"from {few:,} to {len(texts):,} reviews, bfloat16, the shorter of 2 rounds; {few:,} reviews take "
        f"{found[f'local, {few}'].least:.1f} s in this process and {found[f'ray, {few}'].least:.1f} s with the start "
        "of the workers",
    )


def cost_of_a_commit(folder: Path) -> None:
    """Commit receipts one by one, and all at once, in a store of so many segments."""
    encoder = RandomEncoder(8)
    described = Described(model="random", folder=Path(), revision="", spec=encoder.spec, query_prompt="")
    for size in (100, 1_000, 5_000):
        store = filled(folder / f"commit-{size}", ["first"], encoder)
        texts = [write_texts(store.path, [f"text {number} of {size}"]) for number in range(size)]
        receipts = []
        for text in texts:
            stored = store_vectors(store.path, text, encoder.encode([text.file.sha256]), encoder.spec)
            receipts.append(Receipt(text.file.sha256, stored, encoder.provenance, encoder.dimension))
        commit(store.path, lambda base, texts=texts: replace(base, texts=(*base.texts, *texts)))
        commit(store.path, lambda base, some=receipts[:-50]: with_receipts(base, described, some))
        seconds = []
        for one in receipts[-50:]:
            start = time.perf_counter()
            commit(store.path, lambda base, one=one: with_receipts(base, described, [one]))
            seconds.append(time.perf_counter() - start)
        result(
            f"a commit in a store of {size:,} segments",
            float(np.median(seconds)),
            1.0,
            "a second of work",
            {},
            "a tenth of a second",
            f"median of 50; the shortest {1000 * min(seconds):.1f} ms",
        )


if __name__ == "__main__":
    chosen = sys.argv[1:] or ["commit", "segment", "run"]
    with scratch() as place:
        if "commit" in chosen:
            cost_of_a_commit(Path(place))
        start = time.perf_counter()
        ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False)
        print(f"Ray has started in {time.perf_counter() - start:.1f} s, load {psutil.getloadavg()[0]:.1f}", flush=True)
        if "segment" in chosen:
            cost_of_a_segment(Path(place))
        if "run" in chosen:
            cost_of_a_run(Path(place), reviews(TEXTS))
