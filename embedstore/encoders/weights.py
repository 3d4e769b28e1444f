"""Check the weights of a checkpoint by their safetensors headers: no file is missing or cut off."""

import json
import struct
from pathlib import Path

from embedstore.core.counts import counted, form
from embedstore.errors import CheckpointError

__all__ = ["check_weights", "weight_files"]

_INDEX = "model.safetensors.index.json"
_LONGEST_HEADER = 100_000_000  # the format's own limit, in bytes


def weight_files(folder: Path, name: str) -> list[Path]:
    """Return the safetensors files in a checkpoint's folder.

    Raises
    ------
    CheckpointError
        If there are none, or if a file listed in the index is missing.
    """
    index = folder / _INDEX
    if (folder / "model.safetensors").is_file():
        return [folder / "model.safetensors"]
    if index.is_file():
        try:
            listed = sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))
        except (OSError, ValueError, KeyError, AttributeError) as error:
            raise CheckpointError(f"{index} can't be read ({error!r}): download the checkpoint again") from error
        missing = [part for part in listed if Path(part).name != part or not (folder / part).is_file()]
        if missing:
            raise CheckpointError(
                f"{name}: {len(missing)} of {counted(len(listed), 'weight file')} "
                f"{form(len(missing), 'is', 'are')} missing, "
                f"{missing[0]} first: the download "
                "is not complete, run it again"
            )
        return [folder / part for part in listed]
    found = sorted(path.name for path in folder.glob("*") if path.suffix in (".bin", ".safetensors", ".h5", ".pt"))
    advice = "download the checkpoint again"
    if any(file.endswith(".bin") for file in found):
        advice = "pickled weights are not read; save it with `model.save_pretrained(folder)` of transformers 5"
    raise CheckpointError(
        f"{name}: expected weights as model.safetensors in {folder}, found {', '.join(found) or 'none'}: {advice}"
    )


def check_weights(folder: Path, name: str) -> set[str]:
    """Check that each file is as long as its header says; return the names of all tensors.

    Raises
    ------
    CheckpointError
        If a file is cut off or does not have the safetensors format.
    """
    names: set[str] = set()
    for path in weight_files(folder, name):
        size = path.stat().st_size
        try:
            with path.open("rb") as stream:
                start = stream.read(8)
                if start.startswith(b"version "):
                    raise CheckpointError(f"{path} is a pointer of Git LFS, not the weights: run `git lfs pull` there")
                (length,) = struct.unpack("<Q", start)
                if length > _LONGEST_HEADER:
                    raise ValueError(f"its header claims {counted(length, 'byte')}")
                header = json.loads(stream.read(length))
            header.pop("__metadata__", None)
            end = 8 + length + max((entry["data_offsets"][1] for entry in header.values()), default=0)
        except (ValueError, struct.error, KeyError, TypeError, AttributeError) as error:
            raise CheckpointError(f"{path} is no safetensors file ({error}): download the checkpoint again") from error
        if size < end:
            raise CheckpointError(
                f"{path} is cut off: expected {counted(end, 'byte')}, found {size:,}; download it again"
            )
        names.update(header)
    return names
