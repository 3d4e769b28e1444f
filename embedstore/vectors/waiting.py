"""Receipts that wait in the store's folder: finished vector segments that no manifest lists yet.

A process that can't commit, such as a shard or a worker on another machine, writes a segment and then its receipt, and
holds the store's lock meanwhile. `encode` commits what waits before it encodes, and `gc` leaves it. A receipt is the
record of a space with one segment and one provenance, so it is checked as strictly as a manifest; it is taken over only
if its vectors are whole, and never in the place of others.
"""

import hashlib
import json
import logging
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from embedstore.core.counts import counted, form
from embedstore.core.exact import exactly, whole
from embedstore.core.spec import canonical_json
from embedstore.encoders import Described
from embedstore.errors import CheckpointError, DamagedStoreError, EmbedstoreError, StoreFormatError
from embedstore.storage.gate import TEMP_PREFIX, Folder, staged
from embedstore.storage.listed import map_dataset, open_file, same_hash
from embedstore.storage.manifest import commit, load
from embedstore.storage.records import SpaceRecord
from embedstore.storage.state import Manifest
from embedstore.vectors.canaries import check_vectors
from embedstore.vectors.receipts import Receipt, with_receipts

__all__ = ["Waiting", "commit_receipts", "keep_receipt", "take_over", "waiting", "waiting_files", "with_waiting"]

logger = logging.getLogger(__name__)

_FOLDER, _SUFFIX = "receipts", ".json"
_FORMAT = 1
_LARGEST = 1 << 20  # bytes; a receipt has about a thousand, and a label's name in it may be long
_AT_ONCE = 64  # receipts that are read and committed together: `gc` gets its turn in between
_NO_RECEIPT = (EmbedstoreError, KeyError, TypeError, ValueError, AttributeError, IndexError, RecursionError)


class Waiting(NamedTuple):
    """A receipt that waits: the record of its space without segments, and what it says of one segment."""

    space: SpaceRecord
    receipt: Receipt

    @property
    def key(self) -> str:
        """The key of its space."""
        return self.space.spec.key

    def is_there(self, root: Path) -> bool:
        """Return whether its file of vectors is there, with its size."""
        with suppress(DamagedStoreError, OSError), open_file(root, self.receipt.segment.file):
            return True
        return False

    def is_whole(self, root: Path) -> bool:
        """Return whether its file of vectors has its hash, is of this text segment and space, and holds vectors."""
        segment = self.receipt.segment
        try:
            with open_file(root, segment.file) as stream:
                sound = same_hash(stream, segment.file)
                before = stream.read(segment.vectors.offset)
                stream.seek(segment.vectors.end)
                said = before + stream.read()
            # The attributes of the HDF5 file say what it is of; it is not opened as HDF5, as nobody vouches for it.
            if not sound or self.key.encode() not in said or self.receipt.text.encode() not in said:
                return False
            vectors = np.asarray(map_dataset(root, segment.file, segment.vectors), dtype=np.float32)
            check_vectors(vectors, self.space.spec)
        except (DamagedStoreError, CheckpointError, OSError):
            return False
        return True


def keep_receipt(root: Path, described: Described, receipt: Receipt) -> Receipt:
    """Write a receipt into the store's folder, and return it with the name of its file.

    Call it under the lock of a writer that was held since the segment was written, so that `gc` takes neither.
    """
    segment = replace(receipt.segment, provenance=0)
    space = SpaceRecord(
        spec=described.spec,
        dimension=receipt.dimension,
        model=described.model,
        revision=described.revision,
        query_prompt=described.query_prompt,
        head=described.head,
        provenance=(receipt.provenance,),
        segments={receipt.text: segment},
    )
    with staged(root, _FOLDER, _SUFFIX) as temp:
        temp.stream.write(canonical_json({"format_version": _FORMAT, "space": space.to_json()}))
        file = temp.publish(_SUFFIX)
    return replace(receipt, kept=file.sha256 + _SUFFIX)


def waiting(root: Path) -> list[Waiting]:
    """Return the receipts that wait, in the order of their names; what is none is left out, with a warning.

    Raises
    ------
    StoreFormatError
        If a newer release wrote one.
    """
    found, refused = [], []
    with suppress(FileNotFoundError), Folder(root, _FOLDER) as folder:
        for name in sorted(one for one in folder.names() if not one.startswith(TEMP_PREFIX)):
            with suppress(FileNotFoundError):  # its commit has just removed it
                try:
                    found.append(_read(folder, name))
                except StoreFormatError:
                    raise
                except _NO_RECEIPT as error:
                    refused.append(f"{name} ({type(error).__name__})")
    if refused:
        logger.warning(
            "%s in %s/%s: left out, first %s; `embedstore gc` removes what is none",
            counted(len(refused), "damaged receipt"),
            root,
            _FOLDER,
            refused[0],
        )
    return found


def _read(folder: Folder, name: str) -> Waiting:
    if folder.status(name).st_size > _LARGEST:
        raise DamagedStoreError("a receipt is smaller")
    content = folder.read(name)
    if hashlib.sha256(content).hexdigest() + _SUFFIX != name:
        raise DamagedStoreError("it was altered or cut short")
    value = exactly(dict, json.loads(content), "a receipt")
    if whole(value["format_version"], "the format of a receipt") > _FORMAT:
        raise StoreFormatError(
            f"{folder.path / name} has format {value['format_version']}, and this release reads up to {_FORMAT}: "
            "upgrade embedstore"
        )
    space = SpaceRecord.from_json(value["space"])
    if len(space.segments) != 1 or len(space.provenance) != 1:
        raise DamagedStoreError("a receipt is of one segment")
    ((text, segment),) = space.segments.items()
    receipt = Receipt(text, segment, space.provenance[0], space.dimension, kept=name)
    return Waiting(replace(space, segments={}, provenance=()), receipt)


def with_waiting(manifest: Manifest, some: Iterable[Waiting]) -> Manifest:
    """Return a manifest with those of some receipts added that fit it."""
    groups: dict[str, list[Waiting]] = {}
    for one in _fitting(manifest, some):
        groups.setdefault(one.key, []).append(one)
    for group in groups.values():
        space = group[0].space
        receipts = [one.receipt for one in group if one.space.dimension == space.dimension]
        manifest = with_receipts(manifest, space, receipts)
    return manifest


def _fitting(manifest: Manifest, some: Iterable[Waiting]) -> list[Waiting]:
    """Return the receipts whose text segments a manifest has, with a place for their vectors that is free."""
    found = []
    for one in some:
        held = manifest.spaces.get(one.key)
        free = held is None or (held.dimension == one.space.dimension and one.receipt.text not in held.segments)
        place = manifest.texts.place(one.receipt.text)
        if free and place is not None and manifest.texts[place].count == one.receipt.segment.vectors.shape[0]:
            found.append(one)
    return found


def take_over(root: Path, writing: Callable[[], AbstractContextManager[None]], *, key: str | None = None) -> int:
    """Commit the segments that wait in the space of a key, or in all; return their number.

    Receipts of texts that have their vectors now are removed. Others that can't be taken stay for `gc`.

    Parameters
    ----------
    root : Path
        The store.
    writing : callable
        Returns the context of a writer; see `embedstore.storage.locks.writing`.
    key : str, optional
        The key of a space.
    """
    left = [one for one in waiting(root) if key in (None, one.key)]
    taken = wrong = 0
    while left:
        some, left = left[:_AT_ONCE], left[_AT_ONCE:]
        with writing():
            before = load(root)
            fitting = _fitting(before, some)
            sound = [one for one in fitting if one.is_whole(root)]
            wrong += len(fitting) - len(sound)
            after = commit(root, partial(with_waiting, some=sound)) if sound else before
            done = [one for one in some if _has(after, one)]
            taken += sum(not _has(before, one) for one in done)
            _drop(root, [one.receipt for one in done])
    if wrong:
        logger.warning(
            "%s waited whose vectors are missing or altered: %s encoded again, and `embedstore gc` removes %s",
            counted(wrong, "segment"),
            form(wrong, "it is", "they are"),
            form(wrong, "its receipt", "their receipts"),
        )
    return taken


def commit_receipts(root: Path, described: Described, receipts: Sequence[Receipt]) -> None:
    """Commit receipts, and remove their files if they have some."""
    commit(root, partial(with_receipts, described=described, receipts=receipts))
    _drop(root, receipts)


def waiting_files(root: Path, manifest: Manifest) -> set[str]:
    """Return the paths of the receipts that can be taken over, and of their vectors: `gc` leaves them."""
    kept = [one.receipt for one in _fitting(manifest, waiting(root)) if one.is_whole(root)]
    return {path for one in kept for path in (f"{_FOLDER}/{one.kept}", one.segment.file.path)}


def _has(manifest: Manifest, one: Waiting) -> bool:
    return one.key in manifest.spaces and one.receipt.text in manifest.spaces[one.key].segments


def _drop(root: Path, receipts: Sequence[Receipt]) -> None:
    names = [one.kept for one in receipts if one.kept]
    if names:
        with suppress(OSError, EmbedstoreError), Folder(root, _FOLDER) as folder:
            for name in names:
                with suppress(FileNotFoundError):  # another process has taken it over too
                    folder.remove(name)
