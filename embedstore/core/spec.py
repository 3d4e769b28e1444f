"""The meaning of an encoder's vectors, as a value with a key."""

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, get_args

from embedstore.core.checks import shown
from embedstore.core.exact import exactly, text_of, whole
from embedstore.errors import DamagedStoreError, UsageError

__all__ = ["UNPROVEN", "EncoderSpec", "Output", "Provenance", "StoredDtype", "canonical_json"]

Output = Literal["embedding", "logits"]
StoredDtype = Literal["float32", "float16"]

UNPROVEN = "unproven"
"""The pooling in the spec of vectors that were made elsewhere, and that no model has shown to be its own."""


def canonical_json(value: object) -> bytes:
    """Return the canonical JSON of `value`: sorted keys, no spaces, UTF-8, no NaN."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


@dataclass(frozen=True, slots=True, kw_only=True)
class EncoderSpec:
    """All settings that decide the meaning of a vector, and none about how it is computed.

    Parameters
    ----------
    digest : str
        SHA-256 (64 hex digits) over the checkpoint's weights, tokenizer and module files. It replaces the model
        name and its revision: the same files under another name or path are the same encoder.
    pooling : str
        How token states become one vector: "mean", "cls", "max", …
    normalized : bool
        Whether vectors have unit length.
    prompt : str
        Text put before every text.
    max_seq_length : int
        The maximum number of tokens; a longer text is cut off.
    truncate_dim : int or None
        The number of leading dimensions to keep; None keeps all.
    output : {"embedding", "logits"}
        The content of a vector.
    dtype : {"float32", "float16"}
        The dtype of a stored vector.

    Raises
    ------
    UsageError
        If a value is out of range.
    """

    digest: str
    pooling: str
    normalized: bool
    max_seq_length: int
    prompt: str = ""
    truncate_dim: int | None = None
    output: Output = "embedding"
    dtype: StoredDtype = "float32"

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[0-9a-f]{64}", self.digest):
            raise UsageError(f"expected a digest of 64 hex digits, found {self.digest!r}")
        if self.max_seq_length < 1:
            raise UsageError(f"expected a max_seq_length of at least 1, found {self.max_seq_length}")
        if self.truncate_dim is not None and self.truncate_dim < 1:
            raise UsageError(f"expected a truncate_dim of at least 1, found {self.truncate_dim}")
        if self.output not in get_args(Output) or self.dtype not in get_args(StoredDtype):
            raise UsageError(f"unknown output {self.output!r} or dtype {self.dtype!r}")

    @property
    def key(self) -> str:
        """SHA-256 (64 hex digits) of the canonical JSON of all fields."""
        return hashlib.sha256(canonical_json(asdict(self))).hexdigest()

    @property
    def proven(self) -> bool:
        """Whether the vectors are known to be those of a model; see `UNPROVEN`."""
        return self.pooling != UNPROVEN

    def to_json(self) -> dict[str, Any]:
        """Return the fields as a JSON object."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> "EncoderSpec":
        """Build a spec from its JSON object.

        Raises
        ------
        DamagedStoreError
            If fields are missing or unknown, or have another type.
        """
        _check_fields(cls, value, "an encoder spec", texts=("digest", "pooling", "prompt", "output", "dtype"))
        exactly(bool, value["normalized"], "normalized of an encoder spec")
        whole(value["max_seq_length"], "the max_seq_length of an encoder spec", least=1)
        if value["truncate_dim"] is not None:
            whole(value["truncate_dim"], "the truncate_dim of an encoder spec", least=1)
        return cls(**value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """How some vectors were computed; stored beside the encoder key, never part of it.

    Parameters
    ----------
    model, revision : str
        The name that the user gave, and the resolved revision ("" if there is none).
    backend : str
        "torch", "tensorflow", …
    device : str
        Device type: "cpu", "cuda", …
    precision : str
        "float32", "bfloat16", …
    batch_size : int
        Texts per batch; 0 for batches filled by tokens.
    versions : tuple of (str, str)
        Library name and version, sorted by name.
    """

    model: str
    revision: str
    backend: str
    device: str
    precision: str
    batch_size: int
    versions: tuple[tuple[str, str], ...]

    @property
    def computation(self) -> tuple[object, ...]:
        """Backend, precision, device type and major library versions; canaries check each new combination."""
        majors = tuple((name, version.split(".")[0]) for name, version in self.versions)
        return (self.backend, self.precision, self.device, majors)

    def to_json(self) -> dict[str, Any]:
        """Return the fields as a JSON object."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> "Provenance":
        """Build the provenance from its JSON object.

        Raises
        ------
        DamagedStoreError
            If fields are missing or unknown, or have another type.
        """
        _check_fields(cls, value, "a provenance", texts=("model", "revision", "backend", "device", "precision"))
        whole(value["batch_size"], "the batch_size of a provenance")
        versions = []
        for pair in exactly(list, value["versions"], "the versions of a provenance"):
            if len(exactly(list, pair, "a version of a provenance")) != 2:
                raise DamagedStoreError(f"expected a library and its version in a provenance, found {shown(pair)}")
            library, version = pair
            versions.append((text_of(library, "a library's name"), text_of(version, "a library's version")))
        return cls(**{**value, "versions": tuple(versions)})


def _check_fields(kind: type[Any], value: dict[str, Any], what: str, *, texts: Sequence[str]) -> None:
    """Raise a `DamagedStoreError` if a JSON object has other fields than a dataclass, or other `texts` than texts."""
    if set(exactly(dict, value, what)) != {field.name for field in fields(kind)}:
        raise DamagedStoreError(f"{what} has the fields {', '.join(map(repr, value))}")
    for name in texts:
        text_of(value[name], f"the {name} of {what}")
