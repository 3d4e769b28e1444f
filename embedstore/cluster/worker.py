"""What a worker does, in a process of its own on any machine: load the model once, check it, encode tasks."""

import io
import os
import socket
import tarfile
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from embedstore.core.parallel import limit_cores
from embedstore.core.spec import Provenance
from embedstore.encoders import Described
from embedstore.errors import CheckpointError, EmbedstoreError
from embedstore.storage import locks
from embedstore.storage.gate import Folder
from embedstore.storage.records import DatasetRecord, SpaceRecord, TextSegment
from embedstore.storage.segments import read_texts
from embedstore.vectors.canaries import Canaries
from embedstore.vectors.executors import seal_vectors, store_vectors
from embedstore.vectors.loader import Loader
from embedstore.vectors.models import redescribe
from embedstore.vectors.receipts import Receipt
from embedstore.vectors.waiting import keep_receipt

__all__ = ["Done", "Settled", "Setup", "Worker", "pack"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """What a worker is told.

    Attributes
    ----------
    root : Path
        The store, on the machine of the driver.
    load : Loader
        Loads the model.
    sample : tuple of str
        Texts to measure the precision with.
    canaries : Canaries or None
        What the model is held to; None for the first worker of a new space.
    spoken : tuple of str
        Texts for the canaries of a new space.
    probe : str
        The name of a file that the driver has put into the store; "" if the folder is not to be looked for.
    cores : int
        How many cores to use.
    wait : float
        Seconds to wait for the lock of the store.
    """

    root: Path
    load: Loader
    sample: tuple[str, ...] = ()
    canaries: Canaries | None = None
    spoken: tuple[str, ...] = ()
    probe: str = ""
    cores: int = 1
    wait: float = 600.0


@dataclass(frozen=True, slots=True)
class Settled:
    """What a worker says when its model is loaded and checked; `shares` says whether it sees the store's folder."""

    name: str
    dimension: int
    provenance: Provenance
    canaries: Canaries
    shares: bool


class Done(NamedTuple):
    """A task that is done: its receipt, and the number of truncated texts.

    Without a shared folder, `image` has the file of the vectors, `dataset` their place in it, and the receipt's segment
    has no file.
    """

    receipt: Receipt | None
    truncated: int
    seconds: float
    image: bytes = b""
    dataset: DatasetRecord | None = None


class Worker:
    """A worker; `setup` is small, and nothing is loaded before `settle`."""

    def __init__(self, setup: Setup) -> None:
        self._setup = setup
        self._name = f"{socket.gethostname()}:{os.getpid()}"

    def settle(self, packed: bytes = b"") -> Settled:
        """Load the model and check it.

        Parameters
        ----------
        packed : bytes
            The checkpoint's folder, see `pack`; b"" if it is on this machine.

        Raises
        ------
        NotFoundError
            If the checkpoint is not on this machine and was not sent.
        SpaceMismatchError
            If the model does not reproduce the canaries.
        """
        setup = self._setup
        os.environ["HF_HUB_OFFLINE"] = "1"
        limit_cores(setup.cores)
        self._described = self._find(packed)
        self._encoder = replace(setup.load, described=self._described)(setup.sample)
        if self._encoder.spec != setup.load.described.spec:
            raise CheckpointError(f"{self._name} has loaded another encoder than the one that was asked for")
        if setup.canaries:
            setup.canaries.check(self._encoder)
        canaries = setup.canaries or Canaries.of(self._encoder, setup.spoken)
        shares = bool(setup.probe) and _sees(setup.root, setup.probe)
        return Settled(self._name, self._encoder.dimension, self._encoder.provenance, canaries, shares)

    def encode(self, task: TextSegment, texts: list[str] | None = None) -> Done:
        """Encode a text segment; write its vectors and a receipt, or return the vectors if the texts were sent."""
        start, truncated = time.monotonic(), 0

        def counted(_done: int, cut: int) -> None:
            nonlocal truncated
            truncated += cut

        setup, encoder = self._setup, self._encoder
        vectors = encoder.encode(read_texts(setup.root, task) if texts is None else texts, on_texts=counted)
        if texts is not None:
            image, dataset = seal_vectors(task, vectors, encoder.spec)
            return Done(None, truncated, time.monotonic() - start, image, dataset)
        with locks.writing(setup.root, setup.wait):
            segment = store_vectors(setup.root, task, vectors, encoder.spec, truncated=truncated)
            receipt = Receipt(task.file.sha256, segment, encoder.provenance, encoder.dimension)
            receipt = keep_receipt(setup.root, self._described, receipt)
        return Done(receipt, truncated, time.monotonic() - start)

    def _find(self, packed: bytes) -> Described:
        """Return the checkpoint on this machine; its files must have the digest of the spec."""
        wanted = self._setup.load.described
        if self._setup.load.models.own:
            return wanted
        record = SpaceRecord(
            spec=wanted.spec,
            dimension=wanted.full_dimension or 1,
            model=wanted.model,
            revision=wanted.revision,
            query_prompt=wanted.query_prompt,
        )
        if not packed:
            return redescribe(record)
        self._folder = tempfile.TemporaryDirectory(prefix="embedstore-model-")  # removed when this process ends
        with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
            archive.extractall(self._folder.name, filter="data")
        found = redescribe(replace(record, model=self._folder.name, revision=""))
        return replace(found, model=wanted.model, revision=wanted.revision)


def pack(folder: Path) -> bytes:
    """Return the files of a checkpoint's folder as bytes; links become the files that they lead to."""
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w", dereference=True) as archive:
        archive.add(folder, arcname=".")
    return written.getvalue()


def _sees(root: Path, probe: str) -> bool:
    with suppress(EmbedstoreError, OSError), Folder(root) as folder:
        return folder.status(probe).st_size == len(probe) and folder.read(probe) == probe.encode()
    return False
