"""Read and write tables (CSV, TSV, JSONL, Parquet, Arrow) in batches of bounded size.

A source is read twice: first a survey counts the rows and finds the column types, then batches are read.
"""

from typing import TYPE_CHECKING

from embedstore.core.lazy import lazy_exports

if TYPE_CHECKING:
    from embedstore.tables.base import ReadOptions, Source, Survey
    from embedstore.tables.formats import FORMATS
    from embedstore.tables.result import Result, TableResult
    from embedstore.tables.sources import file_source, piped_source, sources_of

__all__ = [
    "FORMATS",
    "ReadOptions",
    "Result",
    "Source",
    "Survey",
    "TableResult",
    "file_source",
    "piped_source",
    "sources_of",
]

_HOMES = {
    "FORMATS": "formats",
    "ReadOptions": "base",
    "Result": "result",
    "Source": "base",
    "Survey": "base",
    "TableResult": "result",
    "file_source": "sources",
    "piped_source": "sources",
    "sources_of": "sources",
}

__getattr__, __dir__ = lazy_exports(__name__, _HOMES)
