"""Find the source for a path, a data frame or rows."""

import codecs
import logging
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pyarrow as pa

from embedstore.errors import InputError
from embedstore.tables.arrow import ArrowSource
from embedstore.tables.base import ReadOptions, Source, find_format, open_bytes
from embedstore.tables.formats import FORMATS

__all__ = ["file_source", "sources_of"]

logger = logging.getLogger(__name__)


def file_source(path: Path, options: ReadOptions, *, name: str, origin: str) -> Source:
    """Return the source that reads `path`.

    Raises
    ------
    InputError
        If the file is missing, is a folder, or its format is unknown.
    """
    if not path.exists():
        raise InputError(f"no such file: {name}")
    if not path.is_file():
        raise InputError(f"expected a file, found a folder: {name}")
    suffixes = {suffix: name for name, entry in FORMATS.items() for suffix in entry.reads}
    format_ = options.format or suffixes.get(_suffix(path.name)) or (None if origin else _sniff(path))
    if format_ is None:
        known = ", ".join(suffixes)
        raise InputError(
            f"{name}: can't tell the format from the name; expected {known} (or .gz of these), or give --format"
        )
    return find_format(format_).source(path, name, origin, options)


def _suffix(name: str) -> str:
    path = Path(name.lower())
    return (path.with_suffix("") if path.suffix == ".gz" else path).suffix


def _sniff(path: Path) -> str:
    with open_bytes(path) as stream:
        head = stream.read(4096).removeprefix(codecs.BOM_UTF8).lstrip()
    if head.startswith(b"PAR1"):
        return "parquet"
    return "jsonl" if head.startswith((b"{", b"[")) else "csv"


def sources_of(table: Any, options: ReadOptions) -> list[Source]:
    """Return the sources for a user's table: rows in memory, or paths of files.

    Raises
    ------
    InputError
        If `table` is neither.
    """
    if isinstance(table, (str, Path)):
        path = Path(table)
        return [file_source(path, options, name=str(path), origin=str(path.resolve()))]
    if isinstance(table, pa.Table):
        return [ArrowSource(table)]
    if hasattr(table, "to_frame") and not hasattr(table, "columns"):
        table = table.to_frame()
    if hasattr(table, "columns") and hasattr(table, "itertuples"):
        return [ArrowSource(_arrow(lambda: _from_pandas(table)))]
    if isinstance(table, Iterable):
        rows = list(table)
        if rows and all(isinstance(row, dict) for row in rows):
            return [ArrowSource(_arrow(lambda: pa.Table.from_pylist(rows)))]
        if rows and all(isinstance(row, (str, Path)) for row in rows):
            return [source for path in rows for source in sources_of(path, options)]
        if rows and all(hasattr(row, "survey") for row in rows):
            return rows
    raise InputError(
        f"expected a DataFrame, an Arrow table, rows as dicts, or paths of files, found {type(table).__name__}"
    )


def _from_pandas(frame: Any) -> pa.Table:
    frame = frame.set_axis([str(name) for name in frame.columns], axis=1)
    columns = {}
    for number, name in enumerate(frame.columns):
        series = frame.iloc[:, number]
        try:
            columns[number] = pa.Array.from_pandas(series)
        except pa.ArrowException:
            logger.warning("column %r holds values of several types: they are kept as text", name)
            columns[number] = pa.array([None if v is None or v != v else str(v) for v in series], pa.string())
    return pa.Table.from_arrays(list(columns.values()), names=list(frame.columns))


def _arrow(make: Callable[[], pa.Table]) -> pa.Table:
    try:
        return make()
    except (pa.ArrowException, UnicodeEncodeError) as error:
        raise InputError(
            f"the table can't be kept: {str(error).splitlines()[0]}; make each column of one type"
        ) from error
