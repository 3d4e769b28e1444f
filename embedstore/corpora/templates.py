"""From columns to texts: find the template that the user means, and fill it in for each row."""

import re
from collections.abc import Sequence

import pyarrow as pa

from embedstore.errors import InputError

__all__ = ["render", "template_columns", "to_template"]

_FIELD = re.compile(r"\{([^{}]+)\}")


def to_template(text: str | Sequence[str], columns: Sequence[str], template: str | None = None) -> str:
    """Return the template for the user's choice of columns.

    Parameters
    ----------
    text : str or sequence of str
        Column names, or one template such as ``"{title}: {text}"``.
    columns : sequence of str
        The table's columns; the name of a column is never read as a template.
    template : str, optional
        A template for the columns in `text`; it can name only these.

    Examples
    --------
    >>> to_template("review", ["review"])
    '{review}'
    >>> to_template(["title", "text"], ["title", "text"])
    '{title} {text}'
    """
    names = [text] if isinstance(text, str) else list(text)
    if template is None and len(names) == 1 and names[0] not in columns and _FIELD.search(names[0]):
        return names[0]
    if template is None:
        return " ".join(f"{{{name}}}" for name in names)
    if unknown := [name for name in template_columns(template) if name not in names]:
        raise InputError(f"the template uses {{{unknown[0]}}}, which is not among the text columns {', '.join(names)}")
    if not template_columns(template):
        raise InputError(f"the template {template!r} names no column: expected one such as {{{names[0]}}}")
    return template


def template_columns(template: str) -> list[str]:
    """Return the columns named in a template, in order.

    Examples
    --------
    >>> template_columns("{title}: {text}")
    ['title', 'text']
    """
    return list(dict.fromkeys(_FIELD.findall(template)))


def render(template: str, table: pa.Table) -> list[str]:
    """Return the filled-in template of each row; a missing value is '', and so is a row without any value."""
    names = template_columns(template)
    columns = {name: table.column(name).to_pylist() for name in names}
    if template == f"{{{names[0]}}}":
        return ["" if value is None else str(value) for value in columns[names[0]]]
    pieces = _FIELD.split(template)
    texts = []
    for row in range(table.num_rows):
        values = {name: "" if columns[name][row] is None else str(columns[name][row]) for name in names}
        filled = [values[piece] if number % 2 else piece for number, piece in enumerate(pieces)]
        texts.append("".join(filled) if any(values.values()) else "")
    return texts
