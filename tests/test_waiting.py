"""Receipts in a store's folder that were made up or damaged: none of them harms the store, or ends in an error."""

import hashlib
import json
import shutil

import numpy as np
import pytest
from conftest import HashEncoder
from test_records import at, changed, places

import embedstore
from embedstore.core.spec import canonical_json
from embedstore.errors import DamagedStoreError, StoreFormatError
from embedstore.storage.listed import map_dataset
from embedstore.storage.state import Manifest
from embedstore.vectors.waiting import take_over, waiting

SMALL = embedstore.Settings(smallest_segment=10, largest_segment=10)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A store with four segments: one is committed, one waits, two have no vectors; and another space."""
    store = embedstore.create(tmp_path_factory.mktemp("waiting") / "store", encoder=HashEncoder(), settings=SMALL)
    store.add([{"t": f"text {i}"} for i in range(40)], text="t")
    store.encode(shard="1/4")
    store.collect()
    other = embedstore.open(store.path, encoder=HashEncoder(prompt="p: "))
    other.encode(shard="2/4")
    other.collect()
    store.encode(shard="2/4")
    return store


@pytest.fixture
def store(made, tmp_path):
    shutil.copytree(made.path, tmp_path / "store")
    return embedstore.open(tmp_path / "store", encoder=HashEncoder())


def content_of(store):
    """Return the only receipt that waits, as JSON."""
    (path,) = (store.path / "receipts").iterdir()
    return json.loads(path.read_bytes())


def put(store, content):
    """Write a receipt under the hash of its content, in the place of all others."""
    content = content if isinstance(content, bytes) else canonical_json(content)
    for path in (store.path / "receipts").iterdir():
        path.unlink()
    path = store.path / "receipts" / f"{hashlib.sha256(content).hexdigest()}.json"
    path.write_bytes(content)
    return path


def check_unharmed(store, before):
    """Take over, collect garbage and verify: what was there is there, and the manifest can be read."""
    store.collect()
    store.gc()
    after = store.manifest
    assert Manifest.from_json(json.loads(json.dumps(after.to_json()))).texts == before.texts
    for key, space in before.spaces.items():
        assert space.segments.items() <= after.spaces[key].segments.items()
    assert not store.verify().faults


def test_a_receipt_is_the_record_of_a_space_with_one_segment(store):
    content = content_of(store)
    assert set(content) == {"format_version", "space"}
    (one,) = waiting(store.path)
    assert list(content["space"]["segments"]) == [store.manifest.texts[1].file.sha256] == [one.receipt.text]
    assert store.collect().collected == 1
    expected = np.stack([HashEncoder().vector(f"text {i}") for i in range(10, 20)])
    first, second = (store.manifest.spaces[one.key].segments[text.file.sha256] for text in store.manifest.texts[:2])
    assert np.array_equal(map_dataset(store.path, second.file, second.vectors), expected)
    assert (first.provenance, second.provenance) == (0, 0)


def test_no_changed_value_harms_the_store(store):
    """Each value becomes one of another type, and others; the store is as before, or has one segment more."""
    content, before = content_of(store), store.manifest
    root = store.path
    for path in places(content):
        value = at(content, path)
        for other in (None, True, [], {}, "", "../x", 0, -1, 1.5, 10**400, 2**53, [value], "\x00" * 70):
            if type(other) is type(value) and other == value:
                continue
            put(store, json.dumps(changed(content, path, other)).encode())
            try:
                take_over(root, lambda: embedstore.storage.locks.writing(root, 1))
            except StoreFormatError:
                assert path == ("format_version",)
            after = store.manifest
            assert Manifest.from_json(json.loads(json.dumps(after.to_json()))) == after
            assert after.texts == before.texts
            for key, space in before.spaces.items():
                assert space.segments.items() <= after.spaces[key].segments.items()
            if after != before:
                assert not store.verify().faults
                (root / f"manifest-{after.sequence:08d}.json").unlink()  # as before, for the next value


def named(store, segment, text=None):
    """Return the receipt with another segment, for the same or another text."""
    content = content_of(store)
    (own,) = content["space"]["segments"]
    content["space"]["segments"] = {text or own: segment}
    return content


def test_vectors_of_other_texts_or_of_another_space_are_not_taken(store):
    """Their files are whole and have the right shape."""
    before = store.manifest
    mine, theirs = before.spaces.values()
    ((_, committed),) = mine.segments.items()
    ((_, prompted),) = theirs.segments.items()
    (own,) = content_of(store)["space"]["segments"].values()
    third = before.texts[2].file.sha256
    for content in (
        named(store, committed.to_json()),
        named(store, prompted.to_json()),
        named(store, own, text=third),
    ):
        put(store, content)
        assert store.collect().collected == 0
        assert store.manifest == before
    check_unharmed(store, before)


def test_what_is_there_is_not_replaced(store):
    before = store.manifest
    first = before.texts[0].file.sha256
    (own,) = content_of(store)["space"]["segments"].values()
    put(store, named(store, own, text=first))
    assert store.collect().collected == 0
    check_unharmed(store, before)
    assert store.manifest == before


def test_vectors_that_say_nothing_are_not_taken(store):
    """The file has its hash, and names its texts and its space."""
    before, content = store.manifest, content_of(store)
    ((_, segment),) = content["space"]["segments"].items()
    path, (offset, shape, _) = store.path / segment[0][0], segment[1]
    image = bytearray(path.read_bytes())
    image[offset : offset + 4 * shape[1]] = np.full(shape[1], np.nan, "<f4").tobytes()
    name = f"vectors/{hashlib.sha256(image).hexdigest()}.h5"
    (store.path / name).write_bytes(image)
    segment[0][0] = name
    put(store, content)
    assert store.collect().collected == 0
    check_unharmed(store, before)


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[" * 100_000, b"3", b"\xff", b" " * (1 << 21), b'{"format_version":1}']
)
def test_what_is_no_receipt_is_left_out_and_removed(store, content, caplog):
    before = store.manifest
    path = put(store, content)
    assert store.collect().collected == 0
    assert "1 damaged receipt in" in caplog.text
    check_unharmed(store, before)
    assert not path.exists()


def test_a_receipt_that_is_being_written_is_no_damage(store, caplog):
    (store.path / "receipts" / ".tmp-1-ab.json").write_text("{")
    assert store.collect().collected == 1
    assert caplog.text == ""


def test_a_receipt_under_another_name_is_left_out(store):
    (path,) = (store.path / "receipts").iterdir()
    path.rename(path.with_name("0" * 64 + ".json"))
    assert store.collect().collected == 0


@pytest.mark.parametrize("target", ["file", "folder"])
def test_links_are_not_followed(store, tmp_path, target):
    folder = store.path / "receipts"
    path = folder if target == "folder" else next(folder.iterdir())
    path.rename(tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")
    if target == "folder":
        with pytest.raises(DamagedStoreError, match="expected a folder at"):
            store.collect()
    else:
        assert store.collect().collected == 0
        store.gc()
        assert (tmp_path / "elsewhere").exists()


def test_a_receipt_of_a_newer_release_stays(store):
    content = content_of(store)
    path = put(store, changed(content, ("format_version",), 2))
    for act in (store.collect, store.gc):
        with pytest.raises(StoreFormatError, match="has format 2, and this release reads up to 1: upgrade embedstore"):
            act()
    assert path.exists()


def test_two_new_spaces_of_one_key_are_not_mixed(store):
    """The dimension is no part of the key where a spec has none: the first receipt decides."""
    content = content_of(store)
    spec = {**content["space"]["spec"], "truncate_dim": None, "digest": "1" * 64}
    encoders = [HashEncoder(dimension) for dimension in (16, 8)]
    for encoder, share in zip(encoders, ("3/4", "4/4"), strict=True):
        encoder.spec = type(encoder.spec)(**spec)
        embedstore.open(store.path, encoder=encoder).encode(shard=share)
    assert store.collect().collected == 2  # the one that waited, and one of the two
    assert not store.verify().faults
    assert len(list((store.path / "receipts").iterdir())) == 1
