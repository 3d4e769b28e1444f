"""The only package that imports torch, transformers or TensorFlow, and only when a model is loaded.

`describe` reads a checkpoint's files and returns its spec, without a model; `load` returns an `Encoder` for a spec.
"""

from typing import TYPE_CHECKING

from embedstore.core.lazy import lazy_exports

if TYPE_CHECKING:
    from embedstore.encoders.backends import BACKENDS, load
    from embedstore.encoders.base import Described, Encoder, EncoderOptions, OnTexts, Pooling, Precision
    from embedstore.encoders.checkpoint import describe
    from embedstore.encoders.locate import DEFAULT_MODEL

__all__ = [
    "BACKENDS",
    "DEFAULT_MODEL",
    "Described",
    "Encoder",
    "EncoderOptions",
    "OnTexts",
    "Pooling",
    "Precision",
    "describe",
    "load",
]

_HOMES = {
    "BACKENDS": "backends",
    "DEFAULT_MODEL": "locate",
    "Described": "base",
    "Encoder": "base",
    "EncoderOptions": "base",
    "OnTexts": "base",
    "Pooling": "base",
    "Precision": "base",
    "describe": "checkpoint",
    "load": "backends",
}

__getattr__, __dir__ = lazy_exports(__name__, _HOMES)
