"""The files of a checkpoint, and those of a probe, as far as they are read without torch.

A checkpoint is described, and where its files still fit together a text is encoded with the light encoder: that is
what a search does with a folder that the store names.
"""

import io
import json
import struct
import tempfile
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import tokenizers
from fuzz import Target
from safetensors.numpy import save
from tokenizers import models, pre_tokenizers, processors

from embedstore.encoders import EncoderOptions, describe, light
from embedstore.encoders.parameters import is_known
from embedstore.learning.probe import read_probe

_OPTIONS = [EncoderOptions(), EncoderOptions(pooling="cls"), EncoderOptions(output="logits")]
_ODD: list[Any] = [
    None, True, False, 0, -1, 1, 2, 3, 2**31, 2**63, 2**64, 10**30, 0.5, float("nan"), float("inf"), "", "a", "\n",
    "\0", "\ud800", "..", "../x", "/etc/passwd", "x" * 300, "id2label", "auto_map", "num_labels", "roberta", "relu",
    "Dense", "cls", "max", "F16", "I64", "F4", "architectures", "problem_type", "regression",
    "multi_label_classification",
    "position_embedding_type", "max_seq_length", "model.safetensors", "model-00001-of-00001.safetensors",
    "BertForSequenceClassification", [], {}, [[]], [1, 2], {"a": 1}, ["a", "b"], {"0": "a", "1": "b"}, {"x": 1},
    [-1, 4],
]  # fmt: skip
_HIDDEN, _WORDS = 8, ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "good", "bad", "tea", "##s"]
_CONFIG: dict[str, Any] = {
    "model_type": "bert", "hidden_size": _HIDDEN, "num_hidden_layers": 1, "num_attention_heads": 2,
    "intermediate_size": 16, "hidden_act": "gelu", "max_position_embeddings": 16, "vocab_size": len(_WORDS),
    "type_vocab_size": 2, "pad_token_id": 0, "layer_norm_eps": 1e-12, "architectures": ["BertModel"],
}  # fmt: skip
_MODULES = [
    {"idx": number, "name": str(number), "path": path, "type": f"sentence_transformers.models.{kind}"}
    for number, (path, kind) in enumerate([("", "Transformer"), ("1_Pooling", "Pooling"), ("2_Normalize", "Normalize")])
]
_POOLING = {"word_embedding_dimension": _HIDDEN, "pooling_mode_mean_tokens": True, "pooling_mode_cls_token": False}
_PROMPTS = {"prompts": {"query": "q: ", "document": "d: "}, "default_prompt_name": None, "truncate_dim": 4}


def _weights() -> dict[str, np.ndarray]:
    random = np.random.default_rng(0)
    layer = "encoder.layer.0."
    shapes = {f"embeddings.{name}_embeddings.weight": (rows, _HIDDEN) for name, rows in
              [("word", len(_WORDS)), ("position", 16), ("token_type", 2)]}  # fmt: skip
    squares = ["attention.self.query", "attention.self.key", "attention.self.value", "attention.output.dense"]
    for name, (rows, columns) in {
        **dict.fromkeys(squares, (_HIDDEN, _HIDDEN)), "intermediate.dense": (16, _HIDDEN), "output.dense": (_HIDDEN, 16)
    }.items():  # fmt: skip
        shapes |= {f"{layer}{name}.weight": (rows, columns), f"{layer}{name}.bias": (rows,)}
    for name in ("embeddings", f"{layer}attention.output", f"{layer}output"):
        shapes |= {f"{name}.LayerNorm.weight": (_HIDDEN,), f"{name}.LayerNorm.bias": (_HIDDEN,)}
    return {name: random.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}


def _tokenizer() -> str:
    made = tokenizers.Tokenizer(models.WordPiece({word: i for i, word in enumerate(_WORDS)}, unk_token="[UNK]"))
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    made.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    return made.to_str()


def _checkpoint() -> Path:
    folder = Path(tempfile.mkdtemp())
    (folder / "1_Pooling").mkdir()
    (folder / "model.safetensors").write_bytes(save(_weights()))
    (folder / "tokenizer.json").write_text(_tokenizer())
    for name, content in [
        ("config.json", _CONFIG), ("tokenizer_config.json", {"model_max_length": 16}), ("modules.json", _MODULES),
        ("1_Pooling/config.json", _POOLING), ("config_sentence_transformers.json", _PROMPTS),
        ("sentence_bert_config.json", {"max_seq_length": 16, "do_lower_case": False}),
    ]:  # fmt: skip
        (folder / name).write_text(json.dumps(content))
    return folder


def _reader(name: str) -> Callable[[bytes], None]:
    """Return a function that puts content in the place of a file and uses the checkpoint."""
    folder = _checkpoint()
    if name == "model.safetensors.index.json":
        (folder / "model.safetensors").rename(folder / "model-00001-of-00001.safetensors")

    def read(content: bytes) -> None:
        (folder / name).write_bytes(content)
        described = describe(str(folder), _OPTIONS[len(content) % len(_OPTIONS)])
        assert len(described.spec.key) == 64
        if is_known(described):
            light.LightEncoder(described).encode(["good tea", ""])

    return read


def _seeds(name: str, *others: object) -> Callable[[], list[bytes]]:
    def seeds() -> list[bytes]:
        path = _checkpoint() / name
        own = [path.read_bytes()] if path.is_file() else []
        return [*own, *(json.dumps(other).encode() for other in others), b"\x00\x03\x05", b"\x01\x02\x0b\x00\x07\x09"]

    return seeds


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Yield each object or list inside a JSON value, with each of its keys or numbers."""
    for key in list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ():
        yield value, key
        yield from _places(value[key])


def edited(value: Any, content: bytes) -> Any:
    """Return a JSON value after the edits that `content` describes: three bytes each, what, where and the new value."""
    value = {"": deepcopy(value)}
    for what, where, new in zip(content[:30:3], content[1:30:3], content[2:30:3], strict=False):
        places = list(_places(value))
        inside, key = places[(where + 256 * (what // 4)) % len(places)]
        if what % 4 == 0 and inside is not value:
            del inside[key]
        elif what % 4 == 1 and isinstance(inside, dict) and inside is not value:
            inside[str(_ODD[new % len(_ODD)])] = deepcopy(inside[key])
        else:
            inside[key] = deepcopy(_ODD[new % len(_ODD)])
    return value[""]


def _json_edited(name: str, *others: object) -> Callable[[bytes], bytes]:
    """Return a function that takes what begins as JSON does as it is, and anything else as edits."""
    path = _checkpoint() / name
    value = others[0] if others else json.loads(path.read_bytes())

    def prepare(content: bytes) -> bytes:
        return content if content[:1] in (b"{", b"[", b'"') else json.dumps(edited(value, content)).encode()

    return prepare


def _header_edited(content: bytes) -> bytes:
    """Take what is as long as a file of weights as one, and anything else as edits of the header."""
    if len(content) > 200:
        return content
    whole = save(_weights())
    (length,) = struct.unpack("<Q", whole[:8])
    header = json.dumps(edited(json.loads(whole[8 : 8 + length]), content)).encode()
    return struct.pack("<Q", len(header)) + header + whole[8 + length :]


def _probe_arrays() -> list[bytes]:
    found = []
    for write, dtype in [(np.savez, np.float64), (np.savez_compressed, np.float64), (np.savez, object)]:
        stream = io.BytesIO()
        write(stream, coef=np.zeros((1, 4), dtype=dtype), intercept=np.zeros(1))
        found.append(stream.getvalue())
    return found


def _probe_descriptions() -> list[bytes]:
    classes = [["a", "b"], [1, 2], [True, False], [1.5, 2.5], [2**63, 1]]
    return [json.dumps({"format_version": 1, "classes": one, "space": "ab"}).encode() for one in classes]


_PROBE = {"arrays": _probe_arrays()[0], "description": _probe_descriptions()[0]}


def _read_probe(name: str) -> Callable[[bytes], object]:
    def read(content: bytes) -> object:
        arrays, described = ((Path(key), content if key == name else own) for key, own in _PROBE.items())
        probe = read_probe(arrays, described, space="ab", dimension=4)
        return probe.probabilities(np.zeros((1, 4), dtype=np.float32))

    return read


_JSON = [
    b'"',
    b"{",
    b"}",
    b"[",
    b"]",
    b"null",
    b"true",
    b"1e999",
    b"NaN",
    b"-1",
    b"99999999999",
    b'"\\ud800"',
    b"..",
    b"\\n",
]
_FILES: dict[str, tuple[str, list[object], list[bytes]]] = {
    "safetensors": (
        "model.safetensors",
        [{}],
        [b'"data_offsets":[', b'"shape":[', b'"dtype":"F16"', b'"I64"', b'"BF16"'],
    ),
    "weight_index": (
        "model.safetensors.index.json",
        [{"metadata": {}, "weight_map": {"embeddings": "model-00001-of-00001.safetensors"}}],
        [b'"weight_map":', b'"../model.safetensors"', b'"/etc/passwd"'],
    ),
    "config": (
        "config.json",
        [{**_CONFIG, "architectures": ["BertForSequenceClassification"], "id2label": {"0": "bad", "1": "good"}}],
        [b'"id2label":', b'"num_labels":', b'"auto_map":', b'"is_decoder":', b'"roberta"', b'"problem_type":'],
    ),
    "tokenizer_config": ("tokenizer_config.json", [], [b'"model_max_length":', b'"auto_map":']),
    "tokenizer": ("tokenizer.json", [], [b'"BPE"', b'"Unigram"', b'"truncation":', b'"padding":', b'"normalizer":']),
    "modules": ("modules.json", [], [b'"path":', b'"type":', b'"Dense"', b'"idx":', b'"../x"', b'"Pooling"']),
    "pooling": ("1_Pooling/config.json", [{"pooling_mode": "cls"}], [b'"pooling_mode":', b'"include_prompt":']),
    "prompts": (
        "config_sentence_transformers.json",
        [],
        [b'"prompts":', b'"truncate_dim":', b'"default_prompt_name":'],
    ),
}
TARGETS = {
    key: Target(_seeds(name, *more), _reader(name), [*_JSON, *words], _json_edited(name, *more))
    for key, (name, more, words) in _FILES.items()
}
TARGETS["safetensors"] = replace(TARGETS["safetensors"], prepare=_header_edited)
TARGETS["probe_arrays"] = Target(_probe_arrays, _read_probe("arrays"), [b"PK\x03\x04", b"\x93NUMPY", b"'<f8'", b"True"])
TARGETS["probe_description"] = Target(_probe_descriptions, _read_probe("description"), [*_JSON, b'"classes":'])
