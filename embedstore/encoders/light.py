"""BERT-like models in NumPy, for a few short texts: a search does not have to wait for the import of torch.

Weights are mapped into memory, and texts are encoded one by one, without padding. For labels and search queries,
reading the weights takes as long as the computation.
"""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from embedstore.encoders.base import BatchEncoder, Described, finish
from embedstore.encoders.reading import read_json, refusals, regular
from embedstore.encoders.weights import read_headers
from embedstore.errors import CheckpointError

__all__ = ["LightEncoder", "is_light_work", "supports"]

Array = npt.NDArray[np.float32]

_MOST_CHARACTERS = 4000  # of all texts together: with more, importing torch is faster
_BERT = {
    "query": "attention.self.query",
    "key": "attention.self.key",
    "value": "attention.self.value",
    "attended": "attention.output.dense",
    "first_norm": "attention.output.LayerNorm",
    "inner": "intermediate.dense",
    "outer": "output.dense",
    "second_norm": "output.LayerNorm",
    "layer": "encoder.layer",
}
_DISTILBERT = {
    "query": "attention.q_lin",
    "key": "attention.k_lin",
    "value": "attention.v_lin",
    "attended": "attention.out_lin",
    "first_norm": "sa_layer_norm",
    "inner": "ffn.lin1",
    "outer": "ffn.lin2",
    "second_norm": "output_layer_norm",
    "layer": "transformer.layer",
}
_FAMILIES = {
    "bert": ("bert", _BERT),
    "camembert": ("roberta", _BERT),
    "distilbert": ("distilbert", _DISTILBERT),
    "roberta": ("roberta", _BERT),
    "xlm-roberta": ("roberta", _BERT),
}
_POSITIONS_AFTER_PADDING = ("camembert", "roberta", "xlm-roberta")
_DTYPES: dict[str, np.dtype[Any]] = {"F32": np.dtype("<f4"), "F16": np.dtype("<f2")}


def is_light_work(texts: Sequence[str]) -> bool:
    """Return whether the texts are few and short, so that encoding them here is faster than importing torch."""
    return sum(map(len, texts)) + 50 * len(texts) <= _MOST_CHARACTERS


def supports(described: Described) -> bool:
    """Return whether `LightEncoder` gives the same vectors for a checkpoint as torch."""
    with refusals(f"{described.model} can't be read"):
        return described.plain and _is_known(described)


def _is_known(described: Described) -> bool:
    config = _config(described)
    return (
        described.head is None
        and described.spec.pooling in ("mean", "cls", "max")
        and config.get("model_type") in _FAMILIES
        and (config.get("activation") or config.get("hidden_act") or "gelu") in _ACTIVATIONS
        and config.get("position_embedding_type", "absolute") == "absolute"
        and not config.get("is_decoder")
        and (described.transformer / "tokenizer.json").is_file()
        and {tensor.dtype for tensor in read_headers(described.transformer, described.model).values()}
        <= {*_DTYPES, "I64"}
    )


class LightEncoder(BatchEncoder):
    """A BERT-like transformer with a pooling, in NumPy.

    Parameters
    ----------
    described : Described
        A checkpoint that `supports` accepts.

    Raises
    ------
    CheckpointError
        If its tokenizer can't be read, or weights are missing.
    """

    def __init__(self, described: Described) -> None:
        import tokenizers

        self.spec = described.spec
        self._described = described
        with refusals(f"the checkpoint in {described.transformer} can't be used"):
            self._configure(_config(described))
        path = described.transformer / "tokenizer.json"
        with refusals(f"the tokenizer in {path} can't be loaded"):
            self._tokenizer = tokenizers.Tokenizer.from_file(str(regular(path)))
            self._tokenizer.no_padding()
            self._tokenizer.enable_truncation(self.spec.max_seq_length)
        self.provenance = described.provenance(
            backend="numpy",
            device="cpu",
            precision="float32",
            batch_size=1,
            versions={"numpy": np.__version__, "tokenizers": tokenizers.__version__},
        )

    def _configure(self, config: dict[str, Any]) -> None:
        self._prefix, self._names = _FAMILIES[config["model_type"]]
        self._weights = _mapped(self._described)
        self._heads = int(config.get("num_attention_heads") or config["n_heads"])
        self._layers = int(config.get("num_hidden_layers") or config["n_layers"])
        self._epsilon = float(config.get("layer_norm_eps", 1e-12))
        self._activation = _ACTIVATIONS[config.get("activation") or config.get("hidden_act") or "gelu"]
        padding = config.get("pad_token_id")
        after_padding = config["model_type"] in _POSITIONS_AFTER_PADDING
        self._first_position = (1 if padding is None else int(padding)) + 1 if after_padding else 0
        full = self._find("embeddings.word_embeddings.weight").shape[1]
        self.dimension = min(full, self.spec.truncate_dim or full)

    def _runs(
        self, texts: Sequence[str], prompt: str
    ) -> Iterator[tuple[npt.NDArray[np.int64], npt.NDArray[np.float32], int]]:
        for row, text in enumerate(texts):
            with refusals(f"the weights, tokenizer and config.json in {self._described.transformer} do not fit"):
                encoded = self._tokenizer.encode(prompt + text)
                states = self._forward(np.array(encoded.ids or [0], dtype=np.int64))
                pooled = self._pool(states)[None]
            yield np.array([row]), finish(pooled, self._described), int(bool(encoded.overflowing))

    def _pool(self, states: Array) -> Array:
        if self.spec.pooling == "cls":
            return np.asarray(states[0])
        return np.asarray(states.max(axis=0) if self.spec.pooling == "max" else states.mean(axis=0))

    def _forward(self, ids: npt.NDArray[np.int64]) -> Array:
        """Return the last hidden states of one text, shape (tokens, hidden)."""
        words = self._find("embeddings.word_embeddings.weight")
        if ids.max() >= len(words):
            raise CheckpointError(
                f"the tokenizer gives token {ids.max():,} and the model knows {len(words):,}: they do not belong "
                "together"
            )
        first = self._first_position
        states = (
            words[ids].astype(np.float32)
            + self._weight("embeddings.position_embeddings.weight")[first : first + len(ids)]
        )
        if self._names is _BERT:
            states = states + self._weight("embeddings.token_type_embeddings.weight")[0]
        states = self._norm(states, "embeddings.LayerNorm")
        for number in range(self._layers):
            at = f"{self._names['layer']}.{number}."
            attended = self._linear(self._attend(states, at), at, "attended")
            states = self._norm(states + attended, at + self._names["first_norm"])
            inner = self._activation(self._linear(states, at, "inner"))
            states = self._norm(states + self._linear(inner, at, "outer"), at + self._names["second_norm"])
        return states

    def _attend(self, states: Array, at: str) -> Array:
        def heads(name: str) -> Array:
            return self._linear(states, at, name).reshape(len(states), self._heads, -1).transpose(1, 0, 2)

        query, key, value = heads("query"), heads("key"), heads("value")
        scores = query @ key.transpose(0, 2, 1) / np.float32(np.sqrt(query.shape[2]))
        scores = np.exp(scores - scores.max(axis=2, keepdims=True))
        mixed = scores / scores.sum(axis=2, keepdims=True) @ value
        return np.asarray(mixed.transpose(1, 0, 2).reshape(len(states), -1))

    def _linear(self, states: Array, at: str, name: str) -> Array:
        full = at + self._names[name]
        return np.asarray(states @ self._weight(full + ".weight").T + self._weight(full + ".bias"))

    def _norm(self, states: Array, name: str) -> Array:
        centred = states - states.mean(axis=1, keepdims=True)
        scaled = centred / np.sqrt(np.square(centred).mean(axis=1, keepdims=True) + np.float32(self._epsilon))
        return np.asarray(scaled * self._weight(f"{name}.weight") + self._weight(f"{name}.bias"))

    def _weight(self, name: str) -> Array:
        return self._find(name).astype(np.float32, copy=False)

    def _find(self, name: str) -> npt.NDArray[Any]:
        older = name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta")
        for candidate in (name, f"{self._prefix}.{name}", older, f"{self._prefix}.{older}"):
            if candidate in self._weights:
                return self._weights[candidate]
        raise CheckpointError(f"{self._described.model} lacks the weight {name}: download the checkpoint again")


def _gelu(x: Array) -> Array:
    # The error function after Abramowitz and Stegun, 7.1.26, with an error of at most 1.5e-7.
    z = np.abs(x) * np.float32(np.sqrt(0.5))
    t = 1 / (1 + np.float32(0.3275911) * z)
    series = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))))
    return np.asarray(0.5 * x * (1 + np.copysign(1 - series * np.exp(-z * z), x)), dtype=np.float32)


def _gelu_tanh(x: Array) -> Array:
    return np.asarray(0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3))), dtype=np.float32)


def _relu(x: Array) -> Array:
    return np.maximum(x, 0)


_ACTIVATIONS: dict[str, Callable[[Array], Array]] = {
    "gelu": _gelu,
    "gelu_new": _gelu_tanh,
    "gelu_pytorch_tanh": _gelu_tanh,
    "relu": _relu,
}


def _config(described: Described) -> dict[str, Any]:
    config: dict[str, Any] = read_json(described.transformer / "config.json", {})
    return config


def _mapped(described: Described) -> dict[str, npt.NDArray[Any]]:
    """Return every float tensor as a view of its mapped file."""
    files: dict[Path, npt.NDArray[Any]] = {}
    weights: dict[str, npt.NDArray[Any]] = {}
    for name, tensor in read_headers(described.transformer, described.model).items():
        if tensor.dtype in _DTYPES:
            if tensor.path not in files:
                files[tensor.path] = np.asarray(np.memmap(tensor.path, dtype=np.uint8, mode="r"))
            content: npt.NDArray[Any] = files[tensor.path][tensor.first : tensor.last]
            weights[name] = content.view(_DTYPES[tensor.dtype]).reshape(tensor.shape)
    return weights
