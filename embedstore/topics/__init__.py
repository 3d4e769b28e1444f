"""Topics: groups of texts with similar vectors, named by the words that tell them apart."""

from typing import TYPE_CHECKING

from embedstore.core.lazy import lazy_exports

if TYPE_CHECKING:
    from embedstore.topics.pipeline import find_topics
    from embedstore.topics.result import Topic, Topics

__all__ = [
    "Topic",
    "Topics",
    "find_topics",
]

_HOMES = {
    "Topic": "result",
    "Topics": "result",
    "find_topics": "pipeline",
}

__getattr__, __dir__ = lazy_exports(__name__, _HOMES)
