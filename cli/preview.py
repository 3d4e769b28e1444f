"""Rows on a terminal: the first ones of a long table, or all of a list, in its width."""

from typing import IO, TYPE_CHECKING

from embedstore.cli.terminal import echo, note, terminal_width

from embedstore.core.counts import counted
from embedstore.core.layout import cut, table
from embedstore.core.values import clip

if TYPE_CHECKING:
    import pyarrow as pa

    from embedstore.reports import Predictions
    from embedstore.tables.result import Result

__all__ = ["print_list", "print_preview"]

_ROWS = 10
_LEAST = 40  # columns of a line
_ID, _NEW, _TEXT = 16, 24, 12  # most characters of an id and of a new column, least of a text
_CELL = 48  # most columns of a cell in a list, but for an id and a text
_GAP = "  "


def print_preview(found: "Predictions") -> None:
    """Print the first rows: id, text and the new columns, as many as fit; then how to keep all rows."""
    head = found.head(_ROWS)
    width = max(_LEAST, terminal_width() or _LEAST)
    corpus = found.corpus
    own = head.select(range(len(corpus.schema))).rename_columns(corpus.schema.names)
    left = [_column("id" if corpus.record.id_column else "row", _ids(own, corpus.record.id_column), _ID)]
    new = head.column_names[len(corpus.schema) :]
    fitting: list[list[str]] = []
    free = width - len(left[0][0]) - len(_GAP) - _TEXT
    for name in new:
        column = _column(name, [_shown(value) for value in head.column(name).to_pylist()], _NEW)
        free -= len(column[0]) + len(_GAP)
        if free < 0 and fitting:
            break
        fitting.append(column)
    texts = _texts(own, corpus.record.template)
    room = max(_TEXT, width - sum(len(column[0]) + len(_GAP) for column in [*left, *fitting]))
    columns = [*left, _column("text", texts, room, least=room), *fitting]
    for line in zip(*columns, strict=True):
        echo(_GAP.join(line).rstrip())
    shown = f"{head.num_rows:,} of {counted(len(found), 'row')}"
    hidden = len(corpus.schema) + len(new) - len(fitting)
    note(f"{shown} shown, without {counted(hidden, 'column')}: -o FILE.csv keeps all, -o - prints all")


def print_list(result: "Result", stream: IO[str]) -> None:
    """Print all rows of a result as a list, its text last.

    Cells are cut, and columns without a value are left out: a file has them.
    """
    if not len(result):
        note(counted(0, "row"))
        return
    found = result.to_arrow()
    names, columns = [], []
    for name in sorted(found.column_names, key=lambda name: name == "text"):
        cells = [_shown(value) for value in found.column(name).to_pylist()]
        if any(cells):
            names.append(name)
            columns.append([name, *(cells if name in ("id", "text") else [cut(cell, _CELL) for cell in cells])])
    align = "".join(">" if _is_number(found.schema.field(name).type) else "<" for name in names)
    rows = list(zip(*columns, strict=True))
    for line in table(rows, align, width=terminal_width(), last=names[-1] == "text"):
        stream.write(line + "\n")


def _is_number(type_: "pa.DataType") -> bool:
    import pyarrow as pa

    return bool(pa.types.is_integer(type_) or pa.types.is_floating(type_))


def _column(name: str, cells: list[str], most: int, *, least: int = 0) -> list[str]:
    """Return a column's name and cells, all of one length."""
    shown = [clip(cell, most) for cell in (name, *cells)]
    width = max(least, *map(len, shown))
    return [cell.ljust(width) for cell in shown]


def _ids(table: "pa.Table", id_column: str) -> list[str]:
    if not id_column:
        return [str(row) for row in range(table.num_rows)]
    return [_shown(value) for value in table.column(id_column).to_pylist()]


def _texts(table: "pa.Table", template: str) -> list[str]:
    from embedstore.corpora.templates import Template

    parsed = Template.parse(template, table.column_names)
    return parsed.fill(table) if parsed.columns else [""] * table.num_rows


def _shown(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.3f}"
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return "" if value is None else str(value)
