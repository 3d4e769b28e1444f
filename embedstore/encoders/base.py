"""What every encoder offers, and what is known of a checkpoint before its model is loaded."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt

from embedstore.spec import EncoderSpec, Provenance

__all__ = ["Described", "Encoder", "EncoderOptions"]


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
    normalize : bool
        Whether to make vectors of unit length where the model does not.
    dtype : {"float32", "float16"}
        How vectors are stored.
    """

    prompt: str | None = None
    query_prompt: str | None = None
    max_seq_length: int | None = None
    truncate_dim: int | None = None
    normalize: bool = True
    dtype: Literal["float32", "float16"] = "float32"


@dataclass(frozen=True, slots=True, kw_only=True)
class Described:
    """A checkpoint that was found: its name, its folder, its revision, and the spec it gives."""

    model: str
    folder: Path
    revision: str
    spec: EncoderSpec
    query_prompt: str


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
        on_texts: Callable[[int], None] | None = None,
    ) -> npt.NDArray[np.float32]:
        """Return one vector per text, shape (n, dim), float32, in order.

        Parameters
        ----------
        texts : sequence of str
            Any texts, '' among them.
        prompt : str, optional
            Used instead of the spec's prompt.
        on_texts : callable, optional
            Called with the number of texts done since its last call.
        """
        ...

    def count_truncated(self, texts: Sequence[str]) -> int:
        """Return how many texts are longer than `max_seq_length` tokens, prompt included."""
        ...
