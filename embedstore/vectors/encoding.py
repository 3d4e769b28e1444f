"""Encode texts that have no vector yet: plan the missing segments, run an executor, commit its receipts."""

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import get_args

import numpy as np

from embedstore.core.checks import at_least
from embedstore.core.counts import counted, form
from embedstore.core.language import other_language
from embedstore.encoders import BACKENDS, DEFAULT_MODEL, Described, EncoderOptions, Precision
from embedstore.errors import ModelRequiredError, NotFoundError, UsageError
from embedstore.storage.manifest import commit, load, load_whole
from embedstore.storage.records import TextSegment
from embedstore.storage.segments import read_texts
from embedstore.storage.state import Manifest
from embedstore.vectors.canaries import spread_rows
from embedstore.vectors.executors import BEGINNING, Executor, Idle, Job, find_executor
from embedstore.vectors.loader import Loader
from embedstore.vectors.plan import EncodeReport, Plan, WorkerFigures
from embedstore.vectors.receipts import Receipt, with_receipts
from embedstore.vectors.shares import Share, as_collected
from embedstore.vectors.snapshot import Snapshot
from embedstore.vectors.waiting import commit_receipts, keep_receipt, take_over

__all__ = ["EncodeProgress", "check_encoding", "encode"]

_BATCH_SECONDS, _MOST_RECEIPTS = 1.0, 256  # of one commit; a longer task has a commit of its own
_MANY = 32  # fewest texts for which measuring the precision pays off
_SAMPLED_TEXTS, _SAMPLED_SEGMENTS, _SAMPLED_LETTERS = 500, 10, 2_000  # at most, to see the language; letters a text
_MULTILINGUAL = "sentence-transformers/paraphrase-multilingual-MiniLM-L12-v2"

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class EncodeProgress:
    """Progress of an encode run, in texts; `cached` texts had vectors before the run.

    `workers` counts those of a cluster that are at work; it is 0 where this process encodes.
    """

    done: int
    total: int
    cached: int
    workers: int = 0


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
    shard: str | None = None,
    no_encode: bool = False,
    on_progress: Callable[[EncodeProgress], None] | None = None,
) -> EncodeReport:
    """Encode every text that has no vector yet; what is done is committed about every second.

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
    executor : {"local", "ray"} or Executor
        Where tasks run: in this process, on a Ray cluster (`embedstore.cluster.RayExecutor` has its options), or
        wherever an object of your own takes them.
    shard : str, optional
        Such as "2/8": encode only this share of the text segments and commit nothing; `collect` does that. The other
        shares are for other processes, on any machine that sees the folder of the store.
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

    Examples
    --------
    >>> import embedstore
    >>> store = embedstore.open("reviews")
    >>> _ = store.add([{"review": "good tea"}], text="review", corpus="teas")
    >>> report = store.encode()
    >>> report.cached, report.encoded
    (60, 1)
    """
    start = time.monotonic()
    _check_computation(backend, batch_size, precision)
    share = None if shard is None else Share.parse(shard)
    corpora = [now.corpus(corpus)] if corpus else now.corpora
    if not corpora:
        raise NotFoundError(
            f"{now.root} has no rows to encode yet: add some with `embedstore encode STORE FILE --text COLUMN`"
        )
    described = now.models.describe(now.manifest, None if model is None else str(model), options, revision)
    key = described.spec.key
    if share:
        seen = as_collected(now.root, now.manifest, key, share)
    else:
        seen = load_whole(now.root) if take_over(now.root, now.writing, key=key) else now.manifest
    plan = Plan.of(now.texts, seen, corpora, key, share)
    if no_encode and plan.left:
        raise ModelRequiredError(
            f"{counted(plan.left, 'text')} {form(plan.left, 'has', 'have')} no vector in this space, "
            "and --no-encode forbids to load the model: run again without it"
        )
    if model is None and described.model == DEFAULT_MODEL and key not in seen.spaces:
        _warn_of_other_language(now.root, plan.missing)
    receipts: list[Receipt] = []
    if plan.missing:
        chosen = find_executor(executor) if isinstance(executor, str) else executor
        loader = Loader(
            models=now.models,
            described=described,
            backend=backend,
            device=device,
            batch_size=batch_size,
            precision=precision,
        )
        run = _Run(now, seen, plan, loader, committed=share is None)
        receipts = run.receipts_of(chosen, on_progress)
        seen = with_receipts(seen, described, receipts) if receipts else seen
    if not share:
        _update_head(now, described)
        seen = load_whole(now.root)
    report = plan.report(seen, now.texts, corpora, time.monotonic() - start)
    return replace(report, shard=shard or "", workers=WorkerFigures.of(receipts))


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
class _Run:
    """The tasks of a plan, for an executor; `seen` is the manifest that they are planned for.

    Receipts are committed, or else kept in the store's folder.
    """

    now: Snapshot
    seen: Manifest
    plan: Plan
    loader: Loader
    committed: bool

    def receipts_of(self, executor: Executor, on_progress: Callable[[EncodeProgress], None] | None) -> list[Receipt]:
        """Encode the missing segments; settle those of about a second together, and return their receipts."""
        plan, done, workers = self.plan, 0, 0

        def on_texts(count: int, _cut: int) -> None:
            nonlocal done
            done += count
            if on_progress:
                on_progress(EncodeProgress(done, plan.total, max(0, plan.distinct - plan.total), workers))

        def on_idle(idle: Idle) -> None:
            nonlocal workers
            if idle.workers != workers:
                workers = idle.workers
                on_texts(0, 0)

        on_texts(0, 0)  # shows a progress bar at 0 while the model loads
        found: list[Receipt] = []
        receipts = iter(executor.run(self._job(), on_texts))
        more = True
        while more:
            batch: list[Receipt] = []
            with self.now.writing():  # anew for each batch: `gc` gets its turn in between
                try:
                    more = _fill(batch, receipts, on_idle)
                finally:  # what is done is kept, whatever came after it
                    self._settle(batch)
            found += batch
        return found

    def _job(self) -> Job:
        largest = max(self.plan.missing, key=lambda segment: segment.count)
        many = self.plan.total >= _MANY
        return Job(
            root=self.now.root,
            manifest=self.seen,
            described=self.loader.described,
            tasks=self.plan.missing,
            load=self.loader,
            wait=self.now.wait,
            sample=tuple(read_texts(self.now.root, largest, spread_rows(largest), most=BEGINNING)) if many else (),
        )

    def _settle(self, batch: Sequence[Receipt]) -> None:
        root, described = self.now.root, self.loader.described
        if batch and self.committed:
            commit_receipts(root, described, batch)
        else:
            for receipt in batch:
                keep_receipt(root, described, receipt)


def _fill(batch: list[Receipt], receipts: Iterator[Receipt | Idle], on_idle: Callable[[Idle], None]) -> bool:
    """Move the receipts of about a second to a batch; return False if there are no more."""
    start = time.monotonic()
    for receipt in receipts:
        if isinstance(receipt, Idle):
            on_idle(receipt)
        else:
            batch.append(receipt)
        if not batch or len(batch) >= _MOST_RECEIPTS or time.monotonic() - start >= _BATCH_SECONDS:
            return True
    return False


def _warn_of_other_language(root: Path, segments: Sequence[TextSegment]) -> None:
    """Warn, before the first text is encoded, if a sample of the texts is not in the default model's language."""
    some = segments[:: len(segments) // _SAMPLED_SEGMENTS + 1]
    sample: list[str] = []
    for segment in some:
        rows = np.linspace(0, segment.count - 1, min(segment.count, _SAMPLED_TEXTS // len(some)), dtype=np.int64)
        sample += read_texts(root, segment, rows, most=_SAMPLED_LETTERS)
    if found := other_language(sample):
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
