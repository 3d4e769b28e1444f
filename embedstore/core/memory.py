"""The amount of free memory, and the refusal of work that needs more."""

from embedstore.errors import InputError

__all__ = ["available_memory", "require_memory"]

_ASKED_FROM = 1 << 26  # bytes: a look at the free memory takes longer than short work


def available_memory() -> int:
    """Return the number of bytes that can be used without swapping, on any system."""
    import psutil

    return int(psutil.virtual_memory().available)


def require_memory(size: int, what: str, instead: str) -> None:
    """Raise an `InputError` if less memory is free than some work needs; nothing is asked below 64 MB.

    Parameters
    ----------
    size : int
        The bytes that the work needs.
    what : str
        What needs them.
    instead : str
        What to do if they are not there.
    """
    if size < _ASKED_FROM:
        return
    free = available_memory()
    if size > free:
        raise InputError(
            f"expected {size / 1e9:.1f} GB of free memory for {what}, found {free / 1e9:.1f} GB: {instead}"
        )
