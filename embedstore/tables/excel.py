"""Read sheets of Excel and of LibreOffice."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa

from embedstore.core.counts import counted
from embedstore.errors import InputError, MissingExtraError, OutputError
from embedstore.tables.base import BATCH_ROWS, FileSource, ReadOptions, Survey, first_line
from embedstore.tables.values import ValueTypes

__all__ = ["EXCEL", "ExcelSource"]


class ExcelSource(FileSource):
    """A sheet: the first row holds the column names, and numbers, dates and texts are typed by the sheet."""

    def __init__(self, path: Path, name: str, origin: str, options: ReadOptions) -> None:
        super().__init__(path, name, origin)
        self._options = options

    def survey(self) -> Survey:
        """Read all rows once; return the row count and the column types."""
        names, rows = self._rows()
        if not rows:
            raise InputError(f"{self.name} has no rows: expected a row of column names and at least one row")
        types = ValueTypes()
        for name, column in zip(names, zip(*rows, strict=True), strict=True):
            types.add_column(name, column)
        return Survey(len(rows), types.schema())

    def batches(self, schema: pa.Schema) -> Iterator[tuple[pa.Table, pa.Table]]:
        """Yield each batch of rows as two tables, which are the same for sheets."""
        _, rows = self._rows()
        for start in range(0, len(rows), BATCH_ROWS):
            columns = zip(*rows[start : start + BATCH_ROWS], strict=True)
            table = pa.table(
                [ValueTypes.column(values, field) for values, field in zip(columns, schema, strict=True)], schema=schema
            )
            yield table, table

    def _rows(self) -> tuple[list[str], list[list[Any]]]:
        sheet = self._sheet()
        missing = self._options.missing_words | {""}
        cells = [[_cell(value, missing) for value in row] for row in sheet.to_python(skip_empty_area=True)]
        if self._options.columns:
            names, rows = list(self._options.columns), cells
        else:
            head, rows = (cells[0], cells[1:]) if cells else ([], [])
            names = [f"Unnamed: {number}" if name is None else str(name) for number, name in enumerate(head)]
        rows = [row for row in rows if any(value is not None for value in row)]
        if rows and len(rows[0]) != len(names):
            raise InputError(f"{self.name}: expected {counted(len(names), 'column')} as named, found {len(rows[0])}")
        return names, rows

    def _sheet(self) -> Any:
        try:
            from python_calamine import CalamineError, CalamineWorkbook
        except ImportError as error:
            raise MissingExtraError(
                f"{self.name}: a sheet is read by python-calamine: pip install 'embedstore[excel]', or save it as CSV"
            ) from error
        try:
            book = CalamineWorkbook.from_path(str(self._path))
            named = self._options.sheet or book.sheet_names[0]
            if named not in book.sheet_names:
                raise InputError(
                    f"{self.name} has no sheet {named!r}: choose one of {', '.join(book.sheet_names)} with --sheet"
                )
            return book.get_sheet_by_name(named)
        except (CalamineError, OSError, IndexError) as error:
            raise InputError(f"{self.name} is no sheet of Excel or LibreOffice: {first_line(error)}") from error


def _cell(value: Any, missing: frozenset[str]) -> Any:
    """Return a cell's value; sheets hold whole numbers as floats."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return None if isinstance(value, str) and value in missing else value


class _Excel:
    """Sheets as a `FileFormat` that is only read."""

    def source(self, path: Path, name: str, origin: str, options: ReadOptions) -> ExcelSource:
        """Return a source for the file."""
        return ExcelSource(path, name, origin, options)

    def write(self, tables: Iterable[pa.Table], schema: pa.Schema, path: Path) -> None:
        """Refuse: no file name leads here."""
        raise OutputError(f"can't write {path}: sheets are only read")


EXCEL = _Excel()
