"""The only place that imports torch, transformers or TensorFlow, and only when a model is loaded.

`describe` reads a checkpoint's files and returns its spec, which costs no model; `load` returns an
`Encoder` for a spec.
"""

from collections.abc import Sequence

from embedstore.encoders.base import Backend, Described, Encoder, EncoderOptions, OnTexts, Pooling, Precision
from embedstore.encoders.checkpoint import describe
from embedstore.encoders.locate import DEFAULT_MODEL
from embedstore.errors import CheckpointError

__all__ = [
    "DEFAULT_MODEL",
    "Backend",
    "Described",
    "Encoder",
    "EncoderOptions",
    "OnTexts",
    "Pooling",
    "Precision",
    "describe",
    "load",
]


def load(
    described: Described,
    *,
    backend: Backend = "torch",
    device: str | None = None,
    batch_size: int | None = None,
    precision: Precision = "auto",
    sample: Sequence[str] = (),
) -> Encoder:
    """Load the model of a described checkpoint.

    Parameters
    ----------
    described : Described
        What `describe` returned.
    backend : {"torch", "tensorflow"}
        What runs the model; its vectors are the same.
    device : str, optional
        "cpu", "cuda", "cuda:1", "mps", …; by default the best that there is.
    batch_size : int, optional
        Texts per forward pass; by default batches are filled by tokens (torch), or have 32 texts.
    precision : {"auto", "float32", "bfloat16"}
        Of the transformer. "auto" takes bfloat16 where the device computes it fast and each text of `sample` keeps
        a cosine of 0.9995 to its vector in float32.
    sample : sequence of str
        Some of the texts to come, for "auto"; without any it takes float32.

    Raises
    ------
    CheckpointError
        If the model can't be loaded, or not by this backend.
    MissingExtraError
        If the backend is not installed.
    """
    if backend == "tensorflow":
        if precision == "bfloat16":
            raise CheckpointError("the TensorFlow backend computes in float32: use --backend torch for bfloat16")
        from embedstore.encoders.keras import TensorFlowEncoder

        return TensorFlowEncoder(described, device=device, batch_size=batch_size)
    if not described.plain:
        from embedstore.encoders.sentence import SentenceEncoder

        return SentenceEncoder(described, device=device, batch_size=batch_size, precision=precision)
    from embedstore.encoders.pytorch import TorchEncoder

    return TorchEncoder(described, device=device, batch_size=batch_size, precision=precision, sample=sample)
