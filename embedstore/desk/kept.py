"""What is slow to make, kept while the corpus stays as it is: tags, columns, and the rows of queries."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from embedstore.annotations.column import ANNOTATIONS, is_annotations
from embedstore.annotations.log import current_answers
from embedstore.annotations.selection import column_of
from embedstore.corpora.rows import Corpus
from embedstore.desk.answering import rows_answered
from embedstore.desk.changing import changed_rows
from embedstore.desk.found import DOUBTS, TOPICS, doubts_column, topics_column
from embedstore.desk.layout import Maps
from embedstore.desk.learners import load_learners
from embedstore.desk.lens import Lens
from embedstore.desk.query import Query
from embedstore.desk.recent import Recent
from embedstore.desk.selecting import Selection, select
from embedstore.desk.showing import groups
from embedstore.desk.tagged import Tagged, tagged
from embedstore.vectors.snapshot import Snapshot

__all__ = ["Kept"]

_LARGEST = 128 << 20  # bytes of each kind of values that are kept


class Kept:
    """The latest tags, columns and rows of queries of a corpus; at most 128 MiB of each kind.

    Parameters
    ----------
    corpus, space : str
        Name of the corpus; key of the vectors.
    maps : Maps
        The map of the corpus.
    """

    def __init__(self, corpus: str, space: str, maps: Maps) -> None:
        self._corpus = corpus
        self._space = space
        self._maps = maps
        self._tags: Recent[Tagged] = Recent(8, size=_bytes, largest=_LARGEST)
        self._selections: Recent[Selection] = Recent(32, size=_bytes, largest=_LARGEST)
        self._columns: Recent[pa.ChunkedArray] = Recent(16, size=_bytes, largest=_LARGEST)

    def selected(self, now: Snapshot, query: Query, lens: Lens) -> Selection:
        """Return the rows of a query."""
        table = now.corpus(self._corpus)
        lenses = [lens] if query.changed_from is None else [lens, query.changed_from]
        # Whether answers can change which rows these are.
        told = query.answered or ANNOTATIONS in query.where.casefold() or any(one.hangs_on_answers for one in lenses)
        drawn = self._maps.plane(now) if query.lasso and query.map != "pca" else None
        key = (_state(table), query, lens, now.manifest.annotations if told else (), drawn)

        def make() -> Selection:
            tags = self.tagged(now, lens).columns if lens.labels else {}
            points = self._maps.layout(now).points(query.map) if query.lasso else None
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

    def coloured(self, now: Snapshot, by: str, lens: Lens) -> tuple[tuple[str, ...], npt.NDArray[np.int16]]:
        """Return the groups by which rows are coloured, and the number of each row's group; see `Desk.colours`."""
        if by == "Predicted_Labels" and lens.labels and by not in now.corpus(self._corpus).schema.names:
            return lens.labels.names, self.tagged(now, lens).codes
        return groups(self.column(now, by, lens))

    def column(self, now: Snapshot, name: str, lens: Lens) -> pa.ChunkedArray:
        """Return a column of the corpus, of what people said, of the tags, or one that is found out."""
        table = now.corpus(self._corpus)
        key = _state(table), name
        if name in table.schema.names:
            return self._columns.of(key, lambda: table.column(name))
        if name == TOPICS:
            return self._columns.of(key, lambda: topics_column(now, table, self._space))
        if name.startswith(DOUBTS):
            labels = name.removeprefix(DOUBTS)
            said = now.manifest.annotations if labels not in table.schema.names else ()
            return self._columns.of((*key, said), lambda: doubts_column(now, table, self._space, labels))
        return column_of(now, table, name, more=self.tagged(now, lens).columns if lens.labels else {})

    def counted_column(self, now: Snapshot, name: str, lens: Lens) -> pa.ChunkedArray:
        """Return a column as `column` does, empty for labels that nobody has answered with.

        The last answer can be taken back between what told of it and this.
        """
        table, labels = now.corpus(self._corpus), name.partition(":")[2]
        said = is_annotations(name) and labels and name not in table.schema.names
        if said and not any(answer.choice.matches_name(labels) for answer in current_answers(now)):
            return pa.chunked_array([pa.nulls(len(table), pa.string())])
        return self.column(now, name, lens)


def _bytes(value: Any) -> int:
    return int(value.nbytes)


def _state(table: Corpus) -> object:
    """Return what tells two states of a corpus apart."""
    return table.name, table.record
