"""Load weights and tokenizers with transformers, without its log output; all its errors become `CheckpointError`."""

from pathlib import Path
from typing import Any

from embedstore.core.counts import counted, form
from embedstore.encoders.quiet import offline, quiet_logs
from embedstore.encoders.reading import refusals
from embedstore.errors import CheckpointError

__all__ = ["load_checked", "load_tokenizer"]

_SHOWN = 3  # number of weights named in a message


def load_tokenizer(folder: Path) -> Any:
    """Return ``AutoTokenizer.from_pretrained(folder)``.

    Raises
    ------
    CheckpointError
        If transformers can't load it.
    """
    from transformers import AutoTokenizer

    with refusals(f"the tokenizer in {folder} can't be loaded"), offline(), quiet_logs():
        return AutoTokenizer.from_pretrained(str(folder), local_files_only=True, trust_remote_code=False)


def load_checked(auto: Any, folder: Path) -> Any:
    """Return `auto.from_pretrained(folder)` in float32, after a check that every weight is the checkpoint's own.

    Parameters
    ----------
    auto : type
        `AutoModel` or `AutoModelForSequenceClassification`.
    folder : Path
        The folder of the checkpoint.

    Raises
    ------
    CheckpointError
        If a weight is missing (it would be random), has another shape, or is of a layer that the configuration
        lacks.
    """
    import torch

    with refusals(f"the checkpoint in {folder} can't be loaded"), offline(), quiet_logs():
        model, found = auto.from_pretrained(
            str(folder),
            local_files_only=True,
            trust_remote_code=False,
            use_safetensors=True,
            dtype=torch.float32,
            ignore_mismatched_sizes=True,
            output_loading_info=True,
        )
    prefix = model.base_model_prefix + "."
    parts = {name.removeprefix(prefix).split(".")[0] for name in model.state_dict()}
    # Without a head, the pooler can be missing: the last hidden state does not pass through it.
    headless = not hasattr(model, model.base_model_prefix)
    missing = sorted(key for key in found["missing_keys"] if not (headless and key.startswith("pooler.")))
    other = sorted(
        key
        for key in found["unexpected_keys"]
        if key.removeprefix(prefix).split(".")[0] in parts and not key.endswith(("position_ids", "token_type_ids"))
    )
    mismatched = sorted(str(key[0]) for key in found["mismatched_keys"])
    for keys, one, several, fault in (
        (mismatched, "has", "have", "another shape than config.json says"),
        (missing, "is", "are", "missing, and random ones are never used"),
        (other, "is", "are", "not part of the model that config.json describes"),
    ):
        if keys:
            shown = ", ".join(keys[:_SHOWN]) + (", …" if len(keys) > _SHOWN else "")
            found_wrong = f"{counted(len(keys), 'weight')} {form(len(keys), one, several)} {fault} ({shown})"
            raise CheckpointError(f"the checkpoint in {folder} does not fit: {found_wrong}; download it again")
    return model
