"""A space as stored: the vectors that one encoder made of a store's texts."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from embedstore.corpus import Corpus
from embedstore.errors import ModelRequiredError
from embedstore.parallel import spread
from embedstore.spec import EncoderSpec
from embedstore.storage.records import Manifest, SpaceRecord, TextSegment, VectorSegment
from embedstore.storage.segments import KEY_DTYPE, map_dataset, read_texts, segment_keys, text_key

__all__ = ["Block", "Space", "text_starts", "texts_at"]


@dataclass(frozen=True, slots=True)
class Block:
    """The vectors of one text segment: position of the first, hash of the file, mapped array (n, dim)."""

    start: int
    sha256: str
    vectors: npt.NDArray[Any]


class Space:
    """All vectors of one encoder in one store, as memory maps.

    Parameters
    ----------
    root : Path
        The store.
    manifest : Manifest
        The state of the store to look at.
    key : str
        The encoder key.
    """

    def __init__(self, root: Path, manifest: Manifest, key: str) -> None:
        self.key = key
        self.record: SpaceRecord = manifest.spaces[key]
        self._root = root
        self._manifest = manifest

    @property
    def spec(self) -> EncoderSpec:
        """What the vectors mean."""
        return self.record.spec

    @property
    def dimension(self) -> int:
        """Length of a vector."""
        return self.record.dimension

    @property
    def count(self) -> int:
        """Number of corpus texts that have a vector."""
        return sum(segment.vectors.shape[0] for _, segment in self._covered())

    @property
    def truncated(self) -> int:
        """Number of corpus texts that were longer than `max_seq_length`."""
        return sum(segment.truncated for _, segment in self._covered())

    def blocks(
        self, wanted: npt.NDArray[np.bool_] | None = None, skip: frozenset[str] = frozenset()
    ) -> Iterator[Block]:
        """Yield the vectors segment by segment, in position order.

        Parameters
        ----------
        wanted : ndarray of bool, shape (texts,), optional
            Segments without a wanted position are passed over.
        skip : frozenset of str
            Hashes of vector segments to pass over.
        """
        starts = text_starts(self._manifest)
        for start, text in zip(starts, self._manifest.texts, strict=False):
            segment = self.record.segments.get(text.file.sha256)
            if segment is None or segment.file.sha256 in skip:
                continue
            if wanted is not None and not wanted[start : start + text.count].any():
                continue
            yield Block(int(start), segment.file.sha256, map_dataset(self._root, segment.file, segment.vectors))

    def vectors(self, corpus: Corpus) -> npt.NDArray[np.float32]:
        """Return one vector per row of a corpus.

        Returns
        -------
        ndarray of shape (rows, dim), float32
            In row order; equal texts have equal rows.

        Raises
        ------
        ModelRequiredError
            If a row's text has no vector yet.
        """
        return self.at(corpus.positions(), corpus.name)

    def at(self, positions: npt.NDArray[np.int64], corpus: str = "") -> npt.NDArray[np.float32]:
        """Return the vectors at text positions, shape (n, dim), float32, in the order given."""
        out = np.empty((len(positions), self.dimension), dtype=np.float32)
        order = np.argsort(positions, kind="stable")
        ordered = positions[order]
        filled = 0
        starts = text_starts(self._manifest)
        bounds = np.searchsorted(ordered, starts)
        in_order = bool((np.diff(positions) >= 0).all())
        copies = []
        for number in np.flatnonzero(np.diff(bounds)):  # only segments that hold one of them are mapped
            segment = self.record.segments.get(self._manifest.texts[number].file.sha256)
            if segment is not None:
                low, high = bounds[number : number + 2]
                vectors = map_dataset(self._root, segment.file, segment.vectors)
                target: Any = slice(low, high) if in_order else order[low:high]
                copies.append((vectors, ordered[low:high] - starts[number], target))
                filled += high - low
        if filled < len(positions):
            raise missing_vectors(len(positions) - filled, len(positions), corpus)

        def copy(share: Iterable[tuple[npt.NDArray[Any], npt.NDArray[np.int64], Any]]) -> None:
            for vectors, rows, target in share:
                if in_order and rows[-1] - rows[0] == len(rows) - 1 and (np.diff(rows) == 1).all():
                    out[target] = vectors[rows[0] : rows[-1] + 1]
                else:
                    out[target] = vectors[rows]

        spread(copies, copy, out.nbytes)
        return out

    def require(self, positions: npt.NDArray[np.int64], corpus: str) -> None:
        """Raise a `ModelRequiredError` unless every position has a vector."""
        lacking = self._lacking(positions)
        if lacking:
            raise missing_vectors(lacking, len(positions), corpus)

    def covers(self, corpora: Iterable[Corpus]) -> bool:
        """Return whether every row of the corpora has a vector."""
        return not any(self._lacking(corpus.positions()) for corpus in corpora)

    def empty_text(self) -> int:
        """Return the position of the text "", or -1 if there is none."""
        key = np.array(text_key(""), dtype=KEY_DTYPE)
        for start, segment in zip(text_starts(self._manifest), self._manifest.texts, strict=False):
            found = np.flatnonzero(segment_keys(self._root, segment) == key)
            if len(found):
                return int(start + found[0])
        return -1

    def _lacking(self, positions: npt.NDArray[np.int64]) -> int:
        starts = text_starts(self._manifest)
        held = np.array([text.file.sha256 in self.record.segments for text in self._manifest.texts], dtype=bool)
        if held.all():
            return 0
        return int(np.count_nonzero(~np.repeat(held, np.diff(starts))[positions]))

    def _covered(self) -> Iterator[tuple[TextSegment, VectorSegment]]:
        for text in self._manifest.texts:
            if segment := self.record.segments.get(text.file.sha256):
                yield text, segment


def missing_vectors(lacking: int, rows: int, corpus: str) -> ModelRequiredError:
    """Return the error that says how many rows have no vector, and what to run."""
    return ModelRequiredError(
        f"{lacking:,} of {rows:,} rows of corpus {corpus!r} have no vector in this space: "
        "run `embedstore encode STORE` to encode what is missing"
    )


def text_starts(manifest: Manifest) -> npt.NDArray[np.int64]:
    """Return the position at which each corpus text segment starts, and the total at the end."""
    return np.concatenate([[0], np.cumsum([text.count for text in manifest.texts], dtype=np.int64)])


def texts_at(root: Path, manifest: Manifest, positions: npt.NDArray[np.int64]) -> list[str]:
    """Return the texts at positions, in the order given."""
    starts = text_starts(manifest)
    found: dict[int, str] = {}
    unique = np.unique(positions)
    owner = np.searchsorted(starts, unique, side="right") - 1
    for segment in np.unique(owner):
        mine = unique[owner == segment]
        texts = read_texts(root, manifest.texts[segment], mine - starts[segment])
        found.update(zip(mine.tolist(), texts, strict=True))
    return [found[position] for position in positions.tolist()]
