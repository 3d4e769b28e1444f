"""The result of tagging and prediction: a corpus' rows and columns, with new columns."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from embedstore.core.arrays import array_from, decoded
from embedstore.core.cells import array_of
from embedstore.corpora.rows import POSITION, Corpus
from embedstore.errors import UsageError
from embedstore.tables.result import Result

if TYPE_CHECKING:
    from embedstore.reports.calibration import Reliability
    from embedstore.reports.metrics import Report
    from embedstore.reports.multilabel import MultilabelReport

__all__ = ["Predictions", "coded", "member_columns", "member_shares", "shares_of"]

logger = logging.getLogger(__name__)


def coded(
    numbers: npt.NDArray[np.integer[Any]], values: tuple[Any, ...], chosen: npt.NDArray[np.bool_] | None = None
) -> pa.Array:
    """Return `values[numbers]` as a column of 4 bytes per row, null where `chosen` is False."""
    mask = None if chosen is None else ~chosen
    return pa.DictionaryArray.from_arrays(array_from(numbers.astype(np.int32, copy=False), mask), array_of(values))


def shares_of(numbers: npt.NDArray[np.integer[Any]], values: tuple[Any, ...]) -> dict[str, float]:
    """Return the share of rows with each value, in the order of `values`."""
    counts = np.bincount(numbers, minlength=len(values)) / max(1, len(numbers))
    return dict(zip(map(str, values), counts.tolist(), strict=True))


def member_shares(members: npt.NDArray[np.bool_], names: Sequence[str]) -> dict[str, float]:
    """Return the share of rows that have each label; `members` has the shape (rows, labels)."""
    return dict(zip(names, (members.sum(axis=0) / max(1, len(members))).tolist(), strict=True))


def member_columns(
    members: npt.NDArray[np.bool_],
    names: Sequence[str],
    *,
    scores: npt.NDArray[np.floating[Any]] | None = None,
    confidence: npt.NDArray[np.floating[Any]] | None = None,
) -> dict[str, pa.Array]:
    """Return the columns for rows with several labels each.

    These are ``Predicted_Labels``, a list for each row; a column of booleans for each label; and, for each label,
    ``score LABEL`` and ``confidence LABEL`` if they are given.

    Parameters
    ----------
    members : ndarray of bool, shape (rows, labels)
        Whether a row has a label.
    names : sequence of str
        The labels.
    scores, confidence : ndarray of shape (rows, labels), optional
        Figures of each label.

    Raises
    ------
    UsageError
        If two columns would have one name.
    """
    numbers = pa.array(np.nonzero(members)[1])
    starts = np.concatenate([[0], np.cumsum(members.sum(axis=1))]).astype(np.int32)
    found: dict[str, pa.Array] = {
        "Predicted_Labels": pa.ListArray.from_arrays(pa.array(starts), pa.array(names, pa.string()).take(numbers))
    }
    columns = [(name, members[:, number]) for number, name in enumerate(names)]
    for kind, figures in (("score", scores), ("confidence", confidence)):
        if figures is not None:
            columns += [(f"{kind} {name}", figures[:, number].astype(np.float32)) for number, name in enumerate(names)]
    for name, values in columns:
        if name in found:
            raise UsageError(f"a column for a label can't be called {name!r}, as another column is: rename the label")
        found[name] = pa.array(values)
    return found


class Predictions(Result):
    """The rows and columns of a corpus in order, followed by the new columns.

    A corpus column with the name of a new one is renamed to ``NAME_input``.

    Parameters
    ----------
    corpus : Corpus
        The corpus.
    columns : mapping of str to Array
        The new columns, one value per row.
    shares : mapping of str to float
        Share of rows of each label.
    report : Report, MultilabelReport or None
        Metrics against a gold column.
    notes : tuple of str
        Notes to the user about the columns.
    reliability : Reliability or None
        Accuracy of tags by confidence, if labels are known.
    title : str
        Title of a picture.
    answered : ndarray of bool, shape (rows,), optional
        The rows that got an answer. `columns` then has values for these rows alone; the others get null.

    Attributes
    ----------
    answered : ndarray of bool, shape (rows,)
        The rows that got an answer.
    """

    def __init__(
        self,
        corpus: Corpus,
        columns: Mapping[str, pa.Array],
        shares: Mapping[str, float],
        report: "Report | MultilabelReport | None" = None,
        *,
        notes: tuple[str, ...] = (),
        reliability: "Reliability | None" = None,
        title: str = "",
        answered: npt.NDArray[np.bool_] | None = None,
    ) -> None:
        self.corpus = corpus
        self.notes = notes
        self.reliability = reliability
        self.shares = dict(shares)
        self.report = report
        self.title = title
        self.answered = np.ones(len(corpus), dtype=bool) if answered is None else answered
        self._columns = _spread(columns, self.answered)
        self._kept = []
        for name in corpus.schema.names:
            kept = name
            while kept in columns or (kept != name and kept in corpus.schema.names):
                kept += "_input"
            if kept != name:
                logger.warning("the table has a column %r of its own: it is given back as %r", name, kept)
            self._kept.append(kept)

    @property
    def schema(self) -> pa.Schema:
        """Names and types of all columns."""
        kept = [field.with_name(name) for name, field in zip(self._kept, self.corpus.schema, strict=True)]
        return pa.schema(kept + [pa.field(name, _plain_type(column.type)) for name, column in self._columns.items()])

    def __len__(self) -> int:
        return len(self.corpus)

    def column(self, name: str) -> pa.Array:
        """Return a new column."""
        return self._columns[name]

    def batches(self) -> Iterator[pa.Table]:
        """Yield the rows in order, as tables of bounded size."""
        start, schema = 0, self.schema
        for batch in self.corpus.batches():
            new = [_plain(column.slice(start, batch.num_rows)) for column in self._columns.values()]
            start += batch.num_rows
            yield pa.table([*batch.drop_columns([POSITION]).columns, *new], schema=schema)

    def summary(self) -> dict[str, Any]:
        """Return shares and metrics as a JSON object."""
        found: dict[str, Any] = {"corpus": self.corpus.name, "rows": len(self), "shares": self.shares}
        if self.report:
            found["report"] = self.report.to_json()
        if self.reliability:
            found["calibration_error"] = self.reliability.error
        if self.notes:
            found["notes"] = self.notes
        return found

    def plot(self, path: str | Path) -> None:
        """Draw shares, plus what the report and reliability have to show, to a .png, .svg or .html file."""
        from embedstore.reports.pictures import Panel, Shares, draw

        panels: list[Panel] = [Shares(self.shares)]
        if self.report:
            panels += self.report.panels()
        if self.reliability:
            panels.append(self.reliability)
        draw(Path(path), panels, self.title)


def _spread(columns: Mapping[str, pa.Array], answered: npt.NDArray[np.bool_]) -> dict[str, pa.Array]:
    """Return the columns of the answered rows as columns of all rows, null in the others."""
    if answered.all():
        return dict(columns)
    places = pa.array(np.cumsum(answered, dtype=np.int32) - 1, mask=~answered)
    return {name: column.take(places) for name, column in columns.items()}


def _plain(column: pa.Array) -> pa.Array:
    return decoded(column) if pa.types.is_dictionary(column.type) else column


def _plain_type(type_: pa.DataType) -> pa.DataType:
    return type_.value_type if pa.types.is_dictionary(type_) else type_
