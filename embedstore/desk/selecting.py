"""Find the rows of a query, and their order."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from embedstore.annotations.selection import numbers_where
from embedstore.core.unit import unit_rows
from embedstore.core.values import is_blank
from embedstore.corpora.rows import Corpus
from embedstore.desk.query import Query
from embedstore.errors import UsageError
from embedstore.tables.condition import Condition
from embedstore.vectors.scan import best_labels
from embedstore.vectors.snapshot import Snapshot
from embedstore.vectors.space import Space

__all__ = ["Selection", "inside", "select", "similarities"]


@dataclass(frozen=True, slots=True)
class Selection:
    """The rows of a query in the order in which they are shown.

    Attributes
    ----------
    rows : ndarray of shape (n,), int64
        Row numbers in the corpus.
    scores : ndarray of shape (n,), float32, or None
        Cosine similarity of each row to what was searched for.
    """

    rows: npt.NDArray[np.int64]
    scores: npt.NDArray[np.float32] | None = None

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def nbytes(self) -> int:
        """Size in memory."""
        return self.rows.nbytes + (0 if self.scores is None else self.scores.nbytes)


def select(
    now: Snapshot,
    table: Corpus,
    space: Space,
    query: Query,
    *,
    tags: Mapping[str, pa.ChunkedArray],
    points: npt.NDArray[np.float32] | None,
    among: npt.NDArray[np.bool_] | None = None,
) -> Selection:
    """Return the rows of a query.

    Parameters
    ----------
    now, table, space
        The state of the store, the corpus and its vectors.
    query : Query
        What to show.
    tags : mapping of str to ChunkedArray
        Columns of tags, one value for each row: ``Predicted_Labels``, ``score``, ``margin``.
    points : ndarray of shape (rows, 2), float32, or None
        The map; needed for a lasso.
    among : ndarray of bool, shape (rows,), optional
        The rows that can be shown; by default all.
    """
    condition = query.condition(table)
    rows = np.arange(len(table)) if not condition else numbers_where(now, table, Condition(condition), more=tags)
    if among is not None:
        rows = rows[among[rows]]
    if query.lasso:
        if points is None:
            raise UsageError("a lasso needs a map: ask for one first")
        rows = rows[inside(points[rows], query.lasso)]
    if not query.ranked:
        if query.sort == "unsure" and tags:
            margins = np.nan_to_num(tags["margin"].to_numpy()[rows], nan=np.inf)
            rows = rows[np.argsort(margins, kind="stable")]
        return Selection(rows)
    space.require(table.positions(), table.name)
    asked, itself = _asked(now, table, space, query)
    positions = table.positions()[rows]
    kept = now.texts.answerable(positions) & (rows != itself)
    rows, positions = rows[kept], positions[kept]
    scores = similarities(now, space, asked, positions)
    if query.least is not None:
        enough = scores >= query.least
        rows, scores = rows[enough], scores[enough]
    order = np.argsort(-scores, kind="stable")
    return Selection(rows[order], scores[order])


def _asked(now: Snapshot, table: Corpus, space: Space, query: Query) -> tuple[npt.NDArray[np.float32], int]:
    """Return the unit vector that is searched for, and the number of the row that it is of; -1 for a sentence."""
    if query.like:
        row = table.row_of(query.like)
        position = table.positions()[row : row + 1]
        if not now.texts.answerable(position).all():
            raise UsageError(f"expected a row with a text to search for, found none in row {query.like!r}")
        return unit_rows(space.at(position, table.name))[0], row
    if is_blank(query.meaning):
        raise UsageError("expected a text to search for, found a blank one")
    return now.queries(space)([query.meaning], prompt=space.record.query_prompt)[0], -1


def similarities(
    now: Snapshot, space: Space, vector: npt.NDArray[np.float32], positions: npt.NDArray[np.int64]
) -> npt.NDArray[np.float32]:
    """Return the cosine similarity of a unit vector to the texts at some positions, shape (n,), float32."""
    wanted = np.zeros(len(now.texts), dtype=bool)
    wanted[positions] = True
    found = best_labels(space, np.stack([vector, vector]), wanted)
    return found.score[positions]


def inside(points: npt.NDArray[np.float32], corners: tuple[tuple[float, float], ...]) -> npt.NDArray[np.bool_]:
    """Return which points lie inside a polygon, shape (n,): a ray from them meets its edges an odd number of times.

    A point without a place (NaN) lies outside.
    """
    x, y = points[:, 0].astype(np.float64), points[:, 1].astype(np.float64)
    found = np.zeros(len(points), dtype=bool)
    ends = np.array(corners, dtype=np.float64)
    for (x1, y1), (x2, y2) in zip(ends, np.roll(ends, -1, axis=0), strict=True):
        crosses = (y1 > y) != (y2 > y)
        with np.errstate(divide="ignore", invalid="ignore"):
            found ^= crosses & (x < (x2 - x1) * (y - y1) / (y2 - y1) + x1)
    return found & np.isfinite(x)
