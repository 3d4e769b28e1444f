"""What sets one BERT-like architecture apart from another: names of weights, position numbers, attention biases."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["BUCKETS", "FAMILIES", "Family", "relative_buckets"]

Config = Mapping[str, Any]
Numbers = npt.NDArray[np.int64]

_PADDING = 1  # the padding token of RoBERTa and its kin; the constant of `MPNetEmbeddings`
BUCKETS = 32  # of distances; the constant of `MPNetEncoder.compute_position_bias`
_FARTHEST = 128  # tokens; all distances beyond have the last bucket


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """An architecture that `LightEncoder` computes. The defaults are BERT's.

    Attributes
    ----------
    prefix : str
        Put before the names of weights in a checkpoint that has a head.
    width, heads, layers, inner_width, activation : str
        The fields of ``config.json`` with the length of hidden states, the number of attention heads, the number of
        layers, the length inside a feed-forward layer, and the activation.
    epsilon : str or None
        The field with the epsilon of layer norms; None is 1e-12 whatever the configuration says.
    layer : str
        The weights of layer 3 have names that begin with this and ".3.".
    query, key, value, attended, first_norm, inner, outer, second_norm : str
        The names of a layer's weights after that, in the order in which they are used.
    token_types : bool
        Whether the embedding of token type 0 is added to each word.
    padding : callable
        Returns, from the configuration, the number of the token that positions do not count; -1 if they count all.
    relative_bias : str or None
        The name of a weight, shape (32, heads), with what is added to the attention for each bucket of
        `relative_buckets`; all layers share it.
    required : tuple of (str, int)
        Fields that must have these values where they are given, because transformers does not look at them.
    """

    prefix: str = "bert"
    width: str = "hidden_size"
    heads: str = "num_attention_heads"
    layers: str = "num_hidden_layers"
    inner_width: str = "intermediate_size"
    activation: str = "hidden_act"
    epsilon: str | None = "layer_norm_eps"
    layer: str = "encoder.layer"
    query: str = "attention.self.query"
    key: str = "attention.self.key"
    value: str = "attention.self.value"
    attended: str = "attention.output.dense"
    first_norm: str = "attention.output.LayerNorm"
    inner: str = "intermediate.dense"
    outer: str = "output.dense"
    second_norm: str = "output.LayerNorm"
    token_types: bool = True
    padding: Callable[[Config], int]
    relative_bias: str | None = None
    required: tuple[tuple[str, int], ...] = ()

    def positions(self, ids: Numbers, config: Config) -> Numbers:
        """Return the position number of each token, shape (tokens,).

        They count from `padding` + 1 on; padding tokens in a text have the number `padding` and are not counted.
        """
        padding = self.padding(config)
        counted = ids != padding
        return np.asarray(np.cumsum(counted) * counted + padding)

    def fits(self, config: Config) -> bool:
        """Return whether a configuration has every field that is read, and no value that transformers ignores."""
        return {self.heads, self.layers} <= config.keys() and all(
            config.get(name, value) == value for name, value in self.required
        )


def _none(config: Config) -> int:
    return -1


def _given(config: Config) -> int:
    padding = config.get("pad_token_id")
    return _PADDING if padding is None else int(padding)


def _fixed(config: Config) -> int:
    return _PADDING


def relative_buckets(tokens: int) -> Numbers:
    """Return the bucket of the distance between each two of `tokens` tokens, shape (tokens, tokens), int64.

    The first 16 buckets are for earlier tokens, the other 16 for later ones. Of these, 8 are for the distances 0 to 7,
    and 8 for logarithmic ranges up to 128 (`relative_position_bucket` of transformers, after T5).

    Examples
    --------
    >>> relative_buckets(3)
    array([[ 0, 17, 18],
           [ 1,  0, 17],
           [ 2,  1,  0]])
    """
    half = BUCKETS // 2
    exact = half // 2
    distances = np.arange(tokens)
    # In float32 as in transformers, so that the borders of the ranges are rounded alike.
    ratios = np.log(np.maximum(distances, 1).astype(np.float32) / np.float32(exact))
    ranges = exact + (ratios / np.float32(np.log(_FARTHEST / exact)) * np.float32(half - exact)).astype(np.int64)
    buckets = np.where(distances < exact, distances, np.minimum(ranges, half - 1))
    later = distances[None, :] - distances[:, None]
    return np.asarray(buckets[np.abs(later)] + half * (later > 0))


_BERT = Family(padding=_none)
_ROBERTA = Family(prefix="roberta", padding=_given)
_DISTILBERT = Family(
    prefix="distilbert",
    width="dim",
    heads="n_heads",
    layers="n_layers",
    inner_width="hidden_dim",
    activation="activation",
    epsilon=None,
    layer="transformer.layer",
    query="attention.q_lin",
    key="attention.k_lin",
    value="attention.v_lin",
    attended="attention.out_lin",
    first_norm="sa_layer_norm",
    inner="ffn.lin1",
    outer="ffn.lin2",
    second_norm="output_layer_norm",
    token_types=False,
    padding=_none,
)
_MPNET = Family(
    prefix="mpnet",
    query="attention.attn.q",
    key="attention.attn.k",
    value="attention.attn.v",
    attended="attention.attn.o",
    first_norm="attention.LayerNorm",
    token_types=False,
    padding=_fixed,
    relative_bias="encoder.relative_attention_bias.weight",
    required=(("relative_attention_num_buckets", BUCKETS),),
)

# By the model_type of config.json.
FAMILIES: Mapping[str, Family] = {
    "bert": _BERT,
    "camembert": _ROBERTA,
    "distilbert": _DISTILBERT,
    "mpnet": _MPNET,
    "roberta": _ROBERTA,
    "xlm-roberta": _ROBERTA,
}
