"""Writers, readers and `gc` of one store at the same time: who waits, for how long, and who removes what."""

import fcntl
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from conftest import HashEncoder, locked_elsewhere
from faults.small_disk import NOT_ALLOWED

import embedstore
from embedstore.corpora import ingest
from embedstore.errors import DamagedStoreError, StoreBusyError
from embedstore.storage import locks, manifest


def folder_lock(root, kind):
    """Return a descriptor of a store's folder, locked as a stranger could."""
    descriptor = os.open(root, os.O_RDONLY)
    fcntl.flock(descriptor, kind)
    return descriptor


def is_free(root):
    """Return whether nobody has locked a store's folder."""
    try:
        os.close(folder_lock(root, fcntl.LOCK_SH | fcntl.LOCK_NB))
    except BlockingIOError:
        return False
    return True


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        (["gc"], fcntl.LOCK_SH),
        (["verify", "--repair"], fcntl.LOCK_SH),
        (["index"], fcntl.LOCK_EX),
    ],
)
def test_every_wait_of_the_shell_has_an_end(cli, tmp_path, words, kind):
    store = shell_store(cli)
    command, *rest = words
    with locked_elsewhere(store.path, kind=kind):
        line = cli.fails(1, command, "held", *rest, "--wait", "0.1")
    assert "to be free within 0 seconds, found it locked by another process: run the command again" in line
    assert line.endswith("wait longer (--wait SECONDS)")


def shell_store(cli):
    store = embedstore.create(cli.home / "held", encoder=HashEncoder())
    store.add([{"t": f"text {n}", "stars": n % 2} for n in range(10)], text="t")
    store.encode()
    return store


def test_readers_wait_for_no_lock(cli):
    """Whoever may read a store can hold its locks; that keeps nobody from reading it."""
    store = shell_store(cli)
    newest = manifest.manifest_files(store.path)[-1][1].name
    turn = folder_lock(store.path, fcntl.LOCK_EX)
    try:
        with (
            locked_elsewhere(store.path, ".lock"),
            locked_elsewhere(store.path, ".rows.lock"),
            (store.path / newest).open() as stream,
        ):
            fcntl.flock(stream, fcntl.LOCK_EX)
            for words in (["info"], ["search", "--row", "3"], ["verify"], ["annotations"]):
                done = cli(words[0], "held", *words[1:], "--wait", "0")
                assert done.returncode == 0, done.stderr
    finally:
        os.close(turn)


def test_a_wait_is_told_after_a_second(store, caplog):
    with (
        locked_elsewhere(store.path),
        pytest.raises(StoreBusyError, match="within 2 seconds, found it locked by another process"),
        locks.writing(store.path, 2.0),
    ):
        pass
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert caplog.text.count("waiting: another process has locked") == 1


def test_gc_gets_its_turn_among_writers_that_overlap(store):
    """Two threads hand the shared lock to each other, so that it is never free unless one has to wait."""
    held, done = [threading.Event(), threading.Event()], threading.Event()
    held[1].set()

    def write(number):
        while not done.is_set():
            with locks.writing(store.path, 60):
                held[number].set()
                held[1 - number].wait(0.3)
                held[1 - number].clear()

    writers = [threading.Thread(target=write, args=(number,)) for number in range(2)]
    for writer in writers:
        writer.start()
    try:
        for _ in range(3):
            embedstore.open(store.path, settings=embedstore.Settings(wait=20)).gc()
    finally:
        done.set()
        for writer in writers:
            writer.join()


def test_gc_inside_a_callback_of_a_writer_is_refused_at_once(store, encoder):
    store.add([{"t": "unseen"}], text="t", corpus="more")
    said = []
    impatient = embedstore.open(store.path, settings=embedstore.Settings(wait=0))

    def collect(progress):
        try:
            impatient.gc()
        except StoreBusyError as error:
            said.append(str(error))

    store.encode(on_progress=collect)
    assert said
    assert "this call is inside a call that writes to" in said[0]
    store.gc()
    assert store.space().covers(store.corpora())


def test_a_callback_of_a_writer_can_write_though_gc_waits(store, encoder):
    """It does not wait for the turn that `gc` has taken and can't use."""
    store.add([{"t": "unseen"}], text="t", corpus="more")
    collector = threading.Thread(target=lambda: embedstore.open(store.path, encoder=encoder).gc())
    impatient = embedstore.open(store.path, settings=embedstore.Settings(wait=0))

    def annotate(progress):
        if progress.done and not collector.is_alive():
            collector.start()
            while is_free(store.path):
                pass
            impatient.annotations.add(0, "Positive", ["Negative", "Positive"])

    store.encode(on_progress=annotate)
    collector.join()
    assert len(store.annotations.export_table()) == 1


def test_a_forked_child_does_not_keep_the_lock(store):
    """The parent unlocks, though the child still has a copy of its descriptors, even one that it can't know."""
    reading, writing = os.pipe()
    with locks.writing(store.path, 0):
        copies = [os.dup(descriptor) for descriptor in locks._held]
        child = os.fork()
        if child == 0:
            os.close(writing)
            os.read(reading, 1)
            os._exit(0)
    try:
        with locks.alone(store.path, 0):
            pass
    finally:
        os.close(writing)
        os.waitpid(child, 0)
        for descriptor in (reading, *copies):
            os.close(descriptor)


def test_a_child_that_leaves_a_block_of_its_parent_does_not_unlock_it(store):
    reading, writing = os.pipe()
    child = -1
    try:
        with locks.writing(store.path, 0):
            child = os.fork()
            if child:
                os.waitpid(child, 0)
                with pytest.raises(StoreBusyError), ThreadOf(store.path):
                    pass
    finally:
        if child == 0:
            os._exit(0)
        os.close(reading)
        os.close(writing)


class ThreadOf:
    """`locks.alone` in a thread of its own; raises its error here."""

    def __init__(self, root):
        self._root = root

    def __enter__(self):
        caught = []

        def work():
            try:
                with locks.alone(self._root, 0):
                    pass
            except StoreBusyError as error:
                caught.append(error)

        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        if caught:
            raise caught[0]

    def __exit__(self, *_error):
        pass


def fail_late(monkeypatch, meanwhile):
    """Make the first `add` fail when its files are written, after a call of `meanwhile`."""
    commit = ingest.commit

    def failing(*words):
        monkeypatch.setattr(ingest, "commit", commit)
        meanwhile()
        raise RuntimeError("failed late")

    monkeypatch.setattr(ingest, "commit", failing)


ROWS = [{"t": f"text {n}"} for n in range(2000)]


def test_a_failed_first_add_leaves_nothing(tmp_path, monkeypatch):
    fail_late(monkeypatch, lambda: None)
    store = embedstore.EmbeddingStore(tmp_path / "s", encoder=HashEncoder())
    with pytest.raises(RuntimeError):
        store.add(ROWS, text="t")
    assert list(tmp_path.iterdir()) == []


def test_a_failed_first_add_removes_only_its_own_files(tmp_path, monkeypatch):
    root = tmp_path / "s"
    (root / "texts").mkdir(parents=True)
    (root / "texts" / "left.h5").write_bytes(b"of a killed writer")
    fail_late(monkeypatch, lambda: (root / "corpora" / "theirs.parquet").write_bytes(b"of somebody else"))
    store = embedstore.EmbeddingStore(root, encoder=HashEncoder())
    with pytest.raises(RuntimeError):
        store.add(ROWS, text="t")
    left = sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file())
    assert left == [".lock", ".rows.lock", "corpora/theirs.parquet", "texts/left.h5"]


def test_a_failed_first_add_leaves_a_store_that_was_committed_meanwhile(tmp_path, monkeypatch):
    root = tmp_path / "s"
    fail_late(monkeypatch, lambda: manifest.commit(root, lambda base: base))
    store = embedstore.EmbeddingStore(root, encoder=HashEncoder())
    with pytest.raises(RuntimeError):
        store.add(ROWS, text="t")
    assert manifest.exists(root)
    assert embedstore.open(root, encoder=HashEncoder()).verify().faults == ()


def test_a_first_add_that_is_interrupted_after_its_commit_keeps_its_rows(tmp_path, monkeypatch):
    def interrupted(*words):
        manifest.commit(*words)
        raise KeyboardInterrupt

    monkeypatch.setattr(ingest, "commit", interrupted)
    with pytest.raises(KeyboardInterrupt):
        embedstore.EmbeddingStore(tmp_path / "s", encoder=HashEncoder()).add(ROWS, text="t")
    store = embedstore.open(tmp_path / "s")
    assert len(store.corpus()) == len(ROWS)
    assert store.verify().faults == ()


def test_a_lock_file_that_goes_while_it_is_waited_for_is_opened_anew(store):
    """As a first add does that fails in a folder which was there: otherwise two would hold two files of one name."""
    said = []

    def add():
        with locks.adding(store.path, 60):
            try:
                with locks.adding(store.path, 0):
                    said.append("two at once")
            except StoreBusyError:
                said.append("alone")

    waiting = threading.Thread(target=add)
    with locked_elsewhere(store.path, ".rows.lock"):
        waiting.start()
        waiting.join(0.3)
        (store.path / ".rows.lock").unlink()
    waiting.join()
    assert said == ["alone"]


def test_an_add_that_waits_for_a_failing_first_one_makes_the_store(tmp_path, monkeypatch):
    root, failed = tmp_path / "s", []
    other = threading.Thread(
        target=lambda: embedstore.EmbeddingStore(root, encoder=HashEncoder()).add([{"t": "theirs"}], text="t")
    )

    def meanwhile():
        other.start()
        other.join(0.3)  # it waits for the lock
        failed.append(other.is_alive())

    fail_late(monkeypatch, meanwhile)
    with pytest.raises(RuntimeError):
        embedstore.EmbeddingStore(root, encoder=HashEncoder()).add(ROWS, text="t")
    other.join()
    assert failed == [True]
    assert len(embedstore.open(root).corpus()) == 1
    with locks.adding(root, 0), locks.alone(root, 0):  # the locks are those of the new folder
        assert os.fstat(max(locks._held)).st_nlink == 1


def test_one_of_two_that_create_a_store_at_once_is_told(tmp_path):
    """Sixteen threads; exactly one gets the store."""
    begin, made, told = threading.Barrier(16), [], []

    def one():
        begin.wait()
        try:
            made.append(embedstore.create(tmp_path / "s"))
        except embedstore.UsageError as error:
            told.append(str(error))

    threads = [threading.Thread(target=one) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 1
    assert len(told) == 15


FULL_DISK = """
import os, sys
from pathlib import Path
place = Path(sys.argv[1])
sys.path[:0] = sys.argv[2:]
from conftest import HashEncoder
from small_disk import fill
import embedstore
store = embedstore.create(place / "s", encoder=HashEncoder())
store.add([{"t": f"text {n}"} for n in range(50)], text="t")
store.encode()
store.index("flat")
store.index("hnsw")
for n in range(5):
    store.search(f"query {n}", k=1)
left = store.path / "vectors" / ".tmp-1-left.h5"
left.write_bytes(b"x" * 100_000)
fill(place)
assert os.statvfs(place).f_bavail == 0
before = {path for path in store.path.rglob("*") if path.is_file()}
report = store.gc()
assert "vectors/.tmp-1-left.h5" in report.removed, report
assert {store.path / name for name in report.removed} & before
assert store.verify().faults == ()
(place / "filler").unlink()
for n in range(2):
    store.search(f"long {n} " * 10_000, k=1)
fill(place)
assert store.gc().merged == 0  # there is no space to merge these
assert store.verify().faults == ()
"""


def test_gc_needs_no_space(tmp_path):
    """On a file system of 4 MB that is full to the last block."""
    here = Path(__file__).parent
    words = [
        here / "faults" / "small_disk.py",
        tmp_path,
        4,
        sys.executable,
        "-c",
        FULL_DISK,
        tmp_path,
        here,
        here / "faults",
    ]
    done = subprocess.run([sys.executable, *map(str, words)], capture_output=True, text=True)
    if done.returncode == NOT_ALLOWED:
        pytest.skip("this user may not mount a small file system")
    assert done.returncode == 0, done.stderr


def test_check_finds_a_flipped_bit_before_it_answers(cli, store):
    store = shell_store(cli)
    (segment,) = store.space().record.segments.values()
    path = store.path / segment.file.path
    whole = bytearray(path.read_bytes())
    whole[-3] ^= 1
    path.write_bytes(whole)
    assert cli("search", "held", "--row", "3").returncode == 0
    line = cli.fails(4, "search", "held", "--row", "3", "--check")
    assert "was altered. Run `embedstore verify STORE --repair`" in line
    opened = embedstore.open(store.path, encoder=HashEncoder(), settings=embedstore.Settings(check=True))
    with pytest.raises(DamagedStoreError, match="was altered"):
        opened.info()
