"""FAISS indexes over a space: a derivative of the vectors, always rebuildable. The only place that imports faiss."""

import logging
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from embedstore.errors import DamagedStoreError, ModelRequiredError, UsageError
from embedstore.space import Space
from embedstore.storage import files
from embedstore.storage.manifest import commit
from embedstore.storage.records import IndexRecord, Manifest
from embedstore.storage.segments import check_hash
from embedstore.vectors import unit_rows

__all__ = ["IndexKind", "Indexes", "OpenIndex", "build"]

logger = logging.getLogger(__name__)

IndexKind = Literal["auto", "flat", "hnsw", "ivf"]

_FLAT_UP_TO = 50_000  # an exact scan of fewer takes milliseconds
_HNSW_UP_TO = 2_000_000  # above, building an HNSW graph takes hours and its links a quarter of the vectors' memory
_SAMPLED = 64
_PAYS = 32  # queries whose scans take as long as reading and checking an index


def build(root: Path, space: Space, kind: IndexKind = "auto") -> IndexRecord:
    """Build the index of a space over all its corpus vectors, and make it the space's index.

    Parameters
    ----------
    root : Path
        The store.
    space : Space
        The vectors; those without unit length are normalised in the index.
    kind : {"auto", "flat", "hnsw", "ivf"}
        "auto" is flat up to 50,000 texts, HNSW up to 2,000,000, IVF above.

    Raises
    ------
    UsageError
        If the kind is unknown, or IVF is asked for with fewer than 40 texts.
    ModelRequiredError
        If the space has no vectors.
    """
    if kind not in get_args(IndexKind):
        raise UsageError(f"expected an index kind of {', '.join(get_args(IndexKind))}, found {kind!r}")
    count = space.count
    if not count:
        raise ModelRequiredError(
            "there are no vectors to index: run `embedstore encode STORE FILE --text COLUMN` first"
        )
    chosen = _auto(count) if kind == "auto" else kind
    import faiss

    index = _empty(faiss, chosen, space, count)
    covers = []
    for block in space.blocks():
        index.add(_unit(block.vectors, normalized=space.spec.normalized))
        covers.append(block.sha256)
    with files.lock(root / ".lock", exclusive=False):
        with files.staged(root / "index", ".faiss") as temp:
            # Through Python's file: faiss' own writer does not say when the disk is full.
            with temp.open("wb") as stream:
                faiss.write_index(index, faiss.PyCallbackIOWriter(stream.write))  # type: ignore[attr-defined]
            file = files.publish(temp, root, ".faiss")
        record = IndexRecord(file, chosen, tuple(covers), count)
        commit(root, lambda base: replace(base, indexes={**base.indexes, space.key: record}))
    return record


def _auto(count: int) -> str:
    if count <= _FLAT_UP_TO:
        return "flat"
    return "hnsw" if count <= _HNSW_UP_TO else "ivf"


def _empty(faiss: Any, kind: str, space: Space, count: int) -> Any:
    if kind == "flat":
        return faiss.IndexFlatIP(space.dimension)
    if kind == "hnsw":
        index = faiss.IndexHNSWFlat(space.dimension, 32, faiss.METRIC_INNER_PRODUCT)
        index.hnsw.efConstruction = 200
        return index
    if count < 40:
        raise UsageError(f"an IVF index needs at least 40 texts, found {count}: use --kind flat")
    # FAISS' guidelines: 4 sqrt(n) lists, trained on 39 to 256 vectors a list.
    lists = max(1, min(int(4 * count**0.5), count // 39))
    index = faiss.IndexIVFFlat(faiss.IndexFlatIP(space.dimension), space.dimension, lists, faiss.METRIC_INNER_PRODUCT)
    rng = np.random.default_rng(0)
    share = min(1.0, 128 * lists / count)
    sample = [
        np.asarray(
            block.vectors[
                np.sort(rng.choice(len(block.vectors), max(1, round(share * len(block.vectors))), replace=False))
            ]
        )
        for block in space.blocks()
    ]
    index.train(_unit(np.concatenate(sample), normalized=space.spec.normalized))
    index.nprobe = max(1, min(lists, lists // 16))
    return index


def _unit(vectors: npt.NDArray[Any], *, normalized: bool) -> npt.NDArray[np.float32]:
    vectors = np.ascontiguousarray(vectors, dtype=np.float32)
    return vectors if normalized else unit_rows(vectors)


class OpenIndex:
    """A space's index, read from its file and checked against the stored vectors.

    Parameters
    ----------
    root : Path
        The store.
    manifest : Manifest
        Its state.
    space : Space
        The vectors.

    Raises
    ------
    DamagedStoreError
        If the file is missing, is not the one written, or holds other vectors than the store.
    """

    def __init__(self, root: Path, manifest: Manifest, space: Space) -> None:
        import faiss

        self.record = manifest.indexes[space.key]
        # faiss trusts the lengths that a file claims: none is read that is not the one written here.
        path = check_hash(root, self.record.file, _REBUILD)
        try:
            self._index: Any = faiss.read_index(str(path), faiss.IO_FLAG_MMAP if self.record.kind == "flat" else 0)
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
        stored = _unit(space.at(self._positions(ids)), normalized=space.spec.normalized)
        held = np.stack([self._index.reconstruct(int(id_)) for id_ in ids])
        if not np.allclose(stored, held, atol=1e-6):
            raise DamagedStoreError(f"{path} holds other vectors than the store: {_REBUILD}")

    def search(
        self, queries: npt.NDArray[np.float32], k: int, *, effort: int | None = None
    ) -> list[npt.NDArray[np.int64]]:
        """Return for each query the positions of about `k` nearest texts among those covered.

        Parameters
        ----------
        queries : ndarray of shape (q, dim), float32
            Unit vectors.
        k : int
            How many.
        effort : int, optional
            Candidates that an HNSW index keeps while it looks (efSearch); by default 128, or twice `k`.
        """
        if self.record.kind == "hnsw":
            self._index.hnsw.efSearch = effort or max(128, 2 * k)
        _, ids = self._index.search(np.ascontiguousarray(queries), min(k, self.record.count))
        positions, there = self._positions(ids), ids >= 0
        if there.all():
            return list(positions)
        return [row[held] for row, held in zip(positions, there, strict=True)]

    def _positions(self, ids: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        owner = np.searchsorted(self._first_ids, ids, side="right") - 1
        return np.asarray(self._starts[owner] + ids - self._first_ids[owner])


class Indexes:
    """The indexes of a store, each opened when the queries so far would have paid for it.

    To read and check an index takes as long as tens of exact scans, so the first queries scan.
    """

    def __init__(self) -> None:
        self._asked: dict[str, int] = {}
        self._open: dict[str, OpenIndex] = {}

    def of(self, root: Path, manifest: Manifest, space: Space, queries: int) -> OpenIndex | None:
        """Return the index to ask for some queries, or None if a scan is the better choice.

        A flat index is a scan by its nature.

        Raises
        ------
        DamagedStoreError
            If the index is not the one that was written.
        """
        record = manifest.indexes.get(space.key)
        if record is None or record.kind == "flat":
            return None
        name = record.file.sha256
        self._asked[name] = self._asked.get(name, 0) + queries
        if self._asked[name] < _PAYS:
            return None
        if name not in self._open:
            self._open[name] = OpenIndex(root, manifest, space)
        return self._open[name]


_REBUILD = "rebuild it with `embedstore index STORE`, or search with --exact"
