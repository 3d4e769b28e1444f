"""Which rows people answered, and on which they disagree."""

import numpy as np
import numpy.typing as npt

from embedstore.annotations.annotation import Annotation
from embedstore.annotations.log import current_answers, majority_labels
from embedstore.corpora.rows import Corpus
from embedstore.desk.query import Query
from embedstore.labels.choice import Choice
from embedstore.vectors.snapshot import Snapshot

__all__ = ["rows_answered"]


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


def _texts(answers: list[Annotation], query: Query) -> list[str]:
    """Return the keys of the texts with such answers."""
    if query.answered == "disagreed":
        return majority_labels(answers)[1]
    return [one.text for one in answers if query.answered != "mine" or one.who == query.who]
