"""The pool of workers, with real workers in this process: what it does with what comes from them."""

import os
import socket
from pathlib import Path

import numpy as np
import pytest
from conftest import HashEncoder

import embedstore
from embedstore.cluster import pool
from embedstore.cluster.pool import Event, Pool
from embedstore.cluster.worker import Setup, Worker
from embedstore.core.parallel import limit_cores
from embedstore.errors import ClusterError, DamagedStoreError, SpaceMismatchError, StorageError
from embedstore.storage.gate import probing

SMALL = embedstore.Settings(smallest_segment=10)


class Here:
    """A crew in this process; `after` is called with each task that is done, before the pool hears of it."""

    def __init__(self, after=lambda worker, done: None):
        self.after, self.setups, self.stopped, self.workers, self.heard = after, [], [], {}, []
        self.sent, self.has_room = [], 2

    def room(self):
        return self.has_room

    def start(self, worker, setup):
        self.setups.append(setup)
        self.workers[worker] = Worker(setup)

    def settle(self, worker, *, packed):
        self._hear(worker, None, self.workers[worker].settle)

    def encode(self, worker, task, segment, texts):
        self.sent.append((worker, task, texts is not None))
        self._hear(worker, task, lambda: self.workers[worker].encode(segment, texts))

    def _hear(self, worker, task, call):
        try:
            value = call()
        except Exception as error:
            self.heard.append(Event(worker, task, error=error))
            return
        if task is not None:
            self.after(worker, value)
        self.heard.append(Event(worker, task, value))

    def stop(self, worker):
        self.stopped.append(worker)

    def events(self, seconds):
        found, self.heard = self.heard, []
        return found


class Mortal(Here):
    """A crew of which an OSError in `after` is the death of the worker."""

    def _hear(self, worker, task, call):
        try:
            super()._hear(worker, task, call)
        except OSError as error:
            self.heard.append(Event(worker, task, error=error))


class Executor:
    """Runs a pool with a crew of this process."""

    def __init__(self, crew, *, workers=2, storage="auto"):
        self.crew, self.workers, self.storage = crew, workers, storage

    def run(self, job, on_texts):
        with probing(job.root) as probe:
            setup = Setup(root=job.root, load=job.load, sample=job.sample, probe=probe)
            made = Pool(
                job, self.crew, setup, workers=self.workers, storage=self.storage, timeout=None, on_texts=on_texts
            )
            yield from made.receipts()


@pytest.fixture(autouse=True)
def as_before(monkeypatch):
    """Workers change their process, which is this one; a file that is not seen is not waited for."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr(pool, "_SEEN_WITHIN", 0)
    monkeypatch.setattr(pool, "_LOOK", 0)
    yield
    limit_cores(10**6)


@pytest.fixture
def five(tmp_path, encoder):
    """A store with five text segments and no vectors."""
    made = embedstore.create(tmp_path / "five", encoder=encoder, settings=SMALL)
    made.add([{"t": f"text {i}"} for i in range(45)], text="t")
    return made


def check_all_there(store):
    expected = np.stack([HashEncoder().vector(f"text {i}") for i in range(45)])
    assert np.array_equal(store.space().vectors(), expected)
    assert not store.verify().faults


def test_a_worker_whose_files_are_not_seen_gets_the_texts(five):
    lost = []

    def lose(worker, done):
        if done.receipt and not lost:
            path = five.path / done.receipt.segment.file.path
            lost.append(path)
            path.unlink()

    crew = Here(lose)
    assert five.encode(executor=Executor(crew, workers=1)).encoded == 45
    assert [task for _, task, _ in crew.sent].count(0) == 2
    assert [sent for _, task, sent in crew.sent if task == 0] == [False, True]
    check_all_there(five)


@pytest.mark.parametrize("change", [lambda image: image[:-1], lambda image: image[:-1] + bytes([image[-1] ^ 1])])
def test_a_file_of_another_size_or_hash_is_not_committed(five, change):
    changed = []

    def damage(worker, done):
        if done.receipt and not changed:
            path = five.path / done.receipt.segment.file.path
            changed.append(path)
            path.write_bytes(change(path.read_bytes()))

    five.encode(executor=Executor(Here(damage)))
    check_all_there(five)


def test_where_the_folder_must_be_shared_such_a_worker_is_lost(five, caplog):
    def lose(worker, done):
        if worker == 0:
            (five.path / done.receipt.segment.file.path).unlink(missing_ok=True)

    crew = Here(lose)
    assert five.encode(executor=Executor(crew, storage="shared")).encoded == 45
    assert 0 in crew.stopped
    assert "are not seen here" in caplog.text
    assert not any(sent for _, _, sent in crew.sent)
    check_all_there(five)


def test_what_is_heard_of_a_lost_worker_does_not_count(five):
    """It had two tasks, and both end with it."""
    dying = []

    def die(worker, done):
        if worker == 0:
            dying.append(done)
            raise OSError("gone")

    crew = Mortal(die)
    report = five.encode(executor=Executor(crew))
    assert len(dying) == 2
    assert crew.stopped == [0]
    assert (report.encoded, report.set_aside) == (45, ())
    check_all_there(five)


def test_the_first_worker_settles_the_precision_and_the_canaries(five):
    first = HashEncoder()
    object.__setattr__(first.provenance, "precision", "bfloat16")
    crew = Here()
    embedstore.open(five.path, encoder=first, settings=SMALL).encode(executor=Executor(crew))
    assert [setup.load.precision for setup in crew.setups] == ["auto", "bfloat16"]
    assert crew.setups[0].canaries is None
    assert np.array_equal(crew.setups[1].canaries.vectors[0], first.vector("text 0"))


def test_vectors_of_another_length_are_refused(five):
    five.encode(shard="1/2")
    five.collect()
    other = HashEncoder(8)
    other.spec = five.space().spec
    with pytest.raises(SpaceMismatchError):
        embedstore.open(five.path, encoder=other, settings=SMALL).encode(executor=Executor(Here()))


def test_where_every_worker_is_lost_the_run_ends(tmp_path, encoder):
    """Three workers for each of ten thousand segments would take days."""
    store = embedstore.create(tmp_path / "many", encoder=encoder, settings=embedstore.Settings(smallest_segment=1))
    store.add([{"t": f"text {i}"} for i in range(10)], text="t")

    def die(worker, done):
        raise OSError("gone")

    crew = Mortal(die)
    with pytest.raises(ClusterError, match="21 workers were lost in a row, the last one because of OSError: gone"):
        store.encode(executor=Executor(crew))
    assert len(crew.setups) <= 23


def test_workers_that_can_not_start_are_given_up_after_three(five, monkeypatch):
    monkeypatch.setattr(Worker, "settle", lambda self, packed=b"": 1 / 0)
    crew = Here()
    with pytest.raises(ClusterError, match="no worker is left, the last one because of ZeroDivisionError: division by"):
        five.encode(executor=Executor(crew))
    assert len(crew.setups) == 3


def test_workers_that_die_as_they_start_are_replaced(five):
    """A machine that dies can take more than three with it; that says nothing of the next one."""
    crew = Here()
    settle = crew.settle

    def die(worker, packed):
        if worker < 5:
            crew.heard.append(Event(worker, None, error=OSError("gone"), died=True))
        else:
            settle(worker, packed=packed)

    crew.settle = die
    assert five.encode(executor=Executor(crew, workers=1)).encoded == 45
    assert len(crew.setups) == 6
    check_all_there(five)


def test_workers_that_all_die_as_they_start_are_given_up(five):
    crew = Here()
    crew.settle = lambda worker, packed: crew.heard.append(Event(worker, None, error=OSError("gone"), died=True))
    with pytest.raises(ClusterError, match="21 workers were lost in a row, the last one because of OSError: gone"):
        five.encode(executor=Executor(crew))


@pytest.mark.parametrize(("pause", "started"), [(0, 6), (60, 4)])
def test_after_a_pause_somebody_is_started_again(five, monkeypatch, pause, started):
    """One machine that can't start workers does not keep out those that come later."""
    monkeypatch.setattr(pool, "_PAUSE", pause)
    crew = Here()
    settle = crew.settle

    def fail(worker, packed):
        if 0 < worker < 5:
            crew.heard.append(Event(worker, None, error=ZeroDivisionError("no")))
        else:
            settle(worker, packed=packed)

    crew.settle = fail
    store = embedstore.create(five.path.parent / "many", encoder=HashEncoder(), settings=SMALL)
    store.add([{"t": f"text {i}"} for i in range(200)], text="t")
    assert store.encode(executor=Executor(crew)).encoded == 200
    assert len(crew.setups) == started


def test_a_cluster_without_room_is_not_waited_for_for_ever(five, monkeypatch):
    monkeypatch.setattr(pool, "_STARTED_WITHIN", -1.0)
    crew = Here()
    crew.settle = lambda worker, packed: None
    with pytest.raises(ClusterError, match="found none that could start: ask for cores and GPUs"):
        five.encode(executor=Executor(crew))


@pytest.mark.parametrize(("wanted", "started"), [(None, 3), (2, 2)])
def test_machines_that_come_later_get_work(five, monkeypatch, wanted, started):
    """Unless a number of workers was asked for."""
    monkeypatch.setattr(pool, "_ROOM", 0)
    crew = Here(lambda worker, done: setattr(crew, "has_room", 3))
    assert five.encode(executor=Executor(crew, workers=wanted)).encoded == 45
    assert len(crew.setups) == started


class Unable(Here):
    """A crew of which worker 0 can't use the folder of the store."""

    error = StorageError("can't write to vectors: No space left on device")

    def encode(self, worker, task, segment, texts):
        if worker == 0 and texts is None:
            self.sent.append((worker, task, False))
            self.heard.append(Event(worker, task, error=self.error))
        else:
            super().encode(worker, task, segment, texts)


@pytest.mark.parametrize("error", [Unable.error, DamagedStoreError("texts/1.h5 is missing")])
def test_a_worker_that_can_not_use_the_folder_gets_the_texts(five, caplog, error):
    crew = Unable()
    crew.error = error
    assert five.encode(executor=Executor(crew, workers=1)).encoded == 45
    assert [sent for _, _, sent in crew.sent] == [False, False, *[True] * 5]
    assert [record.getMessage() for record in caplog.records if "texts are sent" in record.getMessage()] == [
        f"{socket.gethostname()}:{os.getpid()}: {type(error).__name__}: {error}. "
        "From now on texts are sent to that machine, and vectors back"
    ]
    check_all_there(five)


def test_where_the_folder_must_be_shared_an_error_of_it_ends_the_run(five):
    with pytest.raises(StorageError, match="No space left"):
        five.encode(executor=Executor(Unable(), storage="shared"))


def test_an_error_of_the_store_ends_the_run_if_the_texts_were_sent(five):
    """Otherwise it would go on for ever."""

    class Never(Unable):
        def encode(self, worker, task, segment, texts):
            super().encode(worker, task, segment, None)

    with pytest.raises(StorageError, match="No space left"):
        five.encode(executor=Executor(Never(), workers=1))


def test_the_workers_are_told_where_the_store_is_and_its_probe(five):
    seen = []
    crew = Here(lambda worker, done: seen.append((five.path / crew.setups[0].probe).read_text()))
    five.encode(executor=Executor(crew))
    assert set(seen) == {crew.setups[0].probe}
    assert not list(Path(five.path).glob(".tmp-*"))
