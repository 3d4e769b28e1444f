"""One store, many threads and processes: each question has the answer that it has alone."""

import os
import shutil
import subprocess
import sys
import textwrap
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import embedstore
from embedstore.encoders import EncoderOptions

THREADS = 16

# What a question answers, as a frame. Each thread asks one of them, on one store.
QUESTIONS = {
    "search": lambda store: store.search("a kettle that boils fast", k=5, corpus="train").to_pandas(),
    "search many": lambda store: store.search([f"question {i}" for i in range(5)], k=3, corpus="train").to_pandas(),
    "search row": lambda store: store.search(row="r0001", k=3, corpus="train").to_pandas(),
    "tag": lambda store: store.tag(["Delivery", "Quality", "Price"], corpus="train", scores=True).to_pandas(),
    "tag best": lambda store: store.tag(["Noise", "Colour"], corpus="train", method="best").to_pandas(),
    "tag again": lambda store: store.tag(["Negative", "Positive"], corpus="train", confidence=True).to_pandas(),
    "explain": lambda store: store.explain("r0002", ["Small", "Large"], corpus="train").to_pandas(),
    "train": lambda store: store.train("product", corpus="train", name="product").to_pandas(),
    "train early": lambda store: store.train(
        "product", corpus="train", name="early", options=embedstore.TrainOptions(max_iter=2, drop_missing=True)
    ).to_pandas(),
    "doubts": lambda store: store.doubts("product", corpus="train", folds=2).to_pandas(),
    "map": lambda store: store.map(corpus="train").to_pandas(),
    "map tsne": lambda store: store.map(corpus="train", method="tsne").to_pandas(),
    "duplicates": lambda store: store.duplicates(0.7, corpora=["train"]).to_pandas(),
    "encode": lambda store: encoded(store, "query: "),
    "add": lambda store: added(store, "one"),
    "add more": lambda store: added(store, "two"),
    "annotate": lambda store: annotated(store),
}


def encoded(store, prompt):
    space = store.encode(corpus="train", options=EncoderOptions(prompt=prompt)).space
    return pd.DataFrame(store.space(space).vectors("train"))


def added(store, corpus):
    report = store.add([{"t": f"text {i} of {corpus}"} for i in range(50)], text="t", corpus=corpus)
    return pd.DataFrame({"rows": [report.rows]})


def annotated(store):
    for position in range(4):
        store.annotations.add(position, "good", ["bad", "good"], who="me", corpus="train")
    return store.annotations.export_table(corpus="train").to_pandas()[["id", "label", "who"]]


@pytest.fixture
def place(demo_home, tmp_path):
    shutil.copytree(demo_home, tmp_path / "alone")
    shutil.copytree(demo_home, tmp_path / "together")
    return tmp_path


STATE = """
import logging, os, signal, warnings
import faiss, scipy.optimize, sklearn.linear_model, sklearn.manifold, torch
from threadpoolctl import threadpool_info
from sklearn.exceptions import ConvergenceWarning
from transformers.utils import logging as of_transformers

def state():
    loggers = ["transformers", "sentence_transformers", "matplotlib.font_manager", "embedstore"]
    found = os.fstat(2)
    return {
        "descriptor 2": (found.st_dev, found.st_ino),
        "torch": (torch.get_num_threads(), torch.get_num_interop_threads()),
        "libraries": {one["num_threads"] for one in threadpool_info()},
        "loggers": [logging.getLogger(name).level for name in loggers],
        "bars": of_transformers.is_progress_bar_enabled(),
        "signals": [signal.getsignal(number) for number in sorted(signal.valid_signals())],
    }

def is_warned():
    with warnings.catch_warnings(record=True) as caught:
        warnings.warn("not done", ConvergenceWarning)
    return len(caught) == 1
"""


def run(script, *words, **variables):
    """Run a script in a process of its own, where the filters of pytest do not hold, with more variables."""
    path = os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script), *map(str, words)],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": path, "HF_HUB_OFFLINE": "1", **variables},
    )


def ask_together(place):
    """Ask each question alone in one store, and all at once in its copy; fail if an answer differs."""
    alone = embedstore.open(place / "alone" / "demo")
    expected = {name: ask(alone) for name, ask in QUESTIONS.items()}
    store = embedstore.open(place / "together" / "demo")
    begin = threading.Barrier(len(QUESTIONS))

    def asked(name):
        begin.wait()
        return QUESTIONS[name](store)

    with ThreadPoolExecutor(len(QUESTIONS)) as pool:
        found = dict(zip(QUESTIONS, pool.map(asked, QUESTIONS), strict=True))
    for name, frame in expected.items():
        pd.testing.assert_frame_equal(found[name], frame, rtol=1e-3, atol=1e-3, obj=name)
    assert not store.verify().faults


def test_threads_get_the_answers_that_each_gets_alone_and_leave_the_process_as_it_was(place):
    assert len(QUESTIONS) >= THREADS
    script = (
        STATE
        + """
import pathlib, sys
from test_threads import ask_together
before = state()
assert is_warned()
ask_together(pathlib.Path(sys.argv[1]))
assert is_warned()
after = state()
assert after == before, [(name, before[name], after[name]) for name in before if before[name] != after[name]]
print("the same")
"""
    )
    done = run(script, place, OPENBLAS_NUM_THREADS="2")  # so that there is a number to come back to
    assert done.stdout == "the same\n", done.stderr


CHILDREN = """
import os, signal, sys, threading
import embedstore

store = embedstore.open(sys.argv[1], settings=embedstore.Settings(index_after=1))
store.index("hnsw")
long = [f"question {number} " * 10 for number in range(30)]
store.search(long, k=2)
assert "torch" in sys.modules, "so many characters are no light work"
forked = [threading.Event() for _ in range(int(sys.argv[2]))]
begin, answered = threading.Barrier(3), threading.Semaphore(0)

def ask(thread):
    for number, done in enumerate(forked):
        begin.wait()
        asked = 0
        while asked < 1 or not done.is_set():
            store.search(f"{thread} asks {asked} of {number}", k=2)
            store.tag([f"label {asked} of {thread} of {number}", "other"])
            answered.release()
            asked += 1

threads = [threading.Thread(target=ask, args=(number,), daemon=True) for number in range(2)]
for thread in threads:
    thread.start()
for number, done in enumerate(forked):
    begin.wait()
    for _ in range(number):  # the first child begins with the first answers, the others between later ones
        answered.acquire()
    child = os.fork()
    if child == 0:
        signal.alarm(120)  # ends a child that waits for ever
        try:
            assert len(store.search(f"child {number}", k=2)) == 2
            assert len(store.search([f"child {number}: {one}" for one in long], k=2)) == 60
            store.tag([f"mine {number}", "yours"], method="best")
            store.train("product", name=f"probe-{number}")
            store.map()
            os._exit(0)
        except BaseException as error:
            print(repr(error), file=sys.stderr, flush=True)
            os._exit(1)
    done.set()
    assert os.waitpid(child, 0)[1] == 0
for thread in threads:
    thread.join()
assert not store.verify().faults
print("answered")
"""


def test_the_child_of_a_process_with_threads_can_ask(place):
    children = 5 if os.environ.get("EMBEDSTORE_TORTURE") else 2
    done = run(CHILDREN, place / "alone" / "demo", children)
    assert done.stdout == "answered\n", done.stderr


def test_joblib_encodes_in_its_workers(place):
    script = """
    import pathlib, sys
    import numpy as np
    from joblib import Parallel, delayed
    from embedstore import CachedEncoder

    encoder = CachedEncoder(pathlib.Path(sys.argv[1]))
    other = CachedEncoder(pathlib.Path(sys.argv[2]))
    for backend in ("threading", "loky"):
        parts = [[f"text {number} of {part} for {backend}" for number in range(2)] for part in range(3)]
        found = Parallel(n_jobs=2, backend=backend)(delayed(encoder.transform)(part) for part in parts)
        for part, vectors in zip(parts, found):
            np.testing.assert_allclose(vectors, other.transform(part), atol=1e-5)
    print("the same")
    """
    done = run(script, place / "alone" / "demo", place / "together" / "demo")
    assert done.stdout == "the same\n", done.stderr


def test_threads_add_to_one_store_one_after_the_other(tmp_path, encoder):
    store = embedstore.create(tmp_path / "s", encoder=encoder)
    with ThreadPoolExecutor(8) as pool:
        reports = list(
            pool.map(lambda i: store.add([{"t": f"{i} {n}"} for n in range(9)], text="t", corpus=f"c{i}"), range(8))
        )
    assert [report.rows for report in reports] == [9] * 8
    with store.snapshot() as now:
        for number in range(8):
            found = now.texts.at(now.corpus(f"c{number}").positions())
            assert found == [f"{number} {n}" for n in range(9)]
    assert not store.verify().faults


def test_threads_that_ask_for_one_new_text_get_one_vector(store):
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: store.search("a new text", k=3).to_pandas(), range(16)))
    for frame in found[1:]:
        pd.testing.assert_frame_equal(frame, found[0])
    assert np.isfinite(found[0]["score"]).all()


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="threads are counted by Linux' files of processes")
def test_reading_rows_leaves_no_thread_behind(store):
    """A thread of Arrow that still holds bytes of Python when the process ends makes it abort."""
    code = (
        "import os, sys, embedstore\n"
        "from pyarrow import parquet\n"
        f"store = embedstore.open({str(store.path)!r})\n"
        "before = set(os.listdir('/proc/self/task'))\n"
        "for answer in (store.search(row='k0', k=3), store.tag(['Negative', 'Positive'])): list(answer.batches())\n"
        "print(len(set(os.listdir('/proc/self/task')) - before))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "0\n"), done.stderr
