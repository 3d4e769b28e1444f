"""The table formats: their file suffixes, and the modules that read and write them.

To add a format: write a module with an object that is an `embedstore.tables.base.FileFormat`, and add a line to
`FORMATS`.
"""

from typing import TYPE_CHECKING, NamedTuple

from embedstore.core.registry import look_up

if TYPE_CHECKING:
    from embedstore.tables.base import FileFormat

__all__ = ["FORMATS", "FormatEntry", "find_format"]


class FormatEntry(NamedTuple):
    """The home of a format (``module:object``), and the suffixes of the files that it reads and writes."""

    home: str
    reads: tuple[str, ...]
    writes: tuple[str, ...]


FORMATS = {
    "csv": FormatEntry("embedstore.tables.separated:CSV", (".csv",), (".csv",)),
    "tsv": FormatEntry("embedstore.tables.separated:TSV", (".tsv", ".tab"), (".tsv",)),
    "jsonl": FormatEntry("embedstore.tables.json_lines:JSONL", (".json", ".jsonl", ".ndjson"), (".jsonl", ".ndjson")),
    "excel": FormatEntry("embedstore.tables.excel:EXCEL", (".xlsx", ".xls", ".xlsb", ".ods"), ()),
    "parquet": FormatEntry("embedstore.tables.parquet:PARQUET", (".parquet", ".pq"), (".parquet", ".pq")),
}
"""Maps the name of each format to its entry."""


def find_format(name: str) -> "FileFormat":
    """Return the format with the given name in `FORMATS`."""
    found: FileFormat = look_up({known: entry.home for known, entry in FORMATS.items()}, name, "a format")
    return found
