"""Vectors that were made elsewhere: read them with their rows, check them, and put them into a space."""

from typing import TYPE_CHECKING

from embedstore.core.lazy import lazy_exports

if TYPE_CHECKING:
    from embedstore.incoming.importing import ImportReport, import_vectors

__all__ = ["ImportReport", "import_vectors"]

_HOMES = {"ImportReport": "importing", "import_vectors": "importing"}

__getattr__, __dir__ = lazy_exports(__name__, _HOMES)
