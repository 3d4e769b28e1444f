"""Checkpoints of any size with random weights, written without torch."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from checkpoints import tokenizer
from safetensors.numpy import save_file

from embedstore.encoders.families import FAMILIES

SPECIAL = 2  # tokens that the tokenizer puts around each text
_NORMS = 0.1  # standard deviation of biases, and of the weights of norms around 1


def save_network(
    folder: Path,
    family: str,
    *,
    width: int,
    heads: int,
    inner: int,
    layers: int,
    positions: int,
    activation: str = "gelu",
    scale: float = 0.1,
    seed: int = 0,
) -> Path:
    """Save a model of a family that `LightEncoder` computes, and the tokenizer of `checkpoints`."""
    made, random = FAMILIES[family], np.random.default_rng(seed)
    words = tokenizer(family)
    words.save_pretrained(folder)
    padding = int(words.pad_token_id)
    config: dict[str, Any] = {
        "model_type": family,
        "vocab_size": len(words),
        "max_position_embeddings": positions,
        "pad_token_id": padding,
        made.heads: heads,
        made.layers: layers,
        made.activation: activation,
        made.width: width,
        made.inner_width: inner,
    } | dict(made.required)
    (folder / "config.json").write_text(json.dumps(config))
    shapes = {"embeddings.word_embeddings.weight": (len(words), width), "embeddings.LayerNorm": (width,)}
    shapes["embeddings.position_embeddings.weight"] = (positions, width)
    if made.token_types:
        shapes["embeddings.token_type_embeddings.weight"] = (2, width)
    if made.relative_bias:
        shapes[made.relative_bias] = (32, heads)
    for number in range(layers):
        at = f"{made.layer}.{number}."
        shapes |= {at + name: (width, width) for name in (made.query, made.key, made.value, made.attended)}
        shapes |= {at + made.inner: (inner, width), at + made.outer: (width, inner)}
        shapes |= {at + name: (width,) for name in (made.first_norm, made.second_norm)}
    weights = {}
    for name, shape in shapes.items():
        is_norm = len(shape) == 1
        drawn = random.standard_normal(shape) * (_NORMS if is_norm else scale) + is_norm
        weights[name if name.endswith(".weight") else f"{name}.weight"] = drawn.astype(np.float32)
        if not name.endswith(".weight"):
            weights[f"{name}.bias"] = (random.standard_normal(shape[0]) * _NORMS).astype(np.float32)
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    return folder
