"""Inject faults into forked runs of one scenario; needs the shim preloaded and prints one JSON line of results.

``driver.py PLACE SHIM MODE SCENARIO [MOST]``: MOST is the number of faults to inject, a random sample; 0 means all.
"""

import ctypes
import errno
import json
import os
import pickle
import random
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import h5py  # noqa: F401  before the fork, so that no child has to import it
import pandas  # noqa: F401
import pyarrow as pa
import sklearn.linear_model  # noqa: F401
from disk import Disk, read_log
from scenarios import SCENARIOS, check, copy, facts, in_child, opened, prepare

KILL, SHORT = -1, -2
ERRORS = {"EIO": errno.EIO, "ENOSPC": errno.ENOSPC, "EDQUOT": errno.EDQUOT, "short": SHORT, "EROFS": errno.EROFS}

pa.set_cpu_count(1)
pa.set_io_thread_count(1)


class Driver:
    """One scenario with its run without faults, and the results of the faults injected so far."""

    def __init__(self, place: Path, shim: str, scenario: str) -> None:
        self.place, self.scenario = place, scenario
        self.shim = ctypes.CDLL(shim)
        self.run = SCENARIOS[scenario]
        self.injected = 0
        self.faults: list[str] = []
        (place / "before").mkdir(parents=True)
        if scenario != "create":
            self._child(lambda: prepare(place / "before"))
        if scenario == "gc":  # something to merge and something to remove
            self._child(lambda: (opened(place / "before").encode(), opened(place / "before").tag(["red", "blue"])))
        start = time.monotonic()
        copy(place / "before", place / "after")
        self.operations = int(self._child(lambda: self._counted(place / "after")))
        self.seconds = time.monotonic() - start
        self.before, self.after = (self._facts(place / name) for name in ("before", "after"))

    def _child(self, work) -> str:
        status, said = in_child(work)
        assert status == 0, said
        return said

    def _facts(self, root: Path):
        path = self.place / "facts"
        self._child(lambda: path.write_bytes(pickle.dumps(facts(root))))
        return pickle.loads(path.read_bytes())

    def _counted(self, root: Path) -> int:
        self.shim.fault_arm(os.fsencode(root), 0, 0, 0)
        self.run(root)
        self.shim.fault_disarm()
        return self.shim.fault_count()

    def _armed(self, root: Path, at: int, kind: int, sticky: bool) -> str:
        self.shim.fault_arm(os.fsencode(root), at, kind, int(sticky))
        self.run(root)
        return "done"

    def judge(self, root: Path, what: str, *, acknowledged: bool) -> None:
        """Check a store after a fault, in a separate process."""
        self.injected += 1
        status, said = in_child(lambda: check(root, self.scenario, self.before, self.after, acknowledged=acknowledged))
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
        """Fail each operation with each error: only this one, and this one with all later ones."""
        for name, kind in ERRORS.items():
            for sticky in (False, True):
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
                    if code == 10 and self.scenario in ("add", "append", "replace", "index") and not sticky:
                        status, grown = in_child(lambda r=root: facts(r)["corpora"] == self.before["corpora"])
                        if grown != "True":
                            self.faults.append(f"{self.scenario}, {what}: failed, and yet the manifest advanced")
                    self.judge(root, what, acknowledged=code == 0)

    def power(self, most: int) -> None:
        """Check the disk states that a loss of power can leave, at every sync of the run and at its end."""
        root = copy(self.place / "before", self.place / "hit")
        disk = Disk(root)
        log = self.place / "log"

        def logged() -> None:
            self.shim.fault_log(os.fsencode(root), os.fsencode(log))
            self.run(root)

        self._child(logged)
        states = list(disk.crashes(read_log(log)))
        if most and len(states) > most:
            states = random.Random(0).sample(states, most)
        for what, tree, finished in states:
            disk.build(tree, copy(self.place / "before", self.place / "crashed"))
            self.judge(self.place / "crashed", what, acknowledged=finished)


def main(place: str, shim: str, mode: str, scenario: str, most: str = "0") -> Iterator[str]:
    """Run one mode over one scenario."""
    driver = Driver(Path(place), shim, scenario)
    getattr(driver, mode)(int(most))
    print(json.dumps({"injected": driver.injected, "operations": driver.operations, "faults": driver.faults}))


if __name__ == "__main__":
    main(*sys.argv[1:])
