"""Vectors of label and query texts: cached in the store like any other, encoded only when new."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from embedstore.encode import Receipt, check_canaries, check_vectors, store_vectors, with_receipts
from embedstore.encoders import Described, Encoder
from embedstore.errors import ModelRequiredError
from embedstore.space import Space
from embedstore.storage import files
from embedstore.storage.manifest import commit, load
from embedstore.storage.records import Manifest, SpaceRecord
from embedstore.storage.segments import map_dataset, segment_keys, write_texts
from embedstore.texts import keys_of
from embedstore.vectors import unit_rows

__all__ = ["LoadEncoder", "query_vectors"]

logger = logging.getLogger(__name__)

LoadEncoder = Callable[[SpaceRecord, Sequence[str]], tuple[Described, Encoder]]


def query_vectors(
    root: Path,
    space: Space,
    texts: Sequence[str],
    *,
    prompt: str | None = None,
    no_encode: bool = False,
    load_encoder: LoadEncoder,
) -> npt.NDArray[np.float32]:
    """Return one unit vector per text, shape (n, dim), float32; encode and keep those not cached.

    Parameters
    ----------
    root : Path
        The store.
    space : Space
        Where the vectors are to be compared.
    texts : sequence of str
        Labels or queries.
    prompt : str, optional
        Put before each text instead of the space's document prompt.
    no_encode : bool
        Raise rather than load a model.
    load_encoder : callable
        Returns an encoder of a space for texts, and what is known of it.

    Raises
    ------
    ModelRequiredError
        Under `no_encode`, if a text has no vector yet.
    """
    spec = space.spec if prompt is None else replace(space.spec, prompt=prompt)
    keys = keys_of(texts)
    out = np.zeros((len(texts), space.dimension), dtype=np.float32)
    manifest = load(root)
    missing = _from_cache(root, manifest, spec.key, keys, out)
    if missing.any():
        new = list(dict.fromkeys(text for text, lacks in zip(texts, missing, strict=True) if lacks))
        if no_encode:
            raise ModelRequiredError(
                f"{len(new)} texts have no vector yet, {new[0]!r} first, and --no-encode forbids to load the "
                "model: run again without it, once"
            )
        vectors = _encode_and_keep(root, space.record, spec.prompt, new, load_encoder)
        place = {text: row for row, text in enumerate(new)}
        for row, (text, lacks) in enumerate(zip(texts, missing, strict=True)):
            if lacks:
                out[row] = vectors[place[text]]
    return unit_rows(out)


def _from_cache(
    root: Path, manifest: Manifest, key: str, keys: npt.NDArray[np.bytes_], out: npt.NDArray[np.float32]
) -> npt.NDArray[np.bool_]:
    missing = np.ones(len(keys), dtype=bool)
    held = manifest.spaces[key].segments if key in manifest.spaces else {}
    # Queries first: a label that is also somebody's whole review costs a look at the corpus only if need be.
    for text in (*manifest.queries, *manifest.texts):
        if not missing.any():
            break
        if text.file.sha256 not in held:
            continue
        rows, places = _find(keys, missing, segment_keys(root, text))
        if len(rows):
            segment = held[text.file.sha256]
            out[rows] = map_dataset(root, segment.file, segment.vectors)[places]
            missing[rows] = False
    return missing


def _find(
    keys: npt.NDArray[np.bytes_], missing: npt.NDArray[np.bool_], stored: npt.NDArray[np.bytes_]
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Return which of the missing keys are stored, and where: two arrays of one shape."""
    # By their first eight bytes as numbers, which compare fifty times as fast as bytes do.
    rows = np.flatnonzero(missing)
    short = _numbers(keys[rows])
    order = np.argsort(short, kind="stable")
    theirs = _numbers(stored)
    near = np.minimum(np.searchsorted(short[order], theirs), len(order) - 1)
    place_of = {bytes(stored[place]): place for place in np.flatnonzero(short[order][near] == theirs)}
    found = [(row, place_of[key]) for row in rows if (key := bytes(keys[row])) in place_of]
    pairs = np.array(found, dtype=np.intp).reshape(-1, 2)
    return pairs[:, 0], pairs[:, 1]


def _numbers(keys: npt.NDArray[np.bytes_]) -> npt.NDArray[np.uint64]:
    return np.ascontiguousarray(keys).view("<u8").reshape(-1, 2)[:, 0]


def _encode_and_keep(
    root: Path,
    record: SpaceRecord,
    prompt: str,
    texts: list[str],
    load_encoder: LoadEncoder,
) -> npt.NDArray[np.float32]:
    described, encoder = load_encoder(record, texts)
    manifest = load(root)
    check_canaries(root, manifest, encoder)
    vectors = encoder.encode(texts, prompt=prompt)
    check_vectors(vectors, described.spec)
    try:
        _keep(root, replace(described, spec=replace(described.spec, prompt=prompt)), encoder, texts, vectors)
    except OSError as error:
        if not files.denied(error):
            raise
        logger.warning("%s can't be written to: %d new vectors are used and not kept", root, len(texts))
    return vectors.astype(described.spec.dtype).astype(np.float32)


def _keep(
    root: Path, described: Described, encoder: Encoder, texts: list[str], vectors: npt.NDArray[np.float32]
) -> None:
    with files.lock(root / ".lock", exclusive=False):
        segment = write_texts(root, texts)
        stored = store_vectors(root, segment, vectors, described.spec)
        receipt = Receipt(segment.file.sha256, stored, encoder.provenance, encoder.dimension)
        commit(root, lambda base: with_receipts(base, described, [receipt], queries=[segment]))
