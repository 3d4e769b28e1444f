"""Infer the types of columns that a file holds as text: a type is given only where nothing is lost by it."""

from collections.abc import Callable, Iterable, Sequence

import pyarrow as pa

from embedstore.tables.columns import Notes, noted

__all__ = ["CellTypes"]

_INTEGER = r"^(?:0|-?[1-9][0-9]{0,19})$"
_FLOAT = r"^-?(?:[0-9]+\.[0-9]+(?:e[+-][0-9]+)?|[0-9]e[+-][0-9]+|inf)$"
_BOOLEAN = r"^(?:True|False)$"
_FEW = 100  # different missing words of a column that are remembered


class CellTypes:
    """The types of columns of text, found by a look at all rows.

    A column is an integer, a float or a boolean only if each of its cells is written as Python prints that value: so
    ``007``, ``1.10``, ``1e5`` and ``+1`` stay text. Its missing values must be written in one way, so that this too can
    be written back. A column of text keeps its missing words as they are, and a note of what they are.

    Parameters
    ----------
    names : sequence of str
        Names of the columns.
    missing : collection of str
        Cells that mean a missing value, beside the empty cell.
    """

    def __init__(self, names: Sequence[str], missing: Iterable[str]) -> None:
        self._names = list(names)
        self._missing = pa.array(sorted({"", *missing}), pa.string())
        self._kinds = {name: list(_KINDS) for name in names}
        self._nulls: dict[str, set[str]] = {name: set() for name in names}
        self._filled = dict.fromkeys(names, False)

    def add(self, table: pa.Table) -> None:
        """Look at a batch of rows, all columns as text."""
        import pyarrow.compute as pc

        for name in self._names:
            column = table.column(name)
            gone = pc.is_in(column, value_set=self._missing)
            if len(self._nulls[name]) < _FEW and pc.any(gone).as_py():
                self._nulls[name].update(pc.unique(column.filter(gone)).to_pylist())
            values = column.filter(pc.invert(gone)) if pc.any(gone).as_py() else column
            if len(values):
                self._filled[name] = True
                self._kinds[name] = [kind for kind in self._kinds[name] if _FITS[kind](values)]

    def schema(self) -> pa.Schema:
        """Return the fields, with notes on how missing values were written."""
        return pa.schema([self._field(name) for name in self._names])

    def _field(self, name: str) -> pa.Field:
        kinds, nulls = self._kinds[name], self._nulls[name]
        if kinds and self._filled[name] and len(nulls) < 2:
            return noted(name, kinds[0], Notes(written="csv", null=next(iter(nulls), None)))
        return noted(name, pa.string(), Notes(written="csv", missing=tuple(nulls - {""})))

    def without_missing(self, table: pa.Table) -> pa.Table:
        """Return columns of text with null for each cell that means a missing value."""
        return pa.table([self._valid(table.column(name)) for name in self._names], names=self._names)

    def typed(self, table: pa.Table, schema: pa.Schema) -> pa.Table:
        """Return columns of text as the types of a schema; columns of text keep their missing words."""
        import pyarrow.compute as pc

        columns = []
        for field in schema:
            column = table.column(field.name)
            if pa.types.is_string(field.type):
                columns.append(_without(column, pc.equal(column, "")))
            else:
                columns.append(self._valid(column).cast(field.type))
        return pa.table(columns, schema=schema)

    def _valid(self, column: pa.ChunkedArray) -> pa.ChunkedArray:
        import pyarrow.compute as pc

        return _without(column, pc.is_in(column, value_set=self._missing))


def _without(column: pa.ChunkedArray, gone: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return a column with null where `gone` says so; without a copy if nothing is gone."""
    import pyarrow.compute as pc

    return pc.if_else(gone, None, column) if pc.any(gone).as_py() else column


def _all_match(values: pa.ChunkedArray, pattern: str) -> bool:
    import pyarrow.compute as pc

    return bool(pc.all(pc.match_substring_regex(values, pattern)).as_py())


def _are_integers(type_: pa.DataType) -> Callable[[pa.ChunkedArray], bool]:
    def fits(values: pa.ChunkedArray) -> bool:
        if not _all_match(values, _INTEGER):
            return False
        try:
            values.cast(type_)
        except pa.ArrowInvalid:  # outside of the type's range
            return False
        return True

    return fits


def _are_floats(values: pa.ChunkedArray) -> bool:
    return _all_match(values, _FLOAT) and all(repr(float(cell)) == cell for cell in values.to_pylist())


_FITS: dict[pa.DataType, Callable[[pa.ChunkedArray], bool]] = {
    pa.int64(): _are_integers(pa.int64()),
    pa.uint64(): _are_integers(pa.uint64()),
    pa.float64(): _are_floats,
    pa.bool_(): lambda values: _all_match(values, _BOOLEAN),
}
_KINDS = tuple(_FITS)
