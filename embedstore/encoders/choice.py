"""Choose the library that runs a model: the native encoder where it is as good as torch and faster, else torch."""

from collections.abc import Sequence
from pathlib import Path

from embedstore.core.unit import lowest_cosine
from embedstore.encoders.base import LOWEST_COSINE, Described, Encoder, Precision

__all__ = ["check", "load"]

# What the drivers of GPUs that torch computes on make: NVIDIA's on Linux and in WSL, and AMD's.
_GPUS = tuple(map(Path, ("/dev/nvidiactl", "/dev/dxg", "/dev/kfd")))


def check(described: Described, *, device: str | None, precision: Precision) -> None:
    """Raise a `CheckpointError` if torch can't use a device; see `embedstore.encoders.backends.check`."""
    if device not in (None, "cpu"):
        from embedstore.encoders.pytorch import usable_device

        usable_device(device)


def load(
    described: Described, *, device: str | None, batch_size: int | None, precision: Precision, sample: Sequence[str]
) -> Encoder:
    """Return the native encoder, or one on PyTorch; see `embedstore.encoders.load`.

    The native encoder computes in bfloat16 on a CPU. So it is chosen only where that is the device, and bfloat16 is
    asked for, or "auto" and close enough to float32.
    """
    from embedstore.encoders.native import encoder as native

    measured = precision == "auto" and len(sample) > 0
    if (measured or precision == "bfloat16") and _is_cpu(device) and native.supports(described):
        from embedstore.encoders.light import LightEncoder

        made = native.NativeEncoder(described, batch_size=batch_size)
        if not measured:
            return made
        if lowest_cosine(LightEncoder(described).encode(sample), made.encode(sample)) >= LOWEST_COSINE:
            return made
        precision = "float32"  # torch rounds as much
    from embedstore.encoders import pytorch

    return pytorch.load(described, device=device, batch_size=batch_size, precision=precision, sample=sample)


def _is_cpu(device: str | None) -> bool:
    """Return whether a device is the CPU; without one, whether this machine has no GPU, as far as can be seen."""
    return device == "cpu" or (device is None and not any(gpu.exists() for gpu in _GPUS))
