"""Readers hold snapshots while others replace the rows, commit and run `gc`; at the end nothing else may be left.

``readers.py PLACE ROUNDS READERS``: prints one JSON line; what was injected is the number of snapshots that were read.
"""

import json
import os
import random
import signal
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import pandas  # noqa: F401  before the fork, so that no child has to import it
import pyarrow as pa
from scenarios import SMALL, HashEncoder, opened, with_lists

import embedstore
from embedstore.maintenance import verify
from embedstore.storage import manifest
from embedstore.vectors import search

pa.set_cpu_count(1)
pa.set_io_thread_count(1)

_ROWS, _GENERATIONS, _COMMITS = 10, 5, 30
_LONGEST = 60  # seconds after which a round counts as stuck


def write(root: Path, generation: int) -> None:
    """Replace all rows, encode them, and make an index and an answer."""
    store = opened(root)
    rows = [{"key": f"k{i}", "review": f"text {i} of {generation}"} for i in range(_ROWS)]
    store.add(rows, text="review", id="key", replace=True)
    store.encode()
    store.index("flat")


def read(now) -> None:
    """Check that a snapshot is one state: rows of one generation with their vectors, and no damaged file."""
    assert not (faults := verify(now).faults), faults
    corpus = now.corpus()
    texts = now.texts.at(corpus.positions())
    assert corpus.column("review").to_pylist() == texts
    assert len({text.rpartition(" ")[2] for text in texts}) == 1, "rows of two states"
    if now.space().covers([corpus]):
        vectors = now.space().at(corpus.positions(), corpus.name)
        encoder = HashEncoder(8)
        assert all((vector == encoder.vector(text)).all() for vector, text in zip(vectors, texts, strict=True))
        assert len(search(now, row="k1", k=3)) == 3


class Round:
    """The processes of a round; those that work until the end look for the file ``done``."""

    def __init__(self, root: Path, readers: int, seed: int) -> None:
        self.root, self.readers, self.seed = root, readers, seed
        self.done = root.parent / "done"
        self.count, self.counting = os.pipe()

    def started(self, work) -> int:
        """Run `work` in a forked process and return its number."""
        child = os.fork()
        if not child:
            code = 1
            try:
                signal.alarm(_LONGEST)
                work()
                code = 0
            except BaseException as error:
                print(f"{work.__name__}: {type(error).__name__}: {error}", file=sys.stderr, flush=True)
            finally:
                os._exit(code)
        return child

    def reader(self) -> None:
        dice, store = random.Random(os.getpid()), opened(self.root)
        while not self.done.exists():
            with store.snapshot() as now:
                read(now)
                time.sleep(dice.choice([0, 0, 0.01, 0.2]))
                read(now)
            os.write(self.counting, b".")

    def opener(self) -> None:
        store = opened(self.root)
        while not self.done.exists():
            with store.snapshot() as now:
                assert now.manifest.corpora
            store.gc(dry_run=True)
            os.write(self.counting, b".")

    def writer(self) -> None:
        for generation in range(_GENERATIONS):
            write(self.root, generation)

    def committer(self) -> None:
        for number in range(_COMMITS):
            opened(self.root).annotations.add(number % _ROWS, "Positive", ["Negative", "Positive"])

    def collector(self) -> None:
        removed = 0
        while not self.done.exists():
            removed += len(opened(self.root).gc().removed)
        assert removed, "gc removed nothing"

    def run(self) -> str:
        """Run the round; return "" if all went well, else a description of the fault."""
        ready, told = os.pipe()
        end, ending = os.pipe()

        def long_reader() -> None:
            os.close(ending)
            with opened(self.root).snapshot() as now:
                read(now)
                os.write(
                    told, json.dumps([now.manifest.sequence, *(file.path for file in now.manifest.files())]).encode()
                )
                os.read(end, 1)  # until all the others have ended: if `gc` waited for this one, it would be for ever
                read(now)

        long = self.started(long_reader)
        number, *held = json.loads(os.read(ready, 60_000))
        finite = [self.started(self.writer), self.started(self.committer)]
        endless = [self.started(work) for work in [self.collector, self.opener, *[self.reader] * self.readers]]
        codes = [os.waitpid(child, 0)[1] for child in finite]
        self.done.touch()
        codes += [os.waitpid(child, 0)[1] for child in endless]
        codes.append(os.waitpid(self.started(lambda: opened(self.root).gc()), 0)[1])
        with_reader = self.beyond({f"manifest-{number:08d}.json", *held})
        os.close(ending)
        codes.append(os.waitpid(long, 0)[1])
        codes.append(os.waitpid(self.started(lambda: opened(self.root).gc()), 0)[1])
        for descriptor in (ready, told, end):
            os.close(descriptor)
        if any(codes):
            return f"processes ended with {codes}"
        if not held or not set(held) - {file.path for file in manifest.load(self.root).files()}:
            return "the long reader held nothing"
        found = with_reader or self.beyond(set())
        return f"gc left {sorted(found)}" if found else ""

    def beyond(self, needed: set[str]) -> set[str]:
        """Return the files of the store that neither its newest state nor `needed` has."""
        newest = manifest.load(self.root)
        listed = {file.path for file in newest.files()} | {f"manifest-{newest.sequence:08d}.json"}
        there = {path.relative_to(self.root).as_posix() for path in self.root.rglob("*") if path.is_file()}
        return there - listed - needed - {".lock", ".rows.lock"}


def main(place: str, rounds: str, readers: str) -> None:
    """Run the rounds."""
    with_lists()
    faults, snapshots = [], 0
    for seed in range(int(rounds)):
        root = Path(place) / str(seed) / "store"
        made = Round(root, int(readers), seed)
        os.waitpid(made.started(lambda root=root: embedstore.create(root, encoder=HashEncoder(8), settings=SMALL)), 0)
        os.waitpid(made.started(lambda root=root: write(root, 99)), 0)
        if said := made.run():
            faults.append(f"round {seed}: {said}")
        os.close(made.counting)
        with os.fdopen(made.count) as stream:
            snapshots += len(stream.read())
    print(json.dumps({"injected": snapshots, "faults": faults}))


if __name__ == "__main__":
    main(*sys.argv[1:])
