"""Build the FAISS index of a space; it depends only on the vectors, so it can be rebuilt at any time."""

from dataclasses import replace
from typing import Any, Literal, get_args

import numpy as np

from embedstore.core.unit import as_unit
from embedstore.errors import UsageError
from embedstore.storage.derived import IndexRecord
from embedstore.storage.gate import staged
from embedstore.storage.manifest import commit
from embedstore.vectors.snapshot import Snapshot
from embedstore.vectors.space import Space

__all__ = ["IndexKind", "build_index"]

IndexKind = Literal["auto", "flat", "hnsw", "ivf"]

_FLAT_UP_TO = 50_000  # texts up to which an exact scan takes milliseconds
_HNSW_UP_TO = 2_000_000  # above, building an HNSW graph takes hours; its links need a quarter of the vectors' memory


def build_index(now: Snapshot, kind: IndexKind = "auto", *, space: str | None = None) -> IndexRecord:
    """Build the FAISS index of a space over all its corpus vectors; it replaces an earlier one.

    Parameters
    ----------
    now : Snapshot
        The state of the store.
    kind : {"auto", "flat", "hnsw", "ivf"}
        "auto" takes flat up to 50,000 texts, HNSW up to 2,000,000, IVF above.
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

    index = _empty(faiss, chosen, vectors, count)
    covers = []
    for block in vectors.blocks():
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
        raise UsageError(f"an IVF index needs at least 40 texts, found {count:,}: use --kind flat")
    # FAISS' guidelines: 4 sqrt(n) lists, trained on 39 to 256 vectors per list.
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
    index.train(as_unit(np.concatenate(sample), normalized=space.spec.normalized))
    index.nprobe = max(1, min(lists, lists // 16))
    return index
