"""Make a label set from a column: each value is a label, described by its most typical texts."""

import numpy as np

from embedstore.core.blank import Blank
from embedstore.core.checks import at_least
from embedstore.core.unit import unit_rows
from embedstore.core.values import is_blank, value_text
from embedstore.labels.label_set import LabelSet
from embedstore.labels.typical import first_apart
from embedstore.learning.fitting import TrainOptions, rows_that_fit
from embedstore.learning.targets import Target, read_target
from embedstore.vectors.snapshot import Snapshot

__all__ = ["label_set_from_column"]


def label_set_from_column(
    now: Snapshot,
    target: str,
    *,
    count: int = 5,
    corpus: str | None = None,
    space: str | None = None,
    blank: Blank = "skip",
) -> LabelSet:
    """Make a label set from a column: each value is a label, described by its most typical texts.

    Typical texts lie far in the direction from the mean of all rows to the mean of the value's rows. Near-duplicates
    are skipped. Of rows whose vectors take more than 0.25 GB, a random sample counts.

    Parameters
    ----------
    now : Snapshot
        The state of the store.
    target : str
        A column of classes, or "annotations".
    count : int
        Number of texts per value.
    corpus, space : str, optional
        Name of the corpus; key or model of the vectors.
    blank : {"skip", "answer"}
        Whether rows with a blank text are left out, or count in the means like others; a blank text describes no label.
    """
    at_least("count", count, 1)
    labelled = Target.of(now, target, corpus, drop_missing=True, blank=blank)
    table = labelled.table
    space_used = now.embeddings(space, [table])
    given = read_target(labelled)
    classes, y = given.classes(target)
    space_used.require(table.positions()[given.rows], table.name)
    some, _ = rows_that_fit(y, 2 * space_used.dimension, TrainOptions())
    positions, y = table.positions()[given.rows[some]], y[some]
    vectors = unit_rows(space_used.at(positions))
    middle = vectors.mean(axis=0)
    texts = []
    for number, value in enumerate(classes):
        mine = np.flatnonzero(y == number)
        typical = vectors[mine] @ (vectors[mine].mean(axis=0) - middle)
        best = first_apart(vectors[mine], np.argsort(-typical, kind="stable"), count)
        found = [text for text in now.texts.at(positions[mine[best]]) if not is_blank(text)]
        texts.append(tuple(found) or (value_text(value),))
    return LabelSet(tuple(value_text(value) for value in classes), tuple(texts), name=target)
