"""Rows and texts: stored tables, and the distinct texts of their rows."""

from typing import TYPE_CHECKING

from embedstore.core.lazy import lazy_exports

if TYPE_CHECKING:
    from embedstore.corpora.ingest import AddReport, add
    from embedstore.corpora.rows import POSITION, Corpus
    from embedstore.corpora.texts import Texts

__all__ = [
    "POSITION",
    "AddReport",
    "Corpus",
    "Texts",
    "add",
]

_HOMES = {
    "AddReport": "ingest",
    "Corpus": "rows",
    "POSITION": "rows",
    "Texts": "texts",
    "add": "ingest",
}

__getattr__, __dir__ = lazy_exports(__name__, _HOMES)
