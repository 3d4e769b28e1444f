"""Which rows people answered, and on which they disagree."""

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from embedstore.annotations.annotation import Annotation
from embedstore.annotations.column import ANNOTATIONS, answered_rows
from embedstore.annotations.log import current_answers, majority_labels
from embedstore.corpora.rows import Corpus
from embedstore.desk.query import Query
from embedstore.labels.choice import Choice
from embedstore.labels.label_set import LabelSet
from embedstore.vectors.snapshot import Snapshot

__all__ = ["answer_column", "count_answered", "rows_answered"]


def rows_answered(now: Snapshot, table: Corpus, query: Query, choice: Choice) -> npt.NDArray[np.bool_]:
    """Return which rows of a corpus people answered as `query.answered` says, shape (rows,).

    Answers are those of texts: rows with equal texts have the same ones. Rows without a text have none.

    Parameters
    ----------
    now, table : Snapshot, Corpus
        The state of the store and the corpus.
    query : Query
        What is asked; `Query.answered` is not "".
    choice : Choice
        The labels that were chosen from.
    """
    answers = [one for one in current_answers(now) if one.choice.same_as(choice)]
    places = now.texts.positions_of(_texts(answers, query))
    wanted = np.zeros(len(now.texts), dtype=bool)
    wanted[list(places.values())] = True
    found: npt.NDArray[np.bool_] = wanted[table.positions()]
    return now.texts.answerable(table.positions()) & ~found if query.answered == "none" else found


def count_answered(
    now: Snapshot, table: Corpus, rows: npt.NDArray[np.int64], choice: Choice, *, who: str
) -> dict[str, int]:
    """Count the texts of rows that have a label from a person; a skip is none.

    Parameters
    ----------
    now, table : Snapshot, Corpus
        The state of the store and the corpus.
    rows : ndarray of shape (n,), int64
        Row numbers. Rows with equal texts count once.
    choice : Choice
        The labels that were chosen from.
    who : str
        The person whose answers are counted apart.

    Returns
    -------
    dict
        ``anybody``: number of texts with a label of anybody; ``mine``: with one of `who`.
    """
    answers = [one for one in current_answers(now) if one.label and one.choice.same_as(choice)]
    shown = np.unique(table.positions()[rows])

    def count(texts: list[str]) -> int:
        """Return how many of the texts are those of the rows."""
        return int(np.isin(shown, list(now.texts.positions_of(texts).values())).sum())

    return {
        "anybody": count([one.text for one in answers]),
        "mine": count([one.text for one in answers if one.who == who]),
    }


def answer_column(now: Snapshot, table: Corpus, labels: LabelSet) -> dict[str, pa.ChunkedArray]:
    """Return what people said of each row as a column, by its name; none if nobody answered with these labels.

    The name is "annotations", with "_said" added as often as it takes to have another name than each column of the
    corpus. A row has the label that most people gave; see `embedstore.annotations.column.answered_rows`.
    """
    column = answered_rows(now, table, labels)
    if column is None:
        return {}
    name = ANNOTATIONS
    while name in table.schema.names:
        name += "_said"
    return {name: column}


def _texts(answers: list[Annotation], query: Query) -> list[str]:
    """Return the keys of the texts with such answers."""
    if query.answered == "disagreed":
        return majority_labels(answers)[1]
    return [one.text for one in answers if query.answered != "mine" or one.who == query.who]
