"""Tagging: label every row, compare two label sets, explain a tag."""

from typing import TYPE_CHECKING

from embedstore.core.lazy import lazy_exports

if TYPE_CHECKING:
    from embedstore.tagging.explanation import Explanation, explain
    from embedstore.tagging.flow import Flow, against
    from embedstore.tagging.methods import METHODS, TaggingMethod
    from embedstore.tagging.pipeline import tag
    from embedstore.tagging.steps import Tags

__all__ = [
    "METHODS",
    "Explanation",
    "Flow",
    "TaggingMethod",
    "Tags",
    "against",
    "explain",
    "tag",
]

_HOMES = {
    "Explanation": "explanation",
    "Flow": "flow",
    "METHODS": "methods",
    "TaggingMethod": "methods",
    "Tags": "steps",
    "against": "flow",
    "explain": "explanation",
    "tag": "pipeline",
}

__getattr__, __dir__ = lazy_exports(__name__, _HOMES)
