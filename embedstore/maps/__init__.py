"""Maps: corpora in two dimensions, as pictures and as places of texts that are kept."""

from typing import TYPE_CHECKING

from embedstore.core.lazy import lazy_exports

if TYPE_CHECKING:
    from embedstore.maps.picture import Map, map_corpus
    from embedstore.maps.plane import Plane
    from embedstore.maps.projection import Projection

__all__ = [
    "Map",
    "Plane",
    "Projection",
    "map_corpus",
]

_HOMES = {
    "Map": "picture",
    "Plane": "plane",
    "Projection": "projection",
    "map_corpus": "picture",
}

__getattr__, __dir__ = lazy_exports(__name__, _HOMES)
