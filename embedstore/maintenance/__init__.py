"""Maintain a store: describe it, verify every byte, repair it, copy it, remove what it no longer refers to."""

from typing import TYPE_CHECKING

from embedstore.core.lazy import lazy_exports

if TYPE_CHECKING:
    from embedstore.maintenance.contents import describe
    from embedstore.maintenance.copying import copy
    from embedstore.maintenance.corpus_names import DropReport, drop_corpus, rename_corpus
    from embedstore.maintenance.sweeping import GcReport, gc
    from embedstore.maintenance.verification import VerifyReport, repair, verify

__all__ = [
    "DropReport",
    "GcReport",
    "VerifyReport",
    "copy",
    "describe",
    "drop_corpus",
    "gc",
    "rename_corpus",
    "repair",
    "verify",
]

_HOMES = {
    "DropReport": "corpus_names",
    "GcReport": "sweeping",
    "VerifyReport": "verification",
    "copy": "copying",
    "describe": "contents",
    "drop_corpus": "corpus_names",
    "gc": "sweeping",
    "rename_corpus": "corpus_names",
    "repair": "verification",
    "verify": "verification",
}

__getattr__, __dir__ = lazy_exports(__name__, _HOMES)
