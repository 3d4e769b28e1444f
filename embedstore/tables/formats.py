"""The table formats: their file suffixes, and the modules that read and write them.

To add a format: write a module with an object that is an `embedstore.tables.base.FileFormat`, and add a line to
`FORMATS`.
"""

from dataclasses import dataclass

__all__ = ["FORMATS", "FormatEntry"]


@dataclass(frozen=True, slots=True)
class FormatEntry:
    """The home of a format (``module:object``), and the suffixes of the files that it reads and writes."""

    home: str
    reads: tuple[str, ...]
    writes: tuple[str, ...]


FORMATS = {
    "csv": FormatEntry("embedstore.tables.delimited:CSV", (".csv",), (".csv",)),
    "tsv": FormatEntry("embedstore.tables.delimited:TSV", (".tsv", ".tab"), (".tsv",)),
    "jsonl": FormatEntry("embedstore.tables.json_lines:JSONL", (".json", ".jsonl", ".ndjson"), (".jsonl", ".ndjson")),
    "excel": FormatEntry("embedstore.tables.excel:EXCEL", (".xlsx", ".xls", ".xlsb", ".ods"), ()),
    "parquet": FormatEntry("embedstore.tables.parquet:PARQUET", (".parquet", ".pq"), (".parquet", ".pq")),
}
"""Maps the name of each format to its entry."""
