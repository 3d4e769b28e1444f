"""Simulate a loss of power: from a log of operations, build the disk states that a crash can leave.

Only synced data is certain: a file's bytes after an fsync of the file, a name after an fsync of its folder. All other
data may be lost in part: bytes can be absent, torn or zero; each creation, rename, link and removal can be missing.
"""

import shutil
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

Tree = dict[str, bytes | None]  # path inside the store: content, or None for a folder

_HEAD = struct.Struct("<c5Q")


@dataclass(frozen=True)
class Record:
    """One operation: kind, inode, offset, its paths, the bytes written."""

    kind: str
    inode: int
    offset: int
    path: str
    other: str
    content: bytes


def read_log(path: Path) -> list[Record]:
    """Return the operations that the shim recorded."""
    raw, place, records = path.read_bytes(), 0, []
    while place < len(raw):
        kind, inode, offset, one, two, length = _HEAD.unpack_from(raw, place)
        place += _HEAD.size
        parts = []
        for size in (one, two, length):
            parts.append(raw[place : place + size])
            place += size
        records.append(Record(kind.decode(), inode, offset, parts[0].decode(), parts[1].decode(), parts[2]))
    return records


@dataclass
class _File:
    certain: bytes
    pending: list[Record] = field(default_factory=list)

    def content(self, how: str) -> bytes:
        """Return the bytes after a crash: with all pending writes, with none, with the first half, or with zeros."""
        writes = self.pending
        if how == "none":
            return self.certain
        if how == "torn":
            writes = writes[: len(writes) // 2 + 1]
        held = bytearray(self.certain)
        for number, write in enumerate(writes):
            if write.kind == "t":
                del held[write.offset :]
                held.extend(bytes(write.offset - len(held)))
                continue
            content = write.content
            if how == "torn" and number == len(writes) - 1:
                content = content[: len(content) // 2]
            if how == "zeros":
                content = bytes(len(content))
            held.extend(bytes(max(0, write.offset - len(held))))
            held[write.offset : write.offset + len(content)] = content
        return bytes(held)


class Disk:
    """A simulated disk that starts with the files of the folder `root`, all certain."""

    def __init__(self, root: Path) -> None:
        self._root = str(root)
        self._files: dict[int, _File] = {}
        self._names: dict[str, int | None] = {}  # certain paths: inode, or None for a folder
        self._latest: dict[int, int] = {}
        self._pending: list[Record] = []  # creations, renames, links and removals that are not yet certain
        for path in root.rglob("*"):
            if path.is_dir():
                self._names[str(path)] = None
            else:
                self._names[str(path)] = path.stat().st_ino
                self._files[path.stat().st_ino] = _File(path.read_bytes())

    def _number(self, inode: int, *, fresh: bool = False) -> int:
        """Return a unique number for the file with this inode; the system reuses inodes of removed files."""
        if fresh:
            self._latest[inode] = max(self._files, default=0) + inode + 1
        return self._latest.get(inode, inode)

    def crashes(self, records: list[Record]) -> Iterator[tuple[str, Tree, bool]]:
        """Yield each distinct state: its description, its tree, and whether the run had ended."""
        seen: set[int] = set()
        for number, record in enumerate([*records, None]):
            # The most data can be lost just before a sync.
            if record is None or record.kind == "s":
                for what, tree in self._states():
                    key = hash(tuple(sorted(tree.items(), key=lambda pair: pair[0])))
                    if key not in seen or record is None:
                        seen.add(key)
                        yield f"power lost at record {number}, {what}", tree, record is None
            if record is not None:
                self._apply(record)

    def _states(self) -> Iterator[tuple[str, Tree]]:
        pending = self._pending
        everything = range(len(pending))
        for how in ("all", "none", "torn", "zeros"):
            yield f"bytes {how}, names all", self._tree(how, everything)
            yield f"bytes {how}, names none", self._tree(how, ())
        for number in everything:
            for how in ("all", "none"):
                yield f"bytes {how}, names before {number}", self._tree(how, range(number))
                yield f"bytes {how}, name {number} alone", self._tree(how, (number,))
                yield f"bytes {how}, name {number} missing", self._tree(how, [n for n in everything if n != number])

    def _tree(self, how: str, done: object) -> Tree:
        names = dict(self._names)
        for number in done:
            _rename(names, self._pending[number])
        tree: Tree = {}
        for path, inode in sorted(names.items()):
            parent = path.rpartition("/")[0]
            if parent != self._root and parent[len(self._root) + 1 :] not in tree:
                continue  # its folder was never made
            inside = path[len(self._root) + 1 :]
            tree[inside] = None if inode is None else self._files[inode].content(how)
        return tree

    def _apply(self, record: Record) -> None:
        record = replace(record, inode=self._number(record.inode, fresh=record.kind in "cm"))
        if record.kind in "wt":
            self._files[record.inode].pending.append(record)
        elif record.kind == "s":
            if record.inode in self._files and record.path not in self._folders():
                held = self._files[record.inode]
                self._files[record.inode] = _File(held.content("all"))
            else:
                for pending in [p for p in self._pending if _folder(p) == record.path]:
                    _rename(self._names, pending)
                    self._pending.remove(pending)
        else:
            if record.kind == "c":
                self._files[record.inode] = _File(b"")
            if record.kind == "r" and record.path in self._folders():
                record = replace(record, kind="f")
            self._pending.append(record)

    def _folders(self) -> set[str]:
        made = {p.path for p in self._pending if p.kind == "m"}
        return {self._root, *made, *(path for path, inode in self._names.items() if inode is None)}

    def build(self, tree: Tree, root: Path) -> None:
        """Write a state to the folder `root`."""
        shutil.rmtree(root)
        root.mkdir()
        for path, content in tree.items():
            if content is None:
                (root / path).mkdir()
            else:
                (root / path).write_bytes(content)


def _folder(record: Record) -> str:
    return (record.other or record.path).rpartition("/")[0]


def _rename(names: dict[str, int | None], record: Record) -> None:
    if record.kind == "m":
        names[record.path] = None
    elif record.kind == "u":
        names.pop(record.path, None)
    elif record.kind == "c":
        names[record.path] = record.inode
    elif record.kind == "l":
        names[record.other] = record.inode
    elif record.kind == "f":  # a folder takes what is in it along
        for path in [path for path in names if f"{path}/".startswith(f"{record.path}/")]:
            names[record.other + path.removeprefix(record.path)] = names.pop(path)
    elif record.kind == "r":
        names.pop(record.path, None)
        names[record.other] = record.inode
