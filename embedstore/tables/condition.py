"""A condition on the rows of a table, as SQL: ``stars <= 2 AND product = 'kettle'``.

DuckDB reads and evaluates it. It can reach nothing but the columns: no files, no network, no other tables.
"""

import json
from collections.abc import Iterator
from functools import cache, cached_property
from itertools import accumulate
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from embedstore.core.checks import shown
from embedstore.core.values import clip, is_blank, is_unicode
from embedstore.errors import UsageError

__all__ = ["Condition"]

_EXAMPLE = "stars <= 2 AND product = 'kettle'"
_ROW = "embedstore_row"
_LOCKED: dict[str, str | bool | int | float | list[str]] = {
    "enable_external_access": False,
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
    "python_enable_replacements": False,
}
_DEEPEST = 500  # brackets in one another: DuckDB's parser takes gigabytes for 5,000 that are never closed
_REFUSED = {
    "SUBQUERY": "a query of its own",
    "WINDOW": "a function over other rows",
    "PARAMETER": "a parameter",
    "POSITIONAL_REFERENCE": "the number of a column",
}
_ADVICE = 'the name of a column stands in double quotes if it has a space or is a word of SQL ("order")'


class Condition:
    """A condition that each row of a table fulfils or not.

    Parameters
    ----------
    expression : str
        An SQL expression of columns that is true or false, in DuckDB's dialect. Each row is judged by its own values:
        queries, window functions and aggregates are refused, and so are functions such as ``random()``, which do not
        give the same twice. A row for which it is unknown (null) does not fulfil it. Times with a zone are in UTC.

    Raises
    ------
    UsageError
        If it is not one expression.

    Examples
    --------
    >>> condition = Condition("stars <= 2 AND product ILIKE '%kettle%'")
    >>> condition.names
    ('stars', 'product')
    >>> condition.mask(pa.table({"stars": [1, 5], "product": ["Kettle", "Kettle"]})).tolist()
    [True, False]
    """

    def __init__(self, expression: str) -> None:
        import duckdb

        if not is_unicode(expression):
            raise UsageError(f"expected a condition as a text in UTF-8, such as {_EXAMPLE}; found {shown(expression)}")
        self.expression = expression
        if is_blank(expression):
            raise self._error("it is blank")
        if _most_open(expression) > _DEEPEST:
            raise self._error(f"more than {_DEEPEST} brackets are open at once")
        try:
            self._read = duckdb.SQLExpression(expression)  # refuses what is more than one expression
        except duckdb.Error as error:
            raise self._error(_first_line(error)) from error
        tree = self._parsed()
        for node in _nodes(tree):
            if refused := _REFUSED.get(str(node.get("class"))):
                raise self._error(f"{refused} can't be part of it")
        self._check_functions({str(node["function_name"]).lower() for node in _nodes(tree) if "function_name" in node})
        self.every_column = any(node.get("class") == "STAR" for node in _nodes(tree))
        self.names = tuple(dict.fromkeys(_column_names(tree)))

    def __repr__(self) -> str:
        return f"Condition({self.expression!r})"

    def mask(self, table: pa.Table) -> npt.NDArray[np.bool_]:
        """Return which rows of a table fulfil the condition, shape (rows,).

        Parameters
        ----------
        table : Table
            The columns that the condition names, or more.

        Raises
        ------
        UsageError
            If the condition is not true or false, or can't be evaluated on these columns.
        """
        import duckdb

        numbered = table.append_column(_ROW, pa.array(np.arange(table.num_rows)))
        try:
            rows = self._connection.cursor().from_arrow(numbered)  # a connection serves one thread at a time
            type_ = str(rows.project(self._read).types[0])
            if type_ not in ("BOOLEAN", '"NULL"'):
                raise self._error(f"it is not true or false, but a value of type {clip(type_, 40)}", table.schema)
            found = rows.filter(self._read).project(_ROW).fetchnumpy()[_ROW]
        except duckdb.Error as error:
            raise self._error(_first_line(error), table.schema) from error
        mask = np.zeros(table.num_rows, dtype=bool)
        mask[np.asarray(found)] = True
        return mask

    @cached_property
    def _connection(self) -> Any:
        import duckdb

        made = duckdb.connect(":memory:", config=_LOCKED)
        made.execute("LOAD icu")  # it is part of the package: without it there are no zones
        made.execute("SET GLOBAL TimeZone = 'UTC'")
        made.execute("SET lock_configuration = true")
        return made

    def _check_functions(self, names: set[str]) -> None:
        """Refuse functions that give something else each time."""
        for name in sorted(names.intersection(_volatile()) if names else ()):
            raise self._error(f"{name}() can't be part of it: it does not give the same twice")

    def _parsed(self) -> Any:
        """Return the syntax tree of the expression, as DuckDB gives it."""
        query = f"SELECT (\n{self.expression}\n) FROM rows"  # noqa: S608 - it is read, not run
        found = self._connection.execute("SELECT json_serialize_sql(?)", [query]).fetchall()
        return json.loads(found[0][0])

    def _error(self, problem: str, schema: pa.Schema | None = None) -> UsageError:
        types = ", ".join(f"{field.name} ({field.type})" for field in list(schema or ())[:20])
        return UsageError(
            f"expected a condition that each row fulfils or not, such as {_EXAMPLE}; "
            f"found {clip(self.expression, 80)!r}{types and f' of {types}'}: {problem}"
        )


@cache
def _volatile() -> frozenset[str]:
    """Return the names of DuckDB's functions that can give something else each time."""
    import duckdb

    query = "SELECT DISTINCT function_name FROM duckdb_functions() WHERE stability = 'VOLATILE'"
    with duckdb.connect(":memory:", config=_LOCKED) as connection:
        return frozenset(name for (name,) in connection.execute(query).fetchall())


def _most_open(expression: str) -> int:
    """Return how many round brackets are open at once, at most; those in texts count too."""
    steps = (1 if one == "(" else -1 for one in expression if one in "()")
    return max(accumulate(steps), default=0)


def _nodes(tree: Any) -> Iterator[dict[str, Any]]:
    """Yield every object in a syntax tree."""
    if isinstance(tree, dict):
        yield tree
        for value in tree.values():
            yield from _nodes(value)
    elif isinstance(tree, list):
        for value in tree:
            yield from _nodes(value)


def _column_names(tree: Any, own: frozenset[str] = frozenset()) -> Iterator[str]:
    """Yield the names of columns in a syntax tree, without the `own` names of functions (``lambda x: …``)."""
    if isinstance(tree, dict):
        if tree.get("class") == "LAMBDA":
            yield from _column_names(tree["expr"], own | set(_column_names(tree["lhs"])))
            return
        if tree.get("class") == "COLUMN_REF" and tree["column_names"][0] not in own:
            yield tree["column_names"][0]
        tree = list(tree.values())
    if isinstance(tree, list):
        for value in tree:
            yield from _column_names(value, own)


def _first_line(error: Exception) -> str:
    """Return the first line of a message of DuckDB, without the kind of the error."""
    line = (str(error).splitlines() or [""])[0]
    line = line.partition(": ")[2] or line
    if "max_expression_depth" in line:
        return "it is nested too deeply"
    if "syntax error" in line:
        line += f" ({_ADVICE})"
    return clip("it is more than one expression" if "SQLExpression" in line else line, 200)
