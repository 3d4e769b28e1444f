"""From columns to texts: find the template that the user means, and fill it in for each row."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa

from embedstore.core.cells import spelled
from embedstore.errors import InputError, UsageError

__all__ = ["Template"]


@dataclass(frozen=True, slots=True)
class Template:
    """How a row becomes a text, parsed once.

    Attributes
    ----------
    text : str
        The template as the user would write it, such as ``"{title}: {text}"``.
    literals : tuple of str
        The text before the first column, between columns, and after the last: one more than there are columns.
    columns : tuple of str
        The columns in order; one can be there twice.
    """

    text: str
    literals: tuple[str, ...]
    columns: tuple[str, ...]

    @classmethod
    def parse(cls, text: str, columns: Sequence[str]) -> "Template":
        """Parse a template such as ``"{title}: {text}"``.

        Parameters
        ----------
        text : str
            Names in braces stand for columns, all other characters for themselves.
        columns : sequence of str
            The table's columns. The longest name that fits is taken, so names can have braces.

        Examples
        --------
        >>> Template.parse("{title}: {a{b}}!", ["title", "a{b}"])
        Template(text='{title}: {a{b}}!', literals=('', ': ', '!'), columns=('title', 'a{b}'))
        """
        known = [re.escape(name) for name in sorted(columns, key=len, reverse=True)]
        pieces = re.split("{(" + "|".join([*known, "[^{}]+"]) + ")}", text)
        return cls(text, tuple(pieces[::2]), tuple(pieces[1::2]))

    @classmethod
    def choose(cls, text: str | Sequence[str], columns: Sequence[str], template: str | None = None) -> "Template":
        """Return the template for the user's choice of columns.

        Parameters
        ----------
        text : str or sequence of str
            Column names, or one template.
        columns : sequence of str
            The table's columns; the name of a column is never read as a template.
        template : str, optional
            A template for the columns in `text`; it can name only these.

        Raises
        ------
        UsageError
            If a template stands beside another column or template.
        InputError
            If `template` names no column, or one that is not in `text`.

        Examples
        --------
        >>> Template.choose("review", ["review"]).text
        '{review}'
        >>> Template.choose(["title", "text"], ["title", "text"]).text
        '{title} {text}'
        """
        names = [text] if isinstance(text, str) else list(text)
        if not names:
            raise UsageError("expected the column of the texts, found none")
        written = [name for name in names if name not in columns and cls.parse(name, columns).columns]
        if written and (len(names) > 1 or template is not None):
            raise UsageError(
                f"expected column names or one template, found the template {written[0]!r} beside "
                f"{next((name for name in names if name != written[0]), template)!r}: put all columns into one template"
            )
        if written:
            return cls.parse(names[0], columns)
        if template is None:
            literals = ("", *[" "] * (len(names) - 1), "")
            return cls(" ".join(f"{{{name}}}" for name in names), literals, tuple(names))
        found = cls.parse(template, names)
        if unknown := [name for name in found.columns if name not in names]:
            raise InputError(
                f"the template uses {{{unknown[0]}}}, which is not among the text columns {', '.join(names)}"
            )
        if not found.columns:
            raise InputError(f"the template {template!r} names no column: expected one such as {{{names[0]}}}")
        return found

    def fill(self, table: pa.Table) -> list[str]:
        """Return the text of each row; a missing value is '', and so is a row without any value."""
        cells = {name: spelled(table.column(name)).fill_null("").to_pylist() for name in set(self.columns)}
        columns = [cells[name] for name in self.columns]
        if len(columns) == 1 and not any(self.literals):
            return list(columns[0])
        first, *others = self.literals
        return [
            first + "".join(value + literal for value, literal in zip(row, others, strict=True)) if any(row) else ""
            for row in zip(*columns, strict=True)
        ]
