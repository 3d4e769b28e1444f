"""Read the spec of a checkpoint from its files, without a model."""

import hashlib
import re
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from embedstore.core.counts import counted, listed
from embedstore.core.heads import Head
from embedstore.core.spec import EncoderSpec, canonical_json
from embedstore.encoders.base import Described, EncoderOptions
from embedstore.encoders.locate import DEFAULT_MODEL, locate
from embedstore.encoders.reading import file_hash, read_json, refusals
from embedstore.encoders.weights import read_headers
from embedstore.errors import CheckpointError, UsageError

__all__ = ["describe"]

Modules = list[dict[str, Any]]
HashOf = Callable[[Path], str]

_MODULES = {"Transformer", "Pooling", "Normalize", "Dense"}
_TOKENIZER_FILES = re.compile(
    r"(.*/)?(tokenizer\.json|tokenizer_config\.json|special_tokens_map\.json|added_tokens\.json|vocab\.(txt|json)"
    r"|merges\.txt|.*\.model|.*\.bpe\.codes)"
)
_KERNELS = ("attn_implementation", "_attn_implementation", "experts_implementation")
_HIDDEN_SIZES = ("hidden_size", "dim", "d_model", "n_embd")  # the names that families give it in config.json
_VOCABULARIES = ("tokenizer.json", "vocab.txt", "vocab.json", "*.model", "*.bpe.codes")
# These fields (where and by which library the model was saved, names of labels) change no vector.
_IGNORED_CONFIG = {
    "_name_or_path",
    "transformers_version",
    "torch_dtype",
    "dtype",
    "max_seq_length",
    "name_or_path",
    "id2label",
    "label2id",
    "problem_type",
}
# Position ids start after the padding token's id here (`create_position_ids_from_input_ids` of transformers).
_POSITIONS_AFTER_PADDING = {
    "camembert",
    "data2vec-text",
    "longformer",
    "mpnet",
    "roberta",
    "roberta-prelayernorm",
    "xlm-roberta",
    "xlm-roberta-xl",
    "xmod",
}


def describe(
    model: str | None, options: EncoderOptions, *, revision: str | None = None, fetch: bool = True
) -> Described:
    """Find a checkpoint and return its description; no model is loaded.

    Parameters
    ----------
    model : str or None
        A folder, or a name on the Hugging Face hub; None is `DEFAULT_MODEL`.
    options : EncoderOptions
        The user's options; all other settings are read from the checkpoint's files.
    revision : str, optional
        Branch, tag or commit of a hub model.
    fetch : bool
        Whether a model that is not on this machine is fetched from the hub: only if the user has named it.

    Raises
    ------
    CheckpointError
        If the checkpoint is not found, is not complete, or is of a kind that is not supported.
    """
    name = model or DEFAULT_MODEL
    hash_of = cache(file_hash)  # each file is read once: the bundled model is known by the hash that is its identity
    folder, resolved = locate(name, revision, fetch=fetch, hash_of=hash_of)
    with refusals(f"{name}: the files in {folder} are not those of a checkpoint"):
        described = _describe(name, folder, resolved, options, hash_of)
        _check_texts(described)
    return described


def _describe(name: str, folder: Path, revision: str, options: EncoderOptions, hash_of: HashOf) -> Described:
    modules = _modules(folder, name)
    transformer = folder / modules[0]["path"]
    config = _config(transformer, name)
    shown = str(folder.resolve()) if folder == Path(name) else name
    found: dict[str, Any] = {"model": shown, "folder": folder, "transformer": transformer, "revision": revision}
    if options.output == "logits":
        if (options.pooling, options.truncate_dim, options.normalize) != (None, None, None):
            raise UsageError("logits are kept as they are: expected no pooling, truncate_dim or normalize with them")
        _check_classifier(config, name)
        _check_labels(config, transformer, name)
        spec = _spec(folder, modules[:1], options, hash_of, pooling="none", normalized=False)
        return Described(**found, kind="logits", spec=spec, query_prompt=spec.prompt, head=Head.of_config(config))
    if (folder / "modules.json").is_file() and options.pooling in (None, _same_pooling(folder, modules, options)):
        return _sentence(folder, modules, options, found, hash_of)
    pooling, normalized = options.pooling or "mean", bool(options.normalize)
    spec = _spec(folder, modules[:1], options, hash_of, pooling=pooling, normalized=normalized)
    query = spec.prompt if options.query_prompt is None else options.query_prompt
    full = _full_dimension(folder, modules[:1])
    return Described(**found, kind="features", spec=spec, query_prompt=query, full_dimension=full)


def _sentence(
    folder: Path, modules: Modules, options: EncoderOptions, found: dict[str, Any], hash_of: HashOf
) -> Described:
    saved = read_json(folder / "config_sentence_transformers.json", {})
    named = saved.get("prompts") or {}
    default = named.get(saved.get("default_prompt_name") or "", "")
    document = next((named[key] for key in ("document", "passage", "corpus") if named.get(key)), default)
    query = options.query_prompt
    if query is None:
        query = (named.get("query") or default) if options.prompt is None else options.prompt
    for module in modules:
        if _class_name(module) == "Dense":
            read_headers(folder / module["path"], found["model"])  # its weights are read from safetensors too
    normalizes = any(_class_name(module) == "Normalize" for module in modules)
    full = _full_dimension(folder, modules)
    if options.truncate_dim is None:
        options = replace(options, truncate_dim=_saved_truncate_dim(saved.get("truncate_dim"), full))
    spec = _spec(
        folder,
        modules,
        options,
        hash_of,
        prompt=document,
        pooling=_pooling(folder, modules),
        normalized=options.normalize is not False or (options.truncate_dim is None and normalizes),
    )
    lowers = read_json(found["transformer"] / "sentence_bert_config.json", {}).get("do_lower_case")
    return Described(
        **found,
        kind="sentence",
        spec=spec,
        query_prompt=query,
        normalizes=normalizes,
        pooled_only=_pooled_only(folder, modules) and not lowers,
        full_dimension=full,
    )


def _spec(
    folder: Path,
    modules: Modules,
    options: EncoderOptions,
    hash_of: HashOf,
    *,
    pooling: str,
    normalized: bool,
    prompt: str = "",
) -> EncoderSpec:
    return EncoderSpec(
        digest=_digest(folder, modules, hash_of),
        pooling=pooling,
        normalized=normalized,
        prompt=prompt if options.prompt is None else options.prompt,
        max_seq_length=_max_seq_length(folder, modules, options.max_seq_length),
        truncate_dim=options.truncate_dim,
        output=options.output,
        dtype=options.dtype,
    )


def _modules(folder: Path, name: str) -> Modules:
    """Return the modules of a sentence-transformers model; any other model is one transformer module."""
    if not (folder / "config.json").is_file() and not (folder / "modules.json").is_file():
        raise CheckpointError(f"{name} is not a checkpoint: expected config.json or modules.json in {folder}")
    modules = read_json(folder / "modules.json", [{"idx": 0, "path": "", "type": "Transformer"}])
    for module in modules:
        path, kind = module["path"], module["type"]
        if Path(path).is_absolute() or ".." in Path(path).parts or not path.isprintable():
            raise CheckpointError(f"{name} has a module outside its folder ({path!r}): expected a subfolder")
        # Only the name of the class would let `code.Dense` pass, which is a file of the model's own.
        own = "." in kind and not kind.startswith("sentence_transformers.")
        if own or _class_name(module) not in _MODULES:
            raise CheckpointError(
                f"{name} has a module {kind!r}: expected {', '.join(sorted(_MODULES))} of sentence_transformers "
                "(remote code is not run)"
            )
    if not modules or _class_name(modules[0]) != "Transformer":
        raise CheckpointError(f"{name}: expected a transformer as the first module in {folder / 'modules.json'}")
    return list(modules)


def _config(transformer: Path, name: str) -> dict[str, Any]:
    """Return the transformer's configuration, after a check that all its files are there."""
    config: dict[str, Any] = read_json(transformer / "config.json", {})
    if not isinstance(config.get("model_type"), str):
        raise CheckpointError(f"{name}: expected config.json with a model_type in {transformer}")
    for file in ("config.json", "tokenizer_config.json"):
        _check_own(read_json(transformer / file, {}), file, name)
    if (transformer / "adapter_config.json").exists():
        raise CheckpointError(f"{name} is an adapter of another model: expected a model that it was merged into")
    if config.get("is_encoder_decoder"):
        raise CheckpointError(f"{name} is an encoder-decoder ({config['model_type']!r}): expected an encoder")
    read_headers(transformer, name)
    if not any(path for pattern in _VOCABULARIES for path in transformer.glob(pattern)):
        raise CheckpointError(
            f"{name}: expected a tokenizer ({', '.join(_VOCABULARIES[:3])}, …) in {transformer}, found none: download "
            "the checkpoint again"
        )
    return config


def _check_own(config: dict[str, Any], file: str, name: str) -> None:
    """Refuse a configuration that asks for code of its own, for weights beside those read, or for a hub's kernel."""
    if own_code := config.get("auto_map"):
        raise CheckpointError(
            f"{name} asks for code of its own (auto_map in {file}: {listed(list(map(str, own_code)))}), which is never "
            "run: expected an architecture that transformers has"
        )
    kernels = [config[key] for key in _KERNELS if "/" in str(config.get(key))]
    for key, other in [("transformers_weights", config.get("transformers_weights")), ("a kernel", kernels)]:
        if other:
            raise CheckpointError(f"{name} asks for other files than its own ({key} in {file}), which are never used")


def _check_classifier(config: dict[str, Any], name: str) -> None:
    architectures = config.get("architectures") or []
    if isinstance(architectures, str):
        architectures = [architectures]
    if architectures and not any(one.endswith("ForSequenceClassification") for one in architectures):
        raise CheckpointError(
            f"{name} has no classification head ({architectures[0]!r}), and one with random weights is of no use: "
            "expected a …ForSequenceClassification"
        )


def _check_labels(config: dict[str, Any], transformer: Path, name: str) -> None:
    """Refuse more labels than any weight has rows, before there is a name for each."""
    most = max((tensor.shape[0] for tensor in read_headers(transformer, name).values() if tensor.shape), default=0)
    claimed = int(config.get("num_labels") or 2)
    if not config.get("id2label") and claimed > most:
        raise CheckpointError(
            f"{name} claims {counted(claimed, 'label')}, and its weights have at most {counted(most, 'row')}: "
            "mend num_labels in its config.json, or download it again"
        )


def _check_texts(described: Described) -> None:
    """Refuse settings of another type than text; half a surrogate pair has no UTF-8."""
    texts = [described.query_prompt, described.spec.prompt, described.spec.pooling]
    for text in [*texts, *(described.head.labels if described.head else ())]:
        if not isinstance(text, str):
            raise TypeError(f"expected a text as prompt or pooling, found {text!r}")
        text.encode()


def _class_name(module: dict[str, Any]) -> str:
    return str(module["type"]).rsplit(".", 1)[-1]


def _pooled_only(folder: Path, modules: Modules) -> bool:
    configs = [read_json(folder / module["path"] / "config.json", {}) for module in modules]
    if any(config.get("include_prompt") is False for config in configs):
        return False  # the pooling leaves out the tokens of the prompt
    return all(_class_name(module) in ("Transformer", "Pooling", "Normalize") for module in modules)


def _same_pooling(folder: Path, modules: Modules, options: EncoderOptions) -> str | None:
    """Return the model's own pooling if the `features` kind gives the same vectors with it; None otherwise."""
    return _pooling(folder, modules) if _pooled_only(folder, modules) and options.normalize else None


def _pooling(folder: Path, modules: Modules) -> str:
    for module in modules:
        if _class_name(module) == "Pooling":
            config = read_json(folder / module["path"] / "config.json", {})
            if isinstance(config.get("pooling_mode"), str):
                return str(config["pooling_mode"])
            modes = [key for key, on in config.items() if key.startswith("pooling_mode_") and on]
            short = [
                mode.removeprefix("pooling_mode_").removesuffix("_token").removesuffix("_tokens") for mode in modes
            ]
            return "+".join(sorted(short)) or "mean"
    return "none"


def _full_dimension(folder: Path, modules: Modules) -> int | None:
    """Return the length of the model's vectors before they are truncated, or None if its files do not tell."""
    config = read_json(folder / modules[0]["path"] / "config.json", {})
    length = next((int(config[name]) for name in _HIDDEN_SIZES if config.get(name)), None)
    for module in modules[1:]:
        if _class_name(module) == "Pooling" and length is not None:
            length *= 1 + _pooling(folder, modules).count("+")
        elif _class_name(module) == "Dense":
            length = read_json(folder / module["path"] / "config.json", {}).get("out_features")
    return length


def _saved_truncate_dim(saved: Any, full: int | None) -> int | None:
    """Return the number of dimensions that a model was saved to be cut to, or None if that cuts nothing."""
    if saved is None or (isinstance(saved, int) and full is not None and saved >= full):
        return None
    if not isinstance(saved, int) or isinstance(saved, bool) or saved < 1:
        raise CheckpointError(
            f"expected a truncate_dim of at least 1 in config_sentence_transformers.json, found {saved!r}: mend that "
            "file, or give --truncate-dim"
        )
    return saved


def _max_seq_length(folder: Path, modules: Modules, asked: int | None) -> int:
    transformer = folder / modules[0]["path"]
    config = read_json(transformer / "config.json", {})
    stated = read_json(transformer / "sentence_bert_config.json", {}).get("max_seq_length")
    tokenizer = read_json(transformer / "tokenizer_config.json", {}).get("model_max_length")
    limit = int(config.get("max_position_embeddings") or config.get("n_positions") or 512)
    if config.get("model_type") in _POSITIONS_AFTER_PADDING:
        padding = config.get("pad_token_id")
        limit -= (1 if padding is None else int(padding)) + 1
    if asked is not None:
        if not 3 <= asked <= limit:
            raise CheckpointError(f"expected a max_seq_length from 3 to {limit} for this model, found {asked}")
        return asked
    # A stated length is trusted; the tokenizer's length is limited to the number of positions of the model.
    return int(stated or min(tokenizer or limit, limit))


def _digest(folder: Path, modules: Modules, hash_of: HashOf) -> str:
    """Return the SHA-256 over the weights and tokenizer files (as bytes) and the configurations (as values)."""
    parts: dict[str, str] = {}
    for module in modules:
        place = folder / module["path"]
        for path in sorted(place.iterdir()) if place.is_dir() else []:
            name = f"{module['idx']}/{path.name}"
            if path.suffix == ".safetensors" or _TOKENIZER_FILES.fullmatch(path.name):
                parts[name] = hash_of(path)
            elif path.name in ("config.json", "sentence_bert_config.json"):
                config = {k: v for k, v in read_json(path, {}).items() if k not in _IGNORED_CONFIG}
                parts[name] = hashlib.sha256(canonical_json(config)).hexdigest()
        parts[f"{module['idx']}/type"] = _class_name(module)
    return hashlib.sha256(canonical_json(parts)).hexdigest()
