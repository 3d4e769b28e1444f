"""Give texts their positions, and write each distinct text once, in segments."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from embedstore.core.settings import Home
from embedstore.corpora.keyed import KnownKeys, in_runs, keys_of
from embedstore.storage.derived import KeyRun
from embedstore.storage.keys import SortedKeys, joined, merged, once, write_run
from embedstore.storage.records import TextSegment
from embedstore.storage.segments import write_texts
from embedstore.storage.state import Manifest

__all__ = ["HELD", "LEAST", "SEGMENTS", "TextWriter"]

_SHARE = 16  # a segment holds a sixteenth of the store's texts, between the smallest and the largest size
_BYTES = 1 << 25  # most characters of a segment of several texts
HELD = 1 << 22
"""Number of keys in memory from which they become a run: 100 MB."""
LEAST, SEGMENTS = 1 << 16, 256
"""Numbers of texts and of segments without a run from which one is made."""


class TextWriter:
    """A writer that gives every text its position, and writes new texts as segments.

    It holds 24 bytes in memory for each text that is in no run of sorted keys, 100 MB at most, and the texts of one
    segment.

    Parameters
    ----------
    home : Home
        The store, and the sizes of the segments to write.
    base : Manifest
        The state of the store.

    Attributes
    ----------
    written : list of TextSegment
        The segments written so far, in position order.
    """

    def __init__(self, home: Home, base: Manifest) -> None:
        self._root = home.root
        self._settings = home.settings
        self._base = base
        self._total = base.texts.rows
        self._runs = list(base.keys)
        self._held: list[SortedKeys] = []
        self._without_run = 0  # segments
        self._pending: list[str] = []
        self._pending_bytes = 0
        self.written: list[TextSegment] = []
        self._hold_newest()

    def _hold_newest(self) -> None:
        keys: list[npt.NDArray[np.bytes_]] = []
        known = KnownKeys(self._root, self._base.texts, self._runs)
        start = known.covered
        for first, stored in known.newest():
            self._without_run += 1
            keys.append(np.array(stored))
            if (end := first + len(stored)) - start >= HELD:
                self._hold(SortedKeys.of(np.concatenate(keys), np.arange(start, end)))
                keys, start = [], end
        if keys:
            self._hold(SortedKeys.of(np.concatenate(keys), np.arange(start, self._total)))

    @property
    def added(self) -> int:
        """The number of new texts."""
        return sum(segment.count for segment in self.written) + len(self._pending)

    def positions(self, texts: Sequence[str]) -> npt.NDArray[np.int64]:
        """Return the position of each text, shape (n,); new texts get the next positions in order."""
        unique, places = once(keys_of(texts))
        texts_now = self._base.texts.plus(self.written) if self._runs else self._base.texts
        found = in_runs(self._root, self._runs, texts_now, unique.first, unique.rest, self._pending)
        for held in self._held:
            np.maximum(found, held.find(unique.first, unique.rest), out=found)
        new = np.flatnonzero(found < 0)
        new = new[np.argsort(unique.position[new])]
        found[new] = self._total + np.arange(len(new))
        self._total += len(new)
        for row in unique.position[new]:
            self._append(texts[row])
        if len(new):
            new.sort()
            self._hold(SortedKeys(unique.first[new], unique.rest[new], found[new]))
        return found[places]

    def finish(self) -> tuple[list[TextSegment], tuple[KeyRun, ...]]:
        """Write what is pending; return all segments written, and the runs of the store with them."""
        if self._pending:
            self._flush()
        held = sum(len(keys.first) for keys in self._held)
        if held >= LEAST or (held and self._without_run + len(self.written) >= SEGMENTS):
            self._write_held()
        return self.written, tuple(self._runs)

    def _append(self, text: str) -> None:
        if self._pending and self._pending_bytes + len(text) > _BYTES:
            self._flush()
        self._pending.append(text)
        self._pending_bytes += len(text)
        # Segments grow with the store: a kill loses little early on, and there are few segments later.
        size = min(max(self._total // _SHARE, self._settings.smallest_segment), self._settings.largest_segment)
        if len(self._pending) >= size or self._pending_bytes >= _BYTES:
            self._flush()

    def _flush(self) -> None:
        self.written.append(write_texts(self._root, self._pending))
        self._pending, self._pending_bytes = [], 0

    def _hold(self, keys: SortedKeys) -> None:
        # Merged while the last two have similar sizes: few are searched, and each key moves log(n) times.
        while self._held and len(self._held[-1].first) <= 2 * len(keys.first):
            keys = joined([self._held.pop(), keys])
        self._held.append(keys)
        if sum(len(one.first) for one in self._held) >= HELD:
            self._write_held()

    def _write_held(self) -> None:
        start = sum(run.count for run in self._runs)
        self._runs.append(write_run(self._root, joined(self._held), start))
        self._runs = list(merged(self._root, self._runs))
        self._held = []
