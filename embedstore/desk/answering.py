"""Which rows people answered, on which they disagree, and which they are asked about for one label."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from embedstore.annotations.annotation import Annotation
from embedstore.annotations.log import current_answers, majority_labels
from embedstore.corpora.rows import Corpus
from embedstore.desk.query import Query
from embedstore.desk.tagged import Tagged
from embedstore.errors import UsageError
from embedstore.labels.choice import Choice
from embedstore.vectors.snapshot import Snapshot

__all__ = ["first_rows", "least_sure", "rows_answered"]


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


def first_rows(table: Corpus, positions: Sequence[int]) -> npt.NDArray[np.int64]:
    """Return the first row of each text, shape (n,), int64; texts that the corpus does not have are left out."""
    rows, places = table.rows_at(np.array(positions, dtype=np.int64))
    first = dict(zip(reversed(places.tolist()), reversed(rows.tolist()), strict=True))
    return np.array([first[one] for one in positions if one in first], dtype=np.int64)


def least_sure(
    now: Snapshot, table: Corpus, tags: Tagged, label: str, choice: Choice, *, who: str
) -> npt.NDArray[np.int64]:
    """Return the rows that are tagged with a label and that nobody has answered, the least certain first.

    Of rows with equal texts only the first is there; what `who` has skipped is not.

    Parameters
    ----------
    now, table, choice
        As in `rows_answered`.
    tags : Tagged
        The tags of all rows.
    label : str
        The label.
    who : str
        The person.

    Raises
    ------
    UsageError
        If the label is unknown.
    """
    if label not in tags.labels.names:
        raise UsageError(f"expected a label of {', '.join(tags.labels.names)} to ask about, found {label!r}")
    answers = [one for one in current_answers(now) if one.choice.same_as(choice)]
    done = now.texts.positions_of([one.text for one in answers if one.label or one.who == who])
    first = np.sort(np.unique(table.positions(), return_index=True)[1])
    rows = first[
        (tags.codes[first] == tags.labels.names.index(label)) & ~np.isin(table.positions()[first], [*done.values()])
    ]
    margin = tags.columns["margin"].to_numpy()[rows]
    return np.asarray(rows[np.argsort(margin, kind="stable")])


def _texts(answers: list[Annotation], query: Query) -> list[str]:
    """Return the keys of the texts with such answers."""
    if query.answered == "disagreed":
        return majority_labels(answers)[1]
    return [one.text for one in answers if query.answered != "mine" or one.who == query.who]
