"""The long version of the killed clusters of `tests/test_ray.py`: 200 kills, about 20 minutes."""

import subprocess
import sys

import pytest
from faults.test_faults import ENVIRONMENT, HERE, TORTURE, judged


@pytest.mark.skipif(not TORTURE, reason="20 minutes, for make torture")
def test_killed_workers_drivers_and_nodes_lose_nothing(tmp_path):
    command = [sys.executable, HERE / "cluster_kills.py", tmp_path, "200"]
    found = judged("cluster", "kills", subprocess.run(command, env=ENVIRONMENT, capture_output=True))
    assert min(found["worker"], found["driver"], found["node"]) > 0
