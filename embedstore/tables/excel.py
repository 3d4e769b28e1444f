"""Read sheets of Excel and of LibreOffice."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from embedstore.core.counts import counted
from embedstore.core.values import value_text
from embedstore.errors import InputError, MissingExtraError, OutputError
from embedstore.tables.base import BATCH_ROWS, FileSource, ReadOptions, Survey, first_line
from embedstore.tables.columns import Notes, noted, notes_on
from embedstore.tables.values import ValueTypes
from embedstore.tables.widening import without_missing

__all__ = ["EXCEL", "ExcelSource"]


class ExcelSource(FileSource):
    """A sheet: the first row holds the column names; numbers, booleans and texts are typed by it, dates are text."""

    def __init__(self, path: Path, name: str, origin: str, options: ReadOptions) -> None:
        super().__init__(path, name, origin)
        self._options = options

    def survey(self) -> Survey:
        """Read all rows once; return the row count and the column types."""
        names, rows = self._rows()
        if not rows:
            raise InputError(f"{self.name} has no rows: expected a row of column names and at least one row")
        columns = zip(*rows, strict=True)
        fields = [self._field(name, values) for name, values in zip(names, columns, strict=True)]
        return Survey(len(rows), pa.schema(fields))

    def batches(self, schema: pa.Schema) -> Iterator[tuple[pa.Table, pa.Table]]:
        """Yield each batch of rows as two tables: without missing words (for texts), and typed."""
        _, rows = self._rows()
        for start in range(0, len(rows), BATCH_ROWS):
            cells = zip(*rows[start : start + BATCH_ROWS], strict=True)
            columns = [self._column(values, field) for values, field in zip(cells, schema, strict=True)]
            raw = [without_missing(column, field) for column, field in zip(columns, schema, strict=True)]
            yield pa.table(raw, schema=schema), pa.table(columns, schema=schema)

    def _field(self, name: str, values: Sequence[Any]) -> pa.Field:
        words = {value for value in values if isinstance(value, str) and value in self._options.missing_words}
        types = ValueTypes()
        types.add_column(name, [value for value in values if not (isinstance(value, str) and value in words)])
        field = types.schema().field(0)
        if pa.types.is_string(field.type) or len(words) + (None in values) > 1:
            return noted(name, pa.string(), Notes(missing=tuple(words)))
        return noted(name, field.type, replace(notes_on(field), null=next(iter(words), None)))

    def _column(self, values: Sequence[Any], field: pa.Field) -> pa.Array:
        if not pa.types.is_string(field.type):
            values = [None if isinstance(value, str) else value for value in values]
        return ValueTypes.column(values, field)

    def _rows(self) -> tuple[list[str], list[list[Any]]]:
        cells = [[_cell(value) for value in row] for row in self._sheet().to_python(skip_empty_area=True)]
        if self._options.columns:
            names, rows = list(self._options.columns), cells
        else:
            head, rows = (cells[0], cells[1:]) if cells else ([], [])
            names = [f"Unnamed: {number}" if name is None else value_text(name) for number, name in enumerate(head)]
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


def _cell(value: Any) -> Any:
    """Return a cell's value; sheets hold whole numbers as floats, and nothing as an empty text."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return None if value == "" else value


class _Excel:
    """Sheets as a `FileFormat` that is only read."""

    def source(self, path: Path, name: str, origin: str, options: ReadOptions) -> ExcelSource:
        """Return a source for the file."""
        return ExcelSource(path, name, origin, options)

    def write(self, tables: Iterable[pa.Table], schema: pa.Schema, path: Path) -> None:
        """Refuse: no file name leads here."""
        raise OutputError(f"can't write {path}: sheets are only read")


EXCEL = _Excel()
