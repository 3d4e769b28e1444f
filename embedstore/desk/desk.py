"""The desk: everything that the page shows and does, as calls from Python."""

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from embedstore.annotations.order import Order
from embedstore.corpora.rows import Corpus
from embedstore.corpora.selected import SelectedCorpus
from embedstore.desk.about import about
from embedstore.desk.answering import answer_column, count_answered
from embedstore.desk.asking import first_rows, least_sure, next_texts
from embedstore.desk.carrying import carry_over
from embedstore.desk.commands import command_for
from embedstore.desk.counting import count_values
from embedstore.desk.judging import Judge
from embedstore.desk.kept import Kept
from embedstore.desk.labelling import answer_rows, take_back
from embedstore.desk.layout import Maps
from embedstore.desk.lens import Lens
from embedstore.desk.news import news_of
from embedstore.desk.query import Query
from embedstore.desk.selecting import Selection
from embedstore.desk.showing import listed
from embedstore.desk.tagged import Tagged
from embedstore.errors import UsageError
from embedstore.reports.predictions import Predictions
from embedstore.store import EmbeddingStore
from embedstore.tables.result import Result
from embedstore.vectors.snapshot import Snapshot

__all__ = ["Desk"]

_MOST_ROWS = 500
_NO_LABELS = Lens()


class Desk:
    """A corpus on a desk: look at it, search it, label it. All calls can be made from several threads.

    Each call sees the newest state of the store. What is slow to make is kept: tags, the map, columns, and the rows of
    the latest queries.

    Parameters
    ----------
    store : EmbeddingStore
        The store.
    corpus, space : str, optional
        Name of the corpus; key or model of the vectors.
    read_only : bool
        Whether nothing is written; so it is too if the store can't be written.

    Attributes
    ----------
    maps : Maps
        The map of the corpus.
    judge : Judge
        What tags and answers are worth.
    """

    def __init__(
        self,
        store: EmbeddingStore,
        *,
        corpus: str | None = None,
        space: str | None = None,
        read_only: bool = False,
    ) -> None:
        self.store = store
        self.read_only = read_only or not os.access(store.path, os.W_OK)
        with store.snapshot() as now:
            table = now.corpus(corpus)
            vectors = now.embeddings(space, [table])
            vectors.require(table.positions(), table.name)
            self.corpus, self.space = table.name, vectors.key
        self.maps = Maps(store, self.corpus, self.space, keep=not self.read_only)
        self._kept = Kept(self.corpus, self.space, self.maps)
        self.judge = Judge(store, self.corpus, self.space, self._kept)

    def about(self) -> dict[str, Any]:
        """Return what the page has to know first, and ``read_only``; see `embedstore.desk.about`."""
        with self.store.snapshot() as now:
            return about(now, self.corpus, self.space) | {"read_only": self.read_only}

    def rows(self, query: Query, lens: Lens = _NO_LABELS, *, start: int = 0, count: int = 50) -> dict[str, Any]:
        """Return some of the rows of a query.

        Returns
        -------
        dict
            ``total``: number of rows of the query. ``rows``: one dict for each, with ``row`` (its number), ``id``,
            ``text`` (at most 2,000 characters), ``length`` (of the whole text), ``key`` (of the text) and ``columns``;
            where they are known, ``similarity``, ``tag``, ``score``, ``margin``, ``answers`` (label by person, "" for a
            skip) and ``agreed``.
        """
        if start < 0 or not 0 <= count <= _MOST_ROWS:
            raise UsageError(f"expected a start of 0 or more and at most {_MOST_ROWS} rows, found {start} and {count}")
        with self.store.snapshot() as now:
            found = self._kept.selected(now, query, lens)
            scores = None if found.scores is None else found.scores[start : start + count]
            part = Selection(found.rows[start : start + count], scores)
            return {"total": len(found), "rows": self._listed(now, part, lens)}

    def text(self, row: int) -> str:
        """Return the whole text of a row, by its number."""
        with self.store.snapshot() as now:
            table = now.corpus(self.corpus)
            return now.texts.at(table.positions()[_numbers(table, [row])])[0]

    def counts(self, query: Query, columns: Sequence[str], lens: Lens = _NO_LABELS) -> dict[str, Any]:
        """Return how often each value of some columns stands in all rows, and in those of a query.

        ``annotations`` is a column too, and with labels ``Predicted_Labels``, ``score`` and ``margin``; see
        `embedstore.desk.counting.count_values`. ``annotations:LABELS`` has no values if nobody answers so.
        """
        with self.store.snapshot() as now:
            rows = self._kept.selected(now, query, lens).rows
            return {name: count_values(self._kept.counted_column(now, name, lens), rows) for name in columns}

    def colours(self, by: str, lens: Lens = _NO_LABELS) -> tuple[tuple[str, ...], npt.NDArray[np.int16]]:
        """Return the groups by which rows are coloured, and the number of each row's group; -1 for a row without one.

        `by` is a column as in `counts`, or if the corpus has no such column, "topics", or "doubts:COLUMN": whether the
        label in a column is likely wrong.
        """
        with self.store.snapshot() as now:
            return self._kept.coloured(now, by, lens)

    def news(self) -> dict[str, Any]:
        """Return what changes by itself, as JSON values; see `embedstore.desk.news.news_of`."""
        with self.store.snapshot() as now:
            return news_of(now, self.corpus, self.space, self.maps)

    def mask(self, query: Query, lens: Lens = _NO_LABELS) -> npt.NDArray[np.bool_]:
        """Return which rows of the corpus a query shows, shape (rows,)."""
        with self.store.snapshot() as now:
            found = np.zeros(len(now.corpus(self.corpus)), dtype=bool)
            found[self._kept.selected(now, query, lens).rows] = True
            return found

    def tags(self, lens: Lens) -> Tagged:
        """Return the tags of all rows."""
        with self.store.snapshot() as now:
            return self._kept.tagged(now, lens)

    def answer(
        self,
        rows: Query | Sequence[int],
        label: str,
        lens: Lens,
        *,
        who: str = "",
        action: str,
        keys: Sequence[str] | None = None,
    ) -> int:
        """Label rows in one action; return the number of texts. See `embedstore.desk.labelling.answer_rows`.

        Parameters
        ----------
        rows : Query, or sequence of int
            All rows of a query, or some by their numbers.
        label : str
            One of the labels of the lens; "" for a skip.
        lens : Lens
            The labels.
        who, action : str
            The person, and the name of the action. The same action counts once.
        keys : sequence of str, optional
            The keys of the texts that the rows had when they were shown.

        Raises
        ------
        InputError
            If the rows have other texts by now.
        """
        with self.store.snapshot() as now:
            table = now.corpus(self.corpus)
            chosen = self._kept.selected(now, rows, lens).rows if isinstance(rows, Query) else _numbers(table, rows)
            return answer_rows(now, table, chosen, label, lens.choice, who=who, action=action, keys=keys)

    def answered(self, query: Query, lens: Lens, *, who: str = "") -> dict[str, int]:
        """Count the texts of a query with an answer; see `embedstore.desk.answering.count_answered`."""
        with self.store.snapshot() as now:
            found = self._kept.selected(now, query, lens)
            return count_answered(now, now.corpus(self.corpus), found.rows, lens.choice, who=who)

    def carry_over(self, before: Lens, lens: Lens, *, renamed: Mapping[str, str] | None = None, action: str) -> int:
        """Take answers over to other labels; return the number of texts. See `embedstore.desk.carrying.carry_over`."""
        with self.store.snapshot() as now:
            return carry_over(now, before.choice, lens.choice, renamed or {}, action=action)

    def take_back(self, action: str) -> int:
        """Take all answers of an action back; return the number of texts."""
        with self.store.snapshot() as now:
            return take_back(now, action)

    def ask(
        self, lens: Lens, *, who: str = "", order: Order = "typical", about: str = "", count: int = 20
    ) -> list[dict[str, Any]]:
        """Return rows to ask a person about next, in order; fewer than `count` if fewer are left. See `rows`.

        `order` is one of `embedstore.annotations.Order`. `about` is a label: then, instead, the rows that are tagged
        with it come, the least certain first.
        """
        how: dict[str, Any] = {"who": who, "order": order, "count": count}
        texts = [] if about else next_texts(self.store, self.corpus, self.space, lens, **how)
        with self.store.snapshot() as now:
            table = now.corpus(self.corpus)
            if about:
                tags = self._kept.tagged(now, lens.with_confidence(None))
                rows = least_sure(now, table, tags, about, lens.choice, who=who)[:count]
            else:
                rows = first_rows(table, texts)
            return self._listed(now, Selection(rows), lens)

    def result(self, query: Query, lens: Lens = _NO_LABELS, *, answers: bool = False) -> Result:
        """Return the rows of a query in the order of the corpus, as a table; with labels, the tags are columns.

        With `answers`, so is what people said with these labels; see `embedstore.desk.answering.answer_column`.
        """
        with self.store.snapshot() as now:
            table = now.corpus(self.corpus)
            rows = np.sort(self._kept.selected(now, query, lens).rows)
            tags = self._kept.tagged(now, lens).columns if lens.labels else {}
            said = answer_column(now, table, lens.labels) if answers and lens.labels else {}
            columns = {name: column.take(rows).combine_chunks() for name, column in (tags | said).items()}
            return Predictions(SelectedCorpus(table, rows), columns, {})

    def command(self, query: Query, lens: Lens = _NO_LABELS) -> str:
        """Return the shell command that gives the same rows; "" if there is none."""
        with self.store.snapshot() as now:
            total = len(self._kept.selected(now, query, lens))
            return command_for(now, now.corpus(self.corpus), query, lens, total)

    def _listed(self, now: Snapshot, part: Selection, lens: Lens) -> list[dict[str, Any]]:
        tags = self._kept.tagged(now, lens) if lens.labels else None
        return listed(now, now.corpus(self.corpus), part, lens, tags)


def _numbers(table: Corpus, rows: Sequence[int]) -> npt.NDArray[np.int64]:
    if not all(isinstance(row, int) and not isinstance(row, bool) and 0 <= row < len(table) for row in rows):
        raise UsageError(f"expected numbers of rows from 0 to {len(table) - 1}")
    return np.array(rows, dtype=np.int64)
