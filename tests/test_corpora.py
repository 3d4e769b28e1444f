"""Corpora that are renamed and dropped, and whole stores that are copied: each is done or not, also if it is killed."""

import json
import signal

import numpy as np
import pytest
from conftest import LABELS, locked_elsewhere, write

import embedstore
from embedstore.errors import DamagedStoreError, ModelRequiredError, NotFoundError, UsageError
from embedstore.storage.manifest import manifest_files


@pytest.fixture
def two(store):
    """The small store with a second corpus, a map of each, and an answer to a row of each."""
    from embedstore.maps.plane import Plane, keep_plane

    store.add(
        [{"key": "m0", "review": "more tea"}, {"key": "m1", "review": "a lamp"}], text="review", id="key", corpus="more"
    )
    store.encode()
    with store.snapshot() as now:
        key = now.space().key
        for name in ("train", "more"):
            positions = np.unique(now.corpus(name).positions())
            points = np.zeros((len(positions), 2), dtype=np.float32)
            keep_plane(now, name, key, Plane("tsne", len(positions), positions, points), before=None)
        for name in ("train", "more"):
            position = int(now.corpus(name).positions()[0])
            store.annotations.add(position, "Positive", LABELS, corpus=name)
    return store


def test_a_renamed_corpus_keeps_rows_maps_and_answers(two):
    rows, number = two.corpus("more").table(), two.manifest.sequence
    two.rename_corpus("more", "test")
    assert [one.name for one in two.corpora()] == ["train", "test"]
    assert two.corpus("test").table().equals(rows)
    assert {name for _, name in two.manifest.maps} == {"train", "test"}
    assert two.annotations.export_table(corpus="test").table.column("id").to_pylist() == ["m0"]
    assert two.annotations.export_table(corpus="train").table.column("id").to_pylist() == ["k0"]
    assert two.manifest.sequence == number + 1
    assert two.verify().faults == ()
    assert two.add([{"key": "m2", "review": "x"}], text="review", id="key", corpus="test").rows == 3


def test_a_renamed_corpus_keeps_each_answer_once(two):
    before = two.annotations.export_table().table.column("answer_id").to_pylist()
    two.rename_corpus("more", "test")
    two.rename_corpus("test", "more")
    assert two.annotations.export_table().table.column("answer_id").to_pylist() == before


@pytest.mark.parametrize(
    ("old", "new", "error", "says"),
    [
        ("mroe", "x", NotFoundError, "no corpus 'mroe': did you mean 'more'"),
        ("more", "train", UsageError, "which is another corpus"),
        ("more", "more", UsageError, "found its name already"),
        ("more", "a b", UsageError, "expected a corpus name of letters"),
    ],
)
def test_what_can_not_be_renamed_stays(two, old, new, error, says):
    before = two.manifest
    with pytest.raises(error, match=says):
        two.rename_corpus(old, new)
    assert two.manifest == before


def test_a_dropped_corpus_is_gone_and_its_texts_are_not_encoded_again(two, encoder):
    would = two.drop_corpus("more", dry_run=True)
    assert (would.rows, would.answers, would.maps) == (2, 1, 1)
    assert len(two.corpora()) == 2
    number, file = two.manifest.sequence, two.manifest.corpora["more"].parts[0].file.path
    assert two.drop_corpus("more") == would
    assert two.manifest.sequence == number + 1
    assert [one.name for one in two.corpora()] == ["train"]
    assert {name for _, name in two.manifest.maps} == {"train"}
    assert two.verify().faults == ()
    assert file in two.gc().removed
    encoder.encoded.clear()
    assert two.search("more tea", k=9).table.column("text").to_pylist().count("more tea") == 0
    encoder.encoded.clear()
    two.add([{"key": "m0", "review": "more tea"}], text="review", id="key", corpus="more")
    assert two.encode().encoded == 0
    assert encoder.encoded == []
    assert two.annotations.export_table(corpus="more").table.column("id").to_pylist() == ["m0"]


@pytest.fixture
def lacking(store):
    """The small store with a second corpus that has vectors, and a third that has none."""
    store.add(["more tea"], text="text", corpus="more")
    store.encode()
    store.add(["a lamp", "good tea", "a box"], text="text", corpus="later")
    return store


def test_off_a_terminal_a_corpus_is_dropped_only_with_yes(cli, store):
    told = cli.fails(2, "drop-corpus", "small", "train")
    assert "expected a terminal to ask on, found none: give --yes to drop it without a question" in told
    assert len(store.corpora()) == 1
    assert "note: " in cli("drop-corpus", "small", "train", "--yes").stderr
    assert store.corpora() == []


ASKED = {
    "search": lambda store: store.search("tea"),
    "search by row": lambda store: store.search(row="2", corpus="later"),
    "tag": lambda store: store.tag(LABELS, corpus="later"),
    "duplicates": lambda store: store.duplicates(corpora=["later"]),
    "topics": lambda store: store.topics(2, corpus="later"),
    "map": lambda store: store.map(corpus="later"),
    "export": lambda store: store.export(store.path.parent / "out.npy", corpus="later"),
    "in part": lambda store: store.where("text = 'a box'").search("tea", corpus="later"),
}


@pytest.mark.parametrize("asked", ASKED)
def test_a_corpus_without_vectors_is_named_with_the_two_ways_out(lacking, asked):
    told = (
        r"1 of [13] rows? of corpus 'later' has no vector in the space 'hash': run `embedstore encode STORE` to encode "
        "what is missing, or take rows that have vectors: --corpus train or --corpus more$"
    )
    with pytest.raises(ModelRequiredError, match=told):
        ASKED[asked](lacking)
    assert len(lacking.search("tea", corpus="more")) == 1
    lacking.encode()
    ASKED[asked](lacking)


def test_a_corpus_that_nobody_named_is_not_blamed_on_the_user(lacking):
    lacking.rename_corpus("train", "main")
    with pytest.raises(NotFoundError, match=r"expected --corpus NAME: .* none is called 'train', the default"):
        lacking.tag(LABELS)
    with pytest.raises(NotFoundError, match="has no corpus 'trian': did you mean 'train'"):
        lacking.rename_corpus("main", "train")
        lacking.tag(LABELS, corpus="trian")


def test_the_last_corpus_can_be_dropped_and_made_again(store):
    store.drop_corpus("train")
    assert store.corpora() == []
    assert store.verify().faults == ()
    assert store.add([{"key": "k", "review": "good tea"}], text="review", id="key").new_texts == 0


def test_a_reader_keeps_the_corpus_that_it_began_with(two):
    with two.snapshot() as now:
        two.drop_corpus("more")
        two.gc()
        assert now.corpus("more").table().num_rows == 2


def test_a_map_that_is_made_while_its_corpus_is_dropped_is_not_kept(two):
    from embedstore.maps.plane import Plane, keep_plane

    with two.snapshot() as now:
        key = now.space().key
        two.drop_corpus("more")
        positions = np.arange(2)
        plane = Plane("tsne", 2, positions, np.zeros((2, 2), dtype=np.float32))
        keep_plane(now, "more", key, plane, before=None)
    assert {name for _, name in two.manifest.maps} == {"train"}
    assert two.verify().faults == ()


def test_rows_that_are_being_added_are_waited_for(two):
    waiting = embedstore.open(two.path, settings=embedstore.Settings(wait=0))
    with locked_elsewhere(two.path, ".rows.lock"):
        for change in (lambda: waiting.drop_corpus("more"), lambda: waiting.rename_corpus("more", "x")):
            with pytest.raises(embedstore.StoreBusyError):
                change()
    assert set(two.manifest.corpora) == {"train", "more"}


def contents(root):
    """Return the content of each file of a store that its newest manifest lists, and of the manifest."""
    listed = {file.path for file in embedstore.open(root).manifest.files()} | {manifest_files(root)[-1][1].name}
    return {name: (root / name).read_bytes() for name in listed}


def test_a_copy_has_every_byte_and_only_that_state(two, tmp_path, encoder):
    (two.path / "texts" / "stray").write_text("x")
    report = two.copy(tmp_path / "copies" / "copy")
    assert contents(tmp_path / "copies" / "copy") == contents(two.path)
    found = {path.name for path in (tmp_path / "copies" / "copy").rglob("*") if path.is_file()}
    assert found == {name.split("/")[-1] for name in contents(two.path)}
    assert report.files == len(found)
    copied = embedstore.open(tmp_path / "copies" / "copy", encoder=encoder)
    assert copied.verify().faults == ()
    assert copied.corpus("more").table().equals(two.corpus("more").table())
    copied.add([{"key": "new", "review": "new"}], text="review", id="key", corpus="more")
    assert len(two.corpus("more")) == 2
    assert [path.name for path in (tmp_path / "copies").iterdir()] == ["copy"]


def test_a_copy_of_a_private_store_is_private(two, tmp_path):
    two.path.chmod(0o700)
    two.copy(tmp_path / "copy")
    modes = {path.stat().st_mode & 0o077 for path in [tmp_path / "copy", *(tmp_path / "copy").rglob("*")]}
    assert modes == {0}


@pytest.mark.parametrize("what", ["a store", "files", "a file", "a link", "inside"])
def test_a_copy_takes_the_place_of_nothing(two, tmp_path, what):
    target = tmp_path / "copy"
    if what == "a store":
        embedstore.create(target)
    elif what == "files":
        target.mkdir()
        write(target, "mine.txt", "x")
    elif what == "a file":
        write(tmp_path, "copy", "x")
    elif what == "a link":
        target.symlink_to(tmp_path / "elsewhere")
    else:
        target = two.path / "texts" / "copy"
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(UsageError, match="outside of the store" if what == "inside" else "found something at"):
        two.copy(target)
    assert sorted(tmp_path.rglob("*")) == before


def test_an_empty_folder_becomes_the_copy(two, tmp_path):
    (tmp_path / "copy").mkdir()
    two.copy(tmp_path / "copy")
    assert contents(tmp_path / "copy") == contents(two.path)


def test_damage_is_found_and_no_copy_is_there(two, tmp_path):
    path = two.path / two.manifest.corpora["more"].parts[0].file.path
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(DamagedStoreError, match="was altered"):
        two.copy(tmp_path / "copies" / "copy")
    assert list((tmp_path / "copies").iterdir()) == []


SCRIPT = """
import os, signal
import embedstore
from embedstore.storage import copying, manifest
store = embedstore.open(path)
count = 0
def tick(name):
    def hooked(*words, **options):
        global count
        count += 1
        if count == at:
            os.kill(os.getpid(), signal.SIGKILL)
        return getattr(real, name)(*words, **options)
    return hooked
class Os:
    def __getattr__(self, name):
        return tick(name) if name in ("fsync", "rename", "link", "open", "mkdir") else getattr(real, name)
real = os
from embedstore.storage import gate
gate.os = copying.os = Os()
exec(call)
"""


@pytest.mark.parametrize("call", ["drop_corpus('more')", "rename_corpus('more', 'test')", "copy(path + '-copy')"])
def test_a_kill_at_any_step_leaves_all_or_nothing(two, call, cli):
    names = {"drop": ({"train"}, {"train", "more"}), "rena": ({"train", "test"}, {"train", "more"})}
    copy = two.path.with_name(two.path.name + "-copy")
    rows = two.corpus("more").table()
    killed = 0
    for at in range(1, 400, 5 if call.startswith("copy") else 2):
        given = f"path, call, at = {str(two.path)!r}, {f'store.{call}'!r}, {at}"
        done = cli("-c", given + SCRIPT)
        code = done.returncode
        assert code in (0, -signal.SIGKILL), done.stderr
        assert two.verify().faults == ()
        if call.startswith("copy"):
            assert code == 0 or not copy.exists() or contents(copy) == contents(two.path)
        else:
            assert set(two.manifest.corpora) in names[call[:4]]
        if code == 0:
            break
        killed += 1
        if not call.startswith("copy") and "more" not in two.manifest.corpora:
            break  # it was killed after its commit
    assert killed > 3
    if call.startswith("copy"):
        assert contents(copy) == contents(two.path)
        assert [path.name for path in copy.parent.iterdir() if path.name.endswith(".copy")] == []
    elif call.startswith("rename"):
        assert two.corpus("test").table().equals(rows)


def test_the_shell_lists_renames_drops_and_copies(two, cli):
    listed = json.loads(cli("corpora", "small", "--json").stdout)
    assert [(one["name"], one["rows"], one["id"]) for one in listed] == [("train", 10, "key"), ("more", 2, "key")]
    lines = cli("corpora", "small").stdout.splitlines()
    assert lines[2].split()[:4] == ["more", "2", "{review}", "key"]
    assert cli("rename", "small", "more", "test").stdout == "corpus 'more' is now 'test'\n"
    assert "give --yes" in cli.fails(2, "drop-corpus", "small", "test")
    would = cli("drop-corpus", "small", "test", "--dry-run")
    assert would.stdout == "2 rows of corpus 'test', with 1 answer to them would go\n"
    assert set(two.manifest.corpora) == {"train", "test"}
    done = cli("drop-corpus", "small", "test", "--yes")
    assert done.stdout == "2 rows of corpus 'test', with 1 answer to them dropped\n"
    assert set(two.manifest.corpora) == {"train"}
    done = cli("copy", "small", "other")
    assert done.returncode == 0
    assert "copied, each with the hash it was written with" in done.stdout
    assert contents(cli.home / "other") == contents(two.path)
    assert "found something at" in cli.fails(2, "copy", "small", "other")
