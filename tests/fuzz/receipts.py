"""Receipts that shards and workers leave in a store's folder, and the vectors that they are of.

Whatever is in ``receipts/``, `collect` takes what is right or says one line. What it commits passes `verify`, and the
vectors that were there stay as they were.
"""

import hashlib
import json
import sys
import tempfile
from functools import cache
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "faults"))

import numpy as np
from conftest import HashEncoder
from fuzz import Target
from scenarios import SMALL, opened, rows
from stores import Dice, changed, changes

import embedstore
from embedstore.errors import EmbedstoreError, StoreFormatError
from embedstore.storage.listed import map_dataset
from embedstore.storage.manifest import load


@cache
def _held() -> "tempfile.TemporaryDirectory[str]":
    """Return the folder of the store; it goes with the process that made it, and its forks leave it."""
    return tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None)


@cache
def _files() -> dict[str, bytes]:
    """Make a store in which one segment of five is committed and two wait, in one of two spaces; return its files."""
    root = _root()
    store = embedstore.create(root, encoder=HashEncoder(8), settings=SMALL)
    store.add(rows(0, 30), text="review", id="key")
    store.encode(shard="1/5")
    store.collect()
    other = embedstore.open(root, encoder=HashEncoder(8, prompt="p: "), settings=SMALL)
    other.encode(shard="2/5")
    other.collect()
    for shard in ("2/5", "3/5"):
        store.encode(shard=shard)
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def _root() -> Path:
    return Path(_held().name) / "store"


def _restore() -> None:
    """Make the store as it was."""
    root, files = _root(), _files()
    for path in root.rglob("*"):
        if not path.is_dir() or path.is_symlink():
            name = path.relative_to(root).as_posix()
            if name not in files:
                path.unlink()
    for name, content in files.items():
        path = root / name
        if not path.exists() or path.read_bytes() != content:
            path.parent.mkdir(exist_ok=True)
            path.unlink(missing_ok=True)
            path.write_bytes(content)


def _receipts() -> list[str]:
    return sorted(name for name in _files() if name.startswith("receipts/"))


def _put(folder: str, suffix: str, content: bytes) -> str:
    """Write a file under the hash of its content, and return its name."""
    name = f"{folder}/{hashlib.sha256(content).hexdigest()}{suffix}"
    (_root() / name).write_bytes(content)
    return name


def _with_other_vectors(value: object, dice: Dice) -> object:
    """Alter the bytes of the vectors of a receipt, under a hash that is right, and name them in it."""
    text = json.dumps(value)
    held = [name for name in _files() if name.startswith("vectors/") and name in text]
    if not held:
        return value
    content = bytearray(_files()[held[0]])
    for _ in range(dice.pick([1, 2, 8])):
        at = dice.pick(range(len(content) - 8))
        content[at : at + 4] = dice.pick([b"\0\0\0\0", b"\xff\xff\xff\xff", b"\0\0\xc0\x7f", b"\0\0\x80\x3f", b"text"])
    content = content[: dice.pick([len(content), len(content), len(content) - 1, 8, 0])]
    made = _put("vectors", ".h5", bytes(content))
    return json.loads(text.replace(held[0], made).replace(str(len(_files()[held[0]])), str(len(content))))


def _collected(content: bytes) -> None:
    """Collect one receipt: bytes that begin with ``{`` are its content, others are changes of a valid one."""
    _restore()
    root, dice = _root(), Dice(content)
    name = dice.pick(_receipts())
    (other,) = set(_receipts()) - {name}
    how = dice.pick(["value", "value", "value", "vectors", "bytes", "lost", "altered vectors"])
    if content[:1] == b"{":
        _put("receipts", ".json", content)
        (root / name).unlink()
    elif how == "bytes":
        (root / name).write_bytes(content[4:])
    elif how == "lost":
        (root / _vectors_of(name)).unlink()
    elif how == "altered vectors":
        path = root / _vectors_of(name)
        path.write_bytes(bytes(byte ^ 1 for byte in path.read_bytes()))
    else:
        value = json.loads(_files()[name])
        value = _with_other_vectors(value, dice) if how == "vectors" else changed(value, content[4:])
        (root / name).unlink()
        _put("receipts", ".json", json.dumps(value).encode())
    _check(other)


def _vectors_of(name: str) -> str:
    return next(one for one in _files() if one.startswith("vectors/") and one.encode() in _files()[name])


def _vectors() -> dict[tuple[str, str], bytes]:
    """Return the committed vectors by space and text segment."""
    return {
        (key, text): np.array(map_dataset(_root(), segment.file, segment.vectors)).tobytes()
        for key, space in load(_root()).spaces.items()
        for text, segment in space.segments.items()
    }


def _check(other: str) -> None:
    """Collect, twice; verify, sweep and encode the rest. An error of ours is raised at the end.

    A receipt of a newer format ends `collect`; any other is left out, and the other one is taken over.
    """
    failed: EmbedstoreError | None = None
    before = _vectors()
    for _ in range(2):
        try:
            opened(_root()).collect()
        except EmbedstoreError as error:
            assert len(str(error).splitlines()) == 1, str(error)
            failed = error
    assert opened(_root()).verify().faults == ()
    after = _vectors()
    assert {place: after[place] for place in before} == before
    assert failed is None or type(failed) is StoreFormatError, repr(failed)
    if failed is None:
        assert not (_root() / other).exists()
        assert any(text.encode() in _files()[other] for _, text in after.keys() - before.keys())
    for action in ("gc", "encode"):
        try:
            getattr(opened(_root()), action)()
        except EmbedstoreError as error:
            assert len(str(error).splitlines()) == 1, str(error)
            failed = error
    assert opened(_root()).verify().faults == ()
    if failed:
        raise failed


def _seeds() -> list[bytes]:
    """Return seeds: valid receipts, and changes of each kind."""
    kinds = [bytes([0, one, 0, how]) + rest for one in range(2) for how in range(7) for rest in changes()[:4]]
    return [*(_files()[name] for name in _receipts()), *kinds, *changes()[4:]]


TARGETS = {
    "collect": Target(_seeds, _collected, words=[b"format_version", b"provenance", b"segments", b"spec", b"dimension"]),
}
