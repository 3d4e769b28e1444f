"""Text and vector segments, and maps: HDF5 files, written once as a whole and read as memory maps without HDF5.

The writer records the place of each dataset in the file (contiguous, unfiltered); a reader maps those bytes.
"""

import codecs
import hashlib
import os
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from embedstore.core.values import BLANK_RANGES, is_blank
from embedstore.errors import DamagedStoreError
from embedstore.storage.gate import staged
from embedstore.storage.listed import map_dataset, open_file
from embedstore.storage.records import DatasetRecord, FileRecord, TextSegment

__all__ = [
    "KEY_DTYPE",
    "blank_rows",
    "publish_vectors",
    "read_texts",
    "segment_keys",
    "text_key",
    "vector_image",
    "write_map",
    "write_texts",
    "write_vectors",
]

KEY_DTYPE = np.dtype("S16")
"""A text key as one NumPy value; equal values are equal keys, because S16 pads with the same NULs that it strips."""
_FOUND_BLANK: dict[str, tuple[int, ...]] = {}  # rows of blank texts by a segment's hash, where a manifest has none


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
    file, datasets = _write(root, "texts", arrays, {"content": "texts"})
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
    image, dataset = vector_image(vectors, encoder_key=encoder_key, texts=texts)
    return publish_vectors(root, image), dataset


def vector_image(vectors: npt.NDArray[Any], *, encoder_key: str, texts: str) -> tuple[bytes, DatasetRecord]:
    """Return what `write_vectors` writes, as bytes that can be sent, and the place of the vectors in them."""
    little_endian = vectors.astype(vectors.dtype.newbyteorder("<"), copy=False)
    attributes = {"content": "vectors", "encoder_key": encoder_key, "texts": texts}
    image, datasets = _image({"vectors": little_endian}, attributes)
    return image, datasets["vectors"]


def publish_vectors(root: Path, image: bytes) -> FileRecord:
    """Write an image of `vector_image` into the store, and return its record."""
    return _publish(root, "vectors", image)


def write_map(
    root: Path, positions: npt.NDArray[np.int64], points: npt.NDArray[np.float32], *, encoder_key: str
) -> tuple[FileRecord, DatasetRecord, DatasetRecord]:
    """Write the places of texts on a map.

    Parameters
    ----------
    root : Path
        The store.
    positions : ndarray of shape (n,), int64
        The positions of the texts.
    points : ndarray of shape (n, 2), float32
        Their places.
    encoder_key : str
        The key of the space; it is written into the file.
    """
    arrays = {"position": positions.astype("<u8"), "point": points.astype("<f4")}
    file, datasets = _write(root, "maps", arrays, {"content": "map", "encoder_key": encoder_key})
    return file, datasets["position"], datasets["point"]


def _write(
    root: Path, folder: str, arrays: Mapping[str, npt.NDArray[Any]], attributes: Mapping[str, str]
) -> tuple[FileRecord, dict[str, DatasetRecord]]:
    image, datasets = _image(arrays, attributes)
    return _publish(root, folder, image), datasets


def _publish(root: Path, folder: str, image: bytes) -> FileRecord:
    with staged(root, folder, ".h5") as temp:
        temp.stream.write(image)
        return temp.publish(".h5")


def _image(
    arrays: Mapping[str, npt.NDArray[Any]], attributes: Mapping[str, str]
) -> tuple[bytes, dict[str, DatasetRecord]]:
    import h5py

    places: dict[str, tuple[int, tuple[int, ...], str]] = {}
    # Built in memory and written by Python: libhdf5 ends the process if one of its own writes fails (a full disk).
    # HDF5 refuses to open two files of one name in a process, even in memory: each has a name of its own.
    with h5py.File(os.urandom(8).hex(), "w", driver="core", backing_store=False) as container:
        container.attrs.update(attributes)
        for name, array in arrays.items():
            dataset = container.create_dataset(name, data=array, track_times=False)
            # An empty array has no place in an HDF5 file.
            offset = dataset.id.get_offset() if array.size else 0
            places[name] = (offset, array.shape, array.dtype.str)
        container.flush()
        image = container.id.get_file_image()
    return image, {name: DatasetRecord(*place) for name, place in places.items()}


def segment_keys(root: Path, segment: TextSegment) -> npt.NDArray[np.bytes_]:
    """Return the keys of a segment's texts: shape (n,), dtype S16."""
    return map_dataset(root, segment.file, segment.key).reshape(-1).view(KEY_DTYPE)


def read_texts(
    root: Path, segment: TextSegment, rows: Iterable[int] | None = None, *, most: int | None = None
) -> list[str]:
    """Return texts of a segment.

    Parameters
    ----------
    root : Path
        The store.
    segment : TextSegment
        One of its text segments.
    rows : iterable of int, optional
        Which texts, 0-based, in this order. By default all texts: then the file is read and not mapped, as the pages
        of a map would count as memory of this process.
    most : int, optional
        The number of characters after which a text is cut off.

    Raises
    ------
    DamagedStoreError
        If a text is not UTF-8, so the file was altered.
    """
    offset = map_dataset(root, segment.file, segment.offset)
    if rows is None and most is None:
        with open_file(root, segment.file) as stream:
            stream.seek(segment.text.offset)
            blob = memoryview(stream.read(segment.text.shape[0]))
    else:
        blob = map_dataset(root, segment.file, segment.text).data
    try:
        return [
            _decoded(blob, int(offset[row]), int(offset[row + 1]), most)
            for row in (range(segment.count) if rows is None else rows)
        ]
    except UnicodeDecodeError as error:
        raise DamagedStoreError(
            f"{root / segment.file.path} was altered: a text is not UTF-8. Run `embedstore verify`"
        ) from error


def _decoded(blob: memoryview, first: int, last: int, most: int | None) -> str:
    if most is None or last - first <= most:
        return str(blob[first:last], "utf-8")
    # A character has up to 4 bytes; one that is cut in two is left out.
    return codecs.utf_8_decode(blob[first : min(last, first + 4 * most)], "strict", False)[0][:most]


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
