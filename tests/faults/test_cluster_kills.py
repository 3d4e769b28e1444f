"""The long version of the killed clusters of `tests/test_ray.py`: 200 kills, about 20 minutes."""

import pytest
from faults.test_faults import TORTURE, injected


@pytest.mark.skipif(not TORTURE, reason="20 minutes, for make torture")
def test_killed_workers_drivers_and_nodes_lose_nothing(tmp_path):
    found = injected("cluster", "kills", "cluster_kills.py", tmp_path, 200)
    assert min(found["worker"], found["driver"], found["node"]) > 0
