"""Exports: the rows, texts, columns, tags and vectors of a corpus for other programs."""

from typing import TYPE_CHECKING

from embedstore.core.lazy import lazy_exports

if TYPE_CHECKING:
    from embedstore.exports.base import Description, Target, TargetOptions, Written
    from embedstore.exports.pipeline import ExportReport, export
    from embedstore.exports.rows import Content, Rows
    from embedstore.exports.targets import TARGETS

__all__ = [
    "TARGETS",
    "Content",
    "Description",
    "ExportReport",
    "Rows",
    "Target",
    "TargetOptions",
    "Written",
    "export",
]

_HOMES = {
    "Content": "rows",
    "Description": "base",
    "ExportReport": "pipeline",
    "Rows": "rows",
    "TARGETS": "targets",
    "Target": "base",
    "TargetOptions": "base",
    "Written": "base",
    "export": "pipeline",
}

__getattr__, __dir__ = lazy_exports(__name__, _HOMES)
