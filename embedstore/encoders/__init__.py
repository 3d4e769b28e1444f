"""The only place that imports torch, transformers or TensorFlow, and only when a model is loaded.

`describe` reads a checkpoint's files and returns its spec, which costs no model; `load` returns an
`Encoder` for a spec.
"""

from embedstore.encoders.base import Described, Encoder, EncoderOptions
from embedstore.encoders.checkpoint import DEFAULT_MODEL, describe

__all__ = ["DEFAULT_MODEL", "Described", "Encoder", "EncoderOptions", "describe", "load"]


def load(described: Described, *, device: str | None = None, batch_size: int = 32) -> Encoder:
    """Load the model of a described checkpoint.

    Parameters
    ----------
    described : Described
        What `describe` returned.
    device : str, optional
        "cpu", "cuda", "cuda:1", "mps", …; by default the best that there is.
    batch_size : int
        Texts per forward pass.

    Raises
    ------
    CheckpointError
        If the model can't be loaded.
    """
    from embedstore.encoders.sentence import SentenceEncoder

    return SentenceEncoder(described, device=device, batch_size=batch_size)
