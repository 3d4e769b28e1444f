"""Links, pipes and folders in a store: nothing is read, written or removed through them."""

import os
import shutil
import socket
import stat

import pytest
from conftest import LABELS, HashEncoder

import embedstore
from embedstore.corpora import writer
from embedstore.desk import Desk
from embedstore.errors import DamagedStoreError, EmbedstoreError, StorageError
from embedstore.storage import sealed
from embedstore.storage.gate import FOLDERS, Folder, staged


@pytest.fixture(scope="module")
def filled(small, tmp_path_factory):
    """A store with files in every folder, which nobody changes."""
    path = tmp_path_factory.mktemp("filled") / "store"
    shutil.copytree(small.path, path)
    store = embedstore.open(path, encoder=HashEncoder())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sealed, "IN_MEMORY", 1)  # all records are in lists
        store.index("flat")
        patch.setattr(writer, "LEAST", 1)  # and all keys in runs
        store.add([store.corpus().table().to_pylist()[0]], text=store.corpus().record.template, corpus="other")
    store.train("stars")
    store.annotations.add(0, LABELS[0], LABELS)
    desk = Desk(store)
    desk.maps.begin()
    desk.maps.wait()
    embedstore.open(path, encoder=HashEncoder(prompt="it waits: ")).encode(shard="1/1")
    assert all(any((path / folder).iterdir()) for folder in FOLDERS)
    return store


@pytest.fixture
def full(filled, tmp_path):
    """A store with files in every folder."""
    shutil.copytree(filled.path, tmp_path / "full")
    return embedstore.open(tmp_path / "full", encoder=HashEncoder())


ACTIONS = {
    "add": lambda store: store.add([{"t": "a new text"}], text="t", corpus="more"),
    "encode": lambda store: store.encode(),
    "tag": lambda store: store.tag(["one", "two"]).to_pandas(),
    "search": lambda store: store.search("something", k=1).to_pandas(),
    "index": lambda store: store.index("hnsw"),
    "train": lambda store: store.train("stars", name="again"),
    "predict": lambda store: store.predict("stars").to_pandas(),
    "annotate": lambda store: store.annotations.add(1, LABELS[1], LABELS),
    "import": lambda store: store.annotations.import_table([{"id": "k1", "label": LABELS[0]}], LABELS),
    "verify": lambda store: store.verify(),
    "repair": lambda store: store.repair(),
    "gc": lambda store: store.gc(),
    "info": lambda store: store.info(),
}


def content(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def tried(store, name):
    """Run an action; return its error, or None."""
    try:
        ACTIONS[name](embedstore.open(store.path, encoder=HashEncoder()))
    except EmbedstoreError as error:
        assert len(str(error).splitlines()) == 1
        return error
    return None


@pytest.mark.parametrize("action", ACTIONS)
def test_a_folder_that_is_a_link_leads_nobody_outside(full, tmp_path, action):
    """Each folder in turn is a link to a folder outside, with files of the same names and some more."""
    for folder in FOLDERS:
        outside = tmp_path / "outside" / folder
        shutil.copytree(full.path / folder, outside)
        (outside / "somebody's.h5").write_bytes(b"theirs")
        before = content(outside)
        inside = content(full.path / folder)
        shutil.rmtree(full.path / folder)
        (full.path / folder).symlink_to(outside)
        error = tried(full, action)
        assert full.verify().faults
        assert content(outside) == before, f"{action} changed what {folder} leads to"
        assert error is None or isinstance(error, DamagedStoreError), error
        if action == "gc":
            assert f"expected a folder at {full.path / folder}, found a link" in str(error)
        (full.path / folder).unlink()
        (full.path / folder).mkdir()
        for path, what in inside.items():
            (full.path / folder / path).write_bytes(what)
    assert full.verify().faults == ()


def links_at(root, name, kind, outside):
    path = root / name
    path.unlink(missing_ok=True)
    if kind == "dangling link":
        path.symlink_to(outside)
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    else:
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(str(path))


@pytest.mark.parametrize("kind", ["dangling link", "pipe", "folder", "socket"])
@pytest.mark.parametrize("name", [".lock", ".rows.lock", "manifest-99999999.json"])
def test_a_lock_or_manifest_that_is_no_file_is_damage(cli, tmp_path, kind, name, monkeypatch):
    monkeypatch.chdir(tmp_path)  # the path of a socket is short
    store = embedstore.create("./s", encoder=HashEncoder())
    store.add([{"t": "a text"}], text="t")
    links_at(store.path, name, kind, tmp_path / "outside")
    (tmp_path / "more.csv").write_text("t\nanother text\n")
    line = cli.fails(4, "add", store.path.resolve(), tmp_path / "more.csv", "--text", "t")
    assert f"{name}, found a {kind.split()[-1]}: " in line
    assert not (tmp_path / "outside").exists()
    if name == "manifest-99999999.json":
        assert "expected a file at" in cli.fails(4, "info", store.path.resolve())
    else:
        assert cli("info", store.path.resolve()).returncode == 0


def test_a_store_folder_that_is_a_link_of_the_user_is_followed(store, tmp_path):
    link = tmp_path / "link"
    link.symlink_to(store.path)
    linked = embedstore.open(link, encoder=HashEncoder())
    assert len(linked.tag(LABELS)) == 10
    linked.gc()
    assert linked.verify().faults == ()


def test_a_folder_that_becomes_a_link_while_it_is_open_is_not_left(store, tmp_path):
    (tmp_path / "outside").mkdir()
    with Folder(store.path, "index", make=True) as folder:
        (store.path / "index").rename(tmp_path / "moved")
        (store.path / "index").symlink_to(tmp_path / "outside")
        os.close(folder.create("made"))
        assert folder.names() == ["made"]
        folder.remove("made")
    assert list((tmp_path / "outside").iterdir()) == []


@pytest.mark.parametrize(("mask", "mode"), [(0o077, 0o600), (0o027, 0o640), (0o022, 0o644)])
def test_what_is_private_in_a_store_is_private_in_each_file(tmp_path, mask, mode):
    """The files of later runs are no wider than the store's folder, whatever their umask."""
    before = os.umask(mask)
    try:
        store = embedstore.create(tmp_path / "s", encoder=HashEncoder())
        os.umask(0o022)
        store.add([{"t": f"text {n}", "stars": n % 2} for n in range(10)], text="t")
        store.encode()
        store.tag(LABELS)
        store.index("flat")
        store.train("stars")
        store.annotations.add(0, LABELS[0], LABELS)
        store.gc()
    finally:
        os.umask(before)
    for path in store.path.rglob("*"):
        found = stat.S_IMODE(path.stat().st_mode)
        assert found == (mode | 0o100 | (mode & 0o044) >> 2 if path.is_dir() else mode), path


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_a_store_of_somebody_else_is_read_after_a_line_that_says_whose_it_is(cli, store, monkeypatch):
    words = ("search", store.path, "--row", "k1", "--space", store.space().key[:12])
    assert "belongs to" not in cli(*words).stderr
    os.chown(store.path, 54321, -1)
    done = cli(*words)
    assert done.returncode == 0
    assert done.stderr.splitlines()[0].endswith(
        "belongs to user 54321, and you are root: its labels, texts and model names are what they wrote"
    )
    monkeypatch.setenv("SUDO_UID", "54321")
    assert "belongs to" not in cli(*words).stderr


def test_a_file_system_without_hard_links_is_told(tmp_path, monkeypatch):
    def refuse(*names, **options):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    with pytest.raises(StorageError, match=r"can't write to .*its file system refuses hard links .*: put the store on"):
        embedstore.create(tmp_path / "s")
    assert not list(tmp_path.rglob(".tmp-*"))


def test_a_folder_that_can_not_be_made_is_told_with_its_whole_path(tmp_path, monkeypatch):
    def refuse(name, *words, **options):
        raise OSError(28, "No space left on device", name)

    monkeypatch.setattr(os, "mkdir", refuse)
    with (
        pytest.raises(StorageError, match=rf"can't write to {tmp_path / 'texts'}: No space left"),
        staged(tmp_path, "texts"),
    ):
        pass


def test_a_place_for_no_store_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match=r"can't write to .*/file/s: Not a directory: check the path"):
        embedstore.EmbeddingStore(tmp_path / "file" / "s").add([{"t": "a"}], text="t")


def test_a_link_that_leads_nowhere_is_no_place_for_a_store(tmp_path):
    (tmp_path / "s").symlink_to(tmp_path / "nowhere")
    with pytest.raises(StorageError, match=r"can't write to .*/s: No such file or directory: check the name"):
        embedstore.EmbeddingStore(tmp_path / "s").add([{"t": "a"}], text="t")


def test_a_temp_file_is_removed_whatever_happens(tmp_path):
    with pytest.raises(ZeroDivisionError), staged(tmp_path, "texts", ".h5") as temp:
        temp.stream.write(b"half")
        raise ZeroDivisionError
    assert list((tmp_path / "texts").iterdir()) == []


@pytest.mark.parametrize("ask", ["info", "gc", "tag", "add"])
def test_a_store_that_has_lost_its_manifests_is_no_empty_folder(cli, full, tmp_path, ask):
    before = content(full.path)
    for path in full.path.glob("manifest-*"):
        path.unlink()
    (tmp_path / "more.csv").write_text("t\nanother text\n")
    more = {"add": [tmp_path / "more.csv", "--text", "t"], "tag": ["-l", "a", "-l", "b"]}.get(ask, [])
    line = cli.fails(4, ask, full.path, *more)
    assert "found none beside the files of a store in vectors/: restore the newest one from a backup" in line
    assert content(full.path) == {path: what for path, what in before.items() if "manifest" not in path.name}


def test_verify_finds_an_older_manifest_that_is_no_file(store):
    (store.path / "manifest-00000001.json").unlink()
    os.mkfifo(store.path / "manifest-00000001.json")
    (fault,) = store.verify().faults
    assert "manifest-00000001.json, found a pipe: remove it" in fault
