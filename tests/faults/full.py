"""Run every command that writes on a file system that is full, or becomes full while it runs.

``full.py PLACE SCENARIOS MOST``: PLACE/disk is the small file system (see `small_disk.py`). SCENARIOS are names with
commas between them. MOST is the number of fillings for each; 0 means all: from no free page, and from no file that
still fits, up to the first number with which the scenario succeeds. Prints one JSON line.
"""

import json
import logging
import os
import random
import re
import shutil
import sys
from itertools import count, cycle
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import h5py  # noqa: F401  before the fork, so that no child has to import it
import pandas  # noqa: F401
import pyarrow as pa
import sklearn.linear_model  # noqa: F401
from embedstore.cli.failures import report
from scenarios import (
    SCENARIOS,
    before,
    between,
    check,
    copy,
    done_in_child,
    facts_in_child,
    facts_of,
    home,
    in_child,
    prepare,
    with_lists,
)
from small_disk import fill, fill_names

from embedstore.storage.manifest import exists

pa.set_cpu_count(1)
pa.set_io_thread_count(1)

_PAGE = 4096
_LEFT = "vectors/.tmp-1-left.h5"  # what a killed writer left; `gc` can free it
_LINE = re.compile(
    r"Error: can't write (?:to )?(?P<path>/.*): No space left on device \((.+ free|no more files fit)\): "
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
        done_in_child(lambda: before(self.place / "before", scenario))
        copy(self.place / "before", self.place / "after")
        done_in_child(lambda: SCENARIOS[scenario](self.place / "after"))
        self.before, self.after = (facts_in_child(self.place / name, scenario) for name in ("before", "after"))

    def new(self) -> list[int]:
        """Return the sizes of the files that an undisturbed run leaves and that were not there before."""
        old, new = (
            {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
            for folder in (self.place / "before", self.place / "after")
        )
        return [len(content) for path, content in new.items() if old.get(path) != content]

    def sweep(self, most: int) -> None:
        """Fill the file system but for some pages, or some files: random numbers of them, or each number."""
        enough = {"pages": sum(-(-size // _PAGE) for size in self.new()), "files": len(self.new()) + 1}
        if most:
            dice = random.Random(self.scenario)
            for _number, kind in zip(range(most), cycle(enough), strict=False):
                self.once(kind, dice.choice([0, dice.randint(1, max(2, enough[kind]))]))
            return
        for kind, least in enough.items():
            for left in count():
                if self.once(kind, left) and left >= least:
                    break
                assert left < 400, f"{self.scenario} does not succeed with {left} free {kind}"

    def free(self) -> None:
        """Remove what fills the file system."""
        (self.disk / "filler").unlink(missing_ok=True)
        shutil.rmtree(self.disk / "fillers", ignore_errors=True)

    def once(self, kind: str, left: int) -> bool:
        """Run the scenario with free pages or files left, judge what it leaves; return whether it did all."""
        self.free()
        place = copy(self.place / "before", self.disk / "hit")
        if self.scenario != "create":
            (place / "store" / _LEFT).write_bytes(bytes(5 * _PAGE))
        if kind == "pages":
            fill(self.disk, left * _PAGE)
        else:
            fill_names(self.disk, left)
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
        faults += [f"says {line!r}" for line in lines if not any(note.fullmatch(line) for note in _NOTES)]
        self.free()
        judged = {"acknowledged": code == 0, "kept": kept}
        status, said = in_child(lambda: check(place, self.scenario, self.before, self.after, **judged))
        faults.append(said or (f"exit {status} of the check" if status else ""))
        self.faults += [f"{self.scenario} with {left} free {kind}: {fault}" for fault in faults if fault]
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
            found = os.statvfs(self.disk)
            return "" if (found.f_bavail and found.f_favail) or self.scenario == "create" else "gc freed nothing"

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
    with_lists()
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
