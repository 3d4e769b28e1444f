"""Some rows of a corpus, as a corpus."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from embedstore.core.arrays import array_from
from embedstore.core.counts import counted
from embedstore.corpora.rows import Corpus
from embedstore.errors import NotFoundError

__all__ = ["SelectedCorpus"]


class SelectedCorpus(Corpus):
    """Some rows of a corpus, in their order; rows without an id column keep their numbers as ids.

    Parameters
    ----------
    whole : Corpus
        The corpus.
    rows : ndarray of shape (n,), int64
        The numbers of the rows, ascending.
    """

    def __init__(self, whole: Corpus, rows: npt.NDArray[np.int64]) -> None:
        super().__init__(whole.root, whole.name, whole.record)
        self._whole = whole
        self._rows = rows

    def __len__(self) -> int:
        return len(self._rows)

    def __repr__(self) -> str:
        return f"<{len(self):,} of {self._whole!r}>"

    @property
    def schema(self) -> pa.Schema:
        """The user's columns and their types, in order."""
        return self._whole.schema

    def batches(self, columns: Sequence[str] | None = None) -> Iterator[pa.Table]:
        """Yield the rows in order as tables of bounded size; see `Corpus.batches`."""
        start = 0
        for table in self._whole.batches(columns):
            end = start + table.num_rows
            low, high = np.searchsorted(self._rows, [start, end])
            if low < high:
                yield table.take(self._rows[low:high] - start)
            start = end

    def positions(self) -> npt.NDArray[np.int64]:
        """Return the position of each row's text: shape (rows,), read-only."""
        with self._lock.held():
            if self._positions is None:
                self._positions = self._whole.positions()[self._rows]
                self._positions.setflags(write=False)
            return self._positions

    def ids(self) -> pa.ChunkedArray:
        """Return the id of each row: its value in the id column, or its number in the whole corpus."""
        if not self.record.id_column:
            return pa.chunked_array([array_from(self._rows)])
        return super().ids()

    def numbers_of(self, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Return the numbers of some of these rows in the whole corpus."""
        return np.asarray(self._rows[rows])

    def ids_at(self, rows: npt.NDArray[np.int64]) -> list[Any]:
        """Return the ids of a few rows, in the order of `rows`."""
        return self._whole.ids_at(self._rows[rows])

    def row_of(self, id_: object) -> int:
        """Return the place of the row with the given id among these rows; see `Corpus.row_of`."""
        if self.record.id_column:
            return super().row_of(id_)
        place = self.place_of(self._whole.row_of(id_))
        if place < 0:
            raise NotFoundError(f"row {id_!r} of corpus {self.name!r} is not one of the {counted(len(self), 'row')}")
        return place

    def place_of(self, row: int) -> int:
        """Return the place of a row of the whole corpus among these rows; -1 if it is not one of them."""
        place = int(np.searchsorted(self._rows, row))
        return place if place < len(self._rows) and self._rows[place] == row else -1
