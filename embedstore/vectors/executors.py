"""Run the tasks of an encode run: in this process, or on any machine that sees the store's folder.

A task is one text segment in one space. An executor writes each task's vectors into the store's folder and returns a
receipt, never the vectors. Only the caller commits receipts, so running a task twice is harmless.

To add an executor, write a module with a class that has `run`, and add a line to `EXECUTORS`.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from embedstore.core.registry import look_up
from embedstore.core.spec import EncoderSpec
from embedstore.encoders import Described, Encoder, OnTexts
from embedstore.storage.records import DatasetRecord, TextSegment, VectorSegment
from embedstore.storage.segments import publish_vectors, read_texts, vector_image
from embedstore.storage.state import Manifest
from embedstore.vectors.canaries import check_canaries, check_vectors
from embedstore.vectors.loader import Loader
from embedstore.vectors.receipts import Receipt

__all__ = [
    "BEGINNING",
    "EXECUTORS",
    "Executor",
    "Idle",
    "Job",
    "LocalExecutor",
    "find_executor",
    "seal_vectors",
    "store_vectors",
]

BEGINNING = 1 << 16
"""Characters of a text that tell how precise its vector is, or that it is long."""

_FEW = 400  # texts, which can be the work of the light encoder

EXECUTORS = {
    "local": "embedstore.vectors.executors:LocalExecutor",
    "ray": "embedstore.cluster.executor:RayExecutor",
}
"""Name of each executor, and its ``module:class``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """An encode run for an executor.

    Attributes
    ----------
    root : Path
        The store.
    manifest : Manifest
        The store's state.
    described : Described
        The checkpoint; its spec is the space to fill.
    tasks : tuple of TextSegment
        Text segments without vectors in that space.
    load : Loader
        Loads the model, here or in another process.
    sample : tuple of str
        Texts to measure the precision with; empty if there are few texts to encode.
    wait : float
        Seconds to wait for the lock of the store.
    """

    root: Path
    manifest: Manifest
    described: Described
    tasks: tuple[TextSegment, ...]
    load: Loader
    sample: tuple[str, ...] = ()
    wait: float = 600.0

    def loaded(self) -> Encoder:
        """Return the model, loaded in this process."""
        few = sum(segment.count for segment in self.tasks) <= _FEW
        return self.load(self.sample, few=self._texts if few else None)

    def _texts(self) -> list[str]:
        return [text for segment in self.tasks for text in read_texts(self.root, segment, most=BEGINNING)]


class Idle(NamedTuple):
    """What an executor yields now and then while it waits, so that what is done is committed: the workers alive."""

    workers: int


class Executor(Protocol):
    """Protocol of a class that runs the tasks of a job."""

    def run(self, job: Job, on_texts: OnTexts) -> Iterable[Receipt | Idle]:
        """Yield a receipt for every task when it is done, in any order; tasks without one are set aside.

        The caller holds the lock of a writer while it asks for the next receipt, and until it has committed it.

        Parameters
        ----------
        job : Job
            The encode run.
        on_texts : callable
            Call it with the number of texts done since the last call, and the number of these that were truncated.

        Raises
        ------
        SpaceMismatchError
            If the model does not reproduce stored vectors of the space.
        """
        ...


def find_executor(name: str) -> Executor:
    """Return the executor with a name of `EXECUTORS`.

    Raises
    ------
    UsageError
        If the name is unknown.
    """
    made: Executor = look_up(EXECUTORS, name, "an executor")()
    return made


class LocalExecutor:
    """Executor that encodes in this process, one task after another."""

    def run(self, job: Job, on_texts: OnTexts) -> Iterator[Receipt]:
        """Yield a receipt for every task, in order; see `Executor.run`."""
        encoder = job.loaded()
        check_canaries(job.root, job.manifest, encoder)
        for text in job.tasks:
            truncated = 0

            def counted(done: int, cut: int) -> None:
                nonlocal truncated
                truncated += cut
                on_texts(done, cut)

            vectors = encoder.encode(read_texts(job.root, text), on_texts=counted)
            segment = store_vectors(job.root, text, vectors, encoder.spec, truncated=truncated)
            yield Receipt(text.file.sha256, segment, encoder.provenance, encoder.dimension)


def store_vectors(
    root: Path, text: TextSegment, vectors: npt.NDArray[np.float32], spec: EncoderSpec, *, truncated: int = 0
) -> VectorSegment:
    """Write the vectors of a text segment in the spec's stored dtype, and return their record.

    The commit fills in the provenance.
    """
    image, dataset = seal_vectors(text, vectors, spec)
    return VectorSegment(publish_vectors(root, image), dataset, truncated, 0)


def seal_vectors(text: TextSegment, vectors: npt.NDArray[np.float32], spec: EncoderSpec) -> tuple[bytes, DatasetRecord]:
    """Check the vectors of a text segment, and return the file that `store_vectors` writes, and their place in it."""
    check_vectors(vectors, spec)
    stored = vectors.astype(spec.dtype, copy=False)
    return vector_image(stored, encoder_key=spec.key, texts=text.file.sha256)
