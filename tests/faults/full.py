"""Run every command that writes on a file system that is full, or becomes full while it runs.

``full.py PLACE SCENARIOS MOST``: PLACE/disk is the small file system (see `small_disk.py`). SCENARIOS are names with
commas between them. MOST is the number of fillings for each; 0 means all, from no free page up to the first with which
the scenario succeeds. Prints one JSON line.
"""

import json
import logging
import os
import pickle
import random
import re
import sys
from itertools import count
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import h5py  # noqa: F401  before the fork, so that no child has to import it
import pandas  # noqa: F401
import pyarrow as pa
import sklearn.linear_model  # noqa: F401
from embedstore.cli.failures import report
from scenarios import SCENARIOS, before, between, check, copy, facts_of, home, in_child, prepare
from small_disk import fill

from embedstore.storage.manifest import exists

pa.set_cpu_count(1)
pa.set_io_thread_count(1)

_PAGE = 4096
_LEFT = "vectors/.tmp-1-left.h5"  # what a killed writer left; `gc` can free it
_LINE = re.compile(
    r"Error: can't write (?:to )?(?P<path>/.*): No space left on device \(.+ free\): "
    r"what was finished is kept; free some space and run the same command again"
)
_NOT_KEPT = re.compile(
    r"embedstore: can't write to .+: No space left on device .+: .+ free some space .+; .+ used and not kept"
)
_DONE = re.compile(r"\d+ labels, .+, written to .+")
_NOT_MERGED = re.compile(r"embedstore: small query segments stay as they are: .+ No space left on device .+")
_NOTES = (_DONE, _NOT_KEPT, _NOT_MERGED)


class Full:
    """One scenario on the small file system, and the faults found so far."""

    def __init__(self, place: Path, scenario: str) -> None:
        self.place, self.scenario = place / scenario, scenario
        self.disk = place / "disk"
        self.injected = 0
        self.faults: list[str] = []
        (self.place / "before").mkdir(parents=True)
        if scenario != "create":
            copy(place / "prepared", self.place / "before" / "store")
        self._child(lambda: before(self.place / "before", scenario))
        copy(self.place / "before", self.place / "after")
        self._child(lambda: SCENARIOS[scenario](self.place / "after"))
        self.before, self.after = (self._facts(self.place / name) for name in ("before", "after"))

    def _child(self, work) -> str:
        status, said = in_child(work)
        assert status == 0, said
        return said

    def _facts(self, place: Path):
        path = self.place / "facts"
        self._child(lambda: path.write_bytes(pickle.dumps(facts_of(place, self.scenario))) and None)
        return pickle.loads(path.read_bytes())

    def pages(self) -> int:
        """Return the pages of the files that an undisturbed run leaves and that were not there before."""
        old, new = (
            {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
            for folder in (self.place / "before", self.place / "after")
        )
        return sum(-(-len(content) // _PAGE) for path, content in new.items() if old.get(path) != content)

    def sweep(self, most: int) -> None:
        """Fill the file system but for some pages: none, and random numbers of them; or each number."""
        if most:
            dice = random.Random(self.scenario)
            for pages in [0, *(dice.randint(1, max(2, self.pages())) for _ in range(most - 1))]:
                self.once(pages)
            return
        for pages in count():
            if self.once(pages) and pages >= self.pages():
                return
            assert pages < 400, f"{self.scenario} does not succeed with {pages} free pages"

    def once(self, pages: int) -> bool:
        """Run the scenario with this number of free pages, judge what it leaves; return whether it did all."""
        place = copy(self.place / "before", self.disk / "hit")
        (self.disk / "filler").unlink(missing_ok=True)
        if self.scenario != "create":
            (place / "store" / _LEFT).write_bytes(bytes(5 * _PAGE))
        fill(self.disk, pages * _PAGE)
        code, lines = told(lambda: SCENARIOS[self.scenario](place))
        kept = code == 0 and not any(_NOT_KEPT.fullmatch(line) for line in lines)
        self.injected += 1
        faults = [
            self._while_full(place),
            "" if code in (0, 1) and (code, self.scenario) != (1, "gc") else f"exit {code}",
        ]
        if code == 1:
            line = lines.pop() if lines else ""
            faults.append("" if (found := _LINE.fullmatch(line)) and "/." not in found["path"] else f"says {line!r}")
        faults += [f"says {line!r}" for line in lines if not any(kind.fullmatch(line) for kind in _NOTES)]
        (self.disk / "filler").unlink()
        status, said = in_child(lambda: check(place, self.scenario, self.before, self.after, acknowledged=kept))
        faults.append(said or (f"exit {status} of the check" if status else ""))
        self.faults += [f"{self.scenario} with {pages} free pages: {fault}" for fault in faults if fault]
        return kept

    def _while_full(self, place: Path) -> str:
        """Return "" if the full file system shows the state before or after, and `gc` keeps it and frees space."""

        def judge() -> str:
            state = facts_of(place, self.scenario)
            if not between(self.scenario, state, self.before, self.after):
                return f"a state that no run passes through: {state}"
            if self.scenario == "create" and not exists(place / "store"):
                return ""
            removed = home(place).gc().removed
            if self.scenario not in ("create", "gc") and _LEFT not in removed:
                return f"gc removed only {removed}"
            if facts_of(place, self.scenario) != state:
                return "gc changed what there is"
            return "" if os.statvfs(self.disk).f_bavail or self.scenario == "create" else "gc freed nothing"

        code, lines = told(lambda: print(judge(), file=sys.stderr))
        lines = [line for line in lines if line and not _NOT_MERGED.fullmatch(line)]
        return "while full: " + " ".join([f"exit {code}", *lines]) if code or lines else ""


def told(work) -> tuple[int, list[str]]:
    """Run `work` in a forked process as the command line does; return its exit code and its lines on stderr."""
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        code = 70
        try:
            os.dup2(writer, 2)
            logging.basicConfig(format="embedstore: %(message)s", level=logging.WARNING, stream=sys.stderr, force=True)
            work()
            code = 0
        except Exception as error:
            code = report(error, debug=False)
        finally:
            sys.stderr.flush()
            os._exit(code)
    os.close(writer)
    with os.fdopen(reader, errors="replace") as stream:
        lines = stream.read().splitlines()
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), lines


def main(place: str, scenarios: str, most: str) -> None:
    """Run the scenarios."""
    status, said = in_child(lambda: prepare(Path(place) / "prepared"))
    assert status == 0, said
    injected, faults = 0, []
    for scenario in scenarios.split(","):
        full = Full(Path(place), scenario)
        full.sweep(int(most))
        injected += full.injected
        faults += full.faults
    print(json.dumps({"injected": injected, "faults": faults}))


if __name__ == "__main__":
    main(*sys.argv[1:])
