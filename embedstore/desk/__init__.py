"""What a page about a corpus shows and does: rows, counts, a map, labels. The page itself is `embedstore.web`."""

from typing import TYPE_CHECKING

from embedstore.core.lazy import lazy_exports

if TYPE_CHECKING:
    from embedstore.desk.desk import Desk
    from embedstore.desk.query import Query

__all__ = ["Desk", "Query"]

_HOMES = {"Desk": "desk", "Query": "query"}

__getattr__, __dir__ = lazy_exports(__name__, _HOMES)
