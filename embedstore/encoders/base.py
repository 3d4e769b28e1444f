"""What every encoder offers, and what is known of a checkpoint before its model is loaded."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol, get_args

import numpy as np
import numpy.typing as npt

from embedstore.errors import UsageError
from embedstore.heads import Head
from embedstore.spec import EncoderSpec, Output, Provenance
from embedstore.vectors import unit_rows

__all__ = ["Backend", "Described", "Encoder", "EncoderOptions", "OnTexts", "Pooling", "Precision", "finish"]

Backend = Literal["torch", "tensorflow"]
Precision = Literal["auto", "float32", "bfloat16"]
OnTexts = Callable[[int, int], None]
Pooling = Literal["mean", "cls", "max", "mean-padded"]


@dataclass(frozen=True, slots=True, kw_only=True)
class EncoderOptions:
    """What the user may ask of a checkpoint; None leaves it to the checkpoint.

    Parameters
    ----------
    prompt : str or None
        Text put before every text; None takes the model's own document prompt.
    query_prompt : str or None
        Text put before a search; None takes the model's own query prompt, or else `prompt`.
    max_seq_length : int or None
        Tokens after which a text is cut off.
    truncate_dim : int or None
        Leading dimensions to keep.
    normalize : bool or None
        Whether to make vectors of unit length where the model does not; None does so for sentence-transformers
        models, and not for pooled features.
    dtype : {"float32", "float16"}
        How vectors are stored.
    pooling : {"mean", "cls", "max", "mean-padded"} or None
        How the last hidden state becomes one vector; None takes the pooling of a sentence-transformers model, and
        "mean" for any other. "mean-padded" pads to `max_seq_length` and takes the mean over padding too.
    output : {"embedding", "logits"}
        Vectors that mean something by their direction, or the logits of a classifier.

    Raises
    ------
    UsageError
        If the pooling is unknown.
    """

    prompt: str | None = None
    query_prompt: str | None = None
    max_seq_length: int | None = None
    truncate_dim: int | None = None
    normalize: bool | None = None
    dtype: Literal["float32", "float16"] = "float32"
    pooling: Pooling | None = None
    output: Output = "embedding"

    def __post_init__(self) -> None:
        if self.pooling not in (None, *get_args(Pooling)):
            raise UsageError(f"expected a pooling of {', '.join(get_args(Pooling))}, found {self.pooling!r}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Described:
    """A checkpoint that was found: what it is, where its files are, and the spec it gives.

    Attributes
    ----------
    model, revision : str
        The name that loads it again, and its resolved revision.
    folder, transformer : Path
        Where the checkpoint is, and in it the transformer.
    spec : EncoderSpec
        What its vectors mean.
    query_prompt : str
        Put before a search.
    kind : {"sentence", "features", "logits"}
        A sentence-transformers model as it is, a transformer with a pooling, or a classifier.
    head : Head or None
        What logits mean.
    normalizes : bool
        Whether the model's own modules make unit vectors.
    pooled_only : bool
        Whether a sentence-transformers model is a transformer, a pooling and nothing else that matters.
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

    @property
    def plain(self) -> bool:
        """Whether a transformer with one of the poolings here, or with its head, gives the vectors."""
        return self.pooled_only and (self.head is not None or self.spec.pooling in get_args(Pooling))


class Encoder(Protocol):
    """A loaded model.

    Attributes
    ----------
    spec : EncoderSpec
        What its vectors mean.
    dimension : int
        Length of a vector.
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
            Any texts, '' among them.
        prompt : str, optional
            Used instead of the spec's prompt.
        on_texts : callable, optional
            Called with the number of texts done since its last call, and how many of these were cut off at
            `max_seq_length` tokens (prompt included).
        """
        ...


def finish(pooled: npt.NDArray[np.float32], described: Described) -> npt.NDArray[np.float32]:
    """Cut and normalise pooled vectors, shape (n, dim), as sentence-transformers would; logits stay as they are."""
    if described.normalizes:
        pooled = unit_rows(pooled)
    pooled = pooled[:, : described.spec.truncate_dim]
    return unit_rows(pooled) if described.spec.normalized else pooled
