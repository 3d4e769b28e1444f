"""Check the weights of a checkpoint by their safetensors headers: no file is missing or cut off."""

import json
import math
import struct
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from embedstore.core.counts import counted, form, listed
from embedstore.encoders.reading import read_json, refusals, regular
from embedstore.errors import CheckpointError

__all__ = ["Tensor", "read_headers", "weight_files"]

_INDEX = "model.safetensors.index.json"
_LONGEST_HEADER = 100_000_000  # the format's own limit, in bytes
_MOST_AXES = 64  # NumPy's limit
_BITS = {
    "BOOL": 8, "U8": 8, "I8": 8, "F8_E4M3": 8, "F8_E5M2": 8, "F8_E8M0": 8, "I16": 16, "U16": 16, "F16": 16, "BF16": 16,
    "I32": 32, "U32": 32, "F32": 32, "I64": 64, "U64": 64, "F64": 64, "C64": 64, "F4": 4, "F6_E2M3": 6, "F6_E3M2": 6,
}  # fmt: skip


class Tensor(NamedTuple):
    """The place of a tensor: its file, its dtype as safetensors names it, its shape, and its bytes [first, last)."""

    path: Path
    dtype: str
    shape: tuple[int, ...]
    first: int
    last: int


def weight_files(folder: Path, name: str) -> list[Path]:
    """Return the safetensors files in a checkpoint's folder.

    Raises
    ------
    CheckpointError
        If there are none, or if a file listed in the index is missing or is not one of the folder.
    """
    index = folder / _INDEX
    if (folder / "model.safetensors").is_file():
        return [folder / "model.safetensors"]
    if index.is_file():
        with refusals(f"{index} can't be read"):
            parts = sorted(set(read_json(index, {})["weight_map"].values()))
            outside = [part for part in parts if Path(part).name != part or part == ".." or not part.isprintable()]
        if outside:
            raise CheckpointError(
                f"{index} asks for weights outside its folder ({outside[0]!r}): expected names of files beside it"
            )
        if not parts:
            raise CheckpointError(f"{index} names no weights: download the checkpoint again")
        missing = [part for part in parts if not (folder / part).is_file()]
        if missing:
            raise CheckpointError(
                f"{name}: {len(missing)} of {counted(len(parts), 'weight file')} "
                f"{form(len(missing), 'is', 'are')} missing, "
                f"{missing[0]} first: the download "
                "is not complete, run it again"
            )
        return [folder / part for part in parts]
    found = sorted(path.name for path in folder.glob("*") if path.suffix in (".bin", ".safetensors", ".h5", ".pt"))
    advice = "download the checkpoint again"
    if any(file.endswith(".bin") for file in found):
        advice = "pickled weights are not read; save it with `model.save_pretrained(folder)` of transformers 5"
    raise CheckpointError(
        f"{name}: expected weights as model.safetensors in {folder}, found {listed(found) or 'none'}: {advice}"
    )


def read_headers(folder: Path, name: str) -> dict[str, Tensor]:
    """Return the place of every tensor, after a check that each is inside its file and as long as its shape says.

    Raises
    ------
    CheckpointError
        If a file is cut off or does not have the safetensors format.
    """
    tensors: dict[str, Tensor] = {}
    for path in weight_files(folder, name):
        with refusals(f"{path} is no safetensors file"), regular(path).open("rb") as stream:
            tensors |= _header(path, stream, path.stat().st_size)
    return tensors


def _header(path: Path, stream: BinaryIO, size: int) -> dict[str, Tensor]:
    start = stream.read(8)
    if start.startswith(b"version "):
        raise CheckpointError(f"{path} is a pointer of Git LFS, not the weights: run `git lfs pull` there")
    (length,) = struct.unpack("<Q", start)
    if length > min(_LONGEST_HEADER, size - 8):
        raise ValueError(f"its header claims {counted(length, 'byte')}")
    header = json.loads(stream.read(length).decode("utf-8"))
    header.pop("__metadata__", None)
    tensors = {key: _tensor(path, entry, 8 + length) for key, entry in header.items()}
    end = max((tensor.last for tensor in tensors.values()), default=8 + length)
    if size < end:
        raise CheckpointError(f"{path} is cut off: expected {counted(end, 'byte')}, found {size:,}; download it again")
    return tensors


def _tensor(path: Path, entry: dict[str, Any], start: int) -> Tensor:
    first, last = entry["data_offsets"]
    shape, dtype = entry["shape"], entry["dtype"]
    if not all(type(number) is int and 0 <= number < 1 << 60 for number in (first, last, *shape)):
        raise ValueError("its sizes are no numbers of bytes")
    bits = 8 * (last - first)  # of a dtype that is not known yet, only the order is checked
    if bits < 0 or len(shape) > _MOST_AXES or (bits != math.prod(shape) * _BITS.get(dtype, 0) and dtype in _BITS):
        raise ValueError("the sizes and shapes of its tensors differ")
    return Tensor(path, str(dtype), tuple(shape), start + first, start + last)
