"""Give texts their positions, and write each distinct text once, in segments."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from embedstore.core.settings import Home
from embedstore.errors import InputError
from embedstore.storage.records import TextSegment
from embedstore.storage.sealed import Records
from embedstore.storage.segments import KEY_DTYPE, segment_keys, text_key, write_texts

__all__ = ["TextWriter", "keys_of"]

_SHARE = 16  # a segment holds a sixteenth of the store's texts, between the smallest and the largest size
_BYTES = 1 << 25  # most characters of a segment of several texts


def keys_of(texts: Sequence[str]) -> npt.NDArray[np.bytes_]:
    """Return the key of each text: shape (n,), dtype S16.

    Raises
    ------
    InputError
        If a text is not Unicode text (it holds half of a surrogate pair).
    """
    try:
        return np.frombuffer(b"".join([text_key(text) for text in texts]), dtype=KEY_DTYPE)
    except UnicodeEncodeError as error:
        raise InputError(
            f"a text holds half of a surrogate pair ({error.object[error.start]!r}), which is no Unicode text: "
            "remove it, for example with text.encode('utf-8', 'replace').decode()"
        ) from error


class TextWriter:
    """A writer that gives every text its position, and writes new texts as segments.

    It holds 24 bytes in memory for each distinct text of the store, and the texts of one segment.

    Parameters
    ----------
    home : Home
        The store, and the sizes of the segments to write.
    segments : Records of TextSegment
        The existing text segments, in position order.
    """

    def __init__(self, home: Home, segments: Records[TextSegment]) -> None:
        root = self._root = home.root
        self._settings = home.settings
        self._total = segments.rows
        self._runs: list[tuple[npt.NDArray[np.bytes_], npt.NDArray[np.int64]]] = []
        if segments:
            keys = np.empty(self._total, dtype=KEY_DTYPE)
            start = 0
            for segment in segments:  # copied one by one: each mapped file takes a descriptor of the process
                keys[start : start + segment.count] = segment_keys(root, segment)
                start += segment.count
            self._add_run(keys, np.arange(len(keys)))
        self._pending: list[str] = []
        self._pending_bytes = 0
        self.written: list[TextSegment] = []
        """Segments written so far, in position order."""

    @property
    def added(self) -> int:
        """The number of new texts."""
        return sum(segment.count for segment in self.written) + len(self._pending)

    def positions(self, texts: Sequence[str]) -> npt.NDArray[np.int64]:
        """Return the position of each text, shape (n,); new texts get the next positions in order."""
        unique, first, inverse = np.unique(keys_of(texts), return_index=True, return_inverse=True)
        found = self._find(unique)
        new = np.flatnonzero(found < 0)
        new = new[np.argsort(first[new])]
        found[new] = self._total + np.arange(len(new))
        self._total += len(new)
        if len(new):
            self._add_run(unique[new], found[new])
        for row in first[new]:
            self._append(texts[row])
        return found[inverse]

    def finish(self) -> list[TextSegment]:
        """Write the pending texts; return all segments written."""
        if self._pending:
            self._flush()
        return self.written

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

    def _find(self, keys: npt.NDArray[np.bytes_]) -> npt.NDArray[np.int64]:
        found = np.full(len(keys), -1, dtype=np.int64)
        for run_keys, run_positions in self._runs:
            place = np.minimum(np.searchsorted(run_keys, keys), len(run_keys) - 1)
            hit = run_keys[place] == keys
            found[hit] = run_positions[place[hit]]
        return found

    def _add_run(self, keys: npt.NDArray[np.bytes_], positions: npt.NDArray[np.int64]) -> None:
        # Sorted runs, merged while the last two have similar sizes: few runs, and each key moves log(n) times.
        while self._runs and len(self._runs[-1][0]) <= 2 * len(keys):
            run_keys, run_positions = self._runs.pop()
            keys, positions = np.concatenate([run_keys, keys]), np.concatenate([run_positions, positions])
        order = np.argsort(keys, kind="stable")
        self._runs.append((keys[order], positions[order]))
