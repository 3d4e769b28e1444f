"""Vectors of label and query texts: cached in the store like any other, encoded only when new."""

import logging
import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from embedstore import encoders
from embedstore.encode import Receipt, check_canaries, store_vectors, with_receipts
from embedstore.encoders import Described, Encoder, EncoderOptions
from embedstore.errors import CheckpointError, ModelRequiredError
from embedstore.space import Space
from embedstore.storage import files
from embedstore.storage.manifest import commit, load
from embedstore.storage.records import Manifest, SpaceRecord
from embedstore.storage.segments import map_dataset, segment_keys, write_texts
from embedstore.texts import keys_of

__all__ = ["LoadEncoder", "query_vectors", "redescribe"]

logger = logging.getLogger(__name__)

LoadEncoder = Callable[[SpaceRecord], tuple[Described, Encoder]]


def redescribe(record: SpaceRecord) -> Described:
    """Find the checkpoint that made a space again, by the name that it was given then.

    Raises
    ------
    CheckpointError
        If it is gone, or is another one now.
    """
    spec = record.spec
    options = EncoderOptions(
        prompt=spec.prompt,
        query_prompt=record.query_prompt,
        max_seq_length=spec.max_seq_length,
        truncate_dim=spec.truncate_dim,
        normalize=spec.normalized,
        dtype=spec.dtype,
    )
    described = encoders.describe(record.model, options, revision=record.revision or None)
    if described.spec != spec:
        raise CheckpointError(
            f"the checkpoint {record.model!r} is not the one that made this space (digest {described.spec.digest[:12]}…, "
            f"expected {spec.digest[:12]}…): put the earlier one back, or encode into a space of its own"
        )
    return described


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
        Returns the encoder that made a space, and what is known of it.

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
                f"{len(new)} texts have no vector yet, {new[0]!r} first, and --no-encode forbids to load the model: "
                "run again without it, once"
            )
        vectors = _encode_and_keep(root, space.record, spec.prompt, new, load_encoder)
        place = {text: row for row, text in enumerate(new)}
        for row in np.flatnonzero(missing):
            out[row] = vectors[place[texts[row]]]
    norms = np.linalg.norm(out, axis=1, keepdims=True)
    return out / np.where(norms > 0, norms, 1)


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
        stored = segment_keys(root, text)
        hits = missing & np.isin(keys, stored)
        if hits.any():
            segment = held[text.file.sha256]
            vectors = map_dataset(root, segment.file, segment.vectors)
            for row in np.flatnonzero(hits):
                out[row] = vectors[int(np.flatnonzero(stored == keys[row])[0])]
            missing &= ~hits
    return missing


def _encode_and_keep(
    root: Path,
    record: SpaceRecord,
    prompt: str,
    texts: list[str],
    load_encoder: LoadEncoder,
) -> npt.NDArray[np.float32]:
    described, encoder = load_encoder(record)
    manifest = load(root)
    check_canaries(root, manifest, encoder)
    vectors = encoder.encode(texts, prompt=prompt)
    if not os.access(root, os.W_OK):
        logger.warning("%s can't be written to: %d new vectors are used and not kept", root, len(texts))
        return vectors.astype(described.spec.dtype).astype(np.float32)
    described = replace(described, spec=replace(described.spec, prompt=prompt))
    with files.lock(root / ".lock", exclusive=False):
        segment = write_texts(root, texts)
        stored = store_vectors(root, segment, vectors, described.spec)
        receipt = Receipt(segment.file.sha256, stored, encoder.provenance, encoder.dimension)
        commit(root, lambda base: with_receipts(base, described, [receipt], queries=[segment]))
    return vectors.astype(described.spec.dtype).astype(np.float32)
