"""Annotations: people's answers about texts; ask for them, store, import and export them."""

from typing import TYPE_CHECKING

from embedstore.core.lazy import lazy_exports

if TYPE_CHECKING:
    from embedstore.annotations.advice import Advice
    from embedstore.annotations.annotation import Annotation
    from embedstore.annotations.book import AnnotationBook
    from embedstore.annotations.exchange import AnswerTable
    from embedstore.annotations.order import Order
    from embedstore.annotations.session import AnnotationSession, Question

__all__ = [
    "Advice",
    "Annotation",
    "AnnotationBook",
    "AnnotationSession",
    "AnswerTable",
    "Order",
    "Question",
]

_HOMES = {
    "Advice": "advice",
    "Annotation": "annotation",
    "AnnotationBook": "book",
    "AnnotationSession": "session",
    "AnswerTable": "exchange",
    "Order": "order",
    "Question": "session",
}

__getattr__, __dir__ = lazy_exports(__name__, _HOMES)
