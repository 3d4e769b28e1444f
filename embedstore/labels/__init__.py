"""Label sets, and better label scores: refined over the corpus, or blended with a few labelled texts."""

from typing import TYPE_CHECKING

from embedstore.core.lazy import lazy_exports

if TYPE_CHECKING:
    from embedstore.labels.choice import Choice
    from embedstore.labels.label_file import SHIPPED
    from embedstore.labels.label_set import Labels, LabelSet

__all__ = [
    "SHIPPED",
    "Choice",
    "LabelSet",
    "Labels",
]

_HOMES = {
    "Choice": "choice",
    "LabelSet": "label_set",
    "Labels": "label_set",
    "SHIPPED": "label_file",
}

__getattr__, __dir__ = lazy_exports(__name__, _HOMES)
