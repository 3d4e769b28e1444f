"""Every command that writes, on a full file system of 4 MB; EMBEDSTORE_TORTURE=1 selects each number of free pages."""

import subprocess
import sys

import pytest
from faults.small_disk import NOT_ALLOWED
from faults.test_faults import ENVIRONMENT, HERE, TORTURE, judged

SCENARIOS = [
    *("create", "add", "append", "replace", "encode", "index", "train", "gc", "repair"),
    *("tag", "search", "predict", "labels", "annotate", "import", "export", "map"),
]


@pytest.fixture
def disk(tmp_path):
    """A folder to mount a small file system on; skips where that is not allowed."""
    place = tmp_path / "disk"
    place.mkdir()
    words = [HERE / "small_disk.py", place, 4, sys.executable, "-c", ""]
    if subprocess.run([sys.executable, *map(str, words)]).returncode == NOT_ALLOWED:
        pytest.skip("this user may not mount a small file system")
    return place


@pytest.mark.parametrize("scenario", SCENARIOS if TORTURE else [",".join(SCENARIOS)])
def test_a_full_disk_loses_nothing(tmp_path, disk, scenario):
    full = [sys.executable, HERE / "full.py", tmp_path, scenario, 0 if TORTURE else 1]
    words = [sys.executable, HERE / "small_disk.py", disk, 4, *full]
    judged("full", scenario, subprocess.run([*map(str, words)], env=ENVIRONMENT, capture_output=True))
