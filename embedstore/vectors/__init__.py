"""Vectors of a store: snapshots, spaces, encoding, search, indexes and duplicates."""

from typing import TYPE_CHECKING

from embedstore.core.lazy import lazy_exports

if TYPE_CHECKING:
    from embedstore.vectors.collecting import CollectReport, Filled, collect
    from embedstore.vectors.duplicates import Duplicate, Duplicates, find_duplicates
    from embedstore.vectors.encoding import EncodeProgress, check_encoding, encode
    from embedstore.vectors.executors import EXECUTORS, Executor
    from embedstore.vectors.indexing import IndexKind, build_index
    from embedstore.vectors.neighbours import Matches, search
    from embedstore.vectors.pairs import PairSearch
    from embedstore.vectors.plan import EncodeReport
    from embedstore.vectors.snapshot import Cache, Snapshot
    from embedstore.vectors.space import Space

__all__ = [
    "EXECUTORS",
    "Cache",
    "CollectReport",
    "Duplicate",
    "Duplicates",
    "EncodeProgress",
    "EncodeReport",
    "Executor",
    "Filled",
    "IndexKind",
    "Matches",
    "PairSearch",
    "Snapshot",
    "Space",
    "build_index",
    "check_encoding",
    "collect",
    "encode",
    "find_duplicates",
    "search",
]

_HOMES = {
    "Cache": "snapshot",
    "CollectReport": "collecting",
    "Duplicate": "duplicates",
    "Duplicates": "duplicates",
    "EXECUTORS": "executors",
    "EncodeProgress": "encoding",
    "EncodeReport": "plan",
    "Executor": "executors",
    "Filled": "collecting",
    "IndexKind": "indexing",
    "Matches": "neighbours",
    "PairSearch": "pairs",
    "Snapshot": "snapshot",
    "Space": "space",
    "build_index": "indexing",
    "check_encoding": "encoding",
    "collect": "collecting",
    "encode": "encoding",
    "find_duplicates": "duplicates",
    "search": "neighbours",
}

__getattr__, __dir__ = lazy_exports(__name__, _HOMES)
