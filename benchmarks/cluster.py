"""Measure what a Ray cluster costs: each segment's way there and back, a whole run, the driver; and a commit.

The cluster is simulated: all its workers are on this machine, and its folder is on a local disk. The texts, the model,
its precision and the number of cores are the same for all. Names of measurements are arguments; by default all are run.
"""

import itertools
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pandas as pd
import psutil
import ray
from common import RandomEncoder, Seconds, cpu_seconds, result, reviews, scratch, side_by_side

import embedstore
from embedstore.cluster import RayExecutor
from embedstore.cluster.worker import Done, Settled, Worker
from embedstore.encoders import Described
from embedstore.storage import locks
from embedstore.storage.manifest import commit
from embedstore.storage.records import TextSegment, VectorSegment
from embedstore.storage.segments import write_texts
from embedstore.vectors.executors import store_vectors
from embedstore.vectors.receipts import Receipt, with_receipts
from embedstore.vectors.waiting import keep_receipt

TEXTS = int(os.environ.get("BENCH_TEXTS", "4000"))
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "3"))
REPLAYED = int(os.environ.get("BENCH_SEGMENTS", "10000"))
REPLAYED_TEXTS = 100
SMALL = embedstore.Settings(smallest_segment=256, largest_segment=256)
os.environ["PYTHONPATH"] = str(Path(__file__).parent)  # workers import `RandomEncoder`


def filled(folder: Path, texts: list[str], encoder: object = None) -> embedstore.EmbeddingStore:
    """Return a store of these texts without vectors."""
    store = embedstore.create(folder, encoder=encoder, settings=SMALL)
    store.add([{"t": text} for text in texts], text="t")
    return store


def run(folder: Path, texts: list[str], encoder: object = None, **options: object) -> Callable[..., object]:
    """Return a function that encodes a new store of these texts."""
    numbers = itertools.count()

    def once(**more: object) -> object:
        store = filled(folder / f"{id(once)}-{next(numbers)}", texts, encoder)
        report = store.encode(device="cpu", precision="bfloat16", **options, **more)
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


class Workers:
    """The CPU's seconds of Ray's workers, looked at while they live: nobody waits for them when they are ended."""

    def __init__(self) -> None:
        self.seconds: dict[int, float] = {}

    def look(self, _progress: object = None) -> None:
        """Look at all of them."""
        for process in psutil.Process().children(recursive=True):
            with suppress(psutil.Error):
                if process.name().startswith("ray::Worker"):
                    self.seconds[process.pid] = sum(process.cpu_times()[:2])


def others_seconds() -> float:
    """Return the CPU's seconds so far of this process and of those below it that are not Ray's workers."""
    found = 0.0
    for process in [psutil.Process(), *psutil.Process().children(recursive=True)]:
        with suppress(psutil.Error):
            if not process.name().startswith("ray::"):
                found += sum(process.cpu_times()[:2])
    return found


def in_turn(actions: Mapping[str, Callable[..., object]], rounds: int) -> dict[str, Seconds]:
    """Return the seconds of each action, the actions in turn; their CPU time is that of Ray's processes too."""
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in actions}
    for _ in range(rounds):
        for name, action in actions.items():
            workers, cpu, start = Workers(), others_seconds(), time.perf_counter()
            action(on_progress=workers.look)
            seconds = time.perf_counter() - start
            times[name].append((seconds, others_seconds() - cpu + sum(workers.seconds.values())))
    return {name: Seconds.of(values) for name, values in times.items()}


def cost_of_a_run(folder: Path, texts: list[str]) -> None:
    """Encode an eighth of the reviews, and all: local on two cores, one worker of a core, two of them, one of two."""
    few = len(texts) // 8
    ways = {
        "local on 2 cores": "local",
        "1 worker of 1 core": RayExecutor(workers=1),
        "2 workers of 1 core": RayExecutor(workers=2),
        "1 worker of 2 cores": RayExecutor(workers=1, cores_per_worker=2),
    }
    actions = {
        f"{name}, {size}": run(folder, texts[:size], executor=way)
        for name, way in ways.items()
        for size in (few, len(texts))
    }
    found = in_turn(actions, rounds=ROUNDS)
    rate, cpu = {}, {}
    for name in ways:
        small, large = found[f"{name}, {few}"], found[f"{name}, {len(texts)}"]
        rate[name] = (len(texts) - few) / (large - small)
        cpu[name] = 1000 * (large.cpu - small.cpu) / (len(texts) - few)
        print(
            f"{name}: {rate[name]:.0f} reviews a second, {cpu[name]:.2f} ms of CPU a review; {few:,} reviews take "
            f"{small:.1f} s ({small.cpu:.1f} s of CPU), {len(texts):,} take {large:.1f} s ({large.cpu:.1f} s of CPU)"
        )
    for ours, other, asked in (
        ("1 worker of 2 cores", "local on 2 cores", "0.95 of local"),
        ("2 workers of 1 core", "local on 2 cores", "0.95 of local"),
        ("2 workers of 1 core", "1 worker of 1 core", "2 x one worker"),
    ):
        result(
            f"reviews a second, Ray with {ours}",
            rate[ours],
            rate[other],
            other,
            {},
            asked,
            f"from {few:,} to {len(texts):,} reviews, bfloat16, medians of {ROUNDS} rounds in turn; CPU a review "
            f"{cpu[ours]:.2f} ms and {cpu[other]:.2f} ms; load {psutil.getloadavg()[0]:.1f}",
        )


class Replaying(Worker):
    """A worker that has its vectors already: it writes receipts only, and says that it is done."""

    def settle(self, packed: bytes = b"") -> Settled:
        """Read what it is to say."""
        lines = (self._setup.root / "replayed").read_text().splitlines()
        self._records = {text: json.loads(record) for text, record in (line.split(" ", 1) for line in lines)}
        return super().settle(packed)

    def encode(self, task: TextSegment, texts: list[str] | None = None) -> Done:
        """Write the receipt of a segment."""
        segment = VectorSegment.from_json(self._records[task.file.sha256])
        with locks.writing(self._setup.root, 60):
            receipt = Receipt(task.file.sha256, segment, self._encoder.provenance, self._encoder.dimension)
            receipt = keep_receipt(self._setup.root, self._described, receipt)
        return Done(receipt, 0, 0.0)


def prepare_replay(folder: Path) -> None:
    """Make a store of a million texts with all files of vectors, and no record of them but in the file `replayed`."""
    encoder = RandomEncoder()
    small = embedstore.Settings(smallest_segment=REPLAYED_TEXTS, largest_segment=REPLAYED_TEXTS)
    with patch("os.fsync", lambda _descriptor: None):
        store = embedstore.create(folder, encoder=encoder, settings=small)
        texts = pd.DataFrame({"t": [f"text number {i}" for i in range(REPLAYED * REPLAYED_TEXTS)]})
        store.add(texts, text="t")
        with (folder / "replayed").open("w") as stream:
            for text in store.manifest.texts:
                vectors = RandomEncoder().encode([text.file.sha256] * text.count)
                stored = store_vectors(folder, text, vectors, encoder.spec)
                stream.write(f"{text.file.sha256} {json.dumps(stored.to_json())}\n")
    os.sync()


def cost_of_the_driver(folder: Path) -> None:
    """Commit the segments of a million texts that workers have without computing them."""
    subprocess.run([sys.executable, __file__, "prepare", folder], check=True)
    store = embedstore.open(folder, encoder=RandomEncoder())
    most = 0

    def look(_progress: object) -> None:
        nonlocal most
        status = Path("/proc/self/status").read_text()
        most = max(most, int(status.partition("RssAnon:")[2].split()[0]))

    look(None)
    before, cpu, start = most, cpu_seconds(), time.perf_counter()
    with patch("embedstore.cluster.executor.Worker", Replaying):
        report = store.encode(executor=RayExecutor(workers=2, storage="shared"), on_progress=look)
    seconds, cpu = time.perf_counter() - start, cpu_seconds() - cpu
    assert report.encoded == REPLAYED * REPLAYED_TEXTS
    assert sum(one.segments for one in report.workers) == REPLAYED
    result(
        f"segments a minute that a driver commits, {REPLAYED:,} of {REPLAYED_TEXTS} texts",
        60 * REPLAYED / seconds,
        60 * REPLAYED / cpu,
        "segments a minute of the driver's CPU time",
        {},
        "10,000 a minute",
        f"{seconds:.1f} s, {cpu:.1f} s of the driver's CPU time; anonymous memory of the driver {before / 1024:.0f} MB "
        f"before and {most / 1024:.0f} MB at most; load {psutil.getloadavg()[0]:.1f}",
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
    chosen = sys.argv[1:] or ["commit", "segment", "run", "driver"]
    if chosen[0] == "prepare":
        prepare_replay(Path(chosen[1]))
        sys.exit()
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
        if "driver" in chosen:
            cost_of_the_driver(Path(place) / "replay")
