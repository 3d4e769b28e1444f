"""Which rows a person is asked about next."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from embedstore.annotations.log import current_answers
from embedstore.annotations.order import Order
from embedstore.corpora.rows import Corpus
from embedstore.desk.learners import load_learners
from embedstore.desk.lens import Lens
from embedstore.desk.tagged import Tagged
from embedstore.errors import UsageError
from embedstore.labels.choice import Choice
from embedstore.store import EmbeddingStore
from embedstore.vectors.snapshot import Snapshot

__all__ = ["first_rows", "least_sure", "next_texts"]


def next_texts(
    store: EmbeddingStore, corpus: str, space: str, lens: Lens, *, who: str, order: Order, count: int
) -> list[int]:
    """Return the positions of the texts that `embedstore annotate` would ask about next.

    Parameters
    ----------
    store : EmbeddingStore
        The store.
    corpus, space : str
        Name of the corpus; key of the vectors.
    lens : Lens
        The labels.
    who, order
        See `embedstore.annotations.AnnotationBook.session`.
    count : int
        Most texts.
    """
    load_learners()
    session = store.annotations.session(lens.chosen, corpus=corpus, space=space, order=order, who=who)
    return session.ahead(count)


def first_rows(table: Corpus, positions: Sequence[int]) -> npt.NDArray[np.int64]:
    """Return the first row of each text that the corpus still has, in the order of the texts, shape (n,), int64."""
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
    now, table : Snapshot, Corpus
        The state of the store and the corpus.
    tags : Tagged
        The tags of all rows.
    label : str
        The label.
    choice : Choice
        The labels that answers choose from.
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
