"""Find texts by their keys: in the runs of sorted keys, and among the few texts that are in none.

A run can be altered without a change of its size, and is too large to be hashed before each use. So each position that
it gives is checked: the text segment there must have the same key.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from embedstore.errors import InputError
from embedstore.storage.derived import KeyRun
from embedstore.storage.keys import SortedKeys, altered, doubtful_in_run, find_in_run, halves, joined, once
from embedstore.storage.listed import check_files
from embedstore.storage.records import TextSegment
from embedstore.storage.sealed import Records, holding
from embedstore.storage.segments import KEY_DTYPE, segment_keys, text_key

__all__ = ["KnownKeys", "in_runs", "keys_of"]


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


class KnownKeys:
    """The keys of the texts of one state of a store.

    Parameters
    ----------
    root : Path
        The store.
    segments : Records of TextSegment
        Its text segments, in position order.
    runs : sequence of KeyRun
        Its runs of sorted keys, which cover the first texts.

    Attributes
    ----------
    covered : int
        The number of texts that are in runs.
    """

    def __init__(self, root: Path, segments: Records[TextSegment], runs: Sequence[KeyRun]) -> None:
        self._root = root
        self._segments = segments
        self._runs = runs
        self.covered = sum(run.count for run in runs)

    def find(self, keys: npt.NDArray[np.bytes_]) -> npt.NDArray[np.int64]:
        """Return the position of each key, -1 where no text has it; shapes (n,), dtype S16.

        Raises
        ------
        DamagedStoreError
            If a file is missing or is not as it was written.
        """
        if not len(keys):
            return np.empty(0, dtype=np.int64)
        wanted, places = once(keys)  # in order: keys that are near to each other in a file come together
        found = in_runs(self._root, self._runs, self._segments, wanted.first, wanted.rest)
        numbered = wanted.numbered()
        for start, stored in self.newest():
            number = numbered.find(*halves(stored))
            here = np.flatnonzero(number >= 0)
            found[number[here]] = start + here
        return found[places]

    def newest(self) -> Iterator[tuple[int, npt.NDArray[np.bytes_]]]:
        """Yield the keys of the texts that are in no run, segment by segment, each after the position of its first."""
        number, start = len(self._segments), self._segments.rows
        while start > self.covered:  # from the last one: older segments stand in lists, which are not read
            number -= 1
            start -= self._segments[number].count
        for segment in self._segments[number:]:
            keys = segment_keys(self._root, segment)
            skipped = max(self.covered - start, 0)
            yield start + skipped, keys[skipped:]
            start += segment.count


def in_runs(
    root: Path,
    runs: Sequence[KeyRun],
    segments: Records[TextSegment],
    first: npt.NDArray[np.uint64],
    rest: npt.NDArray[np.uint64],
    pending: Sequence[str] = (),
) -> npt.NDArray[np.int64]:
    """Return the position of each key, -1 where it is in no run.

    Parameters
    ----------
    root : Path
        The store.
    runs : sequence of KeyRun
        Its runs, in position order.
    segments : Records of TextSegment
        Its text segments, in position order.
    first, rest : ndarray of shape (n,), uint64
        The halves of keys, in order of the first ones.
    pending : sequence of str
        The texts after those of the segments.

    Raises
    ------
    DamagedStoreError
        If a file is missing, or a run was altered where the keys are looked up.
    """
    found = np.full(len(first), -1, dtype=np.int64)
    for run in runs:
        here = find_in_run(root, run, first, rest)
        np.maximum(found, here, out=found)
    if not runs:
        return found
    missing, there = found < 0, found >= 0
    claimed = [SortedKeys(first[there], rest[there], found[there])]
    if missing.any():
        claimed += [doubtful_in_run(root, run, first[missing], rest[missing]) for run in runs]
    _check_claims(root, runs, segments, joined(claimed), pending)
    return found


def _check_claims(
    root: Path, runs: Sequence[KeyRun], segments: Records[TextSegment], claimed: SortedKeys, pending: Sequence[str]
) -> None:
    """Check that texts have the keys that runs claim; each segment is looked at once, and only where they are."""
    order = np.argsort(claimed.position, kind="stable")
    first, rest = claimed.first[order], claimed.rest[order]
    positions = claimed.position[order].astype(np.int64, copy=False)
    ends = np.array([run.start + run.count for run in runs])
    for segment, here, rows in holding(segments, positions):
        wrong = _differ(segment_keys(root, segment)[rows], first[here], rest[here])
        if len(wrong):
            check_files(root, [segment.file])  # or its own keys are the altered ones
            raise altered(root, runs[int(np.searchsorted(ends, positions[here][wrong[0]], side="right"))])
    after = positions >= segments.rows
    if after.any():
        stored = keys_of([pending[row] for row in (positions[after] - segments.rows).tolist()])
        wrong = _differ(stored, first[after], rest[after])
        if len(wrong):
            raise altered(root, runs[int(np.searchsorted(ends, positions[after][wrong[0]], side="right"))])


def _differ(
    stored: npt.NDArray[np.bytes_], first: npt.NDArray[np.uint64], rest: npt.NDArray[np.uint64]
) -> npt.NDArray[np.intp]:
    stored_first, stored_rest = halves(stored)
    return np.flatnonzero((stored_first != first) | (stored_rest != rest))
