"""Compare the tags of two label sets."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from embedstore.core.blank import Blank
from embedstore.labels.label_set import Labels
from embedstore.reports.predictions import Predictions
from embedstore.tables.result import Result
from embedstore.tagging.pipeline import tag
from embedstore.vectors.snapshot import Snapshot

__all__ = ["Flow", "against"]

_UNTAGGED = "(untagged)"


class Flow(Result):
    """The rows that two label sets tag differently; columns Predicted_Labels and Predicted_Labels_against.

    Attributes
    ----------
    before, after : tuple of str
        The labels of the first and of the second set; "(untagged)" comes last if a row is untagged.
    counts : ndarray of shape (before, after), int64
        Number of rows for each pair of tags; rows that got no answer are not counted.
    changed : ndarray of bool, shape (all rows,)
        Whether the two tags of each row have different names.
    """

    def __init__(self, first: Predictions, second: Predictions) -> None:
        one, two = first.column("Predicted_Labels"), second.column("Predicted_Labels")
        self.before, here = _numbered(one, first.answered)
        self.after, there = _numbered(two, second.answered)
        self.counts: npt.NDArray[np.int64] = np.zeros((len(self.before), len(self.after)), dtype=np.int64)
        np.add.at(self.counts, (here, there), 1)
        differ = np.array([[name != other for other in self.after] for name in self.before], dtype=bool)
        self.changed: npt.NDArray[np.bool_] = np.zeros(len(one), dtype=bool)
        self.changed[first.answered] = differ[here, there]
        columns = {"Predicted_Labels": one, "Predicted_Labels_against": two}
        self._rows = Predictions(first.corpus, columns, first.shares, first.report)
        self.notes = first.notes

    @property
    def schema(self) -> pa.Schema:
        """The names and types of the columns."""
        return self._rows.schema

    def __len__(self) -> int:
        return int(np.count_nonzero(self.changed))

    def batches(self) -> Iterator[pa.Table]:
        """Yield the rows whose tag changed, as tables of bounded size."""
        start = 0
        for table in self._rows.batches():
            yield table.filter(pa.array(self.changed[start : start + table.num_rows]))
            start += table.num_rows

    def summary(self) -> dict[str, Any]:
        """Return both sets of labels, and the number of rows: for each pair of tags, tagged twice, and moved."""
        return {
            "before": self.before,
            "after": self.after,
            "counts": self.counts.tolist(),
            "rows": int(self.counts.sum()),
            "moved": len(self),
        }


def against(
    now: Snapshot,
    labels: Labels,
    other: Labels,
    *,
    corpus: str | None = None,
    space: str | None = None,
    method: str = "cosine",
    shares: Mapping[str, float] | None = None,
    confidence: bool = False,
    min_confidence: float | None = None,
    examples: bool = False,
    blank: Blank = "skip",
    no_encode: bool = False,
) -> Flow:
    """Tag every row with two label sets and return the rows whose tag changes.

    Parameters
    ----------
    now : Snapshot
        The state of the store.
    labels, other : sequence of str, or LabelSet
        The two label sets.
    corpus, space, method, shares, confidence, min_confidence, examples, blank, no_encode
        As in `tag`; they apply to both sets.
    """
    first, second = (
        tag(
            now,
            one,
            corpus=corpus,
            space=space,
            method=method,
            shares=shares,
            confidence=confidence,
            min_confidence=min_confidence,
            examples=examples,
            blank=blank,
            no_encode=no_encode,
        )
        for one in (labels, other)
    )
    return Flow(first, second)


def _numbered(
    tags: pa.DictionaryArray, answered: npt.NDArray[np.bool_]
) -> tuple[tuple[str, ...], npt.NDArray[np.int64]]:
    """Return the labels and the label number of each answered row; untagged rows get the last number."""
    tags = tags if answered.all() else tags.filter(pa.array(answered))
    names = tuple(tags.dictionary.to_pylist())
    numbers = tags.indices.fill_null(len(names)).to_numpy(zero_copy_only=False).astype(np.int64)
    return (*names, _UNTAGGED) if tags.null_count else names, numbers
