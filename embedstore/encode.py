"""Plan what is missing, run it on an executor, commit what it returns.

A task is one text segment in one space. An executor turns tasks into receipts: it writes vector segments
into the store's folder and hands back their records, never vectors. Only the driver commits.
"""

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from embedstore.corpus import Corpus
from embedstore.encoders import Described, Encoder, OnTexts
from embedstore.errors import CheckpointError, ModelRequiredError, NotFoundError, SpaceMismatchError
from embedstore.space import text_starts
from embedstore.spec import EncoderSpec, Provenance
from embedstore.storage import files
from embedstore.storage.manifest import commit, load
from embedstore.storage.records import Manifest, SpaceRecord, TextSegment, VectorSegment
from embedstore.storage.segments import map_dataset, read_texts, write_vectors
from embedstore.vectors import lowest_cosine

__all__ = [
    "EncodeProgress",
    "Executor",
    "LocalExecutor",
    "Receipt",
    "Task",
    "check_canaries",
    "check_vectors",
    "encode_missing",
    "missing_segments",
    "store_vectors",
    "with_receipts",
]

logger = logging.getLogger(__name__)

CANARIES = 16
_MANY = 256  # texts from which measuring the precision pays
_NORM_TOLERANCE = 1e-3
LOWEST_COSINE = 0.999  # a bfloat16 forward pass stays above 0.9995; another pooling or prompt falls far below


@dataclass(frozen=True, slots=True)
class Task:
    """One text segment to encode into one space."""

    root: Path
    text: TextSegment
    space: str


@dataclass(frozen=True, slots=True)
class Receipt:
    """What a task came to: the text segment's hash, its vector segment, and how it was computed."""

    text: str
    segment: VectorSegment
    provenance: Provenance
    dimension: int


@dataclass(frozen=True, slots=True)
class EncodeProgress:
    """How far encoding has come, in texts; `cached` had vectors before this run."""

    done: int
    total: int
    cached: int


@dataclass(frozen=True, slots=True, kw_only=True)
class EncodeReport:
    """What an encode run came to.

    `rows` and `empty` count rows; `distinct_texts`, `cached`, `encoded` and `truncated` count texts; `truncated` is a
    bound unless `truncated_exact`, where texts of other corpora are in the same segments; `space` is the key of the
    space that now has them.
    """

    rows: int
    distinct_texts: int
    cached: int
    encoded: int
    truncated: int
    empty: int
    seconds: float
    space: str
    truncated_exact: bool = True

    def __str__(self) -> str:
        truncated = f"{'' if self.truncated_exact else 'at most '}{self.truncated:,}"
        return (
            f"{self.rows:,} rows, {self.distinct_texts:,} distinct texts: {self.cached:,} already cached, "
            f"{self.encoded:,} encoded now; {truncated} truncated, {self.empty:,} empty; {self.seconds:.1f} s"
        )


class Executor(Protocol):
    """Runs tasks anywhere that sees the store's folder; running a task twice is harmless."""

    def run(self, tasks: Sequence[Task], on_texts: OnTexts) -> Iterable[Receipt]:
        """Yield a receipt for every task, in any order, as each is done."""
        ...


class LocalExecutor:
    """Encodes in this process, one task after the other.

    Parameters
    ----------
    encoder : Encoder
        The loaded model.
    """

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder

    def run(self, tasks: Sequence[Task], on_texts: OnTexts) -> Iterator[Receipt]:
        """Yield a receipt for every task, in order."""
        for task in tasks:
            truncated = 0

            def counted(done: int, cut: int) -> None:
                nonlocal truncated
                truncated += cut
                on_texts(done, cut)

            vectors = self._encoder.encode(read_texts(task.root, task.text), on_texts=counted)
            segment = store_vectors(task.root, task.text, vectors, self._encoder.spec, truncated=truncated)
            yield Receipt(task.text.file.sha256, segment, self._encoder.provenance, self._encoder.dimension)


def store_vectors(
    root: Path, text: TextSegment, vectors: npt.NDArray[np.float32], spec: EncoderSpec, *, truncated: int = 0
) -> VectorSegment:
    """Write vectors of a text segment in the spec's stored dtype; provenance is filled in at the commit."""
    check_vectors(vectors, spec)
    stored = vectors.astype(spec.dtype, copy=False)
    file, dataset = write_vectors(root, stored, encoder_key=spec.key, texts=text.file.sha256)
    return VectorSegment(file, dataset, truncated, 0)


def check_vectors(vectors: npt.NDArray[np.float32], spec: EncoderSpec) -> None:
    """Raise a `CheckpointError` if vectors say nothing: not finite, all zeros, or not of the length promised."""
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


def encode_corpora(
    root: Path,
    corpora: Sequence[Corpus],
    described: Described,
    load_encoder: Callable[[Sequence[str]], Encoder],
    *,
    no_encode: bool,
    on_progress: Callable[[EncodeProgress], None] | None,
) -> EncodeReport:
    """Encode what the corpora lack in the space of `described`; see `EmbeddingStore.encode`."""
    start = time.monotonic()
    manifest = load(root)
    if not corpora:
        raise NotFoundError(
            f"{root} has no rows to encode yet: add some with `embedstore encode STORE FILE --text COLUMN`"
        )
    key = described.spec.key
    wanted = np.zeros(int(text_starts(manifest)[-1]), dtype=bool)
    for corpus in corpora:
        wanted[corpus.positions()] = True
    lacking = wanted.copy()
    missing = {text.file.sha256 for text in missing_segments(manifest, key, wanted)}
    used: dict[str, tuple[int, int]] = {}  # texts of these rows, and all
    for first, text in zip(text_starts(manifest), manifest.texts, strict=False):
        lacking[first : first + text.count] &= text.file.sha256 in missing
        if mine := int(np.count_nonzero(wanted[first : first + text.count])):
            used[text.file.sha256] = mine, text.count
    distinct, left = int(np.count_nonzero(wanted)), int(np.count_nonzero(lacking))
    if no_encode and left:
        raise ModelRequiredError(
            f"{left:,} texts have no vector in this space, and --no-encode forbids to load the model: "
            "run again without it"
        )
    encoded = encode_missing(root, described, load_encoder, wanted=wanted, on_progress=on_progress)
    _keep_head(root, described)
    cut = {text: segment.truncated for text, segment in load(root).spaces[key].segments.items() if text in used}
    return EncodeReport(
        rows=sum(len(corpus) for corpus in corpora),
        distinct_texts=distinct,
        cached=distinct - left,
        encoded=encoded,
        truncated=sum(min(count, used[text][0]) for text, count in cut.items()),
        truncated_exact=not any(count and used[text][0] < used[text][1] for text, count in cut.items()),
        empty=sum(part.empty for corpus in corpora for part in corpus.record.parts),
        seconds=time.monotonic() - start,
        space=key,
    )


def _keep_head(root: Path, described: Described) -> None:
    """Take over label names that were changed in the checkpoint's configuration: the logits are the same."""
    key = described.spec.key
    space = load(root).spaces.get(key)
    if described.head and space and described.head != space.head:
        with files.lock(root / ".lock", exclusive=False):
            commit(
                root,
                lambda base: replace(base, spaces={**base.spaces, key: replace(base.spaces[key], head=described.head)}),
            )


def encode_missing(
    root: Path,
    described: Described,
    load_encoder: Callable[[Sequence[str]], Encoder],
    *,
    wanted: npt.NDArray[np.bool_],
    on_progress: Callable[[EncodeProgress], None] | None = None,
) -> int:
    """Encode the text segments that hold wanted texts and have no vectors yet; return how many texts that were.

    Each segment is committed when it is done. Nothing is loaded when nothing is missing.

    Parameters
    ----------
    root : Path
        The store.
    described : Described
        The encoder's spec: the space to fill.
    load_encoder : callable
        Called once, if anything is missing, with some of the texts if they are many.
    wanted : ndarray of bool, shape (texts,)
        Positions of the texts that are needed.
    on_progress : callable, optional
        Called after each run of texts.

    Raises
    ------
    SpaceMismatchError
        If this machine's encoder does not reproduce vectors that the space holds.
    """
    key = described.spec.key
    with files.lock(root / ".lock", exclusive=False):
        manifest = load(root)
        missing = missing_segments(manifest, key, wanted)
        if not missing:
            return 0
        total = sum(text.count for text in missing)
        cached = int(np.count_nonzero(wanted)) - total
        done = 0

        def on_texts(count: int, _cut: int) -> None:
            nonlocal done
            done += count
            if on_progress:
                on_progress(EncodeProgress(done, total, max(0, cached)))

        on_texts(0, 0)  # a bar that stands at 0 while the model is loaded
        encoder = load_encoder(_sample(root, missing) if total >= _MANY else [])
        check_canaries(root, manifest, encoder)
        tasks = [Task(root, text, key) for text in missing]
        for receipt in LocalExecutor(encoder).run(tasks, on_texts):
            commit(root, lambda base, receipt=receipt: with_receipts(base, described, [receipt]))  # type: ignore[misc]
    return total


def _sample(root: Path, segments: Sequence[TextSegment]) -> list[str]:
    largest = max(segments, key=lambda segment: segment.count)
    return read_texts(root, largest, _spread_rows(largest))


def _spread_rows(segment: TextSegment) -> npt.NDArray[np.intp]:
    return np.unique(np.linspace(0, segment.count - 1, CANARIES).astype(np.intp))


def missing_segments(manifest: Manifest, key: str, wanted: npt.NDArray[np.bool_]) -> list[TextSegment]:
    """Return the text segments that hold a wanted text and have no vectors in the space `key`."""
    held = manifest.spaces[key].segments if key in manifest.spaces else {}
    return [
        text
        for start, text in zip(text_starts(manifest), manifest.texts, strict=False)
        if text.file.sha256 not in held and wanted[start : start + text.count].any()
    ]


def with_receipts(
    manifest: Manifest,
    described: Described,
    receipts: Sequence[Receipt],
    *,
    queries: Sequence[TextSegment] = (),
) -> Manifest:
    """Return the manifest with receipts (and query segments) added; what it holds already stays."""
    key = described.spec.key
    space = manifest.spaces.get(key) or SpaceRecord(
        spec=described.spec,
        dimension=receipts[0].dimension,
        model=described.model,
        revision=described.revision,
        query_prompt=described.query_prompt,
        head=described.head,
    )
    provenance = list(space.provenance)
    segments = dict(space.segments)
    for receipt in receipts:
        if receipt.provenance not in provenance:
            provenance.append(receipt.provenance)
        number = provenance.index(receipt.provenance)
        segments.setdefault(receipt.text, replace(receipt.segment, provenance=number))
    space = replace(space, provenance=tuple(provenance), segments=segments)
    known = {segment.file.sha256 for segment in manifest.queries}
    added = tuple(segment for segment in queries if segment.file.sha256 not in known)
    return replace(manifest, spaces={**manifest.spaces, key: space}, queries=(*manifest.queries, *added))


def check_canaries(root: Path, manifest: Manifest, encoder: Encoder) -> None:
    """Encode 16 stored texts again, unless vectors of the space were computed in the same way before.

    Raises
    ------
    SpaceMismatchError
        If a vector's cosine to the stored one is below 0.999.
    """
    space = manifest.spaces.get(encoder.spec.key)
    # Spaces that differ in the prompt alone are computed in the same way.
    kin = [
        other for other in manifest.spaces.values() if replace(other.spec, prompt=encoder.spec.prompt) == encoder.spec
    ]
    if space is None or encoder.provenance.computation in {p.computation for one in kin for p in one.provenance}:
        return
    held = [text for text in (*manifest.texts, *manifest.queries) if text.file.sha256 in space.segments]
    if not held:
        return
    text = max(held, key=lambda segment: segment.count)
    rows = _spread_rows(text)
    segment = space.segments[text.file.sha256]
    stored = np.asarray(map_dataset(root, segment.file, segment.vectors)[rows], dtype=np.float32)
    lowest = lowest_cosine(stored, encoder.encode(read_texts(root, text, rows)))
    if not lowest >= LOWEST_COSINE:
        before = space.provenance[segment.provenance]
        raise SpaceMismatchError(
            f"stored texts encoded again come out otherwise (lowest cosine {lowest:.4f}, expected {LOWEST_COSINE}): "
            f"the space was made with {_shown(before)}, this is {_shown(encoder.provenance)}; nothing was written"
        )
    logger.info("canaries agree: lowest cosine %.6f", lowest)


def _shown(provenance: Provenance) -> str:
    versions = " ".join(f"{name} {version}" for name, version in provenance.versions)
    return f"{provenance.backend} {provenance.precision} on {provenance.device} ({versions})"
