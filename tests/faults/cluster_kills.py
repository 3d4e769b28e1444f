"""Kill workers, nodes and drivers of a Ray cluster at random moments of many small runs, and look what is left.

``cluster_kills.py FOLDER KILLS [SEED]``: starts a cluster of three nodes and prints one JSON line. A run is one store
of 270 texts in 90 segments, encoded by a process of its own; each moment of a kill is drawn by chance. A driver that
was killed is started again with the same command, a node that was killed is replaced by a new one. A line of progress
for each run goes to standard error.
"""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))

import psutil
from clusters import STORE_OF_OBJECTS, environment
from conftest import HashEncoder

import embedstore
from embedstore.vectors.waiting import waiting

ROWS = [{"t": f"text {i}" + " and so on and so on and more" * (i % 9 == 0)} for i in range(270)]
SMALL = embedstore.Settings(smallest_segment=3, largest_segment=3)
_KINDS = {"worker": 15, "driver": 3, "node": 2}  # how often each is drawn
_PAUSE = 0.15  # seconds of a segment
_LONGEST = 240.0  # seconds after which a run counts as stuck
_LATEST = 2.0  # seconds from one kill to the next at most
_PATIENCE = 10.0  # seconds to wait for a worker to kill
_MOST = 10  # kills in a run

_DRIVER = """
import json, sys
from pathlib import Path
from clusters import Marked
import embedstore
from embedstore.cluster import RayExecutor

store, marks, pause, address = sys.argv[1:]
store = embedstore.open(Path(store), encoder=Marked(Path(marks), float(pause)))
report = store.encode(executor=RayExecutor(address))
print(json.dumps({"encoded": report.encoded, "cached": report.cached, "aside": len(report.set_aside)}))
"""


def prepared(folder: Path) -> Path:
    """Make the store that every run begins with a copy of."""
    store = embedstore.create(folder / "prepared", encoder=HashEncoder(), settings=SMALL)
    store.add(ROWS, text="t")
    return store.path


def hashes(root: Path) -> dict[str, str]:
    """Return the hash of the file of vectors of each text segment: equal ones are equal to the byte."""
    space = embedstore.open(root, encoder=HashEncoder()).space().record
    return {text: segment.file.sha256 for text, segment in space.segments.items()}


def encoded_here(folder: Path) -> dict[str, str]:
    """Return the hashes that this process, alone, comes to."""
    shutil.copytree(folder / "prepared", folder / "local")
    embedstore.open(folder / "local", encoder=HashEncoder(), settings=SMALL).encode()
    return hashes(folder / "local")


class Run:
    """One store, the process that encodes it on the cluster, and the kills."""

    def __init__(self, cluster: Any, folder: Path, *, pause: float = _PAUSE) -> None:
        self.cluster, self.root, self.marks, self.pause = cluster, folder / "store", folder / "marks", pause
        self.killed: Counter[str] = Counter()
        self.faults: list[str] = []
        self.aside = 0
        self._dead: set[int] = set()
        self._finished = 0  # texts with vectors, committed or waiting, when the last driver began
        folder.mkdir()
        self.marks.mkdir()
        shutil.copytree(folder.parent / "prepared", self.root)
        self._start()

    def _start(self) -> None:
        with suppress(embedstore.NotFoundError):
            store = embedstore.open(self.root, encoder=HashEncoder())
            kept = {one.receipt.text for one in waiting(self.root)}
            space = next(iter(store.manifest.spaces.values()), None)
            kept |= set(space.segments) if space else set()
            self._finished = 3 * len(kept)
        words = [sys.executable, "-c", _DRIVER, self.root, self.marks, self.pause, self.cluster.address]
        self._driver = subprocess.Popen([*map(str, words)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    @property
    def ended(self) -> bool:
        return self._driver.poll() is not None

    def kill(self, kind: str, dice: random.Random) -> None:
        """Kill one of a kind, if there is one now."""
        if kind == "worker":
            end = time.monotonic() + _PATIENCE
            while not (alive := [one for one in self._workers() if one not in self._dead]):
                if self.ended or time.monotonic() > end:
                    return
                threading.Event().wait(0.1)
            process = dice.choice(alive)
            self._dead.add(process)
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
                self.killed[kind] += 1
        elif kind == "node":
            node = dice.choice(list(self.cluster.worker_nodes))
            node.all_processes["raylet"][0].process.kill()
            self.killed[kind] += 1
            self.cluster.remove_node(node, allow_graceful=False)
            self.cluster.add_node(num_cpus=1, object_store_memory=STORE_OF_OBJECTS)
        elif not self.ended:
            self._driver.kill()
            self._driver.communicate()
            self.killed[kind] += 1
            self._start()

    def _workers(self) -> list[int]:
        """Return the processes that have got the encoder and still live; a number can be another process by now."""
        found = []
        for mark in self.marks.iterdir():
            with suppress(psutil.Error):
                if psutil.Process(int(mark.name)).name().startswith("ray::"):
                    found.append(int(mark.name))
        return sorted(found)

    def finish(self, expected: Mapping[str, str]) -> None:
        """Wait for the end of the run, and note what is wrong with the store."""
        again = True
        while again:
            try:
                stdout, stderr = self._driver.communicate(timeout=_LONGEST)
            except subprocess.TimeoutExpired:
                self._driver.kill()
                stdout, stderr = self._driver.communicate()
                self.faults.append(f"stuck: {stderr[-500:]}")
                return
            if self._driver.returncode:
                self.faults.append(f"exit code {self._driver.returncode}: {stderr[-500:]}")
                return
            report = json.loads(stdout)
            again = report["aside"] > 0  # three kills by chance at one segment; the same command does it now
            self.aside += report["aside"]
            if report["encoded"] + report["cached"] + 3 * report["aside"] != len(ROWS):
                self.faults.append(f"texts are missing in {report}")
            if report["encoded"] > len(ROWS) - self._finished:
                self.faults.append(f"{self._finished} texts had vectors, and yet {report}")
            if again:
                self._start()
        store = embedstore.open(self.root, encoder=HashEncoder())
        self.faults += [f"verify: {fault}" for fault in store.verify().faults]
        if hashes(self.root) != expected:
            self.faults.append("vectors are lost or altered")
        store.gc()
        left = [*(self.root / "receipts").glob("*"), *self.root.glob(".tmp-*"), *self.root.glob("*/.tmp-*")]
        if left or len(list((self.root / "vectors").iterdir())) != len(expected):
            self.faults.append(f"gc leaves {left}, or files of vectors that nobody needs")


@contextmanager
def three_nodes() -> Iterator[Any]:
    """Start a cluster of three nodes with a core each."""
    from ray.cluster_utils import Cluster

    one = {"num_cpus": 1, "object_store_memory": STORE_OF_OBJECTS}
    cluster = Cluster(initialize_head=True, head_node_args={**one, "include_dashboard": False})
    try:
        for _ in range(2):
            cluster.add_node(**one)
        yield cluster
    finally:
        cluster.shutdown()


def main(folder: Path, kills: int, seed: int) -> None:
    """Kill until there were so many kills; print the figures."""
    dice, start, runs, aside = random.Random(seed), time.monotonic(), 0, 0
    killed: Counter[str] = Counter()
    faults: list[str] = []
    prepared(folder)
    expected = encoded_here(folder)
    while killed.total() < kills:
        with three_nodes() as cluster:  # anew now and then: what many dead nodes leave is Ray's
            for _ in range(20):
                run = Run(cluster, folder / f"run-{runs}")
                while run.killed.total() < _MOST:
                    threading.Event().wait(dice.uniform(0, _LATEST))
                    if run.ended:
                        break
                    run.kill(*dice.choices(list(_KINDS), list(_KINDS.values())), dice)
                run.finish(expected)
                runs += 1
                killed += run.killed
                aside += run.aside
                faults += [f"run {runs}, {dict(run.killed)}: {fault}" for fault in run.faults]
                print(f"{time.monotonic() - start:.0f} s: {runs} runs, {dict(killed)}, {faults}", file=sys.stderr)
                shutil.rmtree(run.root.parent)
                if killed.total() >= kills:
                    break
    found = {"injected": killed.total(), "faults": faults, **killed, "runs": runs, "set_aside": aside, "seed": seed}
    print(json.dumps({**found, "seconds": round(time.monotonic() - start)}))


if __name__ == "__main__":
    place, number, *more = sys.argv[1:]
    with environment():
        main(Path(place), int(number), int(more[0]) if more else random.SystemRandom().randrange(10**6))
