"""Commit the segments that shards have finished, and say what is missing."""

from dataclasses import dataclass

from embedstore.core.counts import counted, form
from embedstore.vectors.snapshot import Snapshot
from embedstore.vectors.waiting import take_over

__all__ = ["CollectReport", "Filled", "collect"]

_SHOWN = 10  # numbers of missing segments in a message


@dataclass(frozen=True, slots=True)
class Filled:
    """How far a space is filled.

    `texts` counts the texts of the store, and `encoded` those with a vector in this space. `missing` has the numbers of
    the text segments without vectors, from 1; `segments` counts all.
    """

    space: str
    model: str
    texts: int
    encoded: int
    segments: int
    missing: tuple[int, ...]

    def __str__(self) -> str:
        told = f"{self.model} ({self.space[:12]}): {self.encoded:,} of {counted(self.texts, 'text')} encoded"
        if not self.missing:
            return told
        more = ", …" if len(self.missing) > _SHOWN else ""
        numbers = ", ".join(map(str, self.missing[:_SHOWN])) + more
        left = f"{counted(len(self.missing), 'segment')} of {self.segments:,}"
        return (
            f"{told}; {left} {form(len(self.missing), 'is', 'are')} missing ({numbers}): wait for the shards that have "
            "them, or run `embedstore encode STORE`"
        )


@dataclass(frozen=True, slots=True)
class CollectReport:
    """The result of `collect`: the number of segments that were committed, and how far each space is filled."""

    collected: int
    spaces: tuple[Filled, ...]

    def __str__(self) -> str:
        nothing = "" if self.spaces else ", and no text has a vector yet: run `embedstore encode STORE --shard I/N`"
        return f"{counted(self.collected, 'segment')} collected{nothing}"


def collect(now: Snapshot) -> CollectReport:
    """Commit the segments that shards and other workers have finished, and say what is missing.

    No model is needed. Call it whenever you like: what is not finished is collected the next time.

    Parameters
    ----------
    now : Snapshot
        The state of the store.
    """
    collected = take_over(now.root, now.writing)
    now = now.reload()
    filled = []
    for space in now.spaces:
        numbered = list(enumerate(now.manifest.texts, 1))
        missing = tuple(number for number, text in numbered if text.file.sha256 not in space.record.segments)
        filled.append(Filled(space.key, space.record.model, len(now.texts), space.count, len(numbered), missing))
    return CollectReport(collected, tuple(filled))
