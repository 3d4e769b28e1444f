"""What the desk shows: the rows of a filter, of a search, or inside an outline on the map."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal, TypeGuard, get_args

from embedstore.core.checks import shown
from embedstore.corpora.rows import Corpus
from embedstore.corpora.templates import Template
from embedstore.desk.lens import Lens, renamed_labels
from embedstore.errors import UsageError
from embedstore.tables.condition import Condition

__all__ = ["Answered", "MapMethod", "Query", "Sort", "words_condition"]

Sort = Literal["rows", "unsure"]
MapMethod = Literal["pca", "neighbours"]
Answered = Literal["", "any", "none", "mine", "disagreed"]

_FEWEST_CORNERS = 3
_FARTHEST = 1e150  # of corners: products of their distances are then finite


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """Which rows the desk shows, and in which order. All that is given must hold.

    Parameters
    ----------
    where : str
        A condition on the columns; see `embedstore.tables.condition.Condition`. With labels, ``Predicted_Labels``,
        ``score`` and ``margin`` are columns too.
    words : str
        A part of the text, in upper or lower case.
    meaning : str
        A sentence: rows come in the order of their similarity to it.
    like : str
        The id of a row: other rows come in the order of their similarity to it.
    least : float, optional
        The least cosine similarity of a row to `meaning` or `like`.
    lasso : tuple of (float, float)
        The corners of an outline on the map.
    map : {"pca", "neighbours"}
        The map that the lasso is drawn on.
    sort : {"rows", "unsure"}
        Without `meaning` and `like`: the order of the corpus, or the least sure tags first.
    answered : {"", "any", "none", "mine", "disagreed"}
        Rows that people answered with the labels, that nobody did, that `who` did, or on which people disagree: they
        gave different labels, and no label was given most often. A skip is an answer.
    who : str
        The person whose answers are "mine".
    changed_from : Lens, optional
        Other labels: the rows that have another tag through them.
    renamed : tuple of (str, str)
        Names of labels in `changed_from`, and their present names: such tags are the same.

    Raises
    ------
    UsageError
        If a field has another form.
    """

    where: str = ""
    words: str = ""
    meaning: str = ""
    like: str = ""
    least: float | None = None
    lasso: tuple[tuple[float, float], ...] = ()
    map: MapMethod = "pca"
    sort: Sort = "rows"
    answered: Answered = ""
    who: str = ""
    changed_from: Lens | None = None
    renamed: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        for name in ("where", "words", "meaning", "like", "who"):
            if not isinstance(getattr(self, name), str):
                raise UsageError(f"expected {name} of a query to be a text, found {shown(getattr(self, name))}")
        for name, kind in (("sort", Sort), ("map", MapMethod), ("answered", Answered)):
            if getattr(self, name) not in get_args(kind):
                known = ", ".join(filter(None, get_args(kind)))
                raise UsageError(f"expected {name} to be one of {known}, found {shown(getattr(self, name))}")
        if self.changed_from is not None and not isinstance(self.changed_from, Lens):
            raise UsageError(f"expected a lens that tags have changed from, found {shown(self.changed_from)}")
        if self.meaning and self.like:
            raise UsageError("expected a sentence or a row to be similar to, found both")
        if self.least is not None and not _is_number(self.least):
            raise UsageError(f"expected a number for the least similarity, found {shown(self.least)}")
        if not all(len(corner) == 2 and all(map(_is_place, corner)) for corner in self.lasso):
            raise UsageError("expected the corners of a lasso as pairs of numbers")
        if self.lasso and len(self.lasso) < _FEWEST_CORNERS:
            raise UsageError(f"expected a lasso of at least 3 corners, found {len(self.lasso)}")

    @classmethod
    def from_json(cls, value: object) -> "Query":
        """Return the query in a JSON object; fields that are left out have their defaults."""
        known = {field.name for field in fields(cls)}
        if not isinstance(value, Mapping) or not known.issuperset(value):
            raise UsageError(f"expected a query with any of {', '.join(sorted(known))}, found {shown(value)}")
        given: dict[str, Any] = dict(value)
        if "lasso" in given:
            try:
                given["lasso"] = tuple(tuple(corner) for corner in given["lasso"])
            except TypeError as error:
                raise UsageError("expected the corners of a lasso as pairs of numbers") from error
        if given.get("changed_from") is not None:
            given["changed_from"] = Lens.from_json(given["changed_from"])
        if "renamed" in given:
            given["renamed"] = renamed_labels(given["renamed"])
        return cls(**given)

    @property
    def of_rows(self) -> bool:
        """Whether it asks for more of a row than its columns: its answers, or its tag through other labels."""
        return bool(self.answered) or self.changed_from is not None

    @property
    def ranked(self) -> bool:
        """Whether rows come in the order of their similarity to something."""
        return bool(self.meaning or self.like)

    def condition(self, table: Corpus) -> str:
        """Return the condition on the columns of a corpus that `where` and `words` make; "" for none.

        Raises
        ------
        UsageError
            If `where` is not one expression.
        """
        where = self.where if self.where.strip() else ""
        if not self.words:
            return where
        words = words_condition(table, self.words)
        return f"({Condition(where).expression}\n) AND {words}" if where else words


def words_condition(table: Corpus, words: str) -> str:
    """Return a condition that holds for rows whose text has `words` in it, in upper or lower case.

    Examples
    --------
    The corpus has the text ``{title}: {review}``; the words are "it's":
    ``contains(lower(coalesce("title", '') || ': ' || coalesce("review", '')), lower('it''s'))``.
    """
    template = Template.parse(table.record.template, table.schema.names)
    several = len(template.columns) > 1
    columns = [_quoted(name) for name in template.columns]
    columns = [f"coalesce(CAST({column} AS VARCHAR), '')" if several else column for column in columns]
    parts = [_text(template.literals[0])] if template.literals[0] else []
    for column, literal in zip(columns, template.literals[1:], strict=True):
        parts += [column, _text(literal)] if literal else [column]
    found = f"contains(lower({' || '.join(parts)}), lower({_text(words)}))"
    if words.casefold() not in "".join(template.literals).casefold():
        return found
    return f"{found} AND {' || '.join(columns)} <> ''"  # a row without any value has no text, not even these literals


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= sys.float_info.max


def _is_place(value: object) -> bool:
    return _is_number(value) and abs(value) <= _FARTHEST
