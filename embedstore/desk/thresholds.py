"""What stays tagged at each least confidence, and how often that is right."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from embedstore.annotations.column import ANNOTATIONS, answered_rows, with_annotations
from embedstore.core.cells import plain_values, spelled
from embedstore.corpora.rows import Corpus
from embedstore.desk.tagged import Tagged
from embedstore.errors import InputError
from embedstore.reports.calibration import Reliability, reliability
from embedstore.reports.gold import labels_of, missing_notes, parse_map
from embedstore.reports.metrics import Report
from embedstore.tagging.steps import report_on
from embedstore.vectors.snapshot import Snapshot

__all__ = ["Compared", "threshold_table"]

_STEPS = 101  # of the confidence, from 0 to 1


class Compared:
    """The values of a column beside the tags of the same rows.

    Parameters
    ----------
    now, table : Snapshot, Corpus
        The state of the store and the corpus.
    tags : Tagged
        The tags of all rows, with their confidence.
    column : str
        The column. Without answers, "annotations" has no values.
    mapping : mapping of str to str
        The label that a value stands for; "" leaves its rows out.

    Raises
    ------
    InputError
        If there is no such column, or a value stands for an unknown label.
    """

    def __init__(self, now: Snapshot, table: Corpus, tags: Tagged, column: str, mapping: Mapping[str, str]) -> None:
        self.tags = tags
        self._name = column
        self._mapping = parse_map(mapping, tags.labels.names)
        own = column in table.schema.names
        if column == ANNOTATIONS and not own and answered_rows(now, table, tags.labels) is None:
            self._column = pa.chunked_array([pa.nulls(len(table), pa.string())])
        else:
            self._column = with_annotations(now, table, column, tags.labels).column(column)
        self._notes = missing_notes(table.missing_words(column), column) if own else ()

    def right(self) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
        """Return which rows have a text and a value that stands for a label, and which best labels are that one.

        The label of a row counts whatever its confidence is. Both have the shape (rows,).
        """
        texts = self._column.combine_chunks() if pa.types.is_string(self._column.type) else spelled(self._column)
        coded = texts.dictionary_encode()
        names = self.tags.labels.names
        allowed = [np.isin(names, labels_of(one, names, self._mapping) or []) for one in coded.dictionary.to_pylist()]
        of_value = np.stack([*allowed, np.zeros(len(names), dtype=bool)])
        of_row = of_value[coded.indices.fill_null(len(allowed)).to_numpy(zero_copy_only=False)]
        known = of_row.any(axis=1) & self.tags.has_text
        return known, known & of_row[np.arange(len(of_row)), self.tags.codes]

    def report(self, least: float) -> tuple[Report, Reliability, tuple[str, ...]]:
        """Return the report on the rows of a least confidence, the reliability of all, and notes.

        Raises
        ------
        InputError
            If no row is left, or none of them has a value that stands for a label.
        """
        tags = self.tags
        kept = tags.has_text & (tags.confidence >= np.float32(least))
        found, notes = report_on(
            tags.codes.astype(np.int32),
            kept,
            plain_values(self._column),
            tags.labels,
            self._mapping,
            column=self._name,
        )
        if found is None:
            raise InputError(f"expected a row with a confidence of {least:g} or more, found none: lower the least one")
        known, right = self.right()
        return found, reliability(tags.confidence[known], right[known]), self._notes + notes


def threshold_table(compared: Compared) -> dict[str, Any]:
    """Count what stays tagged at each least confidence from 0 to 1 in steps of 0.01.

    Parameters
    ----------
    compared : Compared
        The tags, and the column that says whether they are right.

    Returns
    -------
    dict
        ``steps``; ``labels``; ``kept`` (steps by labels: rows that keep this tag); ``known`` and ``right`` (for each
        step, of the rows that keep a tag); ``rows`` (with a text) and ``notes``.
    """
    tags = compared.tags
    known, right = compared.right()
    steps = np.arange(_STEPS) / (_STEPS - 1)
    reached = np.searchsorted(steps.astype(np.float32), tags.confidence, side="right")
    labels = len(tags.labels.names)

    def counts(rows: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
        """Return the number of these rows at each step, shape (steps, labels)."""
        cells = reached[rows] * labels + tags.codes[rows]
        found = np.bincount(cells, minlength=(_STEPS + 1) * labels).reshape(-1, labels)
        return np.asarray(found[:0:-1].cumsum(axis=0)[::-1])

    return {
        "steps": steps.tolist(),
        "labels": list(tags.labels.names),
        "kept": counts(tags.has_text).tolist(),
        "known": counts(known).sum(axis=1).tolist(),
        "right": counts(right).sum(axis=1).tolist(),
        "rows": int(tags.has_text.sum()),
        "notes": list(tags.notes),
    }
