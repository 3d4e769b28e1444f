"""Inject faults into forked runs of one scenario; needs the shim preloaded and prints one JSON line of results.

``driver.py PLACE SHIM KEPT MODE SCENARIOS [MOST]``: KEPT is a folder for what the modes share; SCENARIOS are names
with commas between them; MOST is the number of faults to inject for each, a random sample; 0 means all.
"""

import ctypes
import dataclasses
import errno
import io
import json
import logging
import os
import pickle
import random
import re
import signal
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

import h5py  # noqa: F401  before the fork, so that no child has to import it
import pandas  # noqa: F401
import pyarrow as pa
import sklearn.linear_model  # noqa: F401
from disk import Disk, read_log
from scenarios import (
    LABELS,
    RIGHT,
    SCENARIOS,
    SMALL,
    HashEncoder,
    before,
    check,
    copy,
    done_in_child,
    facts_in_child,
    facts_of,
    home,
    in_child,
    prepare,
    rows,
    with_lists,
)

import embedstore

KILL, SHORT, STOP = -1, -2, -3
ERRORS = {"EIO": errno.EIO, "ENOSPC": errno.ENOSPC, "EDQUOT": errno.EDQUOT, "short": SHORT, "EROFS": errno.EROFS}

_NOT_KEPT = "used and not kept"

pa.set_cpu_count(1)
pa.set_io_thread_count(1)


# What other processes do while one is stopped; each can be done again.
OTHERS = {
    "read": lambda store: (store.tag(LABELS[:2], corpus="few").to_pandas(), store.search(row="k1", k=2, corpus="few")),
    "verify": lambda store: store.verify().faults and 1 / 0,
    "add": lambda store: store.add(rows(50, 54), text="review", id="key", corpus="others"),
    "encode": lambda store: store.encode(),
    "index": lambda store: store.index("flat"),
    "search": lambda store: store.search("seen by others", k=1, corpus="few"),
    "annotate": lambda store: store.annotations.add(0, RIGHT, LABELS[:2], who="others"),
    "repair": lambda store: store.repair(),
    "gc": lambda store: store.gc(),
}
_READERS = ("read", "verify")
_BUSY = re.compile(
    r"StoreBusyError: expected /.+ to be free within 0 seconds, found it locked by another process: run the command "
    r"again when it is done, or wait longer \(--wait SECONDS\)"
)


def meanwhile(place: Path) -> list[str]:
    """Let other processes work with a store; return what each says that neither works nor ends as busy."""
    faults = []
    impatient = dataclasses.replace(SMALL, wait=0.05)
    for name, work in OTHERS.items():
        status, said = in_child(
            lambda work=work: (
                work(embedstore.open(place / "store", encoder=HashEncoder(8), settings=impatient)) and None
            )
        )
        if status and not (_BUSY.fullmatch(said) and name not in _READERS):
            faults.append(f"{name} meanwhile: {said or status}")
    return faults


def at_last(place: Path, scenario: str, expected: dict[str, Any]) -> str:
    """Return "" if a store is sound, and doing all again comes to the same as doing it one after the other."""
    facts_of(place, scenario)
    SCENARIOS[scenario](place)
    for work in OTHERS.values():
        work(home(place))
    found = facts_of(place, scenario)
    differing = [name for name in expected if found[name] != expected[name]]
    left = [path.name for path in place.rglob(".*") if path.name not in (".lock", ".rows.lock")]
    return f"differs: {differing}; left behind: {left}" if differing or left else ""


class Driver:
    """One scenario with its run without faults, and the results of the faults injected so far.

    What is the same for every mode is kept in a folder: the initial store, its state before the scenario, and figures.
    """

    def __init__(self, place: Path, shim: str, scenario: str, kept: Path) -> None:
        self.place, self.scenario = place / scenario, scenario
        self.shim = ctypes.CDLL(shim)
        self.run = SCENARIOS[scenario]
        self.injected = 0
        self.faults: list[str] = []
        if not (kept / scenario).exists():
            self._run_without_faults(kept)
        copy(kept / scenario / "before", self.place / "before")
        figures = pickle.loads((kept / scenario / "figures").read_bytes())
        self.operations, self.seconds, self.before, self.after = figures

    def _run_without_faults(self, kept: Path) -> None:
        """Keep the state before the scenario, its operations and seconds, and what is there before and after it."""
        made = kept / self.scenario
        before_it = made / "before"
        before_it.mkdir(parents=True)
        if self.scenario != "create":
            copy(kept / "prepared", before_it / "store")
        done_in_child(lambda: before(before_it, self.scenario))
        start = time.monotonic()
        copy(before_it, made / "after")
        operations = int(done_in_child(lambda: self._counted(made / "after")))
        seconds = time.monotonic() - start
        found = [facts_in_child(made / name, self.scenario) for name in ("before", "after")]
        (made / "figures").write_bytes(pickle.dumps((operations, seconds, *found)))

    def _counted(self, root: Path) -> int:
        self.shim.fault_arm(os.fsencode(root), 0, 0, 0)
        self.run(root)
        self.shim.fault_disarm()
        return self.shim.fault_count()

    def _armed(self, root: Path, at: int, kind: int, sticky: bool) -> str:
        notes = io.StringIO()
        logging.basicConfig(stream=notes, force=True)
        self.shim.fault_arm(os.fsencode(root), at, kind, int(sticky))
        self.run(root)
        return _NOT_KEPT if _NOT_KEPT in notes.getvalue() else ""

    def judge(self, root: Path, what: str, *, acknowledged: bool, kept: bool = True) -> None:
        """Check a store after a fault, in a separate process; see `scenarios.check`."""
        self.injected += 1
        judged = {"acknowledged": acknowledged, "kept": kept}
        status, said = in_child(lambda: check(root, self.scenario, self.before, self.after, **judged))
        if status or said:
            self.faults.append(f"{self.scenario}, {what}: {said or status}")

    def moments(self, most: int) -> list[int]:
        """Return the numbers of the operations to break: all, or a random sample of `most`."""
        numbers = range(1, self.operations + 1)
        return list(numbers) if not most or most >= len(numbers) else sorted(random.Random(0).sample(numbers, most))

    def kill(self, most: int) -> None:
        """Kill the process at each operation."""
        for at in self.moments(most):
            root = copy(self.place / "before", self.place / "hit")
            status, _ = in_child(lambda root=root, at=at: self._armed(root, at, KILL, sticky=False))
            self.judge(root, f"killed at operation {at} of {self.operations}", acknowledged=status == 0)

    def moment(self, most: int) -> None:
        """Kill the process at random moments."""
        dice = random.Random(most)
        for number in range(most):
            root = copy(self.place / "before", self.place / "hit")
            child = os.fork()
            if not child:
                try:
                    self.run(root)
                finally:
                    os._exit(0)
            time.sleep(dice.uniform(0, self.seconds))
            os.kill(child, signal.SIGKILL)
            status = os.waitpid(child, 0)[1]
            self.judge(root, f"killed at random moment {number}", acknowledged=status == 0)

    def error(self, most: int) -> None:
        """Fail each operation with each error: only this one, and this one with all later ones; or one of both.

        Where one operation is failed, every second scenario gets the first two errors, the others get the rest.
        """
        turn = list(SCENARIOS).index(self.scenario) % 2
        for number, (name, kind) in enumerate(ERRORS.items()):
            if most == 1 and (number > 1) != turn:
                continue
            for sticky in (number % 2 == 0,) if most else (False, True):
                for at in self.moments(most):
                    if kind == errno.EROFS and not (sticky and at == 1):
                        continue
                    root = copy(self.place / "before", self.place / "hit")
                    status, said = in_child(lambda r=root, a=at, k=kind, s=sticky: self._armed(r, a, k, s))
                    what = f"{name} at operation {at}{' and after' if sticky else ''}"
                    code = os.waitstatus_to_exitcode(status)
                    if code not in (0, 10) or "\n" in said:
                        self.faults.append(f"{self.scenario}, {what}: exit {code}, {said}")
                    if kind == SHORT and code and not sticky:
                        self.faults.append(f"{self.scenario}, {what}: a short write is no error, {said}")
                    if code == 10 and self.scenario in ("add", "append", "replace", "index", "lay out") and not sticky:
                        status, grown = in_child(
                            lambda r=root: facts_of(r, self.scenario)["corpora"] == self.before["corpora"]
                        )
                        if grown != "True":
                            self.faults.append(f"{self.scenario}, {what}: failed, and yet the manifest advanced")
                    self.judge(root, what, acknowledged=code == 0, kept=said != _NOT_KEPT)

    def stop(self, most: int) -> None:
        """Stop the process at each operation: all others work or end with a line; then it goes on."""
        few = self.place / "before"
        done_in_child(lambda: home(few).add(rows(0, 4), text="review", id="key", corpus="few") and None)
        whole = copy(few, self.place / "whole")
        done_in_child(lambda: [self.run(whole), *(other(home(whole)) for other in OTHERS.values())].clear())
        expected = facts_in_child(whole, self.scenario)
        for at in self.moments(most):
            self.injected += 1
            place = copy(few, self.place / "hit")
            child = os.fork()
            if not child:
                code = 1
                try:
                    self._armed(place, at, STOP, sticky=False)
                    code = 0
                finally:
                    os._exit(code)
            faults = []
            if os.WIFSTOPPED(os.waitpid(child, os.WUNTRACED)[1]):
                faults = meanwhile(place)
                os.kill(child, signal.SIGCONT)
                faults += [f"it ended with {code}"] if (code := os.waitpid(child, 0)[1]) else []
            status, said = in_child(lambda place=place: at_last(place, self.scenario, expected))
            faults += [said or f"exit {status}"] if status or said else []
            self.faults += [f"{self.scenario}, stopped at operation {at}: {fault}" for fault in faults]

    def power(self, most: int) -> None:
        """Check the disk states that a loss of power can leave, at every sync of the run and at its end."""
        root = copy(self.place / "before", self.place / "hit")
        disk = Disk(root)
        log = self.place / "log"

        def logged() -> None:
            self.shim.fault_log(os.fsencode(root), os.fsencode(log))
            self.run(root)

        done_in_child(logged)
        states = list(disk.crashes(read_log(log)))
        if most:  # those of the end among them: they show what was acknowledged and not synced
            dice = random.Random(0)
            ended = [state for state in states if state[2]]
            others = [state for state in states if not state[2]]
            states = [*dice.sample(ended, min(2 * most + 2, len(ended))), *dice.sample(others, min(most, len(others)))]
        for what, tree, finished in states:
            disk.build(tree, copy(self.place / "before", self.place / "crashed"))
            self.judge(self.place / "crashed", what, acknowledged=finished)


def main(place: str, shim: str, kept: str, mode: str, scenarios: str, most: str = "0") -> None:
    """Run one mode over scenarios."""
    with_lists()
    if not (Path(kept) / "prepared").exists():
        done_in_child(lambda: prepare(Path(kept) / "prepared"))
    injected, operations, faults = 0, 0, []
    for scenario in scenarios.split(","):
        driver = Driver(Path(place), shim, scenario, Path(kept))
        getattr(driver, mode)(int(most))
        injected, operations = injected + driver.injected, operations + driver.operations
        faults += driver.faults
    print(json.dumps({"injected": injected, "operations": operations, "faults": faults}))


if __name__ == "__main__":
    main(*sys.argv[1:])
