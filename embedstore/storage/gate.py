"""The gate to a store: each open, listing, creation, link, rename and removal of its files.

A store can come from somebody else, and its folder can change while it is in use. So a name is looked up in a folder
that is open, not along a path, and a link is never followed: only regular files in real folders are opened. The store's
own folder can be a link, because the user names it.

Steps of a write: temp file in the target's folder, fsync, rename (or link), fsync the folder. A failed fsync is never
retried, because a kernel can discard the dirty pages after it reports the error once. The temp file is removed, and the
caller starts again.
"""

import errno
import hashlib
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Self

from embedstore.core.system import explained, kind_of
from embedstore.errors import DamagedStoreError, EmbedstoreError, StorageError
from embedstore.storage.places import FileRecord

__all__ = ["FOLDERS", "TEMP_PREFIX", "Folder", "Staged", "denied", "make_root", "probing", "refused", "staged"]

FOLDERS = ("texts", "vectors", "lists", "keys", "corpora", "index", "maps", "probes", "annotations", "receipts")
"""The folders of a store."""
TEMP_PREFIX = ".tmp-"
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_FILE = os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK  # without waiting for the other end of a pipe
_NO_FILE = frozenset({errno.ELOOP, errno.EMLINK, errno.ENXIO, errno.EISDIR, errno.ENODEV, errno.EOPNOTSUPP})
_NO_LINKS = frozenset({errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK})


def denied(error: OSError) -> bool:
    """Return whether an error means that writing is not allowed, as in a read-only store."""
    return error.errno in (errno.EROFS, errno.EACCES, errno.EPERM)


def refused(error: OSError, path: Path) -> StorageError:
    """Return an error of the operating system as our own; names of temp files are not shown."""
    found = StorageError(explained(error, path, action="can't write to"))
    found.errno, found.filename = error.errno, error.filename or str(path)
    return found


class Folder:
    """A folder of a store, open; use it as a context manager.

    Parameters
    ----------
    root : Path
        The store.
    name : str
        One of `FOLDERS`; "" is the store's own folder.
    make : bool
        Make the folder if it is missing. The store's own folder must exist.

    Raises
    ------
    FileNotFoundError
        If the folder is missing.
    DamagedStoreError
        If a folder of the store is a link or a file.
    """

    def __init__(self, root: Path, name: str = "", *, make: bool = False) -> None:
        self.path = root / name
        with _naming(root):
            outer = os.open(root, _FOLDER)
        if not name:
            self.descriptor = outer
            return
        try:
            with _naming(self.path):
                if make:
                    _make(name, outer)
                self.descriptor = os.open(name, _FOLDER | os.O_NOFOLLOW, dir_fd=outer)
        except OSError as error:
            if error.errno in (errno.ENOTDIR, errno.ELOOP, errno.EMLINK):
                raise _other_kind(self.path, "folder") from error
            raise
        finally:
            os.close(outer)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        os.close(self.descriptor)

    def names(self) -> list[str]:
        """Return the names in the folder, in no order."""
        with _naming(self.path):
            return os.listdir(self.descriptor)  # noqa: PTH208  pathlib knows no descriptors

    def status(self, name: str) -> os.stat_result:
        """Return the status of what has this name; of a link, not of what it leads to."""
        with _naming(self.path / name):
            return os.stat(name, dir_fd=self.descriptor, follow_symlinks=False)

    def open(self, name: str, flags: int = os.O_RDONLY) -> int:
        """Open a file and return its descriptor.

        Raises
        ------
        DamagedStoreError
            If it is a link, a folder, a pipe or a device.
        OSError
            If it can't be opened.
        """
        try:
            with _naming(self.path / name):
                mode = _mode(0o666, self.descriptor) if flags & os.O_CREAT else 0
                found = os.open(name, flags | _FILE, mode, dir_fd=self.descriptor)
        except OSError as error:
            if error.errno in _NO_FILE:
                raise _other_kind(self.path / name, "file") from error
            raise
        if not stat.S_ISREG(os.fstat(found).st_mode):
            os.close(found)
            raise _other_kind(self.path / name, "file")
        return found

    def read(self, name: str) -> bytes:
        """Return the content of a file."""
        with os.fdopen(self.open(name), "rb") as stream, _naming(self.path / name):
            return stream.read()

    def create(self, name: str) -> int:
        """Make a new file and return its descriptor, to write and to read."""
        return self.open(name, os.O_RDWR | os.O_CREAT | os.O_EXCL)

    def remove(self, name: str) -> None:
        """Remove a name from the folder; a link goes, what it leads to stays."""
        with _naming(self.path / name):
            os.unlink(name, dir_fd=self.descriptor)

    def rename(self, old: str, new: str) -> None:
        """Give a file another name in this folder; a file that has the new name goes."""
        with _naming(self.path):
            os.rename(old, new, src_dir_fd=self.descriptor, dst_dir_fd=self.descriptor)

    def link(self, old: str, new: str) -> None:
        """Give a file a second name in this folder.

        Raises
        ------
        FileExistsError
            If the new name is taken.
        StorageError
            If the file system has no hard links.
        """
        try:
            with _naming(self.path):
                os.link(old, new, src_dir_fd=self.descriptor, dst_dir_fd=self.descriptor, follow_symlinks=False)
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
            found = StorageError(
                f"can't write to {self.path}: its file system refuses hard links ({os.strerror(error.errno)}), and a "
                "store commits with them: put the store on another disk ($EMBEDSTORE_HOME, or a path as STORE)"
            )
            found.errno, found.filename = error.errno, str(self.path)
            raise found from error

    def sync(self) -> None:
        """Make sure that the names in the folder are on the disk."""
        with _naming(self.path):
            os.fsync(self.descriptor)


class Staged:
    """A temp file in a folder of a store, until it gets its name; made by `staged`.

    Attributes
    ----------
    stream : binary file
        Where the content is written to.
    name : str
        Its temporary name.
    """

    def __init__(self, folder: Folder, suffix: str) -> None:
        self._folder = folder
        self.name = f"{TEMP_PREFIX}{os.getpid()}-{os.urandom(6).hex()}{suffix}"
        self.stream = os.fdopen(folder.create(self.name), "w+b")

    def publish(self, suffix: str) -> FileRecord:
        """Sync the file, rename it to its content's hash, and return its record.

        Raises
        ------
        OSError
            If a write, an fsync or the rename fails; nothing is published then.
        """
        self.stream.flush()
        self.stream.seek(0)
        sha256 = hashlib.file_digest(self.stream, "sha256").hexdigest()
        size = os.fstat(self.stream.fileno()).st_size
        self.sync()
        self._folder.rename(self.name, sha256 + suffix)
        self._folder.sync()
        return FileRecord(f"{self._folder.path.name}/{sha256}{suffix}", size, sha256)

    def link(self, name: str) -> bool:
        """Sync the file and give it a name, unless the name is taken; return whether it got it."""
        self.sync()
        try:
            self._folder.link(self.name, name)
        except FileExistsError:
            return False
        try:
            self._folder.sync()
        except OSError:
            # The name may or may not be on the disk: remove it, so that an error always means that nothing happened.
            with suppress(OSError):
                self._folder.remove(name)
            raise
        return True

    def discard(self) -> None:
        """Close the file and remove its temp name, if it still has it."""
        with suppress(OSError):  # it was written whole or not, and has its name or not: closing changes nothing
            self.stream.close()
        with suppress(OSError):  # it was renamed, or can't be removed now: the result is valid, and gc removes it later
            self._folder.remove(self.name)

    def sync(self) -> None:
        """Make sure that what was written is on the disk."""
        self.stream.flush()
        os.fsync(self.stream.fileno())


@contextmanager
def staged(root: Path, name: str, suffix: str = "") -> Iterator[Staged]:
    """Yield a temp file in a folder of the store; if it has no name of its own at the end, it is removed.

    Raises
    ------
    StorageError
        If the operating system refuses a step: the disk is full, writing is not allowed, …
    """
    try:
        with Folder(root, name, make=True) as folder:
            temp = Staged(folder, suffix)
            try:
                yield temp
            finally:
                temp.discard()
    except EmbedstoreError:
        raise
    except OSError as error:
        raise refused(error, root / name) from error


@contextmanager
def probing(root: Path) -> Iterator[str]:
    """Yield the name of a new file in a store that holds its own name: who finds it there sees the same folder."""
    with staged(root, "") as temp:
        temp.stream.write(temp.name.encode())
        temp.sync()
        yield temp.name


def make_root(root: Path) -> bool:
    """Make the folder of a store and the folders above; return whether this call made it.

    The parents are synced, so that a crash can't leave a manifest without its folder.

    Raises
    ------
    StorageError
        If the operating system refuses it.
    """
    if root.is_dir():
        return False
    make_root(root.parent)
    try:
        root.mkdir()
        with Folder(root.parent) as parent:
            parent.sync()
    except FileExistsError:
        return False
    except OSError as error:
        raise refused(error, root) from error
    return True


def _other_kind(path: Path, expected: str) -> DamagedStoreError:
    found = "something else"
    with suppress(OSError):
        found = f"a {kind_of(path.lstat())}"
    if found == "a link":
        advice = f"put the {expected} itself there; to keep a store elsewhere, move the whole folder"
    elif path.name.startswith("."):
        advice = "remove it; the lock is made anew"
    else:
        advice = f"remove it, and restore the {expected} from a backup"
    return DamagedStoreError(f"expected a {expected} at {path}, found {found}: {advice}")


def _make(name: str, outer: int) -> None:
    try:
        os.mkdir(name, _mode(0o777, outer), dir_fd=outer)
    except FileExistsError:
        return
    os.fsync(outer)  # a crash must not leave a manifest without its folders


def _mode(widest: int, folder: int) -> int:
    """Return the mode of what is new in a folder: what is private there is private in it."""
    return widest & stat.S_IMODE(os.fstat(folder).st_mode)


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Give errors of calls with a descriptor the whole path."""
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error
