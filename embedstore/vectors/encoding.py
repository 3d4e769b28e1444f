"""Encode texts that have no vector yet: plan the missing segments, run an executor, commit each receipt."""

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import get_args

import numpy as np

from embedstore.core.checks import at_least
from embedstore.core.counts import counted, form
from embedstore.core.language import other_language
from embedstore.core.masks import mask_of
from embedstore.corpora.rows import Corpus
from embedstore.corpora.texts import Texts
from embedstore.encoders import BACKENDS, DEFAULT_MODEL, Described, Encoder, EncoderOptions, Precision
from embedstore.errors import ModelRequiredError, NotFoundError, UsageError
from embedstore.storage.manifest import commit, load, load_whole
from embedstore.storage.records import TextSegment
from embedstore.storage.segments import read_texts
from embedstore.storage.state import Manifest
from embedstore.vectors.canaries import spread_rows
from embedstore.vectors.executors import Executor, Job, find_executor
from embedstore.vectors.receipts import Receipt, with_receipts
from embedstore.vectors.snapshot import Snapshot

__all__ = ["EncodeProgress", "EncodeReport", "check_encoding", "encode"]

_MANY = 256  # fewest texts for which measuring the precision pays off
_SAMPLED_TEXTS, _SAMPLED_SEGMENTS, _SAMPLED_LETTERS = 500, 10, 2_000  # at most, to see the language; letters a text
_MULTILINGUAL = "sentence-transformers/paraphrase-multilingual-MiniLM-L12-v2"

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class EncodeProgress:
    """Progress of an encode run, in texts; `cached` texts had vectors before the run."""

    done: int
    total: int
    cached: int


@dataclass(frozen=True, slots=True, kw_only=True)
class EncodeReport:
    """The result of an encode run.

    `rows` and `empty` count rows (`empty` those with a blank text); `distinct_texts`, `cached`, `encoded` and
    `truncated` count texts. `space` is the key of the filled space. If `truncated_exact` is False, `truncated` is an
    upper bound, because the segments also hold texts of other corpora.
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
            f"{counted(self.rows, 'row')}, {counted(self.distinct_texts, 'distinct text')}: "
            f"{self.cached:,} already cached, "
            f"{self.encoded:,} encoded now; {truncated} truncated, {self.empty:,} empty; {self.seconds:.1f} s"
        )


def encode(
    now: Snapshot,
    model: str | Path | None = None,
    *,
    corpus: str | None = None,
    options: EncoderOptions | None = None,
    revision: str | None = None,
    backend: str = "auto",
    device: str | None = None,
    batch_size: int | None = None,
    precision: Precision = "auto",
    executor: str | Executor = "local",
    no_encode: bool = False,
    on_progress: Callable[[EncodeProgress], None] | None = None,
) -> EncodeReport:
    """Encode every text that has no vector yet; each segment is committed when it is done.

    Parameters
    ----------
    now : Snapshot
        The state of the store.
    model : str or Path, optional
        Folder or Hugging Face name; by default the model of the store's first space, else the default model.
    corpus : str, optional
        Encode the texts of this corpus; by default of all corpora.
    options : EncoderOptions, optional
        Prompt, length, dimensions, pooling, stored dtype, and whether to store a classifier's logits.
    revision : str, optional
        Branch, tag or commit of a hub model.
    backend : {"auto", "native", "torch", "tensorflow"}
        What runs the model; the vectors are the same but for rounding. "auto" takes the native encoder where it
        can, and else torch.
    device : str, optional
        "cpu", "cuda", "cuda:1", "mps", …; by default the best one available.
    batch_size : int, optional
        Texts per forward pass; by default batches are filled by tokens.
    precision : {"auto", "float32", "bfloat16"}
        Precision of the model's computation. "auto" takes the fastest one that keeps the cosine similarity of 16 texts
        to their float32 vectors at 0.9995 or more; `info` shows the choice.
    executor : {"local"} or Executor
        Where tasks run.
    no_encode : bool
        Raise an error instead of loading a model.
    on_progress : callable, optional
        Called with an `EncodeProgress`.

    Raises
    ------
    ModelRequiredError
        If a vector is missing and `no_encode` is set.
    CheckpointError
        If the model can't be found or loaded.
    SpaceMismatchError
        If the encoder on this machine does not reproduce stored vectors of the space.
    """
    start = time.monotonic()
    _check_computation(backend, batch_size, precision)
    corpora = [now.corpus(corpus)] if corpus else now.corpora
    if not corpora:
        raise NotFoundError(
            f"{now.root} has no rows to encode yet: add some with `embedstore encode STORE FILE --text COLUMN`"
        )
    described = now.models.describe(now.manifest, None if model is None else str(model), options, revision)
    plan = _Plan.of(now.texts, now.manifest, corpora, described.spec.key)
    if no_encode and plan.left:
        raise ModelRequiredError(
            f"{counted(plan.left, 'text')} {form(plan.left, 'has', 'have')} no vector in this space, "
            "and --no-encode forbids to "
            "load the model: run again without it"
        )

    def load_encoder(sample: Sequence[str]) -> Encoder:
        computation = {"backend": backend, "device": device, "batch_size": batch_size, "precision": precision}
        return now.models.load(described, sample, few=None if sample else read_missing, **computation)

    def read_missing() -> list[str]:
        return [text for segment in plan.missing for text in read_texts(now.root, segment)]

    if model is None and described.model == DEFAULT_MODEL and plan.key not in now.manifest.spaces:
        _warn_of_other_language(now.root, plan.missing)
    if plan.missing:
        chosen = find_executor(executor) if isinstance(executor, str) else executor
        _run(now, plan, described, load_encoder, chosen, on_progress)
    _update_head(now, described)
    return plan.report(load_whole(now.root), now.texts, corpora, time.monotonic() - start)


def check_encoding(
    now: Snapshot,
    model: str | Path | None = None,
    *,
    options: EncoderOptions | None = None,
    revision: str | None = None,
    backend: str = "auto",
    device: str | None = None,
    batch_size: int | None = None,
    precision: Precision = "auto",
) -> None:
    """Raise the error that `encode` would raise with these options, as far as it is known before a model is loaded.

    Call it before rows are added that could then not be encoded. There need be no store yet.

    Parameters
    ----------
    now : Snapshot
        The state of the store.
    model, options, revision, backend, device, batch_size, precision
        As in `encode`.

    Raises
    ------
    UsageError
        If an option is out of range.
    CheckpointError
        If the model can't be found, or can't be run with these options.
    MissingExtraError
        If the backend is not installed.
    """
    _check_computation(backend, batch_size, precision)
    named = None if model is None else str(model)
    now.models.check(now.manifest, named, options, revision, backend=backend, device=device, precision=precision)


def _check_computation(backend: str, batch_size: int | None, precision: str) -> None:
    if batch_size is not None:
        at_least("batch_size", batch_size, 1)
    if backend not in BACKENDS:
        raise UsageError(f"expected a backend of {', '.join(BACKENDS)}, found {backend!r}")
    if precision not in get_args(Precision):
        raise UsageError(f"expected a precision of {', '.join(get_args(Precision))}, found {precision!r}")


@dataclass(frozen=True, slots=True)
class _Plan:
    """The texts that some corpora need in a space.

    `distinct` is the number of these texts, `left` the number without a vector, and `missing` the segments that hold
    the latter. `used` maps the hash of each segment to the number of its texts that are needed, and of all its texts.
    """

    key: str
    distinct: int
    left: int
    missing: tuple[TextSegment, ...]
    used: dict[str, tuple[int, int]]

    @classmethod
    def of(cls, texts: Texts, manifest: Manifest, corpora: Sequence[Corpus], key: str) -> "_Plan":
        of_rows = [corpus.positions() for corpus in corpora]
        wanted = mask_of(np.concatenate([np.empty(0, dtype=np.int64), *of_rows]), len(texts))
        held = manifest.spaces[key].segments if key in manifest.spaces else {}
        left, missing, used = 0, [], {}
        for start, segment in zip(texts.starts, texts.segments, strict=False):
            if mine := int(np.count_nonzero(wanted[start : start + segment.count])):
                used[segment.file.sha256] = mine, segment.count
                if segment.file.sha256 not in held:
                    missing.append(segment)
                    left += mine
        return cls(key, int(np.count_nonzero(wanted)), left, tuple(missing), used)

    @property
    def total(self) -> int:
        """Number of texts to encode; segments are encoded whole."""
        return sum(segment.count for segment in self.missing)

    def report(self, manifest: Manifest, texts: Texts, corpora: Sequence[Corpus], seconds: float) -> EncodeReport:
        """Return the report of the run, from the manifest after it."""
        segments = manifest.spaces[self.key].segments
        cut = {text: segments[text].truncated for text in self.used if text in segments}
        told = sum(int(np.count_nonzero(texts.answerable(corpus.positions()))) for corpus in corpora)
        return EncodeReport(
            rows=sum(map(len, corpora)),
            distinct_texts=self.distinct,
            cached=self.distinct - self.left,
            encoded=self.total,
            truncated=sum(min(count, self.used[text][0]) for text, count in cut.items()),
            truncated_exact=not any(count and self.used[text][0] < self.used[text][1] for text, count in cut.items()),
            empty=sum(map(len, corpora)) - told,
            seconds=seconds,
            space=self.key,
        )


def _run(
    now: Snapshot,
    plan: _Plan,
    described: Described,
    load_encoder: Callable[[Sequence[str]], Encoder],
    executor: Executor,
    on_progress: Callable[[EncodeProgress], None] | None,
) -> None:
    """Encode the missing segments; commit each when it is done."""
    done = 0

    def on_texts(count: int, _cut: int) -> None:
        nonlocal done
        done += count
        if on_progress:
            on_progress(EncodeProgress(done, plan.total, max(0, plan.distinct - plan.total)))

    def commit_one(receipt: Receipt) -> None:
        commit(now.root, lambda base: with_receipts(base, described, [receipt]))

    on_texts(0, 0)  # shows a progress bar at 0 while the model loads
    largest = max(plan.missing, key=lambda segment: segment.count)
    sample = read_texts(now.root, largest, spread_rows(largest)) if plan.total >= _MANY else ()
    job = Job(
        root=now.root,
        manifest=now.manifest,
        described=described,
        tasks=plan.missing,
        load=load_encoder,
        sample=tuple(sample),
    )
    receipts = iter(executor.run(job, on_texts))
    while True:
        with now.writing():  # anew for each receipt: `gc` gets its turn in between
            receipt = next(receipts, None)
            if receipt is None:
                break
            commit_one(receipt)


def _warn_of_other_language(root: Path, segments: Sequence[TextSegment]) -> None:
    """Warn, before the first text is encoded, if a sample of the texts is not in the default model's language."""
    some = segments[:: len(segments) // _SAMPLED_SEGMENTS + 1]
    sample: list[str] = []
    for segment in some:
        rows = np.linspace(0, segment.count - 1, min(segment.count, _SAMPLED_TEXTS // len(some)), dtype=np.int64)
        sample += read_texts(root, segment, rows)
    if found := other_language(text[:_SAMPLED_LETTERS] for text in sample):
        logger.warning(
            "the texts are mostly %s, and the default model %s has learnt English: vectors of a multilingual model "
            "tell more, such as -m %s (model=... in Python)",
            found,
            DEFAULT_MODEL.split("/")[1],
            _MULTILINGUAL,
        )


def _update_head(now: Snapshot, described: Described) -> None:
    """Update the space's label names if the checkpoint's configuration changed them; the logits stay the same."""
    key = described.spec.key
    space = load(now.root).spaces.get(key)
    if not described.head or space is None or described.head == space.head:
        return

    def change(base: Manifest) -> Manifest:
        return replace(base, spaces={**base.spaces, key: replace(base.spaces[key], head=described.head)})

    with now.writing():
        commit(now.root, change)
