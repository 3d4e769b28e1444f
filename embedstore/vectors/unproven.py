"""Unproven spaces: vectors that were made elsewhere, by a model that is only named.

Such a space has an ordinary record, so earlier releases read its vectors too. Its spec has the pooling `UNPROVEN` and a
digest of its own, so it is never the space of a checkpoint, and no checkpoint has the name of its model.
"""

import hashlib
from collections.abc import Sequence

from embedstore.core.counts import counted, form
from embedstore.core.spec import UNPROVEN, EncoderSpec, StoredDtype, canonical_json
from embedstore.core.values import clip
from embedstore.errors import ModelRequiredError, UsageError
from embedstore.storage.records import SpaceRecord

__all__ = ["check_proven", "unproven_name", "unproven_spec"]

_UNKNOWN_LENGTH = 2**31 - 1  # tokens
_LONGEST_NAME = 200  # characters
_SHOWN = 60


def unproven_name(model: str) -> str:
    """Return the model name of the unproven space of a claimed model.

    Examples
    --------
    >>> unproven_name("intfloat/e5-base")
    'unproven: intfloat/e5-base'
    """
    return f"{UNPROVEN}: {model}"


def unproven_spec(
    model: str,
    dimension: int,
    *,
    normalized: bool,
    pooling: str | None = None,
    prompt: str = "",
    max_seq_length: int | None = None,
    dtype: StoredDtype = "float32",
) -> EncoderSpec:
    """Return the spec of vectors that a model is claimed to have made.

    Parameters
    ----------
    model : str
        The claimed name.
    dimension : int
        The length of a vector.
    normalized : bool
        Whether all vectors have unit length.
    pooling, prompt, max_seq_length, dtype
        As in `EncoderOptions`, as far as they are known.

    Raises
    ------
    UsageError
        If the name can't be shown in a line.
    """
    if not model.strip() or not model.isprintable() or len(model) > _LONGEST_NAME:
        raise UsageError(f"expected the name of a model, found {clip(model, _SHOWN)!r}")
    claimed = canonical_json({UNPROVEN: model, "dimension": dimension, "pooling": pooling})
    return EncoderSpec(
        digest=hashlib.sha256(claimed).hexdigest(),
        pooling=UNPROVEN,
        normalized=normalized,
        prompt=prompt,
        max_seq_length=max_seq_length or _UNKNOWN_LENGTH,
        dtype=dtype,
    )


def check_proven(record: SpaceRecord, texts: Sequence[str]) -> None:
    """Raise a `ModelRequiredError` if texts would be encoded into a space of vectors that are unproven."""
    if not record.spec.proven:
        raise ModelRequiredError(
            f"{counted(len(texts), 'text')} {form(len(texts), 'has', 'have')} no vector in the space "
            f"{record.model!r}, {clip(texts[0], _SHOWN) if texts else ''!r} first, and no model can encode "
            f"{form(len(texts), 'it', 'them')}, because its vectors were made elsewhere: import them again where that "
            "model is, name another --space, or search by --row"
        )
