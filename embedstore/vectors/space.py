"""A stored space: the vectors that one encoder made of a store's texts."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from embedstore.core.counts import counted, form
from embedstore.core.parallel import map_in_threads
from embedstore.core.spec import EncoderSpec
from embedstore.core.unit import unit_rows
from embedstore.corpora.rows import Corpus
from embedstore.corpora.texts import Texts
from embedstore.errors import ModelRequiredError, UsageError
from embedstore.storage.listed import map_dataset
from embedstore.storage.records import SpaceRecord

__all__ = ["Block", "Space"]

_SHOWN = 3  # corpora
_PART = 1 << 26  # bytes of vectors that are held at once where all are gone through


class Block(NamedTuple):
    """The vectors of one text segment: position of the first text, hash of the file, mapped array (n, dim)."""

    start: int
    sha256: str
    vectors: npt.NDArray[Any]


class Space:
    """All vectors of one encoder in one state of a store, as memory maps.

    Parameters
    ----------
    texts : Texts
        The texts of that state.
    record : SpaceRecord
        The space's record in the manifest.
    corpus_of : callable, optional
        Returns the corpus with a name; for None, the default corpus.
    corpora : callable, optional
        Returns all corpora; an error about vectors that are missing names those that have theirs.
    """

    def __init__(
        self,
        texts: Texts,
        record: SpaceRecord,
        corpus_of: Callable[[str | None], Corpus] | None = None,
        corpora: Callable[[], Sequence[Corpus]] = tuple,
    ) -> None:
        self.key = record.spec.key
        self.record = record
        self.texts = texts
        self._corpus_of = corpus_of
        self._corpora = corpora

    def __repr__(self) -> str:
        return (
            f"<Space {self.key[:12]}: {self.record.model}, {counted(self.count, 'text')}, "
            f"{counted(self.dimension, 'dimension')}>"
        )

    @property
    def spec(self) -> EncoderSpec:
        """Spec of the encoder."""
        return self.record.spec

    @property
    def dimension(self) -> int:
        """Length of a vector."""
        return self.record.dimension

    @property
    def count(self) -> int:
        """Number of corpus texts that have a vector."""
        return self.record.vectors.records.rows

    @property
    def truncated(self) -> int:
        """Number of corpus texts longer than `max_seq_length`."""
        return self.record.vectors.records.totals[2]

    def blocks(
        self, wanted: npt.NDArray[np.bool_] | None = None, skip: frozenset[str] = frozenset()
    ) -> Iterator[Block]:
        """Yield the vectors segment by segment, in position order.

        Parameters
        ----------
        wanted : ndarray of bool, shape (texts,), optional
            Segments without a wanted position are skipped.
        skip : frozenset of str
            Hashes of vector segments to skip.
        """
        starts = self.texts.starts
        for start, text in zip(starts, self.texts.segments, strict=False):
            segment = self.record.of(text)
            if segment is None or segment.file.sha256 in skip:
                continue
            if wanted is not None and not wanted[start : start + text.count].any():
                continue
            yield Block(int(start), segment.file.sha256, map_dataset(self.texts.root, segment.file, segment.vectors))

    def vectors(self, corpus: str | Corpus | None = None) -> npt.NDArray[np.float32]:
        """Return one vector per row of a corpus.

        Parameters
        ----------
        corpus : str or Corpus, optional
            By default the only one, else ``train``.

        Returns
        -------
        ndarray of shape (rows, dim), float32
            In row order; equal texts have equal rows.

        Raises
        ------
        ModelRequiredError
            If a row's text has no vector yet.
        """
        if not isinstance(corpus, Corpus):
            if self._corpus_of is None:
                raise UsageError("expected a Corpus: this space knows no names of corpora")
            corpus = self._corpus_of(corpus)
        return self.at(corpus.positions(), corpus.name)

    def at(self, positions: npt.NDArray[np.int64], corpus: str = "") -> npt.NDArray[np.float32]:
        """Return the vectors at text positions, shape (n, dim), float32, in the order given."""
        out = np.empty((len(positions), self.dimension), dtype=np.float32)
        order = np.argsort(positions, kind="stable")
        ordered = positions[order]
        filled = 0
        starts = self.texts.starts
        bounds = np.searchsorted(ordered, starts)
        in_order = bool((np.diff(positions) >= 0).all())
        copies = []
        for number in np.flatnonzero(np.diff(bounds)):  # maps only segments with requested positions
            segment = self.record.of(self.texts.segments[int(number)])
            if segment is not None:
                low, high = bounds[number : number + 2]
                vectors = map_dataset(self.texts.root, segment.file, segment.vectors)
                target: Any = slice(low, high) if in_order else order[low:high]
                copies.append((vectors, ordered[low:high] - starts[number], target))
                filled += high - low
        if filled < len(positions):
            raise self._missing(len(positions) - filled, len(positions), corpus)

        def copy(share: Iterable[tuple[npt.NDArray[Any], npt.NDArray[np.int64], Any]]) -> None:
            for vectors, rows, target in share:
                if in_order and rows[-1] - rows[0] == len(rows) - 1 and (np.diff(rows) == 1).all():
                    out[target] = vectors[rows[0] : rows[-1] + 1]
                else:
                    out[target] = vectors[rows]

        map_in_threads(copies, copy, out.nbytes)
        return out

    def unit_at(self, positions: npt.NDArray[np.int64], corpus: str = "") -> npt.NDArray[np.float32]:
        """Return the vectors at text positions as unit vectors, shape (n, dim), float32, in the order given."""
        vectors = self.at(positions, corpus)
        return vectors if self.spec.normalized else np.asarray(unit_rows(vectors))

    def parts(self, positions: npt.NDArray[np.int64]) -> Iterator[tuple[slice, npt.NDArray[np.float32]]]:
        """Yield slices of `positions` with the vectors there, at most 64 MB at a time."""
        step = max(64, _PART // (4 * self.dimension) // 64 * 64)
        for start in range(0, len(positions), step):
            here = slice(start, min(start + step, len(positions)))
            yield here, self.at(positions[here])

    def require(self, positions: npt.NDArray[np.int64], corpus: str) -> None:
        """Raise a `ModelRequiredError` unless every position has a vector."""
        lacking = self._lacking(positions)
        if lacking:
            raise self._missing(lacking, len(positions), corpus)

    def covers(self, corpora: Iterable[Corpus]) -> bool:
        """Return whether every row of the corpora has a vector."""
        return not any(self._lacking(corpus.positions()) for corpus in corpora)

    def holds(self, positions: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
        """Return which texts have a vector, shape (n,)."""
        held = np.array([text in self.record.segments for text in self.texts.segments.names], dtype=bool)
        if held.all():
            return np.ones(len(positions), dtype=bool)
        return np.asarray(np.repeat(held, np.diff(self.texts.starts))[positions])

    def _lacking(self, positions: npt.NDArray[np.int64]) -> int:
        return int(np.count_nonzero(~self.holds(positions)))

    def _missing(self, lacking: int, rows: int, corpus: str) -> ModelRequiredError:
        """Return an error with the number of rows without a vector, and what to do: encode them, or ask others."""
        advice = "run `embedstore encode STORE` to encode what is missing"
        if not self.spec.proven:
            advice = "import their vectors too, or encode all rows with a model (`embedstore encode STORE -m MODEL`)"
        covered = [one.name for one in self._corpora() if one.name != corpus and len(one) and self.covers([one])]
        others = (
            f", or take rows that have vectors: --corpus {' or --corpus '.join(covered[:_SHOWN])}" if covered else ""
        )
        return ModelRequiredError(
            f"{lacking:,} of {counted(rows, 'row')} of corpus {corpus!r} {form(lacking, 'has', 'have')} no vector in "
            f"the space {self.record.model!r}: {advice}{others}"
        )
