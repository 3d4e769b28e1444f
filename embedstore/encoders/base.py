"""The interface of encoders, and the description of a checkpoint before its model is loaded."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol, get_args

import numpy as np
import numpy.typing as npt

from embedstore.core.checks import at_least, check_fields
from embedstore.core.heads import Head
from embedstore.core.spec import EncoderSpec, Output, Provenance, StoredDtype
from embedstore.core.unit import unit_rows
from embedstore.errors import UsageError

__all__ = [
    "LOWEST_COSINE",
    "BatchEncoder",
    "Described",
    "Encoder",
    "EncoderOptions",
    "OnTexts",
    "Pooling",
    "Precision",
    "finish",
]

LOWEST_COSINE = 0.9995
"""The lowest cosine between bfloat16 and float32 vectors at which the precision "auto" uses bfloat16."""

Precision = Literal["auto", "float32", "bfloat16"]
OnTexts = Callable[[int, int], None]
Pooling = Literal["mean", "cls", "max", "mean-padded"]


@dataclass(frozen=True, slots=True, kw_only=True)
class EncoderOptions:
    """The user's options for a checkpoint; None uses the checkpoint's own setting.

    Parameters
    ----------
    prompt : str or None
        Text put before every text; None uses the model's own document prompt.
    query_prompt : str or None
        Text put before a search query; None uses `prompt` if it is given, or else the model's own query prompt.
    max_seq_length : int or None
        The maximum number of tokens; a longer text is cut off.
    truncate_dim : int or None
        The number of leading dimensions to keep; None uses the number saved with a sentence-transformers model.
    normalize : bool or None
        Whether to scale vectors to unit length if the model does not. None does so for sentence-transformers
        models, and not for pooled features.
    dtype : {"float32", "float16"}
        The dtype of stored vectors.
    pooling : {"mean", "cls", "max", "mean-padded"} or None
        How the last hidden state becomes one vector. None uses the pooling of a sentence-transformers model, and
        "mean" for any other model. "mean-padded" pads to `max_seq_length` and includes the padding in the mean.
    output : {"embedding", "logits"}
        Embeddings, whose direction has a meaning, or the logits of a classifier.

    Raises
    ------
    UsageError
        If a value is unknown or out of range.
    """

    prompt: str | None = None
    query_prompt: str | None = None
    max_seq_length: int | None = None
    truncate_dim: int | None = None
    normalize: bool | None = None
    dtype: StoredDtype = "float32"
    pooling: Pooling | None = None
    output: Output = "embedding"

    def __post_init__(self) -> None:
        check_fields(self)
        if self.pooling not in (None, *get_args(Pooling)):
            raise UsageError(f"expected a pooling of {', '.join(get_args(Pooling))}, found {self.pooling!r}")
        if self.output not in get_args(Output):
            raise UsageError(f"expected an output of {', '.join(get_args(Output))}, found {self.output!r}")
        if self.dtype not in get_args(StoredDtype):
            raise UsageError(f"expected a dtype of {', '.join(get_args(StoredDtype))}, found {self.dtype!r}")
        if self.truncate_dim is not None:
            at_least("truncate_dim", self.truncate_dim, 1)
        if self.max_seq_length is not None:
            at_least("max_seq_length", self.max_seq_length, 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Described:
    """The description of a checkpoint: its kind, its folder and its spec.

    Attributes
    ----------
    model, revision : str
        The name that loads the checkpoint again, and its resolved revision.
    folder, transformer : Path
        The folder of the checkpoint, and the folder of its transformer.
    spec : EncoderSpec
        The meaning of its vectors.
    query_prompt : str
        Text put before a search query.
    kind : {"sentence", "features", "logits"}
        A sentence-transformers model with its own modules, a transformer with a pooling, or a classifier.
    head : Head or None
        The meaning of logits.
    normalizes : bool
        Whether the model's own modules make unit vectors.
    pooled_only : bool
        Whether a sentence-transformers model is only a transformer, a pooling and at most a normalisation.
    full_dimension : int or None
        The length of the model's vectors before they are truncated; None if its files do not tell.
    """

    model: str
    folder: Path
    revision: str
    spec: EncoderSpec
    query_prompt: str
    transformer: Path = Path()
    kind: Literal["sentence", "features", "logits"] = "sentence"
    head: Head | None = None
    normalizes: bool = False
    pooled_only: bool = True
    full_dimension: int | None = None

    @property
    def plain(self) -> bool:
        """Whether the vectors need only a transformer with one of the poolings in `Pooling`, or with its head."""
        return self.pooled_only and (self.head is not None or self.spec.pooling in get_args(Pooling))

    def provenance(
        self, *, backend: str, device: str, precision: str, batch_size: int, versions: Mapping[str, str]
    ) -> Provenance:
        """Return the provenance of this checkpoint's vectors; `versions` maps libraries to their versions."""
        return Provenance(
            model=self.model,
            revision=self.revision,
            backend=backend,
            device=device,
            precision=precision,
            batch_size=batch_size,
            # Plain texts: torch's version is of a class of torch, and whoever receives that imports torch.
            versions=tuple(sorted((library, str(version)) for library, version in versions.items())),
        )


class Encoder(Protocol):
    """A loaded model.

    Attributes
    ----------
    spec : EncoderSpec
        The meaning of its vectors.
    dimension : int
        The length of a vector.
    provenance : Provenance
        How its vectors are computed.
    """

    spec: EncoderSpec
    dimension: int
    provenance: Provenance

    def encode(
        self,
        texts: Sequence[str],
        *,
        prompt: str | None = None,
        on_texts: OnTexts | None = None,
    ) -> npt.NDArray[np.float32]:
        """Return one vector per text, shape (n, dim), float32, in order.

        Parameters
        ----------
        texts : sequence of str
            Any texts; '' is allowed.
        prompt : str, optional
            Used instead of the spec's prompt.
        on_texts : callable, optional
            Called with the number of texts done since its last call, and the number of these that were cut off at
            `max_seq_length` tokens (prompt included).
        """
        ...


class BatchEncoder(ABC):
    """An `Encoder` that computes vectors for one group of texts after the other; subclasses implement `_runs`."""

    spec: EncoderSpec
    dimension: int
    provenance: Provenance

    def encode(
        self, texts: Sequence[str], *, prompt: str | None = None, on_texts: OnTexts | None = None
    ) -> npt.NDArray[np.float32]:
        """Return one vector per text, shape (n, dim), float32, in order. See `Encoder.encode`."""
        out = np.empty((len(texts), self.dimension), dtype=np.float32)
        for rows, vectors, truncated in self._runs(texts, self.spec.prompt if prompt is None else prompt):
            out[rows] = vectors
            if on_texts:
                on_texts(len(rows), truncated)
        return out

    @abstractmethod
    def _runs(
        self, texts: Sequence[str], prompt: str
    ) -> Iterator[tuple[npt.NDArray[np.int64], npt.NDArray[np.float32], int]]:
        """Yield text numbers, shape (n,), their finished vectors, (n, dim), and the number of texts cut off."""


def finish(pooled: npt.NDArray[np.float32], described: Described) -> npt.NDArray[np.float32]:
    """Truncate and normalise pooled vectors, shape (n, dim), as sentence-transformers does; logits stay unchanged."""
    if described.normalizes:
        pooled = unit_rows(pooled)
    pooled = pooled[:, : described.spec.truncate_dim]
    return unit_rows(pooled) if described.spec.normalized else pooled
