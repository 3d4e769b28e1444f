"""Open the FAISS index of a space when that pays off, and check it against the stored vectors."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from embedstore.core.guards import Lock
from embedstore.core.parallel import map_in_threads
from embedstore.core.unit import as_unit
from embedstore.errors import DamagedStoreError
from embedstore.storage.derived import IndexRecord
from embedstore.storage.listed import open_file, same_hash
from embedstore.vectors.native import binding
from embedstore.vectors.space import Space

__all__ = ["Indexes", "OpenIndex"]

_SAMPLED = 64  # vectors that are compared when an index is opened
_FOUND = 0.5  # least share of sampled vectors that an IVF index finds: it misses some
_CANDIDATES = 16  # of an IVF index for each text asked for: it compares short codes, so its order is not exact
_LISTS = 64  # of an IVF index that are looked through at least
_QUERIES = 32  # whose candidates are scored at once


class OpenIndex:
    """The FAISS index of a space, read from its file and checked against the stored vectors.

    Parameters
    ----------
    record : IndexRecord
        File, kind and covered segments of the index.
    space : Space
        The vectors.

    Raises
    ------
    DamagedStoreError
        If the file is missing or altered, or holds other vectors than the store.
    """

    def __init__(self, record: IndexRecord, space: Space) -> None:
        import faiss

        self.record = record
        # faiss trusts the lengths that a file claims, so only a file with the recorded hash is read.
        path = space.texts.root / record.file.path
        with open_file(space.texts.root, record.file) as stream:
            if not same_hash(stream, record.file):
                raise DamagedStoreError(f"{path} was altered: {_REBUILD}")
            try:
                self._index: Any = faiss.read_index(faiss.PyCallbackIOReader(stream.read))  # type: ignore[attr-defined]
            except RuntimeError as error:
                raise DamagedStoreError(f"{path} can't be read: {_REBUILD}") from error
        self.covers = frozenset(self.record.covers)
        blocks = {block.sha256: block for block in space.blocks()}
        if (
            not self.covers <= set(blocks)
            or self._index.ntotal != self.record.count
            or self._index.d != space.dimension
            or sum(len(blocks[sha256].vectors) for sha256 in self.covers) != self.record.count
        ):
            raise DamagedStoreError(f"{path} is not over the vectors of this store: {_REBUILD}")
        covered = [blocks[sha256] for sha256 in self.record.covers]
        self._blocks = [block.vectors for block in covered]
        self._starts = np.array([block.start for block in covered], dtype=np.int64)
        self._first_ids = np.cumsum([0, *map(len, self._blocks)])
        self._space = space
        self._check_sample(path)

    def _check_sample(self, path: Path) -> None:
        space = self._space
        ids = np.unique(np.linspace(0, self.record.count - 1, _SAMPLED).astype(np.int64))
        stored = as_unit(space.at(self._positions(ids)), normalized=space.spec.normalized)
        least = 1.0
        if self.record.kind == "ivf":  # it holds no vectors, but finds those that it was made of
            least = _FOUND
            found = self.search(stored, 1, effort=self._index.nlist)
            nearest = np.array([positions[0] if len(positions) else 0 for positions in found])
            held = as_unit(space.at(nearest), normalized=space.spec.normalized)
        else:
            held = np.stack([self._index.reconstruct(int(id_)) for id_ in ids])
        if np.mean(np.isclose(stored, held, atol=1e-6).all(axis=1)) < least:
            raise DamagedStoreError(f"{path} holds other vectors than the store: {_REBUILD}")

    def search(
        self, queries: npt.NDArray[np.float32], k: int, *, effort: int | None = None
    ) -> list[npt.NDArray[np.int64]]:
        """Return for each query the positions of up to `k` nearest covered texts, in no particular order.

        Parameters
        ----------
        queries : ndarray of shape (q, dim), float32
            Unit vectors.
        k : int
            Number of texts per query.
        effort : int, optional
            For an HNSW index, the candidates that it keeps during the search (efSearch); by default 128, or twice `k`
            if larger. For an IVF index, the lists that it looks through (nprobe); by default 64, or a quarter of all if
            more.
        """
        import faiss

        # Given with the search, and not set on the index, because other threads use the same index.
        how: Any
        queries = np.ascontiguousarray(queries)
        if self.record.kind == "ivf":
            how = faiss.IVFSearchParameters()
            how.nprobe = effort or max(_LISTS, self._index.nlist // 4)
            _, ids = self._index.search(queries, min(_CANDIDATES * k, self.record.count), params=how)
            ids = self._nearest(queries, ids, k)
        else:
            how = faiss.SearchParametersHNSW(efSearch=effort or max(128, 2 * k))  # type: ignore[attr-defined]
            _, ids = self._index.search(queries, min(k, self.record.count), params=how)
        positions, there = self._positions(ids), ids >= 0
        if there.all():
            return list(positions)
        return [row[held] for row, held in zip(positions, there, strict=True)]

    def _nearest(self, queries: npt.NDArray[np.float32], ids: npt.NDArray[np.int64], k: int) -> npt.NDArray[np.int64]:
        """Return the `k` best of each query's candidates, by their stored vectors."""
        best = np.empty((len(ids), min(k, ids.shape[1])), dtype=np.int64)
        owner, row = self._places(ids)

        def work(pieces: Iterable[slice]) -> None:
            for piece in pieces:
                scores = self._scores(queries[piece], owner[piece], row[piece])
                kept = np.argpartition(scores, -best.shape[1], axis=1)[:, -best.shape[1] :]
                best[piece] = np.take_along_axis(ids[piece], kept, axis=1)

        pieces = [slice(first, first + _QUERIES) for first in range(0, len(ids), _QUERIES)]
        map_in_threads(pieces, work, ids.size * self._space.dimension * 4)
        return best

    def _scores(
        self, queries: npt.NDArray[np.float32], owner: npt.NDArray[np.int64], row: npt.NDArray[np.int64]
    ) -> npt.NDArray[np.float32]:
        """Return the similarities of each query to its candidates, shape (q, candidates); -inf for a row of -1."""
        if kernel := binding.best_kernel():
            unit = self._space.spec.normalized
            return binding.scan_picked(self._blocks, owner, row, queries, unit=unit, kernel=kernel)
        positions = self._starts[owner] + np.maximum(row, 0)
        vectors = self._space.unit_at(positions.ravel()).reshape(*row.shape, -1)
        scores = np.einsum("qcd,qd->qc", vectors, queries)
        return np.where(row < 0, np.float32(-np.inf), scores)

    def _places(self, ids: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Return the block of each id and its row there; a row of -1 for an id of -1."""
        owner = np.maximum(np.searchsorted(self._first_ids, ids, side="right") - 1, 0)
        return owner, np.where(ids < 0, -1, ids - self._first_ids[owner])

    def _positions(self, ids: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        owner, row = self._places(ids)
        return np.asarray(self._starts[owner] + row)


class Indexes:
    """The indexes of a store; each is opened after a number of queries.

    Reading and checking an index takes as long as tens of exact scans, so the first queries are scans.

    Parameters
    ----------
    after : int
        Number of queries from which an index is opened.
    """

    def __init__(self, after: int) -> None:
        self._after = after
        self._lock = Lock()
        self._asked: dict[str, int] = {}
        self._open: dict[str, OpenIndex] = {}

    def of(self, space: Space, record: IndexRecord | None, queries: int) -> OpenIndex | None:
        """Return the index to use for some queries, or None if a scan is better.

        A flat index is never opened, because it is itself a scan.

        Parameters
        ----------
        space : Space
            The vectors.
        record : IndexRecord or None
            The index of that space, if there is one.
        queries : int
            Number of queries now.

        Raises
        ------
        DamagedStoreError
            If the index fails a check of `OpenIndex`.
        """
        if record is None or record.kind == "flat":
            return None
        name = record.file.sha256
        with self._lock.held():
            self._asked[name] = self._asked.get(name, 0) + queries
            if self._asked[name] < self._after:
                return None
            if name not in self._open:
                self._open[name] = OpenIndex(record, space)
            return self._open[name]


_REBUILD = "rebuild it with `embedstore index STORE`, or search with --exact"
