"""BERT-like models in NumPy, for a few short texts: a search does not have to wait for the import of torch.

Weights are mapped into memory, and texts are encoded one by one, without padding. For labels and search queries,
reading the weights takes as long as the computation.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from embedstore.encoders.activations import ACTIVATIONS
from embedstore.encoders.base import BatchEncoder, Described, finish
from embedstore.encoders.beginnings import cuts_at_spaces, first_tokens
from embedstore.encoders.families import FAMILIES, relative_buckets
from embedstore.encoders.reading import read_json, refusals, regular
from embedstore.encoders.weights import read_headers
from embedstore.errors import CheckpointError

__all__ = ["LightEncoder", "is_light_work", "supports"]

Array = npt.NDArray[np.float32]

_MOST_CHARACTERS = 4000  # of all texts together: with more, importing torch is faster
_ACTIVATION = "gelu"  # of a configuration that names none
_EPSILON = 1e-12  # of layer norms, where a configuration has none
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
    family = FAMILIES.get(config.get("model_type", ""))
    return (
        family is not None
        and family.fits(config)
        and described.head is None
        and described.spec.pooling in ("mean", "cls", "max")
        and config.get(family.activation, _ACTIVATION) in ACTIVATIONS
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
            self._cuts = cuts_at_spaces(self._tokenizer)
        self.provenance = described.provenance(
            backend="numpy",
            device="cpu",
            precision="float32",
            batch_size=1,
            versions={"numpy": np.__version__, "tokenizers": tokenizers.__version__},
        )

    def _configure(self, config: dict[str, Any]) -> None:
        self._config = config
        self._family = FAMILIES[config["model_type"]]
        self._weights = _mapped(self._described)
        self._heads = int(config[self._family.heads])
        self._layers = int(config[self._family.layers])
        self._activation = ACTIVATIONS[config.get(self._family.activation, _ACTIVATION)]
        given = self._family.epsilon
        self._epsilon = np.float32(config.get(given, _EPSILON) if given else _EPSILON)
        full = self._find("embeddings.word_embeddings.weight").shape[1]
        self.dimension = min(full, self.spec.truncate_dim or full)

    def _runs(
        self, texts: Sequence[str], prompt: str
    ) -> Iterator[tuple[npt.NDArray[np.int64], npt.NDArray[np.float32], int]]:
        for row, text in enumerate(texts):
            with refusals(f"the weights, tokenizer and config.json in {self._described.transformer} do not fit"):
                encoded = self._encoded(prompt + text)
                states = self._forward(np.array(encoded.ids or [0], dtype=np.int64))
                pooled = self._pool(states)[None]
            yield np.array([row]), finish(pooled, self._described), int(bool(encoded.overflowing))

    def _encoded(self, text: str) -> Any:
        """Return the tokens of a text, up to the maximum."""
        if not self._cuts:
            return self._tokenizer.encode(text)
        return first_tokens([text], self.spec.max_seq_length, self._tokenizer.encode_batch)[0]

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
        states = self._embed(ids, words)
        bias = self._bias(len(ids))
        for number in range(self._layers):
            at = f"{self._family.layer}.{number}."
            attended = self._linear(self._attend(states, at, bias), at + self._family.attended)
            states = self._norm(states + attended, at + self._family.first_norm)
            inner = self._activation(self._linear(states, at + self._family.inner))
            states = self._norm(states + self._linear(inner, at + self._family.outer), at + self._family.second_norm)
        return states

    def _embed(self, ids: npt.NDArray[np.int64], words: npt.NDArray[Any]) -> Array:
        positions = self._find("embeddings.position_embeddings.weight")[self._family.positions(ids, self._config)]
        states = words[ids].astype(np.float32) + positions.astype(np.float32)
        if self._family.token_types:
            states = states + self._weight("embeddings.token_type_embeddings.weight")[0]
        return self._norm(states, "embeddings.LayerNorm")

    def _bias(self, tokens: int) -> Array:
        """Return what is added to the scores of attention, of a shape that goes with (heads, tokens, tokens)."""
        if self._family.relative_bias is None:
            return np.zeros(1, dtype=np.float32)
        return self._weight(self._family.relative_bias)[relative_buckets(tokens)].transpose(2, 0, 1)

    def _attend(self, states: Array, at: str, bias: Array) -> Array:
        def heads(name: str) -> Array:
            return self._linear(states, at + name).reshape(len(states), self._heads, -1).transpose(1, 0, 2)

        query, key, value = map(heads, (self._family.query, self._family.key, self._family.value))
        scores = query @ key.transpose(0, 2, 1) / np.float32(np.sqrt(query.shape[2])) + bias
        scores = np.exp(scores - scores.max(axis=2, keepdims=True))
        mixed = scores / scores.sum(axis=2, keepdims=True) @ value
        return np.asarray(mixed.transpose(1, 0, 2).reshape(len(states), -1))

    def _linear(self, states: Array, name: str) -> Array:
        return np.asarray(states @ self._weight(f"{name}.weight").T + self._weight(f"{name}.bias"))

    def _norm(self, states: Array, name: str) -> Array:
        centred = states - states.mean(axis=1, keepdims=True)
        scaled = centred / np.sqrt(np.square(centred).mean(axis=1, keepdims=True) + self._epsilon)
        return np.asarray(scaled * self._weight(f"{name}.weight") + self._weight(f"{name}.bias"))

    def _weight(self, name: str) -> Array:
        return self._find(name).astype(np.float32, copy=False)

    def _find(self, name: str) -> npt.NDArray[Any]:
        older = name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta")
        prefix = self._family.prefix
        for candidate in (name, f"{prefix}.{name}", older, f"{prefix}.{older}"):
            if candidate in self._weights:
                return self._weights[candidate]
        raise CheckpointError(f"{self._described.model} lacks the weight {name}: download the checkpoint again")


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
