"""The executor for a Ray cluster: the only module that imports Ray."""

import logging
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any, get_args

from embedstore.cluster.pool import Event, Pool, Storage
from embedstore.cluster.worker import Setup, Worker, pack
from embedstore.core.checks import at_least
from embedstore.core.counts import counted
from embedstore.encoders import OnTexts
from embedstore.errors import ClusterError, MissingExtraError, UsageError
from embedstore.storage.gate import probing
from embedstore.storage.records import TextSegment
from embedstore.vectors.executors import Idle, Job
from embedstore.vectors.receipts import Receipt

__all__ = ["RayExecutor"]


_ANSWERS_WITHIN = 10.0  # seconds


class RayExecutor:
    """Executor that encodes on the machines of a Ray cluster.

    Each worker is an actor that loads the model once. This process loads none; it needs the checkpoint's files to
    describe them, and no GPU. What workers need: embedstore, and the store's folder or a way to get the texts.

    Parameters
    ----------
    address : str, optional
        The cluster, such as "10.0.0.1:6379"; by default the one that runs on this machine, or else a new local one.
    workers : int, optional
        The number of workers; by default as many as the cluster has room for, also when machines come later. There are
        never more than tasks.
    cores_per_worker : int
        Cores of a worker.
    gpus_per_worker : float
        GPUs of a worker: 1, or a part of one.
    storage : {"auto", "shared", "sent"}
        "shared": workers write into the store's folder, which all machines see. "sent": they get texts and return
        vectors. "auto": each worker does the first if it sees the folder.
    task_timeout : float, optional
        Seconds that a segment may take before it is given to another worker; by default ten times what the slowest
        worker so far would need, and at least a minute.

    Raises
    ------
    UsageError
        If a value is unknown or out of range.
    """

    def __init__(
        self,
        address: str | None = None,
        *,
        workers: int | None = None,
        cores_per_worker: int = 1,
        gpus_per_worker: float = 0,
        storage: Storage = "auto",
        task_timeout: float | None = None,
    ) -> None:
        if workers is not None:
            at_least("number of workers", workers, 1)
        at_least("number of cores_per_worker", cores_per_worker, 1)
        at_least("number of gpus_per_worker", gpus_per_worker, 0)
        if task_timeout is not None:
            at_least("task_timeout", task_timeout, 1)
        if storage not in get_args(Storage):
            raise UsageError(f"expected a storage of {', '.join(get_args(Storage))}, found {storage!r}")
        self.address = address
        self.workers = workers
        self.cores_per_worker = cores_per_worker
        self.gpus_per_worker = gpus_per_worker
        self.storage: Storage = storage
        self.task_timeout = task_timeout

    def run(self, job: Job, on_texts: OnTexts) -> Iterator[Receipt | Idle]:
        """Yield a receipt for every task, as it is done; see `Executor.run`.

        Raises
        ------
        MissingExtraError
            If Ray is not installed.
        ClusterError
            If the cluster can't be reached, or no worker can be started.
        """
        with _connected(self.address) as ray, probing(job.root) as probe:
            crew = _RayCrew(ray, self, job)
            setup = Setup(
                root=job.root.resolve(),
                load=job.load,
                sample=job.sample,
                probe="" if self.storage == "sent" else probe,
                cores=self.cores_per_worker,
                wait=job.wait,
            )
            pool = Pool(
                job,
                crew,
                setup,
                workers=self.workers,
                storage=self.storage,
                timeout=self.task_timeout,
                on_texts=on_texts,
            )
            try:
                yield from pool.receipts()
            finally:
                crew.close()


class _RayCrew:
    """Workers as Ray actors; see `embedstore.cluster.pool.Crew`."""

    def __init__(self, ray: Any, options: RayExecutor, job: Job) -> None:
        self._ray = ray
        self._job = job
        self._options = {"num_cpus": options.cores_per_worker, "num_gpus": options.gpus_per_worker}
        # Ray would restart an actor with the same number, and hold its tasks back until then.
        self._class = ray.remote(max_restarts=0, max_task_retries=0, scheduling_strategy="SPREAD")(Worker)
        self._actors: dict[int, Any] = {}
        self._calls: dict[Any, tuple[int, int | None]] = {}
        self._packed: Any = None

    def room(self) -> int:
        """Return how many workers the cluster has room for, if it does nothing else.

        Raises
        ------
        ClusterError
            If the node of this process has died: its workers have died with it, and no other one can be started. Or if
            no node is large enough for a worker.
        """
        mine = self._ray.get_runtime_context().get_node_id()
        if not any(node["NodeID"] == mine and node["Alive"] for node in self._ray.nodes()):
            raise ClusterError(
                "the Ray node of this machine has died: start it again (`ray start`), and run again; what is done is "
                "kept"
            )
        wanted = {"CPU": self._options["num_cpus"], "GPU": self._options["num_gpus"]}
        nodes = [node["Resources"] for node in self._ray.nodes() if node["Alive"]]
        places = [min(int(node.get(name, 0) / many) for name, many in wanted.items() if many) for node in nodes]
        if not any(places):  # Ray would wait for such a node for ever
            largest = {name: max(node.get(name, 0) for node in nodes) for name in wanted}
            raise ClusterError(
                f"expected a node with {_amounts(wanted)} for a worker, found none: the most that a node has is "
                f"{_amounts(largest)}; ask for fewer (--cores-per-worker, --gpus-per-worker), or start such a node"
            )
        return sum(places)

    def start(self, worker: int, setup: Setup) -> None:
        self._actors[worker] = self._class.options(**self._options).remote(setup)

    def settle(self, worker: int, *, packed: bool) -> None:
        if packed and self._packed is None:
            self._packed = self._ray.put(pack(self._job.described.folder))  # sent once to each machine
        self._calls[self._actors[worker].settle.remote(self._packed if packed else b"")] = worker, None

    def encode(self, worker: int, task: int, segment: TextSegment, texts: list[str] | None) -> None:
        self._calls[self._actors[worker].encode.remote(segment, texts)] = worker, task

    def stop(self, worker: int) -> None:
        self._calls = {call: whose for call, whose in self._calls.items() if whose[0] != worker}
        self._ray.kill(self._actors.pop(worker))

    def close(self) -> None:
        for worker in list(self._actors):
            self.stop(worker)

    def events(self, seconds: float) -> list[Event]:
        if not self._calls:
            time.sleep(seconds)
            return []
        self._ray.wait(list(self._calls), num_returns=1, timeout=seconds)
        ready, _ = self._ray.wait(list(self._calls), num_returns=len(self._calls), timeout=0)
        return [self._event(call) for call in ready]

    def _event(self, call: Any) -> Event:
        worker, task = self._calls.pop(call)
        try:
            return Event(worker, task, self._ray.get(call))
        except self._ray.exceptions.RayTaskError as error:
            return Event(worker, task, error=error.cause if isinstance(error.cause, Exception) else error)
        except self._ray.exceptions.RayError as error:  # the actor, or its machine, is dead or can't be reached
            return Event(worker, task, error=error, died=True)


def _amounts(of: dict[str, float]) -> str:
    """Return how many cores and GPUs these are, in words."""
    told = {"CPU": "core", "GPU": "GPU"}
    some = {told[name]: many for name, many in of.items() if many}
    parts = [counted(int(many), name) if many == int(many) else f"{many:g} {name}" for name, many in some.items()]
    return " and ".join(parts) or "nothing"


@contextmanager
def _connected(address: str | None) -> Iterator[Any]:
    """Yield Ray, connected to a cluster; one that this process was connected to before stays connected."""
    try:
        import ray
    except ImportError as error:
        raise MissingExtraError("--ray needs ray: pip install 'embedstore[ray]'") from error
    if ray.is_initialized():
        yield ray
        return
    logging.getLogger("ray").setLevel(logging.ERROR)
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # a cluster that is started here sends nothing home
    quiet = {"log_to_driver": False, "configure_logging": False, "logging_level": logging.ERROR}
    with _silent():
        try:
            if address and "://" not in address:
                _knock(address)
            _connect(ray, address, quiet)
        except ray.exceptions.AuthenticationError as error:
            raise ClusterError(
                "the Ray cluster asks for its token: set RAY_AUTH_MODE=token, and copy ~/.ray/auth_token from its head"
            ) from error
        except (ConnectionError, RuntimeError, ValueError, OSError) as error:
            first = str(error).strip().split("\n")[0]
            where = f"at {address}" if address else "on this machine"
            raise ClusterError(
                f"expected a Ray cluster {where}, found none that answers ({first}): start one with `ray start "
                "--head`, or check the address; if it has a token, set RAY_AUTH_MODE=token, and let ~/.ray/auth_token "
                "have the same token as there"
            ) from error
        try:
            yield ray
        finally:
            ray.shutdown()


def _knock(address: str) -> None:
    """Raise an OSError or a ValueError if nobody answers at an address: Ray would try for most of a minute."""
    host, _, port = address.rpartition(":")
    socket.create_connection((host, int(port)), timeout=_ANSWERS_WITHIN).close()


def _connect(ray: Any, address: str | None, quiet: dict[str, Any]) -> None:
    if address:
        ray.init(address=address, **quiet)
        return
    try:
        ray.init(address="auto", **quiet)
    except ConnectionError:
        ray.init(address="local", include_dashboard=False, **quiet)


@contextmanager
def _silent() -> Iterator[None]:
    """Keep Ray from printing on standard output that a worker or a machine died: that is said in one line of ours.

    Ray prints it from a thread, whatever `log_to_driver` says.
    """
    worker: Any = import_module("ray._private.worker")
    shown = getattr(worker, "print_to_stdstream", None)
    worker.print_to_stdstream = lambda *_data, **_how: None
    try:
        yield
    finally:
        worker.print_to_stdstream = shown
