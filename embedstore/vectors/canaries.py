"""Check new vectors before they are stored: they are valid, and the encoder reproduces the space's vectors."""

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from embedstore.core.masks import distinct
from embedstore.core.spec import EncoderSpec, Provenance
from embedstore.core.unit import lowest_cosine
from embedstore.encoders import Encoder
from embedstore.errors import CheckpointError, SpaceMismatchError
from embedstore.storage.listed import map_dataset
from embedstore.storage.records import TextSegment
from embedstore.storage.segments import read_texts
from embedstore.storage.state import Manifest

__all__ = ["SAME_COSINE", "Canaries", "canaries_of", "check_canaries", "check_vectors", "spread_rows"]

logger = logging.getLogger(__name__)

_CANARIES = 16
_NORM_TOLERANCE = 1e-3
SAME_COSINE = 0.999
"""The lowest cosine of a text's vectors that one encoder made twice.

A bfloat16 forward pass stays above 0.9995; another pooling or prompt falls far below.
"""


def check_vectors(vectors: npt.NDArray[np.float32], spec: EncoderSpec) -> None:
    """Raise a `CheckpointError` if a vector is not finite, all zeros, not of unit length, or too large for float16.

    Zeros are faults of embeddings only; the length is checked if the spec promises unit vectors.
    """
    faults: list[tuple[str, Any]] = [("not finite numbers", ~np.isfinite(vectors).all(axis=1))]
    if spec.output == "embedding":
        norms = np.linalg.norm(vectors.astype(np.float64), axis=1)
        faults.append(("all zeros", norms == 0))
        if spec.normalized:
            faults.append(("not of unit length", np.abs(norms - 1) > _NORM_TOLERANCE))
    if spec.dtype == "float16":
        faults.append(("too large for float16", np.abs(vectors).max(axis=1, initial=0) > np.finfo(np.float16).max))
    for fault, wrong in faults:
        if wrong.any():
            raise CheckpointError(
                f"the model gives vectors that are {fault}, {np.count_nonzero(wrong):,} of {len(vectors):,}: its "
                "weights are damaged, or it does not fit these texts; nothing of them was written"
            )


def spread_rows(segment: TextSegment) -> npt.NDArray[np.intp]:
    """Return the row numbers of up to 16 texts, spread evenly over a segment: shape (16 or less,)."""
    return distinct(np.linspace(0, segment.count - 1, _CANARIES).astype(np.intp))


class Canaries(NamedTuple):
    """Texts of a space, their vectors, shape (n, dim), and how these were made."""

    texts: tuple[str, ...]
    vectors: npt.NDArray[np.float32]
    made: str

    @classmethod
    def of(cls, encoder: Encoder, texts: Sequence[str]) -> "Canaries":
        """Encode texts, to hold other encoders to them."""
        return cls(tuple(texts), encoder.encode(texts), _shown(encoder.provenance))

    def check(self, encoder: Encoder) -> None:
        """Check that an encoder reproduces the vectors.

        Raises
        ------
        SpaceMismatchError
            If a vector's cosine similarity to its canary is below 0.999, or it has another length.
        """
        vectors = encoder.encode(self.texts)
        lowest = lowest_cosine(self.vectors, vectors) if vectors.shape == self.vectors.shape else float("nan")
        if not lowest >= SAME_COSINE:
            raise SpaceMismatchError(
                f"stored texts encoded again come out otherwise (lowest cosine {lowest:.4f}, expected "
                f"{SAME_COSINE}): the space was made with {self.made}, this is {_shown(encoder.provenance)}; no "
                "vector was written: take the --backend, --precision and versions that made it, or a store of its own"
            )
        logger.info("canaries agree: lowest cosine %.6f", lowest)


def canaries_of(root: Path, manifest: Manifest, spec: EncoderSpec) -> Canaries | None:
    """Return 16 stored texts of a space with their vectors; None if it has none."""
    space = manifest.spaces.get(spec.key)
    if space is None:
        return None
    held = [
        (text, segment)
        for texts, query in ((manifest.texts, False), (manifest.queries, True))
        for text in texts
        if (segment := space.of(text, query=query))
    ]
    if not held:
        return None
    text, segment = max(held, key=lambda pair: pair[0].count)
    rows = spread_rows(text)
    stored = np.asarray(map_dataset(root, segment.file, segment.vectors)[rows], dtype=np.float32)
    return Canaries(tuple(read_texts(root, text, rows)), stored, _shown(space.provenance[segment.provenance]))


def check_canaries(root: Path, manifest: Manifest, encoder: Encoder) -> None:
    """Check that an encoder reproduces the stored vectors of 16 texts of its space.

    The check is skipped if the space already has vectors of the same computation: backend, precision, device type and
    major library versions.

    Raises
    ------
    SpaceMismatchError
        If a vector's cosine similarity to the stored one is below 0.999.
    """
    # A space that differs only in its prompt is computed in the same way.
    kin = [
        other for other in manifest.spaces.values() if replace(other.spec, prompt=encoder.spec.prompt) == encoder.spec
    ]
    if encoder.provenance.computation in {p.computation for one in kin for p in one.provenance}:
        return
    if canaries := canaries_of(root, manifest, encoder.spec):
        canaries.check(encoder)


def _shown(provenance: Provenance) -> str:
    versions = " ".join(f"{name} {version}" for name, version in provenance.versions)
    return f"{provenance.backend} {provenance.precision} on {provenance.device} ({versions})"
