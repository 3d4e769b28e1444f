"""State of the whole process: what threads change together is restored when the last of them is done."""

import csv
import gc
import logging
import os
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from threadpoolctl import threadpool_info

from embedstore.core.guards import CountedGuard, Lock, unwarned
from embedstore.core.parallel import one_thread
from embedstore.encoders import EncoderOptions, describe, load
from embedstore.encoders.quiet import quiet_logs, quiet_stderr
from embedstore.storage import locks
from embedstore.tables import ReadOptions, file_source
from embedstore.vectors.models import Models


def blas_threads():
    return [one["num_threads"] for one in threadpool_info() if one["user_api"] == "blas"]


def log_state():
    from transformers.utils import logging as transformers_logging

    names = ("transformers", "sentence_transformers")
    return [logging.getLogger(name).level for name in names] + [transformers_logging.is_progress_bar_enabled()]


def descriptor_2():
    found = os.fstat(2)
    return found.st_dev, found.st_ino


def in_a_thread(work):
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(work).result()


GUARDS = {
    "blas": (lambda: one_thread, blas_threads),
    "logs": (quiet_logs, log_state),
    "descriptor 2": (lambda: quiet_stderr, descriptor_2),
}


@pytest.mark.usefixtures("two_threads_of_blas")
@pytest.mark.parametrize("name", GUARDS)
def test_overlapping_threads_restore_what_there_was(name):
    guard, state = GUARDS[name]
    np.ones((4, 4)) @ np.ones((4, 4))
    before = state()
    first_is_in, first_may_leave = threading.Event(), threading.Event()

    def first():
        with guard():
            first_is_in.set()
            first_may_leave.wait()

    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(first)
        first_is_in.wait()
        with guard():
            inside = state()
            first_may_leave.set()
            running.result()
            assert state() == inside  # the first has left, the second has not
        assert state() == before
    assert inside != before


def test_a_change_that_fails_leaves_the_guard_as_it_was():
    def fail():
        raise OSError("no space")

    guard = CountedGuard(fail)
    for _ in range(2):
        with pytest.raises(OSError, match="no space"), guard:
            pass


def test_collections_go_on_after_threads_read_manifests(store):
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: store.manifest, range(40)))
    assert gc.isenabled()


def test_reading_a_table_leaves_the_limit_of_csv_fields(tmp_path):
    path = tmp_path / "long.csv"
    path.write_text("a,b\n" + "x" * 200_000 + ",1\n")
    before = csv.field_size_limit()
    assert file_source(path, ReadOptions(), name="long", origin="").survey().rows == 1
    assert csv.field_size_limit() == before


def test_a_warning_is_ignored_in_its_own_thread_only():
    filters = list(warnings.filters)

    def shown():
        with pytest.raises(UserWarning, match="from outside"):
            warnings.warn("from outside", UserWarning, stacklevel=1)
        return True

    with unwarned(UserWarning):
        warnings.warn("from inside", UserWarning, stacklevel=1)
        assert in_a_thread(shown)
    assert warnings.filters == filters
    assert shown()


def run_in_child(work):
    """Fork; return the exit status of the child, which is 0 if `work` returns, and which ends within a minute."""
    child = os.fork()
    if child == 0:
        import signal

        signal.alarm(60)  # ends a child that waits for ever
        try:
            work()
        except BaseException:
            os._exit(1)
        os._exit(0)
    return os.waitpid(child, 0)[1]


def while_a_thread_holds(context, work):
    """Return `work()`, called while another thread is inside a context."""
    is_in, may_leave = threading.Event(), threading.Event()

    def hold():
        with context:
            is_in.set()
            may_leave.wait()

    with ThreadPoolExecutor(1) as pool:
        pool.submit(hold)
        is_in.wait()
        try:
            return work()
        finally:
            may_leave.set()


def take(lock):
    with lock.held():
        pass


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_lock_of_another_thread_is_free_in_the_child_of_a_fork():
    lock = Lock()
    assert while_a_thread_holds(lock.held(), lambda: run_in_child(lambda: take(lock))) == 0


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_the_child_of_a_fork_restores_what_threads_of_its_parent_changed():
    state = ["before"]

    def change():
        state.append("changed")
        return state.pop

    guard = CountedGuard(change)

    def check():
        assert state == ["before"]
        with guard:
            assert state == ["before", "changed"]
        assert state == ["before"]

    assert while_a_thread_holds(guard, lambda: run_in_child(check)) == 0
    assert state == ["before"]


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_child_does_not_hold_the_locks_of_its_parents_threads(store):
    reading, writing = os.pipe()
    runs, tells = os.pipe()

    def fork():
        child = os.fork()
        if child == 0:
            os.close(writing)
            os.write(tells, b"x")
            os.read(reading, 1)  # until the parent closes its end
            os._exit(0)
        return child

    child = while_a_thread_holds(locks.writing(store.path, 0), fork)
    try:
        os.read(runs, 1)
        with locks.alone(store.path, 0):
            pass
    finally:
        os.close(writing)
        os.waitpid(child, 0)
        for descriptor in (reading, runs, tells):
            os.close(descriptor)


def together(count, work):
    """Return what `work` gives in several threads that begin at the same moment."""
    begin = threading.Barrier(count)

    def one(number):
        begin.wait()
        return work(number)

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(one, range(count)))


def test_one_thread_loads_a_model_and_the_others_get_the_same(checkpoint):
    described = describe(str(checkpoint("bert")), EncoderOptions())
    models = Models(None)
    found = together(6, lambda _: models.load(described, backend="torch", device="cpu"))
    assert len({id(encoder) for encoder in found}) == 1


@pytest.mark.parametrize("family", ["bert", "distilbert"])
def test_threads_share_an_encoder_and_leave_the_threads_of_torch(checkpoint, family):
    import torch

    encoder = load(describe(str(checkpoint(family)), EncoderOptions(max_seq_length=16)), batch_size=4)
    texts = [[f"text {number} of {thread}, " * (1 + number % 5) for number in range(24)] for thread in range(8)]
    before = torch.get_num_threads()

    def ask(number):
        vectors = [encoder.encode(texts[number]) for _ in range(3)][-1]
        return vectors, torch.get_num_threads()

    for number, (vectors, threads) in enumerate(together(8, ask)):
        np.testing.assert_allclose(vectors, encoder.encode(texts[number]), atol=1e-5)
        assert threads == before
    assert torch.get_num_threads() == before
    assert in_a_thread(torch.get_num_threads) == before


def test_threads_share_what_a_store_has_opened(store):
    def corpus(_):
        with store.snapshot() as now:
            return now.corpus()

    found = together(8, corpus)
    assert len({id(one) for one in found}) == 1
    assert len({id(positions) for positions in together(8, lambda _: found[0].positions())}) == 1
