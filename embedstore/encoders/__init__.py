"""The only place that imports torch, transformers or TensorFlow, and only when a model is loaded.

`describe` reads a checkpoint's files and returns its spec, which costs no model; `load` returns an
`Encoder` for a spec.
"""

from embedstore.encoders.base import Backend, Described, Encoder, EncoderOptions, Pooling
from embedstore.encoders.checkpoint import describe
from embedstore.encoders.locate import DEFAULT_MODEL

__all__ = ["DEFAULT_MODEL", "Backend", "Described", "Encoder", "EncoderOptions", "Pooling", "describe", "load"]


def load(
    described: Described, *, backend: Backend = "torch", device: str | None = None, batch_size: int = 32
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
    batch_size : int
        Texts per forward pass.

    Raises
    ------
    CheckpointError
        If the model can't be loaded, or not by this backend.
    MissingExtraError
        If the backend is not installed.
    """
    if backend == "tensorflow":
        from embedstore.encoders.keras import TensorFlowEncoder

        return TensorFlowEncoder(described, device=device, batch_size=batch_size)
    if described.kind == "sentence":
        from embedstore.encoders.sentence import SentenceEncoder

        return SentenceEncoder(described, device=device, batch_size=batch_size)
    from embedstore.encoders.pytorch import TorchEncoder

    return TorchEncoder(described, device=device, batch_size=batch_size)
