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
from forking import Forking

HERE = Path(__file__).parent
TORTURE = bool(os.environ.get("EMBEDSTORE_TORTURE"))
MUTANT = bool(os.environ.get("EMBEDSTORE_MUTANT"))
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
FORKED = ("answers", "crowd", "damage", "driver", "readers")
SCENARIOS = [
    *("create", "add", "append", "replace", "encode", "share", "index", "lay out", "train"),
    *("tag", "gc", "annotate", "import", "repair", "export", "map"),
    *("take in", "rename", "drop", "copy"),
]
# The short version runs several in one process.
GROUPS = SCENARIOS if TORTURE else [",".join(SCENARIOS[:9]), ",".join(SCENARIOS[9:16]), ",".join(SCENARIOS[16:])]

pytestmark = pytest.mark.skipif(shutil.which("gcc") is None, reason="the shim that injects faults is built with gcc")


@pytest.fixture(scope="session")
def shim(tmp_path_factory):
    library = tmp_path_factory.mktemp("shim") / "shim.so"
    subprocess.run(["gcc", "-O2", "-Wall", "-shared", "-fPIC", HERE / "shim.c", "-o", library, "-ldl"], check=True)
    return library


@pytest.fixture(scope="session")
def forks(shim):
    """The process of which the scripts are forks, with the shim: to start one takes as long as the faults."""
    made = Forking(ENVIRONMENT | {"LD_PRELOAD": str(shim)}, [f"faults.{name}" for name in FORKED])
    yield made
    made.close()


@pytest.fixture(scope="session")
def kept(tmp_path_factory):
    """A folder for the states that are the same for every way to break a scenario."""
    return tmp_path_factory.mktemp("kept")


@pytest.fixture
def injected(forks, tmp_path):
    """A function that runs a script and returns its figures, as `judged` does."""

    def run(row: str, name: str, script: str, *words: object) -> dict:
        given = [str(tmp_path), *map(str, words)]
        code = f"from faults.{script} import main; main(*{given!r})"
        return judged(row, name, forks(["-c", code], input=b"", environment=forks.environment, folder=tmp_path))

    return run


def judged(row: str, name: str, done: subprocess.CompletedProcess[bytes]) -> dict:
    """Assert that a script that injected faults found none, and return its figures; a long run saves them."""
    assert done.returncode == 0, done.stderr.decode()
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
def test_a_kill_at_any_operation_loses_nothing(injected, shim, kept, scenario):
    injected("kill", scenario, "driver", shim, kept, "kill", scenario, moments(short=1, mutant=4))


@pytest.mark.parametrize("scenario", ["encode", "index", "tag", "gc"] if TORTURE else ["encode,index,tag,gc"])
def test_a_kill_at_a_random_moment_loses_nothing(injected, shim, kept, scenario):
    injected("moment", scenario, "driver", shim, kept, "moment", scenario, moments(short=1, mutant=3, torture=200))


@pytest.mark.parametrize("scenario", GROUPS)
def test_a_loss_of_power_loses_nothing_that_was_acknowledged(injected, shim, kept, scenario):
    injected("power", scenario, "driver", shim, kept, "power", scenario, moments(short=1, mutant=3))


@pytest.mark.parametrize("scenario", GROUPS)
def test_a_failed_operation_changes_nothing(injected, shim, kept, scenario):
    injected("error", scenario, "driver", shim, kept, "error", scenario, moments(short=1, mutant=2))


def test_an_answer_counts_once_however_often_the_disk_fails(injected, shim):
    injected("error", "answers", "answers", shim, moments(short=2, mutant=5))


def test_eight_processes_at_once_add_up(injected):
    injected("crowd", "all", "crowd", 100 if TORTURE else 2, 8)


@pytest.mark.parametrize("scenario", ["add", "encode", "annotate", "gc"] if TORTURE else ["add,encode,gc"])
def test_a_stopped_process_keeps_nobody_for_long(injected, shim, kept, scenario):
    injected("stop", scenario, "driver", shim, kept, "stop", scenario, moments(short=1, mutant=2))


def test_readers_stop_nobody_and_lose_nothing(injected):
    injected("readers", "all", "readers", 50 if TORTURE else 1, 3)


def test_every_cut_is_found(injected):
    injected("damage", "cut", "damage", "cut", moments(short=20, mutant=600))


def test_every_flipped_bit_is_found(injected):
    injected("damage", "flip", "damage", "flip", moments(short=12, mutant=25, torture=2000))


def test_what_means_harm_is_refused(tmp_path):
    words = [sys.executable, HERE / "hostile.py", tmp_path]  # HDF5 must not be imported
    judged("hostile", "all", subprocess.run(words, env=ENVIRONMENT, capture_output=True))


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
