"""The amount of free memory."""

__all__ = ["available_memory"]


def available_memory() -> int:
    """Return the number of bytes that can be used without swapping, on any system."""
    import psutil

    return int(psutil.virtual_memory().available)
