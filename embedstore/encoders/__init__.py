"""The only package that imports torch, transformers or TensorFlow, and only when a model is loaded.

`describe` reads a checkpoint's files and returns its spec, without a model; `load` returns an `Encoder` for a spec.
"""

from typing import TYPE_CHECKING

from embedstore.core.lazy import lazy_exports

if TYPE_CHECKING:
    from embedstore.encoders.backends import BACKENDS, check, load
    from embedstore.encoders.base import Described, Encoder, EncoderOptions, OnTexts, Pooling, Precision
    from embedstore.encoders.checkpoint import describe
    from embedstore.encoders.light import LightEncoder, is_light_work
    from embedstore.encoders.locate import DEFAULT_MODEL, models_here
    from embedstore.encoders.parameters import is_known

__all__ = [
    "BACKENDS",
    "DEFAULT_MODEL",
    "Described",
    "Encoder",
    "EncoderOptions",
    "LightEncoder",
    "OnTexts",
    "Pooling",
    "Precision",
    "check",
    "describe",
    "is_known",
    "is_light_work",
    "load",
    "models_here",
]

_HOMES = {
    "BACKENDS": "backends",
    "DEFAULT_MODEL": "locate",
    "Described": "base",
    "Encoder": "base",
    "EncoderOptions": "base",
    "LightEncoder": "light",
    "OnTexts": "base",
    "Pooling": "base",
    "Precision": "base",
    "check": "backends",
    "describe": "checkpoint",
    "is_known": "parameters",
    "is_light_work": "light",
    "load": "backends",
    "models_here": "locate",
}

__getattr__, __dir__ = lazy_exports(__name__, _HOMES)
