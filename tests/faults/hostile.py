"""Malicious stores and files: each must give a typed error in little memory and open no file outside the store.

``hostile.py PLACE``: prints one JSON line with a record per case.
"""

import ctypes
import hashlib
import io
import json
import os
import struct
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

import numpy as np
import pandas  # noqa: F401  before the fork, so that no child has to import it
import pyarrow as pa
import pyarrow.vendored.version
from pyarrow import parquet
from scenarios import LABELS, copy, in_child, opened, prepare

import embedstore
from embedstore.core.spec import canonical_json
from embedstore.storage import manifest
from embedstore.storage import sealed as sealed_

pa.set_cpu_count(1)
pa.set_io_thread_count(1)

_MOST_MEGABYTES = 300
Body = dict[str, Any]


def sealed(root: Path, change: Callable[[Body], Any]) -> None:
    """Change the newest manifest and give it a valid hash, as a commit does."""
    _, path = manifest.manifest_files(root)[-1]
    body = json.loads(path.read_bytes())["body"]
    made = change(body)
    content = made if isinstance(made, bytes) else canonical_json(body)
    digest = hashlib.sha256(content).hexdigest().encode()
    path.write_bytes(b'{"body":' + content + b',"sha256":"' + digest + b'"}\n')


def planted(root: Path, place: Callable[[Body], list[Any]], content: bytes) -> None:
    """Write other content under its own hash, and list it in the manifest instead of an existing file."""

    def change(body: Body) -> None:
        entry = place(body)
        folder, _, suffix = entry[0].partition("/")
        name = f"{folder}/{hashlib.sha256(content).hexdigest()}.{suffix.rpartition('.')[2]}"
        (root / name).write_bytes(content)
        entry[:] = [name, len(content)]

    sealed(root, change)


def outside(root: Path) -> Path:
    """Return a file beside the store that must never be opened."""
    path = root.parent / "outside.h5"
    path.write_bytes(b"secret" * 1000)
    return path


def linked_file(root: Path) -> None:
    path = next((root / "vectors").glob("*.h5"))
    size = path.stat().st_size
    path.unlink()
    target = outside(root)
    target.write_bytes(b"x" * size)
    path.symlink_to(target)


def linked_file_of_the_same_size(root: Path) -> None:
    """Replace a file with a link to a copy of it; the link has the file's size, which is the length of its path."""
    path = next((root / "probes").glob("*.json"))
    size, target = path.stat().st_size, outside(root)
    target.write_bytes(path.read_bytes())
    path.unlink()
    path.symlink_to("/" * (size - len(str(target))) + str(target))
    assert path.lstat().st_size == size


def linked_folder(root: Path) -> None:
    (root / "vectors").rename(root.parent / "elsewhere")
    (root / "vectors").symlink_to(root.parent / "elsewhere")


def linked_manifest(root: Path) -> None:
    (root / "manifest-00000099.json").symlink_to(outside(root))


def hdf5(root: Path, kind: str) -> None:
    """Replace the first text segment with an HDF5 file that contains a trap."""
    path = root.parent / "trap.h5"

    def build() -> None:
        import h5py

        with h5py.File(path, "w", libver="latest") as container:
            if kind == "external link":
                container["text"] = h5py.ExternalLink(str(outside(root)), "/text")
            elif kind == "soft link":
                container["text"] = h5py.SoftLink("/nowhere")
            elif kind == "external storage":
                container.create_dataset("text", (6000,), "u1", external=[(str(outside(root)), 0, 6000)])
            elif kind == "virtual dataset":
                layout = h5py.VirtualLayout((6000,), "u1")
                layout[:] = h5py.VirtualSource(str(outside(root)), "text", (6000,))
                container.create_virtual_dataset("text", layout)
            elif kind == "filter":
                container.create_dataset("text", data=np.zeros(10_000_000, "u1"), compression="gzip")
            else:
                container.create_dataset("text", (2**60,), "u1", chunks=(2**20,))
            container["padding"] = np.zeros(16_384, "u1")

    in_child(build)
    planted(root, lambda body: body["texts"][0][0], path.read_bytes())


def faiss_file(root: Path) -> None:
    path = next((root / "index").glob("*.faiss"))
    content = bytearray(path.read_bytes())
    content[8:16] = (2**40).to_bytes(8, "little")  # the claimed number of vectors
    at = content.index((12 * 8).to_bytes(8, "little")) if (12 * 8).to_bytes(8, "little") in content else 37
    content[at : at + 8] = (2**42).to_bytes(8, "little")
    planted(root, lambda body: body["indexes"][0][1][0], bytes(content))


def unlisted_faiss(root: Path) -> None:
    path = next((root / "index").glob("*.faiss"))
    content = bytearray(path.read_bytes())
    content[8:16] = (2**40).to_bytes(8, "little")
    path.write_bytes(content)


class _Trap:
    def __reduce__(self) -> tuple[Any, ...]:
        return (io.open, ("/etc/hostname",))


def pickled(root: Path) -> None:
    path = root.parent / "trap.npz"
    np.savez(path, coef=np.array([_Trap()], dtype=object), intercept=np.zeros(1))
    planted(root, lambda body: body["probes"][0][1][0], path.read_bytes())


def npz_bomb(root: Path) -> None:
    path = root.parent / "trap.npz"
    np.savez_compressed(path, coef=np.zeros((1, 60_000_000)), intercept=np.zeros(1))
    planted(root, lambda body: body["probes"][0][1][0], path.read_bytes())


def parquet_rows(root: Path) -> None:
    path = root.parent / "trap.parquet"
    parquet.write_table(pa.table({"key": ["a"] * 3_000_000, "_position": [0] * 3_000_000}), path)
    planted(root, lambda body: body["corpora"][0][1]["parts"][0][0], path.read_bytes())


def parquet_bomb(root: Path) -> None:
    value = pa.DictionaryArray.from_arrays(pa.array(np.zeros(200_000, np.int32)), pa.array(["x" * 1_000_000]))
    parquet.write_table(pa.table({"review": value}), root.parent / "bomb.parquet")


def put(path: list[Any], value: Any) -> Callable[[Path], None]:
    """Return a trap that sets one value of the manifest."""

    def change(body: Body) -> None:
        place: Any = body
        for step in path[:-1]:
            place = place[step]
        place[path[-1]] = value

    return lambda root: sealed(root, change)


def in_lists(change: Callable[[Path, Body], None]) -> Callable[[Path], None]:
    """Return a trap in a store whose records stand in lists."""

    def trap(root: Path) -> None:
        sealed_.IN_MEMORY, sealed_.IN_LIST = 1, 4
        manifest.commit(root, lambda base: replace(base, lineage=()))
        manifest.commit(root, lambda base: replace(base, probes=dict(base.probes), indexes={}))
        sealed(root, lambda body: change(root, body))

    return trap


def claimed(root: Path, body: Body) -> None:
    """Claim as many texts as a billion segments have, with sums that are right."""
    said = body["text_lists"][0]
    head, rest = (root / said[0][0]).read_bytes().split(b"\n", 1)
    numbers = np.frombuffer(rest[32 * said[1] : 88 * said[1]], "<i8").reshape(-1, 7).copy()
    numbers[:, 0], numbers[:, 1] = 2**40, 2**46
    content = head + b"\n" + rest[: 32 * said[1]] + numbers.tobytes() + rest[88 * said[1] :]
    name = f"lists/{hashlib.sha256(content).hexdigest()}.texts"
    (root / name).write_bytes(content)
    said[:4] = [[name, len(content)], said[1], said[1] * 2**40, said[1] * 2**46]


def linked_list(root: Path, body: Body) -> None:
    path = root / body["text_lists"][0][0][0]
    target = outside(root)
    target.write_bytes(path.read_bytes())
    path.unlink()
    path.symlink_to(target)


SHA = "0" * 64
TRAPS: dict[str, Callable[[Path], None]] = {
    "manifest: path with ..": put(["texts", 0, 0, 0], f"texts/../../outside/{SHA}.h5"),
    "manifest: absolute path": put(["texts", 0, 0, 0], f"/etc/{SHA}.h5"),
    "manifest: path to a device": put(["texts", 0, 0, 0], "/dev/zero"),
    "manifest: huge size": put(["texts", 0, 0, 1], 10**400),
    "manifest: huge offset": put(["texts", 0, 1, 0], 2**63),
    "manifest: huge shape": put(
        ["spaces", 0, "segments"], {SHA: [[f"vectors/{SHA}.h5", 2**62], [0, [2**50, 8], "<f4"], 0, 0]}
    ),
    "manifest: negative shape": put(["texts", 0, 1, 1], [-1]),
    "manifest: sequence of 10,000 digits": lambda root: sealed(
        root, lambda body: b'{"sequence":' + b"9" * 10_000 + b"}"
    ),
    "manifest: 100,000 brackets": lambda root: sealed(root, lambda body: b"[" * 100_000 + b"]" * 100_000),
    "manifest: texts is a number": put(["texts"], 7),
    "manifest: spaces is null": put(["spaces"], None),
    "manifest: corpora is a text": put(["corpora"], "abc"),
    "manifest: a spec of other fields": put(["spaces", 0, "spec"], {"digest": 1}),
    "manifest: dimension does not fit": put(["spaces", 0, "dimension"], 10**9),
    "manifest: empty object": lambda root: sealed(root, lambda body: b"{}"),
    "list: 2^40 texts a segment": in_lists(claimed),
    "list: a link": in_lists(linked_list),
    "list: 2^20 records": in_lists(lambda _, body: body["text_lists"][0].__setitem__(1, 2**20)),
    "list: a path with ..": in_lists(lambda _, body: body["text_lists"][0].__setitem__(0, [f"../{SHA}.texts", 9])),
    "a file is a link": linked_file,
    "a file is a link of the same size": linked_file_of_the_same_size,
    "a folder is a link": linked_folder,
    "the manifest is a link": linked_manifest,
    **{
        f"HDF5: {kind}": lambda root, kind=kind: hdf5(root, kind)
        for kind in ("external link", "soft link", "external storage", "virtual dataset", "filter", "huge shape")
    },
    "FAISS: claims 2^40 vectors": unlisted_faiss,
    "FAISS: claims 2^40 vectors, hash fits": faiss_file,
    "npz: pickle": pickled,
    "npz: bomb of 480 MB": npz_bomb,
    "Parquet: more rows than listed": parquet_rows,
    "Parquet: 200 GB from 1 MB": parquet_bomb,
}  # fmt: skip


_OWN = (
    *(os.path.realpath(path) for path in (sys.prefix, sys.base_prefix, Path(__file__).parent, *embedstore.__path__)),
    *("/proc", "/dev/null", "/usr", "/lib", "/sys"),
)
"""The folders of Python, its libraries and this package; only these may be opened besides the store."""


class Watch:
    """A watch on all that lies beside a store: Python's audit hook does not say in which folder a name is opened."""

    def __init__(self, root: Path) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._descriptor = self._libc.inotify_init1(os.O_NONBLOCK)
        beside = [path for path in root.parent.rglob("*") if root not in (path, *path.parents)]
        self._paths = {self._libc.inotify_add_watch(self._descriptor, bytes(path), 0x20): path for path in beside}

    def opened(self) -> list[str]:
        """Return the paths that were opened since the watch began."""
        events, found = b"", []
        with suppress(BlockingIOError):
            events = os.read(self._descriptor, 1 << 16)
        while events:
            number, _, _, length = struct.unpack_from("iIII", events)
            found.append(str(self._paths[number]))
            events = events[16 + length :]
        return found


def ask(root: Path) -> str:
    """Run every kind of query on a store; return a JSON record of the results and of files opened outside."""
    opened_outside: list[str] = []
    armed = True
    beside = Watch(root)

    def watch(event: str, arguments: Any) -> None:
        # A name without a folder is looked up in a folder that is open.
        if armed and event == "open" and isinstance(arguments[0], str) and "/" in arguments[0]:
            path = os.path.realpath(arguments[0])
            if not path.startswith((str(root), *_OWN)):
                opened_outside.append(path)
            if arguments[0].startswith(str(root)) and not path.startswith(str(root)):
                opened_outside.append(path)

    sys.addaudithook(watch)
    start = time.monotonic()
    ends = {}
    bomb = root.parent / "bomb.parquet"
    questions: dict[str, Callable[[Any], Any]] = {
        "verify": lambda store: store.verify().faults,
        "tag": lambda store: store.tag(LABELS[:2]).to_pandas(),
        "search": lambda store: store.search(row="k1", k=3).to_pandas(),
        "predict": lambda store: store.predict("stars").to_pandas(),
        "info": lambda store: store.info(),
        "vectors": lambda store: store.space().vectors(store.corpus()),
    }
    if bomb.exists():
        questions = {"add": lambda store: store.add(bomb, text="review", corpus="bomb")}
    for name, question in questions.items():
        try:
            found = question(opened(root))
            ends[name] = f"{len(found)} faults" if name == "verify" else "answered"
        except embedstore.EmbedstoreError as error:
            ends[name] = f"{type(error).__name__}: {error}"
    armed = False
    opened_outside += beside.opened()
    return json.dumps(
        {
            "ends": ends,
            "seconds": round(time.monotonic() - start, 2),
            "outside": [path for path in opened_outside if path != str(bomb)],
            "hdf5": "h5py" in sys.modules,
        }
    )


def fault_of(record: dict[str, Any]) -> str:
    """Return "" if the trap was refused safely, else a description of the fault."""
    ends = record["ends"].values()
    refused = [end for end in ends if "Error: " in end or (end.endswith(" faults") and end != "0 faults")]
    if record["exit"] or not refused or any("\n" in end or end.startswith("unexpected") for end in ends):
        return f"{record['name']}: {record}"
    if record["outside"] or record["hdf5"] or record["megabytes"] > _MOST_MEGABYTES:
        return f"{record['name']}: opened {record['outside']}, {record['megabytes']} MB, HDF5 {record['hdf5']}"
    return ""


def main(place: str) -> None:
    """Make a store for every trap and query it."""
    base = Path(place) / "before"
    in_child(lambda: prepare(base))
    in_child(lambda: opened(base).encode() and None)
    records = []
    for name, trap in TRAPS.items():
        root = copy(base, Path(place) / name.replace("/", " ") / "store")
        reader, writer = os.pipe()
        status, said = in_child(lambda trap=trap, root=root: trap(root))
        assert not status, f"{name}: {said}"
        child = os.fork()
        if not child:
            code = 1
            try:
                os.write(writer, ask(root).encode())
                code = 0
            except BaseException as error:
                os.write(writer, json.dumps({"ends": {"all": f"unexpected {error!r}"}}).encode())
            finally:
                os._exit(code)
        os.close(writer)
        with os.fdopen(reader) as stream:
            said = stream.read()
        _, status, usage = os.wait4(child, 0)
        found = json.loads(said) if said else {"ends": {}}
        records.append(
            {"name": name, "exit": os.waitstatus_to_exitcode(status), "megabytes": usage.ru_maxrss // 1000, **found}
        )
    print(json.dumps({"injected": len(records), "records": records, "faults": [*filter(None, map(fault_of, records))]}))


if __name__ == "__main__":
    main(*sys.argv[1:])
