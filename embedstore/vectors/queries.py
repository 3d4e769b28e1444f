"""Vectors of labels and queries: stored like those of corpus texts, and encoded only if new."""

import logging
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from embedstore.core.counts import counted, form
from embedstore.core.progress import task
from embedstore.core.system import FULL
from embedstore.core.unit import unit_rows
from embedstore.corpora.keyed import keys_of
from embedstore.corpora.texts import Texts
from embedstore.errors import ModelRequiredError, StorageError
from embedstore.storage.gate import denied
from embedstore.storage.keys import halves, once
from embedstore.storage.listed import map_dataset
from embedstore.storage.manifest import commit, load
from embedstore.storage.records import SpaceRecord, TextSegment
from embedstore.storage.segments import segment_keys, write_texts
from embedstore.storage.state import Manifest
from embedstore.vectors.unproven import check_proven

if TYPE_CHECKING:
    from embedstore.encoders import Described, Encoder

__all__ = ["LoadEncoder", "QueryEncoder"]

logger = logging.getLogger(__name__)

Writing = Callable[[], AbstractContextManager[None]]
LoadEncoder = Callable[[SpaceRecord, Sequence[str]], "tuple[Described, Encoder]"]


class QueryEncoder:
    """Encoder of labels and queries into a space; each text is encoded once and kept in the store.

    Parameters
    ----------
    root : Path
        The store.
    manifest : Manifest
        The store's state; texts with a vector there are not encoded again.
    record : SpaceRecord
        The space to encode into.
    load_encoder : callable
        Takes a space and texts; returns the space's checkpoint and an encoder.
    writing : callable
        Returns a context that holds the store's lock; see `embedstore.storage.locks.writing`.
    no_encode : bool
        Raise an error instead of loading a model.
    fresh : dict
        Vectors encoded since that state, by spec key and text; new ones are added.
    """

    def __init__(
        self,
        root: Path,
        manifest: Manifest,
        record: SpaceRecord,
        load_encoder: LoadEncoder,
        *,
        writing: Writing,
        no_encode: bool,
        fresh: dict[tuple[str, str], npt.NDArray[np.float32]],
    ) -> None:
        self._root = root
        self._manifest = manifest
        self._record = record
        self._load_encoder = load_encoder
        self._writing = writing
        self._no_encode = no_encode
        self._fresh = fresh
        self.encoded = 0
        """Number of texts encoded so far."""

    def __call__(self, texts: Sequence[str], *, prompt: str | None = None) -> npt.NDArray[np.float32]:
        """Return one unit vector per text, shape (n, dim), float32.

        Parameters
        ----------
        texts : sequence of str
            Labels or queries.
        prompt : str, optional
            Prompt before each text, instead of the space's document prompt.

        Raises
        ------
        ModelRequiredError
            If a text has no vector yet and `no_encode` is set.
        """
        spec = self._record.spec if prompt is None else replace(self._record.spec, prompt=prompt)
        out = np.zeros((len(texts), self._record.dimension), dtype=np.float32)
        missing = np.flatnonzero(_from_cache(self._root, self._manifest, spec.key, keys_of(texts), out)).tolist()
        new = dict.fromkeys(texts[row] for row in missing)
        new = {text: None for text in new if (spec.key, text) not in self._fresh}
        if new:
            check_proven(self._record, list(new))
        if new and self._no_encode:
            raise ModelRequiredError(
                f"{counted(len(new), 'text')} {form(len(new), 'has', 'have')} no vector yet, "
                f"{next(iter(new))!r} first, and "
                "--no-encode forbids to load the model: run again without it, once"
            )
        if new:
            vectors = _encode_and_keep(
                self._root, self._record, spec.prompt, list(new), self._load_encoder, self._writing
            )
            self.encoded += len(new)
            self._fresh.update({(spec.key, text): vector for text, vector in zip(new, vectors, strict=True)})
        for row in missing:
            out[row] = self._fresh[spec.key, texts[row]]
        return np.asarray(unit_rows(out))


def _from_cache(
    root: Path, manifest: Manifest, key: str, keys: npt.NDArray[np.bytes_], out: npt.NDArray[np.float32]
) -> npt.NDArray[np.bool_]:
    """Put the vectors of the keys that have one in a space into `out`; return which have none, as a mask."""
    if key not in manifest.spaces:
        return np.ones(len(keys), dtype=bool)
    wanted, places = once(keys)
    found = np.zeros((len(wanted.first), out.shape[1]), dtype=np.float32)
    missing = np.ones(len(found), dtype=bool)
    numbered = wanted.numbered()

    def take(text: TextSegment, query: bool, numbers: npt.NDArray[np.int64], rows: npt.NDArray[np.int64]) -> None:
        segment = manifest.spaces[key].of(text, query=query)
        if segment is not None and len(rows):
            found[numbers] = map_dataset(root, segment.file, segment.vectors)[rows]
            missing[numbers] = False

    for text in manifest.queries:  # first: there are fewer of them
        if not missing.any():
            break
        number = numbered.find(*halves(segment_keys(root, text)))
        rows = np.flatnonzero(number >= 0)
        take(text, True, number[rows], rows)
    if missing.any():
        texts = Texts(root, manifest.texts, manifest.keys)
        number = np.flatnonzero(missing)
        for text, here, rows in texts.owners(texts.find(keys[wanted.position[number]])):
            take(text, False, number[here], rows)
    out[:] = found[places]
    return missing[places]


def _encode_and_keep(
    root: Path,
    record: SpaceRecord,
    prompt: str,
    texts: list[str],
    load_encoder: LoadEncoder,
    writing: Writing,
) -> npt.NDArray[np.float32]:
    from embedstore.vectors.canaries import check_canaries, check_vectors

    described, encoder = load_encoder(record, texts)
    manifest = load(root)
    check_canaries(root, manifest, encoder)
    tell = task("texts", len(texts))
    vectors = encoder.encode(texts, prompt=prompt, on_texts=lambda count, _cut: tell(count))
    check_vectors(vectors, described.spec)
    try:
        with writing():
            _keep(root, replace(described, spec=replace(described.spec, prompt=prompt)), encoder, texts, vectors)
    except StorageError as error:
        if not denied(error) and error.errno not in FULL:
            raise
        new = counted(len(texts), "new vector")
        logger.warning("%s; %s %s used and not kept", error, new, form(len(texts), "is", "are"))
    return vectors.astype(described.spec.dtype).astype(np.float32)


def _keep(
    root: Path, described: "Described", encoder: "Encoder", texts: list[str], vectors: npt.NDArray[np.float32]
) -> None:
    from embedstore.vectors.executors import store_vectors
    from embedstore.vectors.receipts import Receipt, with_receipts

    segment = write_texts(root, texts)
    stored = store_vectors(root, segment, vectors, described.spec)
    receipt = Receipt(segment.file.sha256, stored, encoder.provenance, encoder.dimension)
    commit(root, lambda base: with_receipts(base, described, [receipt], queries=[segment]))
