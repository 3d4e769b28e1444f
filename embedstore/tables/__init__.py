"""Tables in: CSV, TSV, JSONL, Parquet and Arrow tables, read in batches of bounded size.

A source is read twice: a survey counts rows and finds column types, then batches are read. Nothing here
holds a whole file.
"""

from embedstore.tables.base import ReadOptions, Source, Survey
from embedstore.tables.sources import file_source, sources_of

__all__ = ["ReadOptions", "Source", "Survey", "file_source", "sources_of"]
