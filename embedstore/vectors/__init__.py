"""Vectors of a store: snapshots, spaces, encoding, search, indexes, duplicates and export."""

from typing import TYPE_CHECKING

from embedstore.core.lazy import lazy_exports

if TYPE_CHECKING:
    from embedstore.vectors.duplicates import Duplicate, Duplicates, find_duplicates
    from embedstore.vectors.encoding import EncodeProgress, check_encoding, encode
    from embedstore.vectors.executors import EXECUTORS, Executor
    from embedstore.vectors.export import export_vectors
    from embedstore.vectors.indexing import IndexKind, build_index
    from embedstore.vectors.neighbours import Matches, search
    from embedstore.vectors.pairs import PairSearch
    from embedstore.vectors.plan import EncodeReport
    from embedstore.vectors.snapshot import Cache, Snapshot
    from embedstore.vectors.space import Space

__all__ = [
    "EXECUTORS",
    "Cache",
    "Duplicate",
    "Duplicates",
    "EncodeProgress",
    "EncodeReport",
    "Executor",
    "IndexKind",
    "Matches",
    "PairSearch",
    "Snapshot",
    "Space",
    "build_index",
    "check_encoding",
    "encode",
    "export_vectors",
    "find_duplicates",
    "search",
]

_HOMES = {
    "Cache": "snapshot",
    "Duplicate": "duplicates",
    "Duplicates": "duplicates",
    "EXECUTORS": "executors",
    "EncodeProgress": "encoding",
    "EncodeReport": "plan",
    "Executor": "executors",
    "IndexKind": "indexing",
    "Matches": "neighbours",
    "PairSearch": "pairs",
    "Snapshot": "snapshot",
    "Space": "space",
    "build_index": "indexing",
    "check_encoding": "encoding",
    "encode": "encoding",
    "export_vectors": "export",
    "find_duplicates": "duplicates",
    "search": "neighbours",
}

__getattr__, __dir__ = lazy_exports(__name__, _HOMES)
