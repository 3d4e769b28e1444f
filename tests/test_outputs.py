"""Files for the user: whole or not at all, where their path leads, with the mode of the file before."""

import fcntl
import json
import os
import shutil
import signal
import stat
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
from conftest import HashEncoder
from embedstore.cli.printing import check_outputs

import embedstore
from embedstore.errors import OutputError, UsageError
from embedstore.tables.outputs import published, published_together

LABELS = ["Negative", "Positive"]


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def save_table(store, path):
    store.tag(LABELS).save(path.with_suffix(".csv"))
    return [path.with_suffix(".csv")]


def save_vectors(store, path):
    store.export(path.with_suffix(".npy"))
    return [path.with_suffix(".npy"), path.with_suffix(".ids.csv")]


def save_picture(store, path):
    store.tag(LABELS).plot(path.with_suffix(".svg"))
    return [path.with_suffix(".svg")]


def save_map(store, path):
    store.map(by="stars").plot(path.with_suffix(".html"))
    return [path.with_suffix(".html")]


SAVERS = [save_table, save_vectors, save_picture, save_map]


@pytest.mark.parametrize("save", SAVERS)
def test_a_new_file_has_the_mode_of_the_umask_and_an_earlier_one_keeps_its_own(store, tmp_path, save):
    before = os.umask(0o027)
    try:
        made = save(store, tmp_path / "out")
    finally:
        os.umask(before)
    assert [mode(path) for path in made] == [0o640] * len(made)
    for path in made:
        path.write_text("earlier")
        path.chmod(0o604)
    assert save(store, tmp_path / "out") == made
    assert [mode(path) for path in made] == [0o604] * len(made)
    assert all(path.read_bytes() != b"earlier" for path in made)


@pytest.mark.parametrize("save", SAVERS)
def test_a_link_stays_and_the_file_that_it_leads_to_is_replaced(store, tmp_path, save):
    made = save(store, tmp_path / "out")
    (tmp_path / "far").mkdir()
    for path in made:
        path.rename(tmp_path / "far" / path.name)
        (tmp_path / "far" / path.name).write_text("earlier")
        path.symlink_to(Path("far") / path.name)
    save(store, tmp_path / "out")
    for path in made:
        assert path.is_symlink()
        assert (tmp_path / "far" / path.name).read_bytes() not in (b"", b"earlier")
    assert not list(tmp_path.glob("**/.embedstore*"))


def test_a_temp_file_is_never_more_open_than_the_file(tmp_path):
    (tmp_path / "out").write_text("earlier")
    (tmp_path / "out").chmod(0o640)
    with published(tmp_path / "out") as temp:
        assert mode(temp) == 0o600
        temp.write_text("new")
    assert mode(tmp_path / "out") == 0o640


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_owner_and_group_are_kept(tmp_path):
    (tmp_path / "out").write_text("earlier")
    os.chown(tmp_path / "out", 1234, 2345)
    with published(tmp_path / "out") as temp:
        temp.write_text("new")
    status = (tmp_path / "out").stat()
    assert (status.st_uid, status.st_gid) == (1234, 2345)


def test_other_names_of_a_file_keep_the_earlier_content(tmp_path):
    (tmp_path / "out").write_text("earlier")
    os.link(tmp_path / "out", tmp_path / "other")
    with published(tmp_path / "out") as temp:
        temp.write_text("new")
    assert [(tmp_path / name).read_text() for name in ("out", "other")] == ["new", "earlier"]


def special(path, kind):
    """Make something at `path` that is no file."""
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    elif kind == "socket":
        os.mknod(path, 0o600 | stat.S_IFSOCK)
    else:
        path.symlink_to("/dev/null")


@pytest.mark.parametrize("kind", ["pipe", "folder", "socket", "device"])
def test_what_is_no_file_is_refused_and_stays(tmp_path, kind):
    special(tmp_path / "out.csv", kind)
    before = (tmp_path / "out.csv").lstat().st_mode
    with pytest.raises(OutputError, match=rf"can't write .*out\.csv: it is a {kind}; give the name of a file"):
        published(tmp_path / "out.csv").__enter__()
    assert (tmp_path / "out.csv").lstat().st_mode == before
    assert [path.name for path in tmp_path.iterdir()] == ["out.csv"]


@pytest.mark.parametrize("name", ["/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"])
def test_standard_output_by_name_is_refused(store, name):
    with pytest.raises(OutputError, match="leave it out to have rows on standard output"):
        store.tag(LABELS).save(name)


def test_wrong_places_are_told_in_one_line_before_any_work(cli, store, tmp_path):
    (tmp_path / "link.csv").symlink_to(store.path / "corpora" / "out.csv")
    (tmp_path / "circle.csv").symlink_to(tmp_path / "circle.csv")
    (tmp_path / "labels.csv").write_text("Negative\nPositive\n")
    (tmp_path / "in.csv").write_text("review\ngood tea\nbad tea\n")
    store.add(tmp_path / "in.csv", text="review", corpus="more")
    store.encode()
    (tmp_path / "again.csv").symlink_to(tmp_path / "in.csv")
    os.link(tmp_path / "labels.csv", tmp_path / "same.csv")
    for output, says in [
        (store.path / "out.csv", "is a store, whose files `gc` removes; choose another folder"),
        (store.path / "texts" / "out.csv", "is a store"),
        (tmp_path / "link.csv", "is a store"),
        (tmp_path / "circle.csv", "its symbolic links lead in a circle"),
        (tmp_path / "in.csv" / "out.csv", "a file stands where a folder is expected"),
        (tmp_path / "nowhere" / "out.csv", "there is no folder"),
        (tmp_path / "again.csv", "corpus 'more' was read from it; choose another name"),
        (tmp_path / "same.csv", "it is the label file; choose another name"),
    ]:
        with pytest.raises(OutputError) as caught:
            check_outputs(str(store.path), output, label_files=[str(tmp_path / "labels.csv")])
        assert str(caught.value).startswith(f"can't write {output}: ")
        assert says in str(caught.value)
    with pytest.raises(OutputError, match="is a store"):
        check_outputs(str(store.path), plot=store.path / "p.svg")
    assert "is a store" in cli.fails(1, "export", "small", "--corpus", "train", "-o", store.path / "v.npy")
    assert "is a store" in cli.fails(1, "labels", "init", "small", store.path / "l.yaml", "--target", "stars")
    assert (tmp_path / "in.csv").read_text() == "review\ngood tea\nbad tea\n"
    assert not store.verify().faults


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_a_folder_or_a_file_that_is_write_protected_is_told_before_any_work(tmp_path):
    (tmp_path / "closed").mkdir()
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)
    (tmp_path / "open" / "out.csv").write_text("earlier")
    for path in [tmp_path, *tmp_path.parents]:
        if str(path).startswith("/tmp/"):
            path.chmod(0o755)
    os.seteuid(65_534)
    try:
        with pytest.raises(OutputError, match=r"no right to write to .*closed: Permission denied: check the perm"):
            published(tmp_path / "closed" / "out.csv").__enter__()
        with pytest.raises(OutputError, match=r"no right to write to .*out\.csv: Permission denied"):
            published(tmp_path / "open" / "out.csv").__enter__()
    finally:
        os.seteuid(0)


@pytest.mark.parametrize("name", ["nul\0.csv", "half \udfff.csv"])
def test_a_name_that_no_file_has_is_told(tmp_path, name):
    try:
        with published(tmp_path / name) as temp:
            temp.write_text("new")
    except OutputError as error:
        assert "Invalid argument" in str(error)
    assert not list(tmp_path.glob(".embedstore*"))


def test_leftovers_of_killed_runs_are_removed_and_those_of_running_ones_stay(store, tmp_path, caplog):
    (tmp_path / ".embedstore-0123456789ab.tmp").write_text("half")
    (tmp_path / ".embedstore-0123456789ab").write_text("of the user")
    (tmp_path / ".embedstore-aaaaaaaaaaaa.tmp").symlink_to("elsewhere")
    with published(tmp_path / "slow.csv") as running:
        running.write_text("slow")
        store.tag(LABELS).save(tmp_path / "out.csv")
        assert running.exists()
    assert (tmp_path / "slow.csv").read_text() == "slow"
    assert {path.name for path in tmp_path.glob(".embedstore*")} == {
        ".embedstore-0123456789ab",
        ".embedstore-aaaaaaaaaaaa.tmp",
    }
    assert f"1 unfinished file in {tmp_path} that a killed run had left: removed" in caplog.text


def test_a_killed_command_leaves_what_the_next_one_removes(tmp_path):
    code = (
        "import os, signal, sys\nfrom pathlib import Path\nfrom embedstore.tables.outputs import published\n"
        "with published(Path(sys.argv[1])) as temp:\n    temp.write_text('half'); os.kill(os.getpid(), signal.SIGKILL)"
    )
    done = subprocess.run([sys.executable, "-c", code, tmp_path / "out"])
    assert done.returncode == -signal.SIGKILL
    assert len(list(tmp_path.iterdir())) == 1
    with published(tmp_path / "out") as temp:
        temp.write_text("new")
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_an_error_leaves_the_earlier_files_and_no_other(tmp_path):
    for name in ("one", "two"):
        (tmp_path / name).write_text("earlier")
    with (
        pytest.raises(UsageError),
        published_together(tmp_path / "one", tmp_path / "two") as temps,
    ):
        temps[0].write_text("new")
        raise UsageError("stop")
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"one": "earlier", "two": "earlier"}


def test_exports_have_the_same_rows_in_each_format(tmp_path):
    store = embedstore.create(tmp_path / "store", encoder=HashEncoder(5))
    store.add([{"id": f"k{i}", "t": f"text {i}"} for i in range(20)], text="t", id="id")
    store.encode()
    for suffix in (".npy", ".h5", ".parquet"):
        assert store.export(tmp_path / f"v{suffix}").rows == 20
    vectors = np.load(tmp_path / "v.npy", mmap_mode="r")
    assert vectors.dtype == np.float32
    with h5py.File(tmp_path / "v.h5") as container:
        np.testing.assert_array_equal(container["vectors"][:], vectors)
    np.testing.assert_array_equal(np.stack(pd.read_parquet(tmp_path / "v.parquet")["vector"]), vectors)
    assert pd.read_csv(tmp_path / "v.ids.csv")["id"].tolist() == [f"k{i}" for i in range(20)]


@pytest.fixture(scope="module")
def shim(tmp_path_factory):
    if shutil.which("gcc") is None:
        pytest.skip("the shim that injects faults is built with gcc")
    library = tmp_path_factory.mktemp("shim") / "shim.so"
    source = Path(__file__).parent / "faults" / "shim.c"
    subprocess.run(["gcc", "-O2", "-shared", "-fPIC", source, "-o", library, "-ldl"], check=True)
    return library


HDF5_DRIVER = """
import ctypes, os, sys
from pathlib import Path
sys.path.insert(0, sys.argv[3])
from test_outputs import hdf5_with_faults
hdf5_with_faults(ctypes.CDLL(sys.argv[1]), Path(sys.argv[2]))
"""


def hdf5_with_faults(shim, place):
    """Export to HDF5 with writes that fail or are short; the process lives on and says so."""
    store = embedstore.create(place / "store", encoder=HashEncoder(4))
    store.add([{"t": f"text {i}"} for i in range(300)], text="t")
    store.encode()
    out = place / "out"
    out.mkdir()
    store.export(out / "v.h5")
    whole = (out / "v.h5").read_bytes()
    for at in range(2, 6):
        shim.fault_arm(os.fsencode(out), at, 28, 0)
        with pytest.raises(OutputError, match=r"can't write .*v\.h5: No space left on device"):
            store.export(out / "v.h5")
        shim.fault_arm(os.fsencode(out), at, -2, 0)
        store.export(out / "v.h5")
        shim.fault_disarm()
        assert (out / "v.h5").read_bytes() == whole


def test_an_export_to_hdf5_survives_a_full_disk_and_short_writes(shim, tmp_path):
    run_with(shim, HDF5_DRIVER, tmp_path)


def run_with(shim, script, place):
    """Run a script under the shim; return what it printed."""
    done = subprocess.run(
        [sys.executable, "-c", script, shim, place, Path(__file__).parent],
        env={**os.environ, "LD_PRELOAD": str(shim)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


DRIVER = """
import ctypes, json, os, sys
from pathlib import Path
sys.path.insert(0, sys.argv[3])
from test_outputs import exported_pair
shim = ctypes.CDLL(sys.argv[1])
print(json.dumps(exported_pair(shim, Path(sys.argv[2]))))
"""


def exported_pair(shim, place):
    """Export 8 rows over an export of 11, killed or failed at each operation; return what is left of each."""
    stores = {}
    for count in (11, 8):
        stores[count] = embedstore.create(place / f"store{count}", encoder=HashEncoder(4))
        stores[count].add([{"t": f"text {i}", "id": f"{count} {i}"} for i in range(count)], text="t", id="id")
        stores[count].encode()
    out, earlier = place / "out", place / "earlier"
    earlier.mkdir()
    stores[11].export(earlier / "v.npy")
    found = []
    for kind, sticky in ((-1, 0), (28, 1), (-2, 0)):  # a kill; no space from there on; a short write
        at, fired = 0, True
        while fired:
            at += 1
            shutil.rmtree(out, ignore_errors=True)
            shutil.copytree(earlier, out)
            child = os.fork()
            if not child:
                shim.fault_arm(os.fsencode(out), at, kind, sticky)
                code = 1
                try:
                    stores[8].export(out / "v.npy")
                    code = 0
                except OutputError as error:
                    code = 2 if str(error).startswith(f"can't write {out / 'v.npy'}: ") else 3
                finally:
                    os._exit(100 if shim.fault_count() < at else code)
            status = os.waitpid(child, 0)[1]
            fired = os.waitstatus_to_exitcode(status) != 100
            if fired:
                ids = out / "v.ids.csv"
                rows = pd.read_csv(ids)["id"].tolist() if ids.exists() else []
                assert len({row.split()[0] for row in rows}) <= 1
                left = [len(np.load(out / "v.npy")), len(rows), len(list(out.glob(".embedstore*")))]
                found.append([kind, os.waitstatus_to_exitcode(status), *left])
        stores[8].export(out / "v.npy")
    return found


def test_vectors_and_ids_of_two_exports_never_mix(shim, tmp_path):
    found = json.loads(run_with(shim, DRIVER, tmp_path))
    pairs = {(vectors, ids) for _, _, vectors, ids, _ in found}
    assert pairs == {(11, 11), (11, 0), (8, 0), (8, 8)}
    assert {code for kind, code, *_ in found if kind == -1} == {-signal.SIGKILL}
    assert {code for kind, code, *_ in found if kind == 28} <= {0, 2}  # 0: a temp file that could not be removed
    assert {(code, vectors, ids) for kind, code, vectors, ids, _ in found if kind == -2} == {(0, 8, 8)}


def test_an_export_waits_for_a_folder_that_somebody_has_locked_and_not_for_ever(cli, store, tmp_path):
    (tmp_path / "out").mkdir()
    descriptor = os.open(tmp_path / "out", os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    try:
        line = cli.fails(1, "export", store.path, "-o", tmp_path / "out" / "v.npy", "--wait", "0.1")
    finally:
        os.close(descriptor)
    assert f"expected {tmp_path / 'out'} to be free within 0 seconds, found it locked by another process" in line
    assert list((tmp_path / "out").iterdir()) == []
    assert cli("export", store.path, "-o", tmp_path / "out" / "v.npy").returncode == 0
