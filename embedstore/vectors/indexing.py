"""Build the FAISS index of a space; it depends only on the vectors, so it can be rebuilt at any time."""

from dataclasses import replace
from typing import Any, Literal, get_args

import numpy as np

from embedstore.core.progress import steps
from embedstore.core.unit import as_unit
from embedstore.errors import UsageError
from embedstore.storage.derived import IndexRecord
from embedstore.storage.gate import staged
from embedstore.storage.manifest import commit
from embedstore.vectors.clustering import threads_for
from embedstore.vectors.snapshot import Snapshot
from embedstore.vectors.space import Space

__all__ = ["IndexKind", "build_index"]

IndexKind = Literal["auto", "flat", "hnsw", "ivf"]

_FLAT_UP_TO = 50_000  # texts up to which an exact scan takes milliseconds
_BITS = 4  # of a code, which stands for four numbers: FAISS compares 32 of them at once


def build_index(now: Snapshot, kind: IndexKind = "auto", *, space: str | None = None) -> IndexRecord:
    """Build the FAISS index of a space over all its corpus vectors; it replaces an earlier one.

    Parameters
    ----------
    now : Snapshot
        The state of the store.
    kind : {"auto", "flat", "hnsw", "ivf"}
        "auto" takes flat up to 50,000 texts, IVF above. An IVF index holds short codes of the vectors (Jégou,
        Douze and Schmid, 2011; André, Kermarrec and Le Scouarnec, 2017), and its candidates are compared by the
        stored vectors. "hnsw" finds a little more, and takes many times longer to build and all the vectors again.
    space : str, optional
        Key or model name of the vectors. Vectors without unit length are normalised in the index.

    Raises
    ------
    UsageError
        If the kind is unknown, or IVF is requested with fewer than 40 texts.
    """
    if kind not in get_args(IndexKind):
        raise UsageError(f"expected an index kind of {', '.join(get_args(IndexKind))}, found {kind!r}")
    vectors = now.embeddings(space)
    count = vectors.count
    chosen = _auto(count) if kind == "auto" else kind
    import faiss

    covers = []
    with threads_for(4 * count * vectors.dimension):
        index = _empty(faiss, chosen, vectors, count)
        for block in steps("segments", vectors.blocks(), len(vectors.record.segments)):
            index.add(as_unit(block.vectors, normalized=vectors.spec.normalized))
            covers.append(block.sha256)
    with now.writing():
        with staged(now.root, "index", ".faiss") as temp:
            # Written through a Python file, because faiss' own writer does not report a full disk.
            faiss.write_index(index, faiss.PyCallbackIOWriter(temp.stream.write))  # type: ignore[attr-defined]
            file = temp.publish(".faiss")
        record = IndexRecord(file, chosen, tuple(covers), count)
        commit(now.root, lambda base: replace(base, indexes={**base.indexes, vectors.key: record}))
    return record


def _auto(count: int) -> str:
    return "flat" if count <= _FLAT_UP_TO else "ivf"


def _empty(faiss: Any, kind: str, space: Space, count: int) -> Any:
    if kind == "flat":
        return faiss.IndexFlatIP(space.dimension)
    if kind == "hnsw":
        index = faiss.IndexHNSWFlat(space.dimension, 32, faiss.METRIC_INNER_PRODUCT)
        index.hnsw.efConstruction = 200
        return index
    if count < 40:
        raise UsageError(f"an IVF index needs at least 40 texts, found {count:,}: use --kind flat")
    lists = max(1, min(int(count**0.5), count // 39))
    parts = next(space.dimension // width for width in (4, 3, 2, 1) if space.dimension % width == 0)
    quantizer = faiss.IndexFlatIP(space.dimension)
    index = faiss.IndexIVFPQFastScan(quantizer, space.dimension, lists, parts, _BITS, faiss.METRIC_INNER_PRODUCT)
    index.by_residual = False  # as exact, and the same table of products for all lists
    index.cp.min_points_per_centroid = index.pq.cp.min_points_per_centroid = 1  # no warnings of small stores
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
    index.train(as_unit(np.concatenate(sample), normalized=space.spec.normalized))
    return index
