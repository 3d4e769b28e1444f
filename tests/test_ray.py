"""Encoding on a real Ray cluster of two nodes on this machine: what dies, what is late, and what is kept."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from clusters import (
    STORE_OF_OBJECTS,
    Drifting,
    Ending,
    Stuck,
    Together,
    alive,
    for_workers,  # noqa: F401  a fixture
    node_apart,
)
from conftest import HashEncoder
from faults.cluster_kills import Run, encoded_here, hashes, prepared
from faults.small_disk import NOT_ALLOWED

import embedstore
from embedstore.cluster import RayExecutor
from embedstore.encoders import EncoderOptions, LightEncoder, describe
from embedstore.errors import CheckpointError, ClusterError, UsageError

ROWS = [{"t": f"text {i}" + " and so on and so on and more" * (i % 9 == 0)} for i in range(95)]
SMALL = embedstore.Settings(smallest_segment=10, largest_segment=10)


@pytest.fixture(scope="module")
def cluster(for_workers):  # noqa: F811
    """Two nodes with two cores each; this process is connected to them."""
    import ray
    from ray.cluster_utils import Cluster

    made = Cluster(
        initialize_head=True,
        head_node_args={"num_cpus": 2, "object_store_memory": STORE_OF_OBJECTS, "include_dashboard": False},
    )
    made.add_node(num_cpus=2, object_store_memory=STORE_OF_OBJECTS)
    ray.init(address=made.address, log_to_driver=False)
    yield made
    ray.shutdown()
    made.shutdown()


@pytest.fixture
def ten(tmp_path):
    """A store of ten text segments without vectors; the folder of its encoders' counts is beside it."""
    made = embedstore.create(tmp_path / "home" / "ten", encoder=HashEncoder(), settings=SMALL)
    made.add(ROWS, text="t")
    (tmp_path / "counts").mkdir()
    return made


def reopened(store, encoder):
    return embedstore.open(store.path, encoder=encoder, settings=SMALL)


@cache
def hashes_of_one_process():
    """The hash of each file of vectors that the local executor makes of the rows, in the order of their segments."""
    with TemporaryDirectory() as folder:
        made = embedstore.create(Path(folder) / "ten", encoder=HashEncoder(), settings=SMALL)
        made.add(ROWS, text="t")
        made.encode()
        found = hashes(made.path)
        return [found[text.file.sha256] for text in made.manifest.texts]


def check_all_there(store, *, without=()):
    """Files of vectors and truncated texts are those of one process, to the byte, for all segments but some."""
    encoder = HashEncoder()
    texts = [row["t"] for number, row in enumerate(ROWS) if number // 10 not in without]
    found = np.concatenate([block.vectors for block in store.space().blocks()])
    assert np.array_equal(found, np.stack([encoder.vector(text) for text in texts]))
    files = hashes(store.path)
    alone = [one for number, one in enumerate(hashes_of_one_process()) if number not in without]
    assert [files[text.file.sha256] for text in store.manifest.texts if text.file.sha256 in files] == alone
    assert store.space().truncated == sum(len(text.split()) > 8 for text in texts)
    assert not store.verify().faults
    store.gc()  # a worker that was ended can have left a file that it was writing, or a receipt that nobody needs
    assert not list((store.path / "receipts").glob("*"))
    assert not list(store.path.glob(".tmp-*"))


def test_the_workers_of_two_nodes_give_what_one_process_gives(cluster, ten, tmp_path):
    store = reopened(ten, Together(tmp_path / "counts", 4))
    report = store.encode(executor=RayExecutor())
    check_all_there(ten)
    assert (report.encoded, report.truncated, report.set_aside) == (95, 11, ())
    assert len(list((tmp_path / "counts").glob("here-*"))) == 4
    assert sum(one.texts for one in report.workers) == 95
    assert sum(one.segments for one in report.workers) == 10


def test_a_worker_that_computes_otherwise_than_the_first_is_left_out(cluster, ten, tmp_path, caplog):
    """The space is new, so the canaries are vectors of the first worker."""
    report = reopened(ten, Drifting(tmp_path / "counts")).encode(executor=RayExecutor(workers=2))
    assert len(report.workers) == 1
    check_all_there(ten)
    assert "a worker could not start: SpaceMismatchError: stored texts encoded again come out otherwise" in caplog.text


def test_there_are_no_more_workers_than_tasks(cluster, ten):
    ten.encode(shard="1/5")
    ten.encode(shard="2/5")
    ten.encode(shard="3/5")
    ten.encode(shard="4/5")
    seen = []
    report = ten.encode(executor=RayExecutor(workers=4), on_progress=seen.append)
    assert report.encoded == 15
    assert max(progress.workers for progress in seen) <= 2
    check_all_there(ten)


@pytest.mark.parametrize("how", ["kill", "raise"])
def test_the_tasks_of_workers_that_end_are_done_by_others(cluster, ten, tmp_path, how, caplog):
    encoder = Ending(tmp_path / "counts", ROWS[42]["t"], most=2, how=how)
    report = reopened(ten, encoder).encode(executor=RayExecutor(workers=2))
    assert (report.encoded, report.set_aside) == (95, ())
    check_all_there(ten)
    lost = [record.getMessage() for record in caplog.records if "is lost" in record.getMessage()]
    assert len(lost) == 2
    assert all("\n" not in line for line in lost)
    if how == "raise":
        assert "ZeroDivisionError: the text can't be divided" in lost[0]


def test_a_text_that_ends_its_workers_is_set_aside_after_three(cluster, ten, tmp_path):
    encoder = Ending(tmp_path / "counts", ROWS[42]["t"])
    report = reopened(ten, encoder).encode(executor=RayExecutor(workers=2))
    assert len(list((tmp_path / "counts").glob("ended-*"))) == 3
    assert (report.encoded, report.set_aside) == (85, (5,))
    assert str(report).endswith("; not encoded: segment 5")
    check_all_there(ten, without=[4])
    assert ten.encode().encoded == 10
    check_all_there(ten)


def test_a_late_worker_is_not_waited_for(cluster, ten, tmp_path, caplog):
    encoder = Ending(tmp_path / "counts", ROWS[42]["t"], most=1, how="hang")
    reopened(ten, encoder).encode(executor=RayExecutor(workers=2, task_timeout=2))
    check_all_there(ten)
    assert "is lost: it takes too long" in caplog.text


def test_texts_are_sent_where_the_folder_is_not_shared(cluster, ten):
    report = ten.encode(executor=RayExecutor(storage="sent", workers=2))
    assert report.encoded == 95
    check_all_there(ten)
    assert not (ten.path / "receipts").exists()


def test_an_error_of_the_model_ends_the_run_and_keeps_what_is_done(cluster, ten, tmp_path):
    class Empty(HashEncoder):
        def vector(self, text, prompt=""):
            return super().vector(text, prompt) * (text != ROWS[42]["t"])

    with pytest.raises(CheckpointError, match="all zeros, 1 of 10"):
        reopened(ten, Empty()).encode(executor=RayExecutor(workers=1))
    assert ten.encode().cached >= 40
    check_all_there(ten)


@pytest.mark.skipif(not os.environ.get("EMBEDSTORE_TORTURE"), reason="half a minute, for make torture")
def test_a_node_that_joins_late_gets_work_and_loses_nothing_when_it_dies(cluster, ten, tmp_path):
    encoder = Stuck({node["NodeID"] for node in alive()}, tmp_path / "stuck")
    third = []

    def change(progress):
        if progress.workers == 4 and not third:
            third.append(cluster.add_node(num_cpus=2, object_store_memory=STORE_OF_OBJECTS))
        if encoder.mark.exists() and third[0] in cluster.worker_nodes:
            cluster.remove_node(third[0], allow_graceful=False)

    report = reopened(ten, encoder).encode(executor=RayExecutor(), on_progress=change)
    assert encoder.mark.exists()
    assert third[0] not in cluster.worker_nodes
    assert report.encoded == 95
    check_all_there(ten)


def test_workers_that_are_killed_at_random_moments_lose_nothing(cluster, tmp_path):
    """`tests/faults/cluster_kills.py` is the long version, which also kills drivers and nodes."""
    prepared(tmp_path)
    expected = encoded_here(tmp_path)
    run = Run(cluster, tmp_path / "run", pause=0.1)
    dice = random.Random(0)
    while not run.ended and run.killed.total() < 3:
        threading.Event().wait(dice.uniform(0, 0.3))
        run.kill("worker", dice)
    run.finish(expected)
    assert not run.faults
    assert run.killed.total()


@pytest.mark.skipif(not os.environ.get("EMBEDSTORE_TORTURE"), reason="half a minute, for make torture")
def test_a_node_whose_disk_is_full_gets_the_texts(cluster, ten, tmp_path, caplog):
    """It sees the store, and can't write to it."""
    (ten.path / "vectors").mkdir()
    with node_apart(cluster.address, ten.path / "vectors", "fill(folder)"):
        report = reopened(ten, Together(tmp_path / "counts", 5)).encode(executor=RayExecutor())
    assert report.encoded == 95
    assert len(report.workers) in (4, 5)  # the others may have done all before its texts were there
    (line,) = (record.getMessage() for record in caplog.records if "texts are sent" in record.getMessage())
    assert "No space left on device" in line
    check_all_there(ten)


DRIVER = """
import os, signal, sys
from clusters import Ending
from pathlib import Path
import embedstore
from embedstore.cluster import RayExecutor

def stop(progress):
    if progress.done >= 40:
        os.kill(os.getpid(), int(number))

store, counts, address, number = sys.argv[1:]
encoder = Ending(Path(counts), "no such text")
embedstore.open(store, encoder=encoder).encode(executor=RayExecutor(address, workers=2), on_progress=stop)
"""


@pytest.mark.parametrize(
    "number", [signal.SIGKILL, signal.SIGINT] if os.environ.get("EMBEDSTORE_TORTURE") else [signal.SIGKILL]
)
def test_a_driver_that_ends_loses_nothing_that_workers_have_finished(cluster, ten, tmp_path, number):
    words = [sys.executable, "-c", DRIVER, ten.path, tmp_path / "counts", cluster.address, number.value]
    done = subprocess.run(list(map(str, words)), capture_output=True, text=True)
    assert done.returncode == -number, done.stderr
    if number == signal.SIGINT:
        assert ten.space().count >= 30  # committed as it ended, but for the one that was being told
    report = ten.encode(executor=RayExecutor(workers=2))
    assert report.cached >= 40
    assert report.encoded == 95 - report.cached
    check_all_there(ten)


ALONE = """
import sys
from pathlib import Path
import psutil
import ray
from clusters import STORE_OF_OBJECTS, Marked
import embedstore
from embedstore.cluster import RayExecutor

def kill(progress):
    for process in psutil.Process().children(recursive=True) if progress.done >= 20 else ():
        if process.name() == "raylet":
            process.kill()

ray.init(address="local", num_cpus=2, include_dashboard=False, object_store_memory=STORE_OF_OBJECTS)
store, marks = sys.argv[1:]
store = embedstore.open(store, encoder=Marked(Path(marks), 5))
store.encode(executor=RayExecutor(workers=1), on_progress=kill)
"""


@pytest.mark.skipif(not os.environ.get("EMBEDSTORE_TORTURE"), reason="half a minute, for make torture")
def test_the_end_of_the_node_of_the_driver_is_one_line(for_workers, ten, tmp_path):  # noqa: F811
    """Its workers have ended with it, and to start others would be waited for in vain."""
    words = [sys.executable, "-c", ALONE, ten.path, tmp_path / "counts"]
    done = subprocess.run(list(map(str, words)), capture_output=True, text=True, timeout=300)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("embedstore.errors.ClusterError: the Ray node of this machine has")
    assert ten.encode().cached >= 20
    check_all_there(ten)


@pytest.mark.skipif(not os.environ.get("EMBEDSTORE_TORTURE"), reason="half a minute, for make torture")
def test_two_drivers_at_once_lose_nothing(cluster, ten, tmp_path):
    words = [sys.executable, "-c", DRIVER, ten.path, tmp_path / "counts", cluster.address, 0]
    both = [subprocess.Popen(list(map(str, words)), stderr=subprocess.PIPE, text=True) for _ in range(2)]
    said = [one.communicate()[1] for one in both]
    assert [one.returncode for one in both] == [0, 0], said
    check_all_there(ten)


@pytest.mark.skipif(not os.environ.get("EMBEDSTORE_TORTURE"), reason="ten seconds, for make torture")
def test_another_checkpoint_under_the_same_name_is_not_used(cluster, ten, tmp_path, checkpoint):
    """It is on one node alone, the only one with a GPU to give."""
    given, other = tmp_path / "model", checkpoint("bert", hidden_size=16)
    shutil.copytree(checkpoint("bert"), given)
    change = f"import shutil; shutil.copytree({str(other)!r}, folder, dirs_exist_ok=True)"
    executor = RayExecutor(gpus_per_worker=1, storage="shared")
    with (
        node_apart(cluster.address, given, change, gpus=1),
        pytest.raises(CheckpointError, match="is not the one that"),
    ):
        embedstore.open(ten.path).encode(given, executor=executor)
    assert not (ten.path / "vectors").exists()


@pytest.mark.skipif(not os.environ.get("EMBEDSTORE_TORTURE"), reason="half a minute, for make torture")
def test_the_shell_sends_a_model_and_prints_nothing_else(cluster, cli, checkpoint):
    """The driver loads no torch, and the figures of the workers stand in the JSON."""
    store = embedstore.create(cli.home / "shell")
    store.add(ROWS[:20], text="t")
    folder = str(checkpoint("bert").resolve())
    words = ["encode", "shell", "-m", folder, "--max-seq-length", "16", "--json", "--storage", "sent"]
    code = (
        "import sys\n"
        "from embedstore.cli import main\n"
        f"try: main({[*words, '--workers', '1', '--ray', cluster.address]!r})\n"
        "except SystemExit as error: assert not error.code, error.code\n"
        "assert not {'torch', 'transformers', 'sentence_transformers'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], env=cli.environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    report = json.loads(done.stdout)
    assert (report["encoded"], report["workers"][0]["texts"]) == (20, 20)
    (space,) = store.manifest.spaces.values()
    assert (space.model, space.provenance[0].model) == (folder, folder)
    here = LightEncoder(describe(folder, EncoderOptions(max_seq_length=16)))
    np.testing.assert_allclose(store.space().vectors(), here.encode([row["t"] for row in ROWS[:20]]), atol=1e-5)


NEWS = """
import time
from embedstore.cluster.executor import _connected
from ray._private.utils import publish_error_to_driver
from ray._private.worker import global_worker

with _connected({address!r}):
    publish_error_to_driver("died", "news of a dead machine", gcs_client=global_worker.gcs_client)
    time.sleep(2)
"""


def test_what_ray_prints_of_dead_machines_is_not_in_the_output(cluster, cli):
    """It comes from a thread of the driver, at any time."""
    code = NEWS.format(address=cluster.address)
    done = subprocess.run([sys.executable, "-c", code], env=cli.environment, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr


@pytest.mark.skipif(not os.environ.get("EMBEDSTORE_TORTURE"), reason="half a minute, for make torture")
def test_the_shell_names_what_was_set_aside(cluster, ten, tmp_path, cli):
    encoder = Ending(tmp_path / "counts", ROWS[42]["t"])
    code = (
        "import sys, pickle\n"
        "import embedstore.store\n"
        "from embedstore.cli import main\n"
        "from clusters import Ending\n"
        "from pathlib import Path\n"
        f"encoder = Ending(Path({str(encoder.folder)!r}), {encoder.text!r})\n"
        "make = embedstore.store.EmbeddingStore.__init__\n"
        "embedstore.store.EmbeddingStore.__init__ = "
        "lambda self, path, **options: make(self, path, **{**options, 'encoder': encoder})\n"
        f"main(['encode', 'ten', '--workers', '2', '--ray', {cluster.address!r}])"
    )
    done = subprocess.run([sys.executable, "-c", code], env=cli.environment, capture_output=True, text=True)
    assert done.returncode == 1, done.stderr
    assert "85 encoded now" in done.stdout
    assert done.stdout.endswith("; not encoded: segment 5\n")
    lines = done.stderr.splitlines()
    assert lines[-1].startswith("Error: 1 segment could not be encoded (5), because worker after worker ended")
    assert len(lines) == 5  # three lost workers, one segment set aside, the error
    assert all(line.startswith("embedstore: ") for line in lines[:-1])


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"cores_per_worker": 5}, "with 5 cores for a worker, found none: the most that a node has is 2 cores;"),
        (
            {"gpus_per_worker": 1},
            "with 1 core and 1 GPU for a worker, found none: the most that a node has is 2 cores;",
        ),
    ],
)
def test_a_worker_for_which_no_node_is_large_enough_is_not_waited_for(cluster, ten, options, said):
    with pytest.raises(ClusterError, match=said):
        ten.encode(executor=RayExecutor(cluster.address, **options))


def test_a_cluster_that_is_not_there_is_one_line(cli, ten):
    line = cli.fails(1, "encode", "ten", "--ray", "127.0.0.1:9")
    assert "expected a Ray cluster at 127.0.0.1:9, found none that answers" in line
    assert "set RAY_AUTH_MODE=token" in line


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--workers", "2"], "expected --ray with --workers, found none"),
        (["--ray", "rows.csv"], "found --ray rows.csv: put a FILE before --ray"),
        (["--ray", "h:1", "--shard", "1/2"], "expected --shard or --ray, found both"),
    ],
)
def test_options_that_do_not_fit_are_one_line(cli, ten, words, said):
    assert said in cli.fails(2, "encode", "ten", *words)


@pytest.mark.parametrize(
    "options", [{"workers": 0}, {"cores_per_worker": 0}, {"gpus_per_worker": -1}, {"storage": "x"}, {"task_timeout": 0}]
)
def test_wrong_options_of_the_executor_are_refused(options):
    with pytest.raises(UsageError):
        RayExecutor(**options)


HIDDEN = """
import sys
import numpy as np
from conftest import HashEncoder
from faults.small_disk import NOT_ALLOWED
import embedstore
from embedstore.cluster import RayExecutor

folder, address, storage = sys.argv[1:]
store = embedstore.create(folder + "/store", encoder=HashEncoder())
store.add([{"t": f"text {i}"} for i in range(30)], text="t")
report = store.encode(executor=RayExecutor(address, workers=1, storage=storage))
assert report.encoded == 30, report
assert np.array_equal(store.space().vectors(), np.stack([HashEncoder().vector(f"text {i}") for i in range(30)]))
assert not store.verify().faults
"""


def hidden(cluster, folder, storage):
    """Encode a store on a disk that only the driver sees; skip where a user may not mount one."""
    folder.mkdir(exist_ok=True)
    words = [Path(__file__).parent / "faults" / "small_disk.py", folder, 300]
    words += [sys.executable, "-c", HIDDEN, folder, cluster.address, storage]
    done = subprocess.run([sys.executable, *map(str, words)], capture_output=True, text=True)
    if done.returncode == NOT_ALLOWED:
        pytest.skip("no disk can be mounted here")
    return done


def test_a_worker_that_does_not_see_the_folder_gets_the_texts(cluster, tmp_path):
    done = hidden(cluster, tmp_path / "disk", "auto")
    assert done.returncode == 0, done.stderr
    assert f"does not see {tmp_path / 'disk' / 'store'}: texts are sent there, and vectors back" in done.stderr


def test_a_folder_that_must_be_shared_and_is_not_is_one_line(cluster, tmp_path):
    done = hidden(cluster, tmp_path / "disk", "shared")
    assert done.returncode == 1
    line = done.stderr.splitlines()[-1]
    assert line.startswith("embedstore.errors.ClusterError: expected ")
    assert "to be a folder that all machines see, found that" in line
