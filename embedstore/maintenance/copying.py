"""Copy a whole store."""

from pathlib import Path

from embedstore.core.names import store_path
from embedstore.core.settings import Home
from embedstore.storage.copying import Copied, CopyReport, copy_files

__all__ = ["copy"]


def copy(home: Home, target: str | Path, *, on_copied: Copied | None = None) -> CopyReport:
    """Copy the newest state of the store to a new folder, whole or not at all.

    Other processes can write meanwhile: what they commit is not in the copy. Every file is compared with the hash that
    it was written with. Segments that wait to be committed (`encode --shard`) are not copied.

    Parameters
    ----------
    home : Home
        The store.
    target : str or Path
        A name, or the path of a folder that does not exist yet or is empty; see `embedstore.open`.
    on_copied : callable, optional
        Called after each file with the bytes that are copied, and those of all files.

    Raises
    ------
    UsageError
        If there is something at `target`, or it is inside the store.
    DamagedStoreError
        If a file of the store is missing or altered.
    """
    return copy_files(home.root, store_path(target), on_copied=on_copied)
