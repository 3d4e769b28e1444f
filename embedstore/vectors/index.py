"""Open the FAISS index of a space when that pays off, and check it against the stored vectors."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from embedstore.core.guards import Lock
from embedstore.core.unit import as_unit
from embedstore.errors import DamagedStoreError
from embedstore.storage.derived import IndexRecord
from embedstore.storage.listed import open_file, same_hash
from embedstore.vectors.space import Space

__all__ = ["Indexes", "OpenIndex"]

_SAMPLED = 64


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
        ):
            raise DamagedStoreError(f"{path} is not over the vectors of this store: {_REBUILD}")
        starts = [blocks[sha256].start for sha256 in self.record.covers]
        counts = [len(blocks[sha256].vectors) for sha256 in self.record.covers]
        self._first_ids = np.concatenate([[0], np.cumsum(counts)])
        self._starts = np.array(starts, dtype=np.int64)
        self._check_sample(path, space)

    def _check_sample(self, path: Path, space: Space) -> None:
        if self.record.kind == "ivf":
            self._index.make_direct_map()
        ids = np.unique(np.linspace(0, self.record.count - 1, _SAMPLED).astype(np.int64))
        stored = as_unit(space.at(self._positions(ids)), normalized=space.spec.normalized)
        held = np.stack([self._index.reconstruct(int(id_)) for id_ in ids])
        if not np.allclose(stored, held, atol=1e-6):
            raise DamagedStoreError(f"{path} holds other vectors than the store: {_REBUILD}")

    def search(
        self, queries: npt.NDArray[np.float32], k: int, *, effort: int | None = None
    ) -> list[npt.NDArray[np.int64]]:
        """Return for each query the positions of up to `k` nearest covered texts.

        Parameters
        ----------
        queries : ndarray of shape (q, dim), float32
            Unit vectors.
        k : int
            Number of texts per query.
        effort : int, optional
            Candidates that an HNSW index keeps during the search (efSearch); by default 128, or twice `k` if larger.
        """
        import faiss

        # Given with the search, and not set on the index, because other threads use the same index.
        how = None
        if self.record.kind == "hnsw":
            how = faiss.SearchParametersHNSW(efSearch=effort or max(128, 2 * k))  # type: ignore[attr-defined]
        _, ids = self._index.search(np.ascontiguousarray(queries), min(k, self.record.count), params=how)
        positions, there = self._positions(ids), ids >= 0
        if there.all():
            return list(positions)
        return [row[held] for row, held in zip(positions, there, strict=True)]

    def _positions(self, ids: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        owner = np.searchsorted(self._first_ids, ids, side="right") - 1
        return np.asarray(self._starts[owner] + ids - self._first_ids[owner])


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
