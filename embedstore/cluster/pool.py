"""Run the tasks of a job on workers that come and go: start them, hand out tasks, take results, replace who is lost."""

import logging
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Literal, NamedTuple, Protocol, cast, get_args

from embedstore.cluster.schedule import Schedule
from embedstore.cluster.worker import Done, Settled, Setup
from embedstore.core.counts import counted
from embedstore.core.values import clip
from embedstore.encoders import OnTexts, Precision
from embedstore.errors import (
    CheckpointError,
    ClusterError,
    DamagedStoreError,
    EmbedstoreError,
    SpaceMismatchError,
    StorageError,
)
from embedstore.storage.listed import open_file, same_hash
from embedstore.storage.records import FileRecord, TextSegment, VectorSegment
from embedstore.storage.segments import publish_vectors, read_texts
from embedstore.vectors.canaries import canaries_of, spread_rows
from embedstore.vectors.executors import Idle, Job
from embedstore.vectors.loader import Loader
from embedstore.vectors.receipts import Receipt

__all__ = ["Crew", "Event", "Pool", "Storage"]

Storage = Literal["auto", "shared", "sent"]

logger = logging.getLogger(__name__)

_POLL = 0.5  # seconds
_SEEN_WITHIN, _LOOK = 5.0, 0.2  # seconds for a file that another machine has written to be seen here, and between looks
_FAILED_STARTS, _PAUSE = 3, 60.0  # in a row, and seconds until somebody is started again if others work
_LONGEST_LINE = 300  # characters of an error
_MOST_LOST = 20  # workers in a row, without a task that is done between them
_STARTED_WITHIN = 600.0  # seconds, if nobody works
_ROOM = 1.0  # seconds between looks at the size of the cluster


class Event(NamedTuple):
    """What has come from a worker: what `settle` (`task` is None) or `encode` returned, or the error that ended it.

    `died` says that its process or machine is gone, and not that the call raised the error.
    """

    worker: int
    task: int | None
    value: Settled | Done | None = None
    error: Exception | None = None
    died: bool = False


class Crew(Protocol):
    """The processes of workers, wherever they are; each has a number."""

    def room(self) -> int:
        """Return how many workers the cluster has room for now; 1 at least.

        Raises
        ------
        ClusterError
            If no worker can be reached any more.
        """
        ...

    def start(self, worker: int, setup: Setup) -> None:
        """Start a worker; this does not wait."""
        ...

    def settle(self, worker: int, *, packed: bool) -> None:
        """Ask a worker to load its model, which is sent if it is `packed`."""
        ...

    def encode(self, worker: int, task: int, segment: TextSegment, texts: list[str] | None) -> None:
        """Ask a worker to do a task."""
        ...

    def stop(self, worker: int) -> None:
        """End a worker's process; no event comes from it any more."""
        ...

    def events(self, seconds: float) -> list[Event]:
        """Return what has come; wait for it, so many seconds at most."""
        ...


class Pool:
    """The workers of one job.

    The first worker that has loaded the model settles the precision, and is the canary of a new space; then the others
    are started. A worker whose files are not seen here, or that can't read or write the folder, gets the texts and
    sends the vectors.

    Parameters
    ----------
    job : Job
        The encode run.
    crew : Crew
        Starts and reaches workers.
    setup : Setup
        What the first worker is told.
    workers : int or None
        How many workers are wanted; None for as many as there is room for, also when machines come later.
    storage : {"auto", "shared", "sent"}
        Whether workers write into the store's folder: those that see it, all, or none.
    timeout : float, optional
        Seconds that a task may take.
    on_texts : callable
        As in `Executor.run`.
    """

    def __init__(
        self,
        job: Job,
        crew: Crew,
        setup: Setup,
        *,
        workers: int | None,
        storage: Storage,
        timeout: float | None,
        on_texts: OnTexts,
    ) -> None:
        self._job = job
        self._crew = crew
        self._wanted = workers
        self._most, self._looked = workers or 1, -_ROOM
        self._storage = storage
        self._on_texts = on_texts
        self._schedule = Schedule([task.count for task in job.tasks], timeout=timeout)
        largest = max(job.tasks, key=lambda segment: segment.count)
        spoken = tuple(read_texts(job.root, largest, spread_rows(largest)))
        canaries = canaries_of(job.root, job.manifest, job.described.spec)
        self._setup = replace(setup, canaries=canaries, spoken=spoken)
        self._settled: dict[int, Settled] = {}  # of all workers so far
        self._starting: dict[int, float] = {}
        self._packed: set[int] = set()
        self._sent: set[int] = set()  # tasks whose texts were sent
        self._gone: set[int] = set()  # those that were ended: what is still heard of them does not count
        self._next = self._failed = self._lost = 0
        self._failed_at = 0.0
        self._last_error: Exception | None = None

    def receipts(self) -> Iterator[Receipt | Idle]:
        """Yield a receipt for every task that is done, and the number of workers now and then."""
        while self._schedule.left:
            self._hire()
            for worker, task in self._schedule.handed(time.monotonic()):
                segment = self._job.tasks[task]
                texts = None if self._settled[worker].shares else read_texts(self._job.root, segment)
                (self._sent.discard if texts is None else self._sent.add)(task)
                self._crew.encode(worker, task, segment, texts)
            for event in self._crew.events(_POLL):
                if event.worker not in self._gone and (receipt := self._taken(event)):
                    yield receipt
            for worker in self._schedule.late(time.monotonic()):
                self._lose(worker, "it takes too long; --task-timeout SECONDS allows more")
            yield Idle(len(self._schedule.workers))

    def _hire(self) -> None:
        """Start workers until there are enough; one, as long as none has settled how to compute."""
        now, here = time.monotonic(), len(self._schedule.workers)
        if now >= self._looked + _ROOM:
            self._most, self._looked = self._crew.room(), now
            self._most = self._wanted or self._most
        if here and now >= self._failed_at + _PAUSE:
            self._failed = 0
        wanted = min(self._most, self._schedule.left) if self._settled else 1
        while here + len(self._starting) < wanted and self._failed < _FAILED_STARTS:
            worker, self._next = self._next, self._next + 1
            self._starting[worker] = now
            self._crew.start(worker, self._setup)
            self._settle(worker, packed=self._storage == "sent")
        if here:
            return
        if not self._starting:
            why = _line(self._last_error)
            raise ClusterError(f"no worker is left, the last one because of {why}; run again: what is done is kept")
        if now - min(self._starting.values()) > _STARTED_WITHIN:
            raise ClusterError(
                f"expected a worker within {_STARTED_WITHIN:.0f} seconds, found none that could start: ask for cores "
                "and GPUs that a machine of the cluster has free (--cores-per-worker, --gpus-per-worker)"
            )

    def _settle(self, worker: int, *, packed: bool) -> None:
        packed = packed and self._setup.load.models.own is None
        if packed:
            self._packed.add(worker)
        self._crew.settle(worker, packed=packed)

    def _taken(self, event: Event) -> Receipt | None:
        """Take what has come from a worker; return a receipt, if it is one."""
        if event.task is None:
            self._started(event)
        elif isinstance(event.value, Done):
            return self._accepted(event.worker, event.task, event.value)
        elif self._is_of_its_machine(event):
            self._send(event.worker, event.task, f"{self._settled[event.worker].name}: {_line(event.error)}")
        elif isinstance(event.error, EmbedstoreError):
            raise event.error  # of the model or the store: it would be the same on another worker
        else:
            self._lose(event.worker, _line(event.error))
        return None

    def _started(self, event: Event) -> None:
        worker, found = event.worker, event.value
        if isinstance(found, Settled):
            _check(found, self._job, self._settled, self._storage)
            del self._starting[worker]
            self._failed = 0
            self._settled[worker] = found
            self._setup = replace(self._setup, canaries=found.canaries, load=_told(self._setup, found))
            self._schedule.join(worker)
            if self._storage == "auto" and not found.shares:
                logger.warning("%s does not see %s: texts are sent there, and vectors back", found.name, self._job.root)
            return
        if isinstance(event.error, CheckpointError) and self._storage == "auto" and worker not in self._packed:
            self._settle(worker, packed=True)  # the checkpoint is not there, or another one
            return
        del self._starting[worker]
        self._stop(worker)
        logger.warning("a worker could not start: %s", _line(event.error))
        if event.died:  # with its machine, or because somebody killed it
            self._count_lost(_line(event.error))
            return
        self._failed, self._failed_at, self._last_error = self._failed + 1, time.monotonic(), event.error
        if not self._settled and isinstance(event.error, EmbedstoreError):
            raise event.error

    def _accepted(self, worker: int, task: int, done: Done) -> Receipt | None:
        """Return the receipt of a task that is done, if its vectors are in the store as it is seen from here."""
        text, settled, now = self._job.tasks[task], self._settled[worker], time.monotonic()
        receipt = done.receipt
        if receipt is None and done.dataset is not None:
            segment = VectorSegment(publish_vectors(self._job.root, done.image), done.dataset, done.truncated, 0)
            receipt = Receipt(text.file.sha256, segment, settled.provenance, settled.dimension)
        elif receipt is None or not _is_seen(self._job.root, receipt.segment.file):
            if self._storage == "shared":
                self._schedule.again(worker, task, now)
                self._lose(worker, f"its files in {self._job.root} are not seen here")
            else:
                self._send(worker, task, f"what {settled.name} writes is not seen here")
            return None
        self._lost = 0
        self._schedule.finish(worker, task, now)
        self._on_texts(text.count, done.truncated)
        return replace(receipt, worker=settled.name, seconds=done.seconds)

    def _is_of_its_machine(self, event: Event) -> bool:
        """Return whether a worker can't use the folder; if nobody can, this process finds it out as it writes."""
        refused = isinstance(event.error, StorageError | DamagedStoreError)
        return refused and self._storage == "auto" and event.task not in self._sent

    def _send(self, worker: int, task: int, why: str) -> None:
        """Have a task done again, and send texts to its worker from now on."""
        self._schedule.again(worker, task, time.monotonic())
        if self._settled[worker].shares:
            self._settled[worker] = replace(self._settled[worker], shares=False)
            logger.warning("%s. From now on texts are sent to that machine, and vectors back", why)

    def _lose(self, worker: int, why: str) -> None:
        """Give the tasks of a worker to the others, and end it, if it is not dead."""
        self._stop(worker)
        logger.warning("worker %s is lost: %s", self._settled[worker].name, why)
        self._count_lost(why)
        aside = self._schedule.lose(worker)
        if aside is not None:
            logger.warning(
                "a segment of %s ended three workers: it is set aside", counted(self._job.tasks[aside].count, "text")
            )

    def _count_lost(self, why: str) -> None:
        self._lost += 1
        if self._lost > max(_MOST_LOST, 3 * self._most):
            raise ClusterError(
                f"{self._lost} workers were lost in a row, the last one because of {why}; see their logs"
            )

    def _stop(self, worker: int) -> None:
        self._gone.add(worker)
        self._crew.stop(worker)


def _check(found: Settled, job: Job, others: Mapping[int, Settled], storage: Storage) -> None:
    """Raise an error if the vectors would have another length than those of the space, or the folder is not seen."""
    space = job.manifest.spaces.get(job.described.spec.key)
    known = [space.dimension] if space else [one.dimension for one in others.values()]
    if known and known[0] != found.dimension:
        raise SpaceMismatchError(
            f"expected vectors of {counted(known[0], 'dimension')}, found {found.dimension} on {found.name}: give all "
            "machines the same checkpoint"
        )
    if storage == "shared" and not found.shares:
        raise ClusterError(
            f"expected {job.root} to be a folder that all machines see, found that {found.name} does not: put the "
            "store on a shared file system, or send texts and vectors (--storage sent)"
        )


def _told(setup: Setup, found: Settled) -> Loader:
    """Return what loads the model on the next workers: in the precision of the first."""
    precision = found.provenance.precision
    known = precision in get_args(Precision)  # of an encoder of the user's own it can be anything
    return replace(setup.load, precision=cast(Precision, precision)) if known else setup.load


def _is_seen(root: Path, file: FileRecord) -> bool:
    """Return whether a file is here with its size and hash; a network file system may show it a little later."""
    end = time.monotonic() + _SEEN_WITHIN
    while True:
        try:
            with open_file(root, file) as stream:
                if same_hash(stream, file):
                    return True
        except (DamagedStoreError, OSError):
            pass
        if time.monotonic() > end:
            return False
        time.sleep(_LOOK)


def _line(error: Exception | None) -> str:
    """Return the last line of an error, where Ray says what happened, after its type."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return clip(": ".join([type(error).__name__, *lines[-1:]]), _LONGEST_LINE)
