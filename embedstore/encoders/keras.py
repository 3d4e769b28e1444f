"""Pooled features and classifier logits with KerasHub on TensorFlow.

KerasHub builds the backbone from a folder of safetensors. Its converters expect the weight names of one kind of
checkpoint, and ignore the extra weights of other kinds. So the weights are first written to a temporary folder, with
the names and in the form that the converters expect.
"""

import json
import os
import re
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, get_args

import numpy as np
import numpy.typing as npt

from embedstore.core.counts import counted
from embedstore.core.guards import Lock
from embedstore.encoders.base import BatchEncoder, Described, Encoder, Pooling, Precision, finish
from embedstore.encoders.quiet import offline, quiet_stderr
from embedstore.encoders.reading import read_json, refusals
from embedstore.encoders.tokens import Batch, Tokenizer
from embedstore.encoders.weights import weight_files
from embedstore.errors import CheckpointError, MissingExtraError

__all__ = ["TensorFlowEncoder", "check", "load"]

Arrays = dict[str, npt.NDArray[np.float32]]

# For each family: the prefix of the body's weights, and the KerasHub converter that reads them.
_FAMILIES = {
    "bert": ("bert", "bert"),
    "camembert": ("roberta", "roberta"),
    "distilbert": ("distilbert", "distilbert"),
    "roberta": ("roberta", "roberta"),
    "xlm-roberta": ("roberta", "roberta"),
}
# Maps the name of an activation to whether it is the tanh approximation of GELU.
_ACTIVATIONS = {"gelu": False, "gelu_new": True, "gelu_pytorch_tanh": True}
_BATCH_SIZE = 32
_LENGTHS = (16, 32, 64, 96, 128, 192, 256, 384, 512)  # few lengths, because TensorFlow traces each shape once


def load(
    described: Described, *, device: str | None, batch_size: int | None, precision: Precision, sample: Sequence[str]
) -> Encoder:
    """Return an encoder on TensorFlow; see `embedstore.encoders.load`."""
    check(described, device=None, precision=precision)
    return TensorFlowEncoder(described, device=device, batch_size=batch_size)


def check(described: Described, *, device: str | None, precision: Precision) -> None:
    """Raise the error of `load` for a checkpoint, a device or a precision; see `embedstore.encoders.backends.check`."""
    if precision == "bfloat16":
        raise CheckpointError("the TensorFlow backend computes in float32: use --backend torch for bfloat16")
    _checked_config(described)
    for name in ("tensorflow", "keras_hub"):
        if find_spec(name) is None:
            raise _missing(name)
    if device not in (None, "cpu"):
        with quiet_stderr:
            _device(_import()[0], device)


class TensorFlowEncoder(BatchEncoder):
    """A BERT-like transformer with a pooling or its classification head, on TensorFlow.

    Parameters
    ----------
    described : Described
        The checkpoint and its spec.
    device : str or None
        "cpu", "cuda" or "cuda:1"; None is the best available device.
    batch_size : int or None
        Texts per forward pass; None is 32.

    Raises
    ------
    MissingExtraError
        If TensorFlow or KerasHub is not installed.
    CheckpointError
        If KerasHub can't load this checkpoint, or weights are missing.
    """

    def __init__(self, described: Described, *, device: str | None, batch_size: int | None) -> None:
        config = _checked_config(described)
        with quiet_stderr:
            tensorflow, keras_hub = _import()
            self._tf = tensorflow
            self._device = _device(tensorflow, device)
        import transformers

        self.spec = described.spec
        self._described = described
        self._lock = Lock()  # TensorFlow uses all cores for one batch, and traces a shape in one thread
        self._batch_size = batch_size or _BATCH_SIZE
        self._tokenizer = Tokenizer(described.transformer, self.spec.max_seq_length)
        weights = _load_weights(described, config)
        with tensorflow.device(self._device):
            self._backbone = _backbone(keras_hub, described, config, weights)
            head = _head(tensorflow, described, config, weights) if described.head else None
            self._run = tensorflow.function(self._forward(tensorflow, head), reduce_retracing=False)
        full = len(described.head.labels) if described.head else self._backbone.hidden_dim
        self.dimension = min(full, self.spec.truncate_dim or full)
        self.provenance = described.provenance(
            backend="tensorflow",
            device="cuda" if "GPU" in self._device else "cpu",
            precision="float32",
            batch_size=self._batch_size,
            versions={
                "keras-hub": keras_hub.__version__,
                "tensorflow": tensorflow.__version__,
                "transformers": transformers.__version__,
            },
        )

    @property
    def traces(self) -> int:
        """The number of shapes traced so far."""
        return int(self._run.experimental_get_tracing_count())

    def _runs(
        self, texts: Sequence[str], prompt: str
    ) -> Iterator[tuple[npt.NDArray[np.int64], npt.NDArray[np.float32], int]]:
        for batch in self._tokenizer.batches(
            texts,
            prompt,
            vocabulary=self._backbone.vocabulary_size,
            length_of=self._length,
            batch_size=self._batch_size,
        ):
            with self._lock.held(), self._tf.device(self._device):
                pooled = self._run(*self._inputs(batch)).numpy()[: len(batch.rows)]
            yield batch.rows, finish(pooled, self._described), batch.truncated

    def _length(self, longest: int) -> int:
        most = self.spec.max_seq_length
        if self.spec.pooling == "mean-padded":
            return most
        return min(most, next((length for length in _LENGTHS if length >= longest), most))

    def _inputs(self, batch: Batch) -> list[Any]:
        """Return ids, mask and types as int32 tensors of a full batch; a short batch is filled with its own rows."""
        types = np.zeros_like(batch.ids) if batch.types is None else batch.types
        filled = np.resize(np.arange(len(batch.rows)), self._batch_size)
        return [self._tf.constant(array[filled], dtype="int32") for array in (batch.ids, batch.mask, types)]

    def _forward(self, tensorflow: Any, head: Any) -> Callable[..., Any]:
        tf, pooling, backbone = tensorflow, self.spec.pooling, self._backbone
        named = {one.name.split(":")[0] for one in backbone.inputs}

        def forward(ids: Any, mask: Any, types: Any) -> Any:
            inputs = {"token_ids": ids, "padding_mask": mask}
            if "segment_ids" in named:
                inputs["segment_ids"] = types
            output = backbone(inputs, training=False)
            states = output["sequence_output"] if isinstance(output, dict) else output
            if head is not None:
                return head(states)
            if pooling == "cls":
                return states[:, 0]
            if pooling == "mean-padded":
                return tf.reduce_mean(states, axis=1)
            there = tf.cast(mask, states.dtype)[:, :, None]
            if pooling == "max":
                return tf.reduce_max(tf.where(there > 0, states, states.dtype.min), axis=1)
            return tf.reduce_sum(states * there, axis=1) / tf.reduce_sum(there, axis=1)

        return forward


def _checked_config(described: Described) -> dict[str, Any]:
    """Return the transformer's configuration, after a check that KerasHub's model computes the same."""
    config: dict[str, Any] = read_json(described.transformer / "config.json", {})
    family, model = config["model_type"], described.model
    if family not in _FAMILIES:
        raise CheckpointError(
            f"{model} is of the family {family!r}, which the TensorFlow backend does not load: it loads "
            f"{', '.join(_FAMILIES)}; use --backend torch"
        )
    if not described.plain:
        raise CheckpointError(
            f"{model} is more than a transformer with a pooling of {', '.join(get_args(Pooling))}: use --backend torch"
        )
    activation = config.get("activation") or config.get("hidden_act") or "gelu"
    if activation not in _ACTIVATIONS:
        raise CheckpointError(
            f"{model} has the activation {activation!r}, and the TensorFlow backend {', '.join(_ACTIVATIONS)}: use "
            "--backend torch"
        )
    if config.get("position_embedding_type", "absolute") != "absolute" or config.get("is_decoder"):
        raise CheckpointError(f"{model} is a variant that the TensorFlow backend does not load: use --backend torch")
    if _FAMILIES[family][1] == "roberta":
        if described.spec.pooling == "mean-padded":
            # In transformers, padding has a position of its own in these models; in KerasHub it does not.
            raise CheckpointError(f"mean-padded of {model} differs between backends: use --backend torch")
        if config.get("pad_token_id", 1) != 1:
            raise CheckpointError(f"{model} has an unusual padding token: use --backend torch")
    return config


def _import() -> tuple[Any, Any]:
    if "keras" in sys.modules and sys.modules["keras"].config.backend() != "tensorflow":
        raise CheckpointError("Keras runs on another backend in this process: set KERAS_BACKEND=tensorflow before")
    os.environ["KERAS_BACKEND"] = "tensorflow"
    try:
        import keras_hub
        import tensorflow
    except ImportError as error:
        raise _missing(error.name or "TensorFlow") from error
    return tensorflow, keras_hub


def _missing(package: str) -> MissingExtraError:
    return MissingExtraError(
        f"the TensorFlow backend needs {package}, which is not installed: run `pip install 'embedstore[tensorflow]'`"
    )


def _device(tensorflow: Any, asked: str | None) -> str:
    gpus = tensorflow.config.list_physical_devices("GPU")
    name, _, number = (asked or ("cuda" if gpus else "cpu")).partition(":")
    known = {"cpu": 1, "cuda": len(gpus), "gpu": len(gpus)}
    if name not in known or not (number or "0").isdecimal() or int(number or 0) >= known[name]:
        raise CheckpointError(
            f"the device {asked!r} can't be used: TensorFlow finds the CPU and {counted(len(gpus), 'GPU')}; "
            "name another, such as cpu"
        )
    return f"/{'CPU' if name == 'cpu' else 'GPU'}:{number or 0}"


def _load_weights(described: Described, config: dict[str, Any]) -> Arrays:
    """Return all weights in float32, with the names that transformers gives a classifier of the family."""
    from safetensors.torch import load_file

    prefix = _FAMILIES[config["model_type"]][0] + "."
    arrays: Arrays = {}
    for path in weight_files(described.transformer, described.model):
        for name, tensor in load_file(path).items():
            body = name.removeprefix(prefix).startswith(("embeddings.", "encoder.", "transformer.", "pooler."))
            key = prefix + name.removeprefix(prefix) if body else name
            if key.endswith((".gamma", ".beta")):
                key = key.removesuffix(".gamma").removesuffix(".beta") + (".weight" if "gamma" in name else ".bias")
            arrays[key] = tensor.float().numpy()
    layers = {int(match[1]) for name in arrays if (match := re.search(r"\.layer\.(\d+)\.", name))}
    expected = config.get("n_layers") or config["num_hidden_layers"]
    if layers != set(range(expected)):
        raise CheckpointError(
            f"{described.model} does not fit: config.json describes {counted(expected, 'layer')}, its "
            f"weights have {len(layers)}: download the checkpoint again"
        )
    return arrays


def _weight(weights: Arrays, name: str, described: Described) -> npt.NDArray[np.float32]:
    try:
        return weights[name]
    except KeyError:
        raise CheckpointError(
            f"{described.model} does not fit: the weight {name} is missing, and random ones are never used: "
            "download the checkpoint again"
        ) from None


def _backbone(keras_hub: Any, described: Described, config: dict[str, Any], weights: Arrays) -> Any:
    """Return the KerasHub backbone with the checkpoint's weights, constants and activation."""
    from keras import activations, layers
    from safetensors.numpy import save_file

    prefix, converter = _FAMILIES[config["model_type"]]
    body = {name: array for name, array in weights.items() if name.startswith(prefix + ".")}
    if converter == "bert":
        # KerasHub's model always has a pooler; features do not use it.
        hidden = config["hidden_size"]
        body.setdefault("bert.pooler.dense.weight", np.zeros((hidden, hidden), dtype=np.float32))
        body.setdefault("bert.pooler.dense.bias", np.zeros(hidden, dtype=np.float32))
    if converter == "roberta":
        # KerasHub's model has no token types, so the only token type is added to every position.
        types = _weight(body, "roberta.embeddings.token_type_embeddings.weight", described)
        positions = _weight(body, "roberta.embeddings.position_embeddings.weight", described)
        body["roberta.embeddings.position_embeddings.weight"] = positions + types[0]
    with tempfile.TemporaryDirectory(prefix="embedstore-") as place:
        folder = Path(place)
        (folder / "config.json").write_text(json.dumps({**config, "model_type": converter}), encoding="utf-8")
        save_file({name: np.ascontiguousarray(array) for name, array in body.items()}, folder / "model.safetensors")
        with refusals(f"KerasHub can't load {described.model}"), offline():
            backbone = keras_hub.models.Backbone.from_preset(str(folder))
    approximate = _ACTIVATIONS[config.get("activation") or config.get("hidden_act") or "gelu"]
    for layer in backbone._flatten_layers(include_self=False, recursive=True):
        if isinstance(layer, layers.LayerNormalization):
            layer.epsilon = config.get("layer_norm_eps", 1e-12)
        elif isinstance(layer, layers.Dense) and layer.activation not in (activations.linear, activations.tanh):
            layer.activation = lambda x: activations.gelu(x, approximate=approximate)
    return backbone


def _head(tensorflow: Any, described: Described, config: dict[str, Any], weights: Arrays) -> Callable[[Any], Any]:
    """Return a function from hidden states to logits, with the checkpoint's own weights."""
    tf = tensorflow

    def dense(name: str) -> Callable[[Any], Any]:
        kernel = tf.constant(_weight(weights, f"{name}.weight", described).T)
        bias = tf.constant(_weight(weights, f"{name}.bias", described))
        return lambda x: tf.matmul(x, kernel) + bias

    first, between, last = {
        "bert": ("bert.pooler.dense", tf.tanh, "classifier"),
        "distilbert": ("pre_classifier", tf.nn.relu, "classifier"),
        "roberta": ("classifier.dense", tf.tanh, "classifier.out_proj"),
    }[_FAMILIES[config["model_type"]][1]]
    inner, outer = dense(first), dense(last)
    logits = weights[f"{last}.bias"].shape[0]
    labels = len(described.head.labels) if described.head else 0
    if logits != labels:
        raise CheckpointError(
            f"{described.model} has {counted(logits, 'logit')} and {counted(labels, 'label')}, expected equally many: "
            "mend id2label in its config.json"
        )
    return lambda states: outer(between(inner(states[:, 0])))
