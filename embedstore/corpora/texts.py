"""Look up the distinct texts of a store, their keys and their positions."""

from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt

from embedstore.core.blank import Blank, check_blank
from embedstore.core.masks import contains, distinct
from embedstore.corpora.keyed import KnownKeys
from embedstore.storage.derived import KeyRun
from embedstore.storage.listed import open_file
from embedstore.storage.records import TextSegment
from embedstore.storage.sealed import Records
from embedstore.storage.segments import KEY_DTYPE, blank_rows, read_texts, segment_keys

__all__ = ["Texts"]

_MANY = 10_000_000  # texts from which the sizes of their files are looked up before anything else is


class Texts:
    """The distinct texts of one state of a store, numbered from 0; the number of a text is its *position*.

    Parameters
    ----------
    root : Path
        The store.
    segments : Records of TextSegment
        Its text segments, in position order; those in lists are read when they are needed.
    runs : sequence of KeyRun
        Its runs of sorted keys, which cover the first texts.
    """

    def __init__(self, root: Path, segments: Records[TextSegment], runs: Sequence[KeyRun]) -> None:
        self.root = root
        self.segments = segments
        self._known = KnownKeys(root, segments, runs)

    def __len__(self) -> int:
        # A manifest made up must not decide how much memory is taken: with many texts, their files are looked up first.
        return self.segments.rows if self.segments.rows <= _MANY else int(self.starts[-1])

    @cached_property
    def starts(self) -> npt.NDArray[np.int64]:
        """The position at which each segment starts, then the number of all texts: shape (segments + 1,)."""
        starts = np.concatenate([[0], np.cumsum(self.segments.counts)])
        if starts[-1] > _MANY:
            for text in self.segments:
                open_file(self.root, text.file).close()
        return starts

    def at(self, positions: npt.NDArray[np.int64]) -> list[str]:
        """Return the texts at `positions`, in the given order."""
        found: dict[int, str] = {}
        unique = distinct(positions)
        for segment, here, rows in self.owners(unique):
            found.update(zip(unique[here].tolist(), read_texts(self.root, segment, rows), strict=True))
        return [found[position] for position in positions.tolist()]

    def keys_at(self, positions: npt.NDArray[np.int64]) -> list[str]:
        """Return the key (32 hexadecimal digits) of the text at each position."""
        found = np.empty(len(positions), dtype="V16")
        for segment, here, rows in self.owners(positions):
            found[here] = segment_keys(self.root, segment).view("V16")[rows]
        return [bytes(key).hex() for key in found]

    def positions_of(self, keys: Iterable[str]) -> dict[str, int]:
        """Return the position of each key (32 hexadecimal digits); a key without a text is left out."""
        wanted = sorted({bytes.fromhex(key) for key in keys})
        found = self.find(np.frombuffer(b"".join(wanted), dtype=KEY_DTYPE)).tolist()
        return {key.hex(): position for key, position in zip(wanted, found, strict=True) if position >= 0}

    def find(self, keys: npt.NDArray[np.bytes_]) -> npt.NDArray[np.int64]:
        """Return the position of the text with each key, -1 where there is none; shapes (n,), dtype S16."""
        return self._known.find(keys)

    def owners(
        self, positions: npt.NDArray[np.int64]
    ) -> Iterator[tuple[TextSegment, npt.NDArray[np.int64], npt.NDArray[np.int64]]]:
        """Yield each segment that has some of the texts at `positions`, which of these, and their rows in it.

        Negative positions are those of no text.
        """
        if not (positions >= 0).any():
            return  # without a look at where the segments start
        owners = np.searchsorted(self.starts, positions, side="right") - 1
        for owner in distinct(owners[owners >= 0]).tolist():
            here = np.flatnonzero(owners == owner)
            yield self.segments[owner], here, positions[here] - self.starts[owner]

    @cached_property
    def blank(self) -> npt.NDArray[np.int64]:
        """The positions of the blank texts, ascending; see `embedstore.core.values.is_blank`."""
        found = [start + row for start, segment in self.segments.marked() for row in blank_rows(self.root, segment)]
        return np.array(found, dtype=np.int64)

    def answerable(self, positions: npt.NDArray[np.int64], blank: Blank = "skip") -> npt.NDArray[np.bool_]:
        """Return which positions get an answer, as a mask: those of texts that say something, or all.

        Parameters
        ----------
        positions : ndarray of shape (n,), int64
            Positions of texts, in any order.
        blank : {"skip", "answer"}
            Whether blank texts get no answer, or are answered like others.

        Raises
        ------
        UsageError
            If `blank` is something else.
        """
        check_blank(blank)
        if blank == "answer" or not len(self.blank):
            return np.ones(len(positions), dtype=bool)
        return ~contains(self.blank, positions)
