"""What is slow to make, kept while the corpus stays as it is: tags, the map, columns, and the rows of queries."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from embedstore.annotations.column import ANNOTATIONS
from embedstore.annotations.selection import column_of
from embedstore.corpora.rows import Corpus
from embedstore.desk.answering import rows_answered
from embedstore.desk.changing import changed_rows
from embedstore.desk.layout import Layout
from embedstore.desk.learners import load_learners
from embedstore.desk.lens import Lens
from embedstore.desk.query import Query
from embedstore.desk.recent import Recent
from embedstore.desk.selecting import Selection, select
from embedstore.desk.tagged import Tagged, tagged
from embedstore.vectors.snapshot import Snapshot

__all__ = ["Kept"]

_LARGEST = 128 << 20  # bytes of each kind of values that are kept


class Kept:
    """The latest tags, maps, columns and rows of queries of a corpus; at most 128 MiB of each kind.

    Parameters
    ----------
    corpus, space : str
        Name of the corpus; key of the vectors.
    """

    def __init__(self, corpus: str, space: str) -> None:
        self._corpus = corpus
        self._space = space
        self._tags: Recent[Tagged] = Recent(8, size=_bytes, largest=_LARGEST)
        self._layouts: Recent[Layout] = Recent(1)
        self._selections: Recent[Selection] = Recent(32, size=_bytes, largest=_LARGEST)
        self._columns: Recent[pa.ChunkedArray] = Recent(16, size=_bytes, largest=_LARGEST)

    def selected(self, now: Snapshot, query: Query, lens: Lens) -> Selection:
        """Return the rows of a query."""
        table = now.corpus(self._corpus)
        lenses = [lens] if query.changed_from is None else [lens, query.changed_from]
        # Whether answers can change which rows these are.
        told = query.answered or ANNOTATIONS in query.where.casefold() or any(one.hangs_on_answers for one in lenses)
        key = (_state(table), query, lens, now.manifest.annotations if told else ())

        def make() -> Selection:
            tags = self.tagged(now, lens).columns if lens.labels else {}
            points = self.layout(now).points(query.map) if query.lasso else None
            among = self._among(now, query, lens) if query.of_rows else None
            return select(now, table, now.embeddings(self._space), query, tags=tags, points=points, among=among)

        return self._selections.of(key, make)

    def _among(self, now: Snapshot, query: Query, lens: Lens) -> npt.NDArray[np.bool_]:
        """Return which rows have the answers, and the change of their tag, that a query asks for."""
        table = now.corpus(self._corpus)
        found = np.ones(len(table), dtype=bool)
        if query.answered:
            found &= rows_answered(now, table, query, lens.choice)
        if query.changed_from is not None:
            before, after = self.tagged(now, query.changed_from), self.tagged(now, lens)
            found &= changed_rows(before, after, dict(query.renamed))
        return found

    def tagged(self, now: Snapshot, lens: Lens) -> Tagged:
        """Return the tags of all rows."""
        table = now.corpus(self._corpus)
        key = (_state(table), lens, now.manifest.annotations if lens.hangs_on_answers else ())
        if least := lens.min_confidence:
            return self._tags.of(key, lambda: self.tagged(now, lens.with_confidence(0)).confident(least))
        if lens.hangs_on_answers or lens.method != "cosine":
            load_learners()
        return self._tags.of(key, lambda: tagged(now, table, lens, space=self._space))

    def layout(self, now: Snapshot) -> Layout:
        """Return the map."""
        table = now.corpus(self._corpus)
        vectors = now.embeddings(self._space)
        positions = table.positions()
        key = (_state(table), vectors.covers([table]))
        return self._layouts.of(key, lambda: Layout(vectors, positions, now.texts.answerable(positions)))

    def column(self, now: Snapshot, name: str, lens: Lens) -> pa.ChunkedArray:
        """Return a column of the corpus, of what people said, or of the tags."""
        table = now.corpus(self._corpus)
        if name in table.schema.names:
            return self._columns.of((_state(table), name), lambda: table.column(name))
        return column_of(now, table, name, more=self.tagged(now, lens).columns if lens.labels else {})


def _bytes(value: Any) -> int:
    return int(value.nbytes)


def _state(table: Corpus) -> object:
    """Return what tells two states of a corpus apart."""
    return table.name, table.record
