"""Let the disk fail at each operation of an answer, an undo and an import, and make the failed call again.

``answers.py PLACE SHIM MOST``: needs the shim preloaded; prints one JSON line. MOST is the number of operations of a
call to break, a random sample; 0 means all. The store has so many answers that each call merges their files too.
"""

import ctypes
import errno
import json
import os
import random
import sys
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import pyarrow as pa
from scenarios import LABELS, SMALL, HashEncoder, copy, opened, rows, with_lists

import embedstore
from embedstore.annotations import AnnotationSession
from embedstore.annotations.log import MERGED_AFTER, all_answers

pa.set_cpu_count(1)
pa.set_io_thread_count(1)

KINDS = {"ENOSPC": errno.ENOSPC, "EIO": errno.EIO}
TWO = LABELS[:2]


def prepare(root: Path) -> None:
    """Make a store with one answer less than are merged, all of them to a few texts."""
    store = embedstore.create(root, encoder=HashEncoder(8), settings=SMALL)
    store.add(rows(0, 12), text="review", id="key")
    store.encode()
    store.tag(TWO)
    for number in range(MERGED_AFTER):
        store.annotations.add(number % 2, TWO[number % 2], TWO, who="ann" if number < MERGED_AFTER // 2 else "bea")


def stored(root: Path) -> list[tuple[str, str, str]]:
    """Return the current answers."""
    found = opened(root).annotations.export_table().to_pandas()
    return sorted(zip(found["id"], found["who"], found["label"], strict=True))


TABLE = [{"id": f"k{n}", "label": TWO[n % 2], "who": "cal", "when": "2026-01-31T12:00:00+00:00"} for n in range(4)]

CALLS: dict[str, Callable[[AnnotationSession, Path], object]] = {
    "answer": lambda session, _: session.answer(TWO[1]),
    "skip": lambda session, _: session.skip(),
    "undo": lambda session, _: session.undo(),
    "import": lambda _, root: opened(root).annotations.import_table(TABLE, TWO),
}


class Disk:
    """A store on a disk that fails."""

    def __init__(self, place: Path, shim: str) -> None:
        self.place = place
        self.shim = ctypes.CDLL(shim)
        self.injected = 0
        self.faults: list[str] = []
        prepare(place / "before")

    def session(self) -> tuple[AnnotationSession, Path]:
        """Return a session of ann on a fresh copy of the store, in which an answer was given, and the copy."""
        root = copy(self.place / "before", self.place / "hit")
        session = opened(root).annotations.session(TWO, who="ann", order="random")
        return session, root

    def failing(self, root: Path, call: Callable[[], object], at: int, kind: int, sticky: bool) -> str:
        """Make a call on a failing disk; return the message of its error, or ""."""
        self.shim.fault_arm(os.fsencode(root), at, kind, int(sticky))
        try:
            call()
        except embedstore.EmbedstoreError as error:
            return str(error)
        finally:
            self.shim.fault_disarm()
        return ""

    def run(self, name: str, most: int) -> None:
        """Break the operations of one call; after an error, make the same call or another one."""
        call = CALLS[name]
        session, root = self.session()
        before = stored(root)
        self.failing(root, lambda: call(session, root), 0, 0, False)
        operations, after = self.shim.fault_count(), stored(root)
        state = session.given, session.left, session.history
        numbers = range(1, operations + 1)
        every = not most or name == "answer"  # an error after the commit comes at a few operations only
        moments = numbers if every else sorted(random.Random(0).sample(numbers, min(most, operations)))
        ways = [(0, 1), (1, 0)] if most else [(0, 0), (0, 1), (1, 0), (1, 1)]
        for kind in list(KINDS)[: 1 if most else None]:
            for at, sticky, again in ((at, *way) for at in moments for way in ways):
                session, root = self.session()
                self.injected += 1
                said = self.failing(root, lambda s=session, r=root: call(s, r), at, KINDS[kind], bool(sticky))
                what = f"{name}, {kind} at operation {at} of {operations}{' and after' if sticky else ''}: {said!r}"
                if said and not sticky and stored(root) != before:
                    self.faults.append(f"{what}: told as failed, and it is there")
                if said and again:
                    call(session, root)
                if said and not again and name in ("answer", "skip"):
                    session.answer(TWO[0])
                    session.undo()
                if (again or not said) and stored(root) != after:
                    self.faults.append(f"{what}: {stored(root)}, expected {after}")
                if (again or not said) and name != "import" and (session.given, session.left, session.history) != state:
                    self.faults.append(f"{what}: the session differs")
                if said and not again and name in ("answer", "skip") and stored(root) != before:
                    self.faults.append(f"{what}: another answer, taken back, left {stored(root)}, expected {before}")
                with opened(root).snapshot() as now:
                    ids = [one.id for one in all_answers(now)]
                if len(set(ids)) < len(ids):
                    self.faults.append(f"{what}: an answer is stored twice")


def main(place: str, shim: str, most: str) -> None:
    """Run all calls."""
    with_lists()
    disk = Disk(Path(place), shim)
    for name in CALLS:
        disk.run(name, int(most))
    print(json.dumps({"injected": disk.injected, "faults": disk.faults}))


if __name__ == "__main__":
    main(*sys.argv[1:])
