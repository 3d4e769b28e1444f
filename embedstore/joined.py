"""A corpus' rows and columns with new columns beside them: what tagging and prediction give back."""

import logging
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from embedstore.calibration import Reliability
from embedstore.corpus import POSITION, Corpus
from embedstore.metrics import Report

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Joined", "choices", "shares"]

logger = logging.getLogger(__name__)


def choices(
    numbers: npt.NDArray[np.integer[Any]], values: tuple[Any, ...], chosen: npt.NDArray[np.bool_] | None = None
) -> pa.Array:
    """Return `values[numbers]` as a column of 4 bytes a row, null where nothing was `chosen`."""
    mask = None if chosen is None else ~chosen
    return pa.DictionaryArray.from_arrays(pa.array(numbers.astype(np.int32, copy=False), mask=mask), pa.array(values))


def shares(numbers: npt.NDArray[np.integer[Any]], values: tuple[Any, ...]) -> dict[str, float]:
    """Return the share of rows that have each value, in the order of `values`."""
    counts = np.bincount(numbers, minlength=len(values)) / max(1, len(numbers))
    return dict(zip(map(str, values), counts.tolist(), strict=True))


class Joined:
    """The rows of a corpus in order, its columns in order, then the new ones.

    A column of the table that has the name of a new one is kept as ``NAME_input``.

    Parameters
    ----------
    corpus : Corpus
        The table.
    columns : mapping of str to Array
        The new columns, one value per row.
    shares : mapping of str to float
        Share of rows by label, largest first.
    report : Report or None
        Figures against a gold column.
    notes : tuple of str
        What has to be said of the columns.
    reliability : Reliability or None
        How often tags of like confidence are right, where that is known.
    """

    def __init__(
        self,
        corpus: Corpus,
        columns: Mapping[str, pa.Array],
        shares: Mapping[str, float],
        report: Report | None = None,
        *,
        notes: tuple[str, ...] = (),
        reliability: Reliability | None = None,
    ) -> None:
        self.corpus = corpus
        self.notes = notes
        self.reliability = reliability
        self.shares = dict(shares)
        self.report = report
        self._columns = columns
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
        kept = [pa.field(name, field.type) for name, field in zip(self._kept, self.corpus.schema, strict=True)]
        return pa.schema(kept + [pa.field(name, _plain(column).type) for name, column in self._columns.items()])

    def column(self, name: str) -> pa.Array:
        """Return one of the new columns."""
        return self._columns[name]

    def tables(self) -> Iterator[pa.Table]:
        """Yield the rows in order as tables of bounded size."""
        start = 0
        for batch in self.corpus.batches():
            new = [_plain(column.slice(start, batch.num_rows)) for column in self._columns.values()]
            start += batch.num_rows
            yield pa.table([*batch.drop_columns([POSITION]).columns, *new], schema=self.schema)

    def frame(self) -> "pd.DataFrame":
        """Return everything as a pandas DataFrame."""
        frame: pd.DataFrame = pa.concat_tables(list(self.tables())).to_pandas()
        return frame


def _plain(column: pa.Array) -> pa.Array:
    return column.dictionary_decode() if pa.types.is_dictionary(column.type) else column
