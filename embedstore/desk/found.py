"""Columns that are found out: the topic of each row, and whether its label is doubtful."""

import numpy as np
import pyarrow as pa

from embedstore.annotations.selection import column_of
from embedstore.corpora.rows import Corpus
from embedstore.desk.learners import load_learners
from embedstore.learning.doubts import find_doubts
from embedstore.topics.pipeline import find_topics
from embedstore.vectors.snapshot import Snapshot

__all__ = ["AS_GIVEN", "DOUBTS", "LIKELY_WRONG", "TOPICS", "doubts_column", "topics_column"]

TOPICS = "topics"
"""Name of the column of topics, in a corpus that has no column of this name."""

DOUBTS = "doubts:"
"""Beginning of the name of a column of doubts; the name of the column of labels follows."""

LIKELY_WRONG, AS_GIVEN = "likely wrong", "as given"
"""The values of a column of doubts."""


def topics_column(now: Snapshot, table: Corpus, space: str) -> pa.ChunkedArray:
    """Return the name of each row's topic, shape (rows,); null for a row without a text. See `find_topics`."""
    load_learners()
    found = find_topics(now, corpus=table.name, space=space)
    return pa.chunked_array([found.column("topic_name").dictionary_decode()])


def doubts_column(now: Snapshot, table: Corpus, space: str, labels: str) -> pa.ChunkedArray:
    """Return whether the label of each row is likely wrong, shape (rows,); null for a row without one.

    Parameters
    ----------
    now : Snapshot
        The state of the store.
    table : Corpus
        The corpus.
    space : str
        Key of the vectors.
    labels : str
        The column of labels, or "annotations". See `find_doubts`.
    """
    load_learners()
    found = find_doubts(now, labels, corpus=table.name, space=space, drop_missing=True)
    column = np.full(len(table), AS_GIVEN, dtype=object)
    column[found.rows] = LIKELY_WRONG
    given = column_of(now, table, labels).is_valid().to_numpy() & now.texts.answerable(table.positions())
    return pa.chunked_array([pa.array(column, pa.string(), mask=~given)])
