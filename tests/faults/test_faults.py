"""Inject faults into real runs on real files; EMBEDSTORE_TORTURE=1 selects the long version of each test.

The long run writes its figures to ``build/torture/``, one JSON file per run; `table.py` prints them as a table.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
TORTURE = bool(os.environ.get("EMBEDSTORE_TORTURE"))
MUTANT = bool(os.environ.get("EMBEDSTORE_MUTANT"))
SCENARIOS = [
    *("create", "add", "append", "replace", "encode", "share", "index", "lay out", "train"),
    *("tag", "gc", "annotate", "import", "repair", "export", "map"),
]
# The short version runs several in one process, because to start one takes as long as the faults.
GROUPS = SCENARIOS if TORTURE else [",".join(SCENARIOS[:9]), ",".join(SCENARIOS[9:])]

pytestmark = pytest.mark.skipif(shutil.which("gcc") is None, reason="the shim that injects faults is built with gcc")


@pytest.fixture(scope="session")
def shim(tmp_path_factory):
    library = tmp_path_factory.mktemp("shim") / "shim.so"
    subprocess.run(["gcc", "-O2", "-Wall", "-shared", "-fPIC", HERE / "shim.c", "-o", library, "-ldl"], check=True)
    return library


def injected(row: str, name: str, script: str, *words: object, preload: Path | None = None) -> dict:
    """Run a script that injects faults, assert that it found none, and return its figures; a long run saves them."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    if preload:
        environment["LD_PRELOAD"] = str(preload)
    done = subprocess.run(
        [sys.executable, HERE / script, *map(str, words)], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    if TORTURE:
        place = HERE.parent.parent / "build" / "torture"
        place.mkdir(parents=True, exist_ok=True)
        (place / f"{row}-{name}.json").write_text(json.dumps({"row": row, "name": name, **found}))
    assert found["injected"] > 0
    assert not found["faults"], "\n".join(found["faults"][:10])
    return found


def moments(*, short: int, mutant: int, torture: int = 0) -> int:
    """Return how many moments are tried, 0 for all; more against a mutant, so that a guard that is gone is seen."""
    return torture if TORTURE else mutant if MUTANT else short


@pytest.mark.parametrize("scenario", GROUPS)
def test_a_kill_at_any_operation_loses_nothing(tmp_path, shim, scenario):
    number = moments(short=2, mutant=4)
    injected("kill", scenario, "driver.py", tmp_path, shim, "kill", scenario, number, preload=shim)


@pytest.mark.parametrize("scenario", ["encode", "index", "tag", "gc"] if TORTURE else ["encode,index,tag,gc"])
def test_a_kill_at_a_random_moment_loses_nothing(tmp_path, shim, scenario):
    number = moments(short=1, mutant=3, torture=200)
    injected("moment", scenario, "driver.py", tmp_path, shim, "moment", scenario, number, preload=shim)


@pytest.mark.parametrize("scenario", GROUPS)
def test_a_loss_of_power_loses_nothing_that_was_acknowledged(tmp_path, shim, scenario):
    number = moments(short=1, mutant=3)
    injected("power", scenario, "driver.py", tmp_path, shim, "power", scenario, number, preload=shim)


@pytest.mark.parametrize("scenario", GROUPS)
def test_a_failed_operation_changes_nothing(tmp_path, shim, scenario):
    injected("error", scenario, "driver.py", tmp_path, shim, "error", scenario, 0 if TORTURE else 1, preload=shim)


def test_an_answer_counts_once_however_often_the_disk_fails(tmp_path, shim):
    injected("error", "answers", "answers.py", tmp_path, shim, moments(short=3, mutant=5), preload=shim)


def test_eight_processes_at_once_add_up(tmp_path):
    injected("crowd", "all", "crowd.py", tmp_path, 100 if TORTURE else 2, 8)


@pytest.mark.parametrize("scenario", ["add", "encode", "annotate", "gc"] if TORTURE else ["add,encode,gc"])
def test_a_stopped_process_keeps_nobody_for_long(tmp_path, shim, scenario):
    number = moments(short=1, mutant=2)
    injected("stop", scenario, "driver.py", tmp_path, shim, "stop", scenario, number, preload=shim)


def test_readers_stop_nobody_and_lose_nothing(tmp_path):
    injected("readers", "all", "readers.py", tmp_path, 50 if TORTURE else 1, 3)


def test_every_cut_is_found(tmp_path):
    injected("damage", "cut", "damage.py", tmp_path, "cut", moments(short=300, mutant=600))


def test_every_flipped_bit_is_found(tmp_path):
    injected("damage", "flip", "damage.py", tmp_path, "flip", 2000 if TORTURE else 25)


def test_what_means_harm_is_refused(tmp_path):
    injected("hostile", "all", "hostile.py", tmp_path)


def test_the_shell_says_in_one_line_that_the_disk_is_full(cli, shim, tmp_path):
    (tmp_path / "some.csv").write_text("review\n" + "\n".join(f"review {i}" for i in range(50)))
    words = ["add", "some", str(tmp_path / "some.csv"), "--text", "review"]
    full = {"FAULT_ROOT": str(cli.home), "FAULT_AT": "12", "FAULT_KIND": "28", "FAULT_STICKY": "1"}
    environment = cli.environment | full | {"LD_PRELOAD": str(shim)}
    done = subprocess.run(cli.command(*words), env=environment, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "No space left on device" in done.stderr
    assert cli(*words).returncode == 0
    assert json.loads(cli("info", "some", "--json").stdout)["texts"] == 50
