"""The folder of a store, and its settings."""

from dataclasses import dataclass
from pathlib import Path

from embedstore.core.checks import at_least, check_fields

__all__ = ["Home", "Settings"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Sizes and times that change the speed of a store, but never its answers.

    Parameters
    ----------
    smallest_segment, largest_segment : int
        The number of texts in one segment. A small store has segments of the first size, and segments grow with
        the store up to the second size. A killed process loses the texts that are not written yet; many segments
        make a large manifest.
    index_after : int
        The number of queries after which an approximate index is opened. Opening and checking it takes as long as
        this many scans.
    wait : float
        The number of seconds to wait for other processes that write to the store.
    check : bool
        Whether to read every byte of the store's files before the first answer, to find damage.
    """

    smallest_segment: int = 1024
    largest_segment: int = 16_384
    index_after: int = 32
    wait: float = 600.0
    check: bool = False

    def __post_init__(self) -> None:
        check_fields(self)
        at_least("smallest_segment", self.smallest_segment, 1)
        at_least("largest_segment", self.largest_segment, 1)
        at_least("index_after", self.index_after, 0)
        at_least("wait", self.wait, 0)


@dataclass(frozen=True, slots=True)
class Home:
    """The folder of a store, and its settings."""

    root: Path
    settings: Settings = Settings()
