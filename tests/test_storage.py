import hashlib
import json
import os
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
from conftest import locked_elsewhere

from embedstore.errors import DamagedStoreError, NotFoundError, StoreBusyError, StoreFormatError
from embedstore.storage import locks, manifest
from embedstore.storage.derived import IndexRecord
from embedstore.storage.gate import Folder, Staged
from embedstore.storage.listed import forget_maps, map_dataset
from embedstore.storage.records import DatasetRecord, FileRecord
from embedstore.storage.segments import read_texts, segment_keys, text_key, write_texts, write_vectors
from embedstore.storage.state import Manifest

INDEX = IndexRecord(FileRecord(f"index/{'0' * 64}.faiss", 1, "0" * 64), "flat", (), 0)


def test_texts_come_back_as_written(tmp_path):
    texts = ["", "plain", "é ü 漢字 🙂", "line\nbreak\x85and\x00nul", "x" * 100_000]
    segment = write_texts(tmp_path, texts)
    assert read_texts(tmp_path, segment) == texts
    assert read_texts(tmp_path, segment, [3, 0]) == [texts[3], ""]
    assert segment_keys(tmp_path, segment).tobytes() == b"".join(text_key(text) for text in texts)


@pytest.mark.parametrize("most", [1, 2, 3, 4, 5, 9, 50, 1000])
def test_of_texts_only_the_first_characters_can_be_read(tmp_path, most):
    texts = ["", "plain", "é ü 漢字 🙂" * 20, "🙂" * 100, "漢" * 100, "last"]
    segment = write_texts(tmp_path, texts)
    assert read_texts(tmp_path, segment, most=most) == [text[:most] for text in texts]
    assert read_texts(tmp_path, segment, [3, 2], most=most) == [texts[3][:most], texts[2][:most]]


def test_a_segment_of_one_empty_text_can_be_read(tmp_path):
    assert read_texts(tmp_path, write_texts(tmp_path, [""])) == [""]


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_mapped_vectors_equal_what_hdf5_reads(tmp_path, dtype):
    vectors = np.random.default_rng(0).normal(size=(7, 5)).astype(dtype)
    file, dataset = write_vectors(tmp_path, vectors, encoder_key="k", texts="t")
    mapped = map_dataset(tmp_path, file, dataset)
    with h5py.File(tmp_path / file.path) as container:
        assert np.array_equal(mapped, container["vectors"][:])
        assert container.attrs["encoder_key"] == "k"
    assert np.array_equal(mapped, vectors)
    assert mapped.dtype == np.dtype(dtype)
    assert not mapped.flags.writeable


def test_maps_are_kept_and_follow_the_file(tmp_path):
    vectors = np.arange(12, dtype=np.float32).reshape(3, 4)
    file, dataset = write_vectors(tmp_path, vectors, encoder_key="k", texts="t")
    first = map_dataset(tmp_path, file, dataset)
    assert map_dataset(tmp_path, file, dataset).base is not None
    assert np.shares_memory(first, map_dataset(tmp_path, file, dataset))
    with pytest.raises(ValueError, match="read-only"):
        first[0, 0] = 1
    path = tmp_path / file.path
    content = path.read_bytes()
    path.unlink()
    path.write_bytes(content[: dataset.offset] + bytes(48) + content[dataset.offset + 48 :])
    assert not map_dataset(tmp_path, file, dataset).any()  # another file of that name is another map
    path.unlink()
    with pytest.raises(DamagedStoreError, match="is missing"):
        map_dataset(tmp_path, file, dataset)


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="it asks Linux what is open and mapped")
def test_maps_take_no_descriptors_and_go_with_their_arrays(tmp_path):
    segments = [write_texts(tmp_path, [f"text {number}"]) for number in range(40)]
    opened = len(list(Path("/proc/self/fd").iterdir()))
    keys = [segment_keys(tmp_path, segment) for segment in segments]
    assert len(list(Path("/proc/self/fd").iterdir())) == opened
    forget_maps()
    assert Path("/proc/self/maps").read_text().count(f"{tmp_path}/texts") == 40
    assert [key.tobytes() for key in keys] == [text_key(f"text {number}") for number in range(40)]
    del keys
    assert f"{tmp_path}/texts" not in Path("/proc/self/maps").read_text()


def test_a_file_is_named_by_its_content_and_no_temp_file_stays(tmp_path):
    segment = write_texts(tmp_path, ["a"])
    path = tmp_path / segment.file.path
    assert hashlib.sha256(path.read_bytes()).hexdigest() == segment.file.sha256 == path.stem
    assert write_texts(tmp_path, ["a"]) == segment
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_a_short_file_is_refused_by_name(tmp_path):
    segment = write_texts(tmp_path, ["some text"])
    path = tmp_path / segment.file.path
    os.truncate(path, 100)
    with pytest.raises(DamagedStoreError, match=f"{path.name} has 100 bytes"):
        read_texts(tmp_path, segment)
    path.unlink()
    with pytest.raises(DamagedStoreError, match="is missing"):
        read_texts(tmp_path, segment)


def test_a_failed_fsync_publishes_nothing(tmp_path, monkeypatch):
    def fail(descriptor):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="Input/output"):
        write_texts(tmp_path, ["a"])
    assert list((tmp_path / "texts").iterdir()) == []


def test_publishing_syncs_the_file_before_the_rename_and_the_folder_after(tmp_path, monkeypatch):
    calls = []
    fsync, rename = os.fsync, os.rename
    monkeypatch.setattr(os, "fsync", lambda d: (calls.append(str(Path(f"/proc/self/fd/{d}").readlink())), fsync(d))[1])
    monkeypatch.setattr(os, "rename", lambda s, t, **f: (calls.append("rename"), rename(s, t, **f))[1])
    segment = write_texts(tmp_path, ["a"])
    assert calls[0] == str(tmp_path)  # where the folder of texts was made
    assert calls[1].endswith(".h5")
    assert calls[2:] == ["rename", str(tmp_path / "texts")]
    assert (tmp_path / segment.file.path).exists()


def test_a_commit_numbers_the_next_manifest_and_keeps_few(tmp_path):
    for number in range(1, 8):
        done = manifest.commit(tmp_path, lambda base, n=number: replace(base, indexes={str(n): INDEX}))
        assert done.sequence == number
    assert [n for n, _ in manifest.manifest_files(tmp_path)] == [4, 5, 6, 7]


def test_a_commit_that_changes_nothing_writes_nothing(tmp_path):
    manifest.commit(tmp_path, lambda base: base)
    manifest.commit(tmp_path, lambda base: base)
    assert [n for n, _ in manifest.manifest_files(tmp_path)] == [1]


def test_a_commit_that_lost_the_race_starts_again_from_the_newer_state(store, tmp_path):
    seen = []

    def change(base: Manifest) -> Manifest:
        seen.append(base.sequence)
        if len(seen) == 1:  # another writer is first
            manifest.commit(store.path, lambda other: replace(other, probes={}, indexes={"x" * 64: INDEX}))
        return replace(base, corpora={})

    done = manifest.commit(store.path, change)
    assert seen == [seen[0], seen[0] + 1]
    assert done.corpora == {}
    assert "x" * 64 in done.indexes


def test_a_writer_that_slept_through_pruned_numbers_does_not_win(tmp_path):
    for number in range(1, 3):
        manifest.commit(tmp_path, lambda base, n=number: replace(base, indexes={str(n): INDEX}))
    calls = []

    def change(base: Manifest) -> Manifest:
        calls.append(base.sequence)
        if len(calls) == 1:  # it sleeps: others commit, and its next number is pruned
            for number in range(10):
                manifest.commit(tmp_path, lambda other, n=number: replace(other, indexes={f"other {n}": INDEX}))
            assert 3 not in [n for n, _ in manifest.manifest_files(tmp_path)]
        return replace(base, indexes={"y" * 64: INDEX})

    done = manifest.commit(tmp_path, change)
    assert calls == [2, 12]
    assert manifest.load(tmp_path) == done
    assert done.sequence == 13


def test_a_lost_commit_starts_again_though_it_can_not_be_withdrawn(tmp_path, monkeypatch):
    for number in range(1, 3):
        manifest.commit(tmp_path, lambda base, n=number: replace(base, indexes={str(n): INDEX}))
    calls = []

    def refuse(*names):
        raise PermissionError(1, "Operation not permitted")

    def change(base: Manifest) -> Manifest:
        calls.append(base.sequence)
        if len(calls) == 1:
            for number in range(10):
                manifest.commit(tmp_path, lambda other, n=number: replace(other, indexes={f"other {n}": INDEX}))
            monkeypatch.setattr(Folder, "remove", refuse)
        return replace(base, indexes={"y" * 64: INDEX})

    done = manifest.commit(tmp_path, change)
    assert calls == [2, 12]
    assert manifest.load(tmp_path) == done


def test_a_writer_that_is_overtaken_after_its_link_knows_that_it_won(tmp_path, monkeypatch):
    manifest.commit(tmp_path, lambda base: replace(base, indexes={"first": INDEX}))
    link = Staged.link

    def overtaken(*words):
        monkeypatch.setattr(Staged, "link", link)
        linked = link(*words)
        for number in range(10):  # others build on it before it has looked
            manifest.commit(tmp_path, lambda other, n=number: replace(other, indexes={**other.indexes, f"{n}": INDEX}))
        return linked

    monkeypatch.setattr(Staged, "link", overtaken)
    calls = []
    manifest.commit(tmp_path, lambda base: (calls.append(1), replace(base, indexes={**base.indexes, "won": INDEX}))[1])
    assert len(calls) == 1
    assert set(manifest.load(tmp_path).indexes) == {"first", "won", *map(str, range(10))}


@pytest.mark.parametrize("where", [0, 9, 40, -70, -30, -1])
def test_any_altered_byte_of_the_manifest_is_an_error(store, where):
    _, path = manifest.manifest_files(store.path)[-1]
    content = bytearray(path.read_bytes())
    content[where] ^= 1
    path.write_bytes(content)
    with pytest.raises(DamagedStoreError, match=r"manifest-.*altered"):
        manifest.load(store.path)


def test_a_damaged_newest_manifest_is_never_a_step_back(store):
    number, path = manifest.manifest_files(store.path)[-1]
    (store.path / f"manifest-{number + 1:08d}.json").write_bytes(path.read_bytes()[:-10])
    with pytest.raises(DamagedStoreError):
        manifest.load(store.path)
    (store.path / f"manifest-{number + 1:08d}.json").write_bytes(path.read_bytes())
    with pytest.raises(DamagedStoreError, match="renamed"):
        manifest.load(store.path)


def test_a_newer_format_is_refused_by_name(store):
    _, path = manifest.manifest_files(store.path)[-1]
    value = json.loads(path.read_text())
    value["body"]["format_version"] = manifest.FORMAT_VERSION + 1
    path.write_text(json.dumps(value))
    with pytest.raises(StoreFormatError, match="upgrade embedstore"):
        manifest.load(store.path)


@pytest.mark.parametrize(
    "path",
    ["../x.h5", "/etc/passwd", "texts/../../x.h5", "texts/abc.h5", f"other/{'0' * 64}.h5", f"texts/{'0' * 64}.sh"],
)
def test_a_manifest_lists_no_path_outside_the_store(path):
    with pytest.raises(DamagedStoreError):
        FileRecord.from_json([path, 1])


@pytest.mark.parametrize("value", [[90, [3, 4], "<f4"], [0, [2**60, 2**60], "<f4"], [-1, [1], "|u1"], [0, [1], "|O"]])
def test_a_dataset_lies_inside_its_file(value):
    file = FileRecord(f"texts/{'0' * 64}.h5", 100, "0" * 64)
    with pytest.raises(DamagedStoreError):
        DatasetRecord.from_json(value, file)


def test_a_folder_without_a_manifest_is_no_store(tmp_path):
    with pytest.raises(NotFoundError, match="no store at"):
        manifest.load(tmp_path)


def test_a_lock_held_elsewhere_is_waited_for_or_refused(tmp_path):
    with (
        locked_elsewhere(tmp_path, ".lock"),
        pytest.raises(StoreBusyError, match=r"found it locked by another process: .* wait longer \(--wait SECONDS\)"),
        locks.writing(tmp_path, 0),
    ):
        pass


def test_a_commit_stands_though_what_comes_after_it_fails(store, monkeypatch):
    """After the link is on the disk, no folder can be listed and no old manifest removed."""
    link = Staged.link

    def then_fails(*words):
        linked = link(*words)

        def refuse(*names, **options):
            raise OSError(5, "Input/output error")

        monkeypatch.setattr(manifest, "manifest_files", refuse)
        return linked

    monkeypatch.setattr(Staged, "link", then_fails)
    done = manifest.commit(store.path, lambda base: replace(base, indexes={"x" * 64: INDEX}))
    monkeypatch.undo()
    assert manifest.load(store.path) == done
