"""The result of every query: a table with named columns, and notes such as the rows left out."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from embedstore.core.counts import counted
from embedstore.core.values import clip

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Result", "TableResult"]

_SHOWN = 10  # rows
_WIDTH = 32  # characters of a cell


class Result(ABC):
    """A result: a table whose rows are read on demand.

    A notebook and `print` show the first rows.

    Attributes
    ----------
    notes : tuple of str
        Notes on the rows, for example on rows that were left out.
    """

    notes: tuple[str, ...] = ()

    @property
    @abstractmethod
    def schema(self) -> pa.Schema:
        """Names and types of the columns."""

    @abstractmethod
    def __len__(self) -> int:
        """Return the number of rows."""

    @abstractmethod
    def batches(self) -> Iterator[pa.Table]:
        """Yield the rows in order, as tables of bounded size."""

    def summary(self) -> dict[str, Any]:
        """Return a summary of the result, without its rows, as a JSON object."""
        return {"rows": len(self), **({"notes": list(self.notes)} if self.notes else {})}

    def to_arrow(self) -> pa.Table:
        """Return all rows as one Arrow table."""
        tables = list(self.batches())
        return pa.concat_tables(tables) if tables else self.schema.empty_table()

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        """Return all rows through Arrow's PyCapsule protocol: for Polars, DuckDB, pyarrow, `store.add` and others."""
        return self.to_arrow().__arrow_c_stream__(requested_schema)

    def to_pandas(self) -> "pd.DataFrame":
        """Return all rows as a pandas DataFrame.

        Integers with missing values are pandas' nullable integers, because floats would alter large ones. Dates and
        times that pandas can't hold are text.
        """
        import pandas as pd

        table = self.to_arrow()
        return pd.DataFrame({name: _series(table.column(name)) for name in table.column_names})

    def head(self, rows: int = _SHOWN) -> pa.Table:
        """Return the first rows as an Arrow table."""
        taken, left = [self.schema.empty_table()], rows
        for batch in self.batches():
            taken.append(batch.slice(0, left))
            left -= taken[-1].num_rows
            if left <= 0:
                break
        return pa.concat_tables(taken)

    def save(self, path: str | Path, *, spreadsheet_safe: bool = False) -> None:
        """Write all rows to a file, whole or not at all.

        Parameters
        ----------
        path : path
            The suffix decides the format: ``.csv``, ``.tsv``, ``.jsonl`` or ``.parquet``.
        spreadsheet_safe : bool
            Whether to put an apostrophe before texts that a spreadsheet program would read as a formula.

        Raises
        ------
        OutputError
            If the file can't be written; an earlier file of that name stays unchanged.
        """
        from embedstore.tables import write

        tables, schema = self.batches(), self.schema
        if spreadsheet_safe:
            tables, schema = write.spreadsheet_safe(tables, schema)
        write.write_table(tables, schema, Path(path))

    def __repr__(self) -> str:
        names, lines = self._cells()
        widths = [max(len(line[column]) for line in (names, *lines)) for column in range(len(names))]
        shown = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in lines]
        head = "  ".join(name.ljust(width) for name, width in zip(names, widths, strict=True))
        return "\n".join([line.rstrip() for line in (head, *shown)] + self._foot())

    def _repr_html_(self) -> str:
        import html

        names, lines = self._cells()
        head = "".join(f"<th>{html.escape(name)}</th>" for name in names)
        body = "".join(f"<tr>{''.join(f'<td>{html.escape(cell)}</td>' for cell in line)}</tr>" for line in lines)
        foot = "".join(f"<p>{html.escape(line)}</p>" for line in self._foot())
        return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{foot}"

    def _cells(self) -> tuple[list[str], list[list[str]]]:
        rows = [[_cell(value) for value in row.values()] for row in self.head().to_pylist()]
        return [clip(name, _WIDTH) for name in self.schema.names], rows

    def _foot(self) -> list[str]:
        return [
            f"[{counted(len(self), 'row')}, {counted(len(self.schema), 'column')}]",
            *(f"note: {line}" for line in self.notes),
        ]


class TableResult(Result):
    """A result that is held in memory as a whole.

    Parameters
    ----------
    table : Table
        The rows.
    notes : tuple of str
        Notes on the rows.
    """

    def __init__(self, table: pa.Table, notes: tuple[str, ...] = ()) -> None:
        self.table = table
        self.notes = notes

    @property
    def schema(self) -> pa.Schema:
        """Names and types of the columns."""
        return self.table.schema

    def __len__(self) -> int:
        return int(self.table.num_rows)

    def batches(self) -> Iterator[pa.Table]:
        """Yield the table."""
        yield self.table


def _cell(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    return "" if value is None else clip(str(value), _WIDTH)


def _series(column: pa.ChunkedArray) -> Any:
    """Return a column as pandas holds it without a loss."""
    import pandas as pd

    from embedstore.core.cells import spelled

    if pa.types.is_integer(column.type) and column.null_count:
        name = f"{'UInt' if pa.types.is_unsigned_integer(column.type) else 'Int'}{column.type.bit_width}"
        return column.to_pandas(types_mapper=lambda _: pd.api.types.pandas_dtype(name))
    try:
        return column.to_pandas(integer_object_nulls=True)
    except (pa.ArrowException, ValueError, OverflowError):
        return spelled(column).to_pandas()
