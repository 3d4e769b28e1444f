"""An executor that writes given vectors in place of encoding, and the encoder of an unproven space."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from embedstore.core.counts import counted
from embedstore.core.spec import EncoderSpec, Provenance
from embedstore.corpora.texts import Texts
from embedstore.encoders import Encoder, OnTexts
from embedstore.errors import ModelRequiredError
from embedstore.incoming.reading import Given
from embedstore.storage.segments import read_texts
from embedstore.vectors.canaries import check_canaries
from embedstore.vectors.executors import Job, store_vectors
from embedstore.vectors.receipts import Receipt

__all__ = ["ClaimedEncoder", "GivenExecutor", "provenance_of"]


def provenance_of(model: str, revision: str = "") -> Provenance:
    """Return the provenance of vectors that were made elsewhere: nothing is known but the model's name.

    It is no computation of an encoder's, so `check_canaries` compares the first vectors that are made here with them.
    """
    return Provenance(
        model=model,
        revision=revision,
        backend="import",
        device="unknown",
        precision="unknown",
        batch_size=0,
        versions=(),
    )


class ClaimedEncoder:
    """The encoder of an unproven space, which can't encode."""

    def __init__(self, spec: EncoderSpec, dimension: int, model: str) -> None:
        self.spec = spec
        self.dimension = dimension
        self.provenance = provenance_of(model)

    def encode(
        self, texts: Sequence[str], *, prompt: str | None = None, on_texts: OnTexts | None = None
    ) -> npt.NDArray[np.float32]:
        """Raise a `ModelRequiredError`."""
        raise ModelRequiredError(
            f"no model can encode {counted(len(texts), 'text')} in the space {self.provenance.model!r}"
        )


class GivenExecutor:
    """Executor that writes given vectors; where a segment has texts without one, the model encodes these.

    Segments without any of the texts are set aside.

    Parameters
    ----------
    given : Given
        The vectors.
    positions : ndarray of shape (n,), int64
        The position of each distinct text of the rows, ascending.
    rows : ndarray of shape (n,)
        The row that has its vector; -1 if the model is to make it.

    Attributes
    ----------
    imported, encoded : int
        The number of vectors that were given, and that the model made.
    """

    def __init__(self, given: Given, positions: npt.NDArray[np.int64], rows: npt.NDArray[Any]) -> None:
        self._given = given
        self._positions = positions
        self._rows = rows
        self.imported = self.encoded = 0

    def run(self, job: Job, on_texts: OnTexts) -> Iterator[Receipt]:
        """Yield a receipt for every task that has given vectors; see `Executor.run`."""
        spec, described = job.described.spec, job.described
        texts = Texts(job.root, job.manifest.texts, job.manifest.keys)
        encoder: Encoder | None = None
        for text in job.tasks:
            place = job.manifest.texts.place(text.file.sha256)
            start = int(texts.starts[place or 0])
            low, high = np.searchsorted(self._positions, [start, start + text.count])
            if low == high:
                continue
            taken = self._rows[low:high] >= 0
            here = self._positions[low:high][taken] - start
            given = self._given.at(self._rows[low:high][taken], normalized=spec.normalized)
            vectors = np.empty((text.count, given.shape[1]), dtype=np.float32)
            vectors[here] = given
            left = np.setdiff1d(np.arange(text.count), here)
            if len(left):
                if encoder is None:
                    encoder = job.loaded()
                    check_canaries(job.root, job.manifest, encoder)
                vectors[left] = encoder.encode(read_texts(job.root, text, left))
            segment = store_vectors(job.root, text, vectors, spec)
            self.imported += len(here)
            self.encoded += len(left)
            on_texts(text.count, 0)
            made = provenance_of(described.model, described.revision)
            yield Receipt(text.file.sha256, segment, made, given.shape[1])
