"""Real Ray on this machine, and encoders that end or stop the processes that they run in."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import patch

import numpy as np
import pytest
from conftest import HashEncoder
from faults.small_disk import NOT_ALLOWED

TESTS = str(Path(__file__).parent)
STORE_OF_OBJECTS = 100_000_000  # bytes


@contextmanager
def environment() -> Iterator[None]:
    """Workers import the encoders of the tests, and Ray sends nothing home; the environment is left as it was.

    Ray's files are in a folder of their own, so no command finds the cluster of others; its name is short, because the
    name of a socket is.
    """
    with (
        TemporaryDirectory(prefix="r", dir="/tmp", ignore_cleanup_errors=True) as place,
        patch.dict(
            os.environ, PYTHONPATH=TESTS, RAY_USAGE_STATS_ENABLED="0", RAY_AUTH_MODE="disabled", RAY_TMPDIR=place
        ),
    ):
        yield  # Ray sets variables of its own here


@pytest.fixture(scope="module")
def for_workers() -> Iterator[None]:
    """The environment of a cluster of the tests."""
    with environment():
        yield


@pytest.fixture(scope="module")
def ray_here(for_workers: None) -> Iterator[None]:
    """Ray on this machine alone, with a core for one worker, to which this process is connected."""
    import ray

    ray.init(address="local", num_cpus=1, include_dashboard=False, object_store_memory=STORE_OF_OBJECTS)
    yield
    ray.shutdown()


def node_here() -> str:
    """Return the id of the node that this process runs on."""
    import ray

    return str(ray.get_runtime_context().get_node_id())


NODE = """
import os, sys
from pathlib import Path
from faults.small_disk import fill

change, folder, *start = sys.argv[1:]
exec(change, {"folder": Path(folder), "fill": fill})
os.execv(sys.executable, [sys.executable, "-m", "ray.scripts.scripts", "start", "--block", *start])
"""


@contextmanager
def node_apart(address: str, folder: Path, change: str, *, gpus: int = 0) -> Iterator[None]:
    """Add a node of one core whose processes see a disk of 1 MB at a folder, and kill them all at the end.

    Parameters
    ----------
    address : str
        The cluster.
    folder : Path
        Where the disk is mounted, for this node alone.
    change : str
        Python that is run there first; it knows `folder` and `fill`.
    gpus : int
        GPUs that the node has by its own account.
    """
    before = {node["NodeID"] for node in alive()}
    words: list[object] = [Path(__file__).parent / "apart.py", sys.executable]
    words += [Path(__file__).parent / "faults" / "small_disk.py", folder, 1, sys.executable, "-c", NODE, change, folder]
    words += ["--address", address, "--num-cpus", 1, "--num-gpus", gpus, "--object-store-memory", STORE_OF_OBJECTS]
    with subprocess.Popen([sys.executable, *map(str, words)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as node:
        try:
            wait_for(lambda: node.poll() is not None or len({one["NodeID"] for one in alive()} - before) > 0)
            if node.returncode == NOT_ALLOWED:
                pytest.skip("no disk can be mounted here")
            assert node.returncode is None, node.stdout and node.stdout.read()
            yield
        finally:
            node.kill()


def alive() -> list[dict[str, str]]:
    """Return the nodes of the cluster that are alive."""
    import ray

    return [node for node in ray.nodes() if node["Alive"]]


class Ending(HashEncoder):
    """Ends its process at certain texts, and counts in a folder how often; it stops after a number of times.

    Parameters
    ----------
    folder : Path
        Where it counts.
    text : str
        The text.
    most : int
        How often it does so.
    how : {"exit", "kill", "hang", "raise"}
        How.
    """

    def __init__(self, folder: Path, text: str, *, most: int = 10**6, how: str = "exit") -> None:
        super().__init__()
        self.folder, self.text, self.most, self.how = folder, text, most, how

    def encode(
        self, texts: Sequence[str], *, prompt: str | None = None, on_texts: Callable[[int, int], None] | None = None
    ) -> np.ndarray:
        self._log("process", os.getpid(), len(texts))
        if self.text in texts and len(list(self.folder.glob("ended-*"))) < self.most:
            self._log("ended", os.getpid(), 1)
            time.sleep(1)  # what this worker has finished before has been sent by then
            if self.how == "exit":
                os._exit(9)
            if self.how == "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            if self.how == "hang":
                threading.Event().wait()
            raise ZeroDivisionError("the text can't be divided")
        return super().encode(texts, prompt=prompt, on_texts=on_texts)

    def _log(self, what: str, process: int, count: int) -> None:
        with (self.folder / f"{what}-{process}").open("a") as stream:
            stream.write(f"{count}\n")


class Together(HashEncoder):
    """Begins with its tasks when so many processes have loaded it; `folder` has a mark of each."""

    def __init__(self, folder: Path, processes: int) -> None:
        super().__init__()
        self.folder, self.processes = folder, processes

    def encode(self, texts: Sequence[str], **options: object) -> np.ndarray:
        if self.encoded:  # the canaries came first
            wait_for(lambda: len(list(self.folder.glob("here-*"))) >= self.processes)
        (self.folder / f"here-{os.getpid()}").touch()
        return super().encode(texts, **options)


class Drifting(HashEncoder):
    """Gives other vectors in each process but the first, which begins with its tasks when there is another one."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = folder

    def encode(self, texts: Sequence[str], **options: object) -> np.ndarray:
        first, mine = self.folder / "first", self.folder / f"here-{os.getpid()}"
        if not self.encoded:
            mine.touch()
            with suppress(FileExistsError):
                os.link(mine, first)
        elif mine.samefile(first):
            wait_for(lambda: len(list(self.folder.glob("here-*"))) > 1)
        vectors = super().encode(texts, **options)
        return vectors if mine.samefile(first) else -vectors


class Marked(HashEncoder):
    """Takes a while for each call, and leaves the number of each process that gets it as a file in a folder."""

    def __init__(self, folder: Path, seconds: float) -> None:
        super().__init__()
        self.folder, self.seconds = folder, seconds

    def __setstate__(self, state: dict[str, object]) -> None:
        self.__dict__.update(state)
        (self.folder / str(os.getpid())).touch()

    def encode(self, texts: Sequence[str], **options: object) -> np.ndarray:
        threading.Event().wait(self.seconds)
        return super().encode(texts, **options)


class Stuck(HashEncoder):
    """Never returns from a task on a node that is none of some, and leaves a mark; on those it waits for the mark."""

    def __init__(self, nodes: set[str], mark: Path) -> None:
        super().__init__()
        self.nodes, self.mark = nodes, mark

    def encode(self, texts: Sequence[str], **options: object) -> np.ndarray:
        if self.encoded:
            if node_here() not in self.nodes:
                self.mark.touch()
                threading.Event().wait()
            wait_for(self.mark.exists)
        return super().encode(texts, **options)


def wait_for(true: Callable[[], bool]) -> None:
    """Wait for another process."""
    pause = threading.Event()
    while not true():
        pause.wait(0.02)
