"""Text and vector segments: HDF5 files, written once as a whole and read as memory maps without HDF5.

The writer records the place of each dataset in the file (contiguous, unfiltered); a reader maps those bytes.
"""

import hashlib
import math
import mmap
import os
import secrets
import stat
from collections.abc import Iterable, Mapping, Sequence
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from embedstore.core.counts import counted
from embedstore.core.values import BLANK_RANGES, is_blank
from embedstore.errors import DamagedStoreError
from embedstore.storage import files
from embedstore.storage.records import DatasetRecord, FileRecord, TextSegment

__all__ = [
    "KEY_DTYPE",
    "blank_rows",
    "check_hash",
    "check_size",
    "forget_maps",
    "map_dataset",
    "read_texts",
    "segment_keys",
    "text_key",
    "write_texts",
    "write_vectors",
]

KEY_DTYPE = np.dtype("S16")
"""A text key as one NumPy value; equal values are equal keys, because S16 pads with the same NULs that it strips."""
_FOUND_BLANK: dict[str, tuple[int, ...]] = {}  # rows of blank texts by a segment's hash, where a manifest has none
_LINK = (
    "{path} is a link or no file: a store keeps its files in its own folder. Put the file itself there; to keep a "
    "store elsewhere, move the whole folder"
)


def text_key(text: str) -> bytes:
    """Return the key of a text: the first 16 bytes of the SHA-256 of its UTF-8 bytes."""
    return hashlib.sha256(text.encode()).digest()[:16]


def write_texts(root: Path, texts: Sequence[str]) -> TextSegment:
    """Write distinct texts as one segment.

    Parameters
    ----------
    root : Path
        The store.
    texts : sequence of str
        At least one text, without duplicates.

    Returns
    -------
    TextSegment
        Datasets ``text`` (uint8 blob), ``offset`` (uint64, n + 1), ``key`` (n by 16, uint8); rows of blank texts.
    """
    encoded = [text.encode() for text in texts]
    offset = np.zeros(len(encoded) + 1, dtype="<u8")
    np.cumsum([len(text) for text in encoded], out=offset[1:])
    keys = b"".join(hashlib.sha256(text).digest()[:16] for text in encoded)
    arrays = {
        "text": np.frombuffer(b"".join(encoded), dtype="|u1"),
        "offset": offset,
        "key": np.frombuffer(keys, dtype="|u1").reshape(-1, 16),
    }
    file, datasets = _write(root / "texts", root, arrays, {"content": "texts"})
    blank = tuple(row for row, text in enumerate(texts) if is_blank(text))
    return TextSegment(file, datasets["text"], datasets["offset"], datasets["key"], blank)


def write_vectors(
    root: Path, vectors: npt.NDArray[Any], *, encoder_key: str, texts: str
) -> tuple[FileRecord, DatasetRecord]:
    """Write the vectors of one text segment.

    Parameters
    ----------
    root : Path
        The store.
    vectors : ndarray of shape (n, dim), float32 or float16
        One row per text, in the order of the text segment.
    encoder_key, texts : str
        The key of the space, and the hash of the text segment; both are written into the file.
    """
    little_endian = vectors.astype(vectors.dtype.newbyteorder("<"), copy=False)
    attributes = {"content": "vectors", "encoder_key": encoder_key, "texts": texts}
    file, datasets = _write(root / "vectors", root, {"vectors": little_endian}, attributes)
    return file, datasets["vectors"]


def _write(
    folder: Path, root: Path, arrays: Mapping[str, npt.NDArray[Any]], attributes: Mapping[str, str]
) -> tuple[FileRecord, dict[str, DatasetRecord]]:
    import h5py

    places: dict[str, tuple[int, tuple[int, ...], str]] = {}
    # Built in memory and written by Python: libhdf5 ends the process if one of its own writes fails (a full disk).
    # HDF5 refuses to open two files of one name in a process, even in memory: each has a name of its own.
    with h5py.File(secrets.token_hex(8), "w", driver="core", backing_store=False) as container:
        container.attrs.update(attributes)
        for name, array in arrays.items():
            dataset = container.create_dataset(name, data=array, track_times=False)
            # An empty array has no place in an HDF5 file.
            offset = dataset.id.get_offset() if array.size else 0
            places[name] = (offset, array.shape, array.dtype.str)
        container.flush()
        image = container.id.get_file_image()
    with files.staged(folder, ".h5") as temp:
        temp.write_bytes(image)
        file = files.publish(temp, root, ".h5")
    return file, {name: DatasetRecord(*place) for name, place in places.items()}


def check_size(root: Path, file: FileRecord) -> Path:
    """Return the path of `file` after a check of its size.

    Raises
    ------
    DamagedStoreError
        If the file is missing, is a link or has another size than recorded.
    """
    path = Path(_checked(root, file)[0])
    _refuse_link(path.parent)
    return path


def _refuse_link(folder: Path) -> None:
    if folder.is_symlink():
        raise DamagedStoreError(_LINK.format(path=folder))


def _checked(root: Path, file: FileRecord) -> tuple[str, os.stat_result]:
    """Return the path and the status of `file`; see `check_size`.

    A store can have ten thousand files, so this makes no `Path`.
    """
    path = f"{root}/{file.path}"
    try:
        status = os.lstat(path)
    except FileNotFoundError as error:
        raise DamagedStoreError(f"{path} is missing. {_advice(file)}") from error
    if not stat.S_ISREG(status.st_mode):
        raise DamagedStoreError(_LINK.format(path=path))
    if status.st_size != file.size:
        raise DamagedStoreError(
            f"{path} has {counted(status.st_size, 'byte')} and was written with {file.size:,}. " + _advice(file)
        )
    return path, status


def _advice(file: FileRecord) -> str:
    if file.path.startswith(("texts/", "corpora/", "annotations/")):
        return "Restore it from a backup; `embedstore verify STORE` lists all that is damaged"
    return "Run `embedstore verify STORE --repair` to forget what is damaged, then make it again (encode, index, train)"


def check_hash(root: Path, file: FileRecord, advice: str) -> Path:
    """Return the path of `file` after a check of its hash, which reads the whole file.

    Raises
    ------
    DamagedStoreError
        If the file is missing or altered; the message ends with `advice`.
    """
    try:
        path = check_size(root, file)
    except DamagedStoreError as error:
        raise DamagedStoreError(f"{str(error).split('. ')[0]}: {advice}") from error
    if files.file_sha256(path) != file.sha256:
        raise DamagedStoreError(f"{path} was altered: {advice}")
    return path


def map_dataset(root: Path, file: FileRecord, dataset: DatasetRecord) -> npt.NDArray[Any]:
    """Return a dataset as a read-only array over the mapped file; nothing is read or copied yet.

    Raises
    ------
    DamagedStoreError
        If the file is missing or has another size than recorded.
    """
    path, status = _checked(root, file)
    if 0 in dataset.shape:
        return np.empty(dataset.shape, dtype=dataset.dtype)
    whole = _mapped(path, status.st_ino, status.st_mtime_ns, status.st_size)
    count = math.prod(dataset.shape)
    return np.frombuffer(whole, dtype=dataset.dtype, count=count, offset=dataset.offset).reshape(dataset.shape)


@lru_cache(maxsize=1 << 14)
def _mapped(path: str, _inode: int, _changed: int, size: int) -> mmap.mmap:
    # Cached: mapping a file again and touching each of its pages takes longer than reading them.
    _refuse_link(Path(path).parent)
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        return mmap.mmap(descriptor, size, flags=mmap.MAP_SHARED, prot=mmap.PROT_READ)
    finally:
        os.close(descriptor)


def forget_maps() -> None:
    """Drop the cached maps of files, so that removed files which nobody uses give back their disk space."""
    _mapped.cache_clear()


def segment_keys(root: Path, segment: TextSegment) -> npt.NDArray[np.bytes_]:
    """Return the keys of a segment's texts: shape (n,), dtype S16."""
    return map_dataset(root, segment.file, segment.key).reshape(-1).view(KEY_DTYPE)


def read_texts(root: Path, segment: TextSegment, rows: Iterable[int] | None = None) -> list[str]:
    """Return texts of a segment: all in order, or those at `rows` (0-based, in the given order).

    Raises
    ------
    DamagedStoreError
        If a text is not UTF-8, so the file was altered.
    """
    blob = map_dataset(root, segment.file, segment.text)
    offset = map_dataset(root, segment.file, segment.offset)
    chosen = range(segment.count) if rows is None else rows
    try:
        return [blob[int(offset[row]) : int(offset[row + 1])].tobytes().decode() for row in chosen]
    except UnicodeDecodeError as error:
        raise DamagedStoreError(
            f"{root / segment.file.path} was altered: a text is not UTF-8. Run `embedstore verify`"
        ) from error


def blank_rows(root: Path, segment: TextSegment) -> tuple[int, ...]:
    """Return the rows of a segment's blank texts, ascending.

    They stand in the manifest. For a segment of an earlier release, its texts are read once in this process.
    """
    if segment.blank is not None:
        return segment.blank
    name = segment.file.sha256
    if name not in _FOUND_BLANK:
        rows = _possibly_blank(root, segment).tolist()
        texts = read_texts(root, segment, rows)
        _FOUND_BLANK[name] = tuple(row for row, text in zip(rows, texts, strict=True) if is_blank(text))
    return _FOUND_BLANK[name]


def _possibly_blank(root: Path, segment: TextSegment) -> npt.NDArray[np.int64]:
    """Return the rows of the texts that are empty, or whose first two bytes can begin a blank text."""
    blob = map_dataset(root, segment.file, segment.text)
    offset = map_dataset(root, segment.file, segment.offset).astype(np.int64)
    if offset[0] < 0 or offset[-1] > len(blob) or (np.diff(offset) < 0).any():
        raise DamagedStoreError(f"{root / segment.file.path} was altered: run `embedstore verify`")
    rows = np.flatnonzero(np.diff(offset) > 0)
    first = offset[rows]
    second = np.minimum(first + 1, len(blob) - 1)  # of the next text if this one has one byte: then it does not count
    begun = _can_begin_blank()[blob[first].astype(np.intp) << 8 | blob[second]]
    found = np.ones(segment.count, dtype=bool)
    found[rows] = begun
    return np.flatnonzero(found)


@cache
def _can_begin_blank() -> npt.NDArray[np.bool_]:
    """Return a mask of shape (65536,): whether a blank text can begin with these two bytes, as one number."""
    found = np.zeros((256, 256), dtype=bool)
    for first, last in BLANK_RANGES:
        for code in range(first, last + 1):
            character = chr(code).encode()
            found[character[0], character[1] if len(character) > 1 else slice(None)] = True
    return found.reshape(-1)
