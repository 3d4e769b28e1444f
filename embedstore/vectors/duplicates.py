"""Find groups of rows with equal or nearly equal texts, within a corpus and across corpora."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from embedstore.core.blank import Blank, blank_notes
from embedstore.core.counts import counted
from embedstore.core.masks import numbered
from embedstore.core.memory import require_memory
from embedstore.corpora.rows import Corpus, id_array
from embedstore.errors import UsageError
from embedstore.tables.result import TableResult
from embedstore.vectors.pairs import PairSearch, joined_groups, pair_cosines
from embedstore.vectors.snapshot import Snapshot
from embedstore.vectors.space import Space

__all__ = ["Duplicate", "Duplicates", "find_duplicates"]


_A_ROW = 150  # bytes that are held of a row


class Duplicate(NamedTuple):
    """A row of a group: corpus, row number (from 0), id, and cosine similarity to the group's first row."""

    corpus: str
    row: int
    id: Any
    similarity: float


class Duplicates(TableResult):
    """Groups of rows with equal or nearly equal texts, the largest first.

    The columns are group (int64, from 1), size (int64), corpus, id, similarity to the group's first row (float32) and
    text. Ids keep their type if all have the same type; otherwise they are strings.

    Attributes
    ----------
    groups : list of list of Duplicate
        Each group lists its rows in the order of corpora, then of rows. Groups of equal size are in the order of
        their first rows.
    rows_in_groups : int
        Number of rows in the groups.
    spanning : int
        Number of groups with rows of more than one corpus.
    """

    def __init__(
        self, groups: list[list[Duplicate]], texts: list[str], spanning: int, notes: tuple[str, ...] = ()
    ) -> None:
        self.groups = groups
        self.spanning = spanning
        flat = [(number, len(group), row) for number, group in enumerate(groups, 1) for row in group]
        self.rows_in_groups = len(flat)
        columns = {
            "group": pa.array([number for number, _, _ in flat], pa.int64()),
            "size": pa.array([size for _, size, _ in flat], pa.int64()),
            "corpus": pa.array([row.corpus for _, _, row in flat], pa.string()),
            "id": id_array([row.id for _, _, row in flat]),
            "similarity": pa.array([row.similarity for _, _, row in flat], pa.float32()),
            "text": pa.array(texts, pa.string()),
        }
        super().__init__(pa.table(columns), notes)

    def summary(self) -> dict[str, Any]:
        """Return the number of groups, of rows in groups, and of groups that span corpora."""
        return {"groups": len(self.groups), "rows": self.rows_in_groups, "spanning": self.spanning}


def find_duplicates(
    now: Snapshot,
    threshold: float = 0.95,
    *,
    corpora: Sequence[str] = (),
    space: str | None = None,
    leaks: bool = False,
    how: PairSearch | None = None,
    blank: Blank = "skip",
) -> Duplicates:
    """Find groups of rows whose texts are equal, or whose cosine similarity is at least `threshold`.

    A chain of such pairs forms a group. Two rows of a group can therefore be less similar than the threshold; so can a
    row and the group's first row. Similarities are computed in float32: a pair within about 1e-6 of the threshold can
    fall on either side.

    Parameters
    ----------
    now : Snapshot
        The state of the store.
    threshold : float
        Lowest cosine similarity of a pair; above 0, at most 1.
    corpora : sequence of str
        Names of the corpora to compare, within each and across; by default all.
    space : str, optional
        Key or model name of the vectors. Vectors without unit length are divided by their norms.
    leaks : bool
        Keep only groups with rows of more than one corpus, such as training rows that leaked into a test set.
    how : PairSearch, optional
        Search settings. By default every pair of up to 100,000 distinct texts is compared. Above that, a text is
        compared with those in the nearest lists of similar texts, and a note says so.
    blank : {"skip", "answer"}
        Whether rows with a blank text are left out, or compared like others.

    Raises
    ------
    UsageError
        If the threshold is out of range, or `leaks` is set with fewer than two corpora.
    ModelRequiredError
        If a row's text has no vector yet.
    """
    if not 0 < threshold <= 1:
        raise UsageError(f"expected a threshold above 0 and at most 1, found {threshold}")
    tables = list({name: now.corpus(name) for name in corpora}.values()) if corpora else now.corpora
    vectors_of = now.embeddings(space, tables)
    if leaks and len(tables) < 2:
        raise UsageError(f"expected at least two corpora to look for leaks between, found {len(tables)}")
    for table in tables:
        vectors_of.require(table.positions(), table.name)
    count = sum(map(len, tables))
    require_memory(_A_ROW * count, f"the comparison of {counted(count, 'row')}", "compare fewer corpora at a time")
    rows, notes = _rows(vectors_of, tables, blank)
    distinct, which = numbered(rows.position, len(now.texts))

    def rows_of(numbers: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        return vectors_of.unit_at(distinct[numbers])

    group, more = joined_groups(len(distinct), rows_of, threshold, how or PairSearch())
    kept = _largest_first(rows, group[which], leaks=leaks)
    similarity = pair_cosines(rows_of, which[kept.members], which[kept.leaders])
    ids = _ids_of(tables, rows, kept.members)
    found = [
        Duplicate(tables[number].name, row, id_, score)
        for number, row, id_, score in zip(
            rows.corpus[kept.members].tolist(), rows.row[kept.members].tolist(), ids, similarity.tolist(), strict=True
        )
    ]
    ends = np.cumsum(kept.sizes).tolist()
    groups = [found[start:end] for start, end in zip([0, *ends], ends, strict=False)]
    return Duplicates(groups, now.texts.at(rows.position[kept.members]), kept.spanning, notes + more)


@dataclass(frozen=True, slots=True)
class _Rows:
    """Rows in the order of corpora: corpus number, row number, text position; each of shape (rows,), int64."""

    corpus: npt.NDArray[np.int64]
    row: npt.NDArray[np.int64]
    position: npt.NDArray[np.int64]


def _rows(space: Space, corpora: Sequence[Corpus], blank: Blank) -> tuple[_Rows, tuple[str, ...]]:
    """Return the rows to compare, and a note with the number of the other rows."""
    kept = [np.flatnonzero(space.texts.answerable(corpus.positions(), blank)) for corpus in corpora]
    numbers = [np.full(len(rows), number) for number, rows in enumerate(kept)]
    positions = [corpus.positions()[rows] for corpus, rows in zip(corpora, kept, strict=True)]
    none = [np.empty(0, dtype=np.int64)]
    rows = sum(map(len, corpora))
    notes = blank_notes(rows - sum(map(len, kept)), rows)
    return _Rows(*(np.concatenate(none + parts) for parts in (numbers, kept, positions))), notes


@dataclass(frozen=True, slots=True)
class _Groups:
    """Groups of two or more rows, the largest first.

    `sizes` is the number of rows of each group. `members` lists all rows, group by group. `leaders` is the first row
    of each member's group. `spanning` is the number of groups with rows of more than one corpus.
    """

    sizes: npt.NDArray[np.int64]
    members: npt.NDArray[np.int64]
    leaders: npt.NDArray[np.int64]
    spanning: int


def _largest_first(rows: _Rows, group: npt.NDArray[np.int64], *, leaks: bool) -> _Groups:
    """Return the groups from each row's group number, from 0; with `leaks`, only groups that span corpora."""
    sizes, rows_back = np.bincount(group), np.arange(len(group))[::-1]
    first = np.empty(len(sizes), dtype=np.int64)
    first[group[::-1]] = rows_back  # the last of equal numbers stays: that of the first row
    spans = np.zeros(len(sizes), dtype=bool)
    spans[group[rows.corpus != rows.corpus[first[group]]]] = True
    kept = np.flatnonzero(spans if leaks else sizes > 1)
    kept = kept[np.lexsort((first[kept], -sizes[kept]))]
    place = np.full(len(sizes), -1)
    place[kept] = np.arange(len(kept))
    members = np.flatnonzero(place[group] >= 0)
    members = members[np.argsort(place[group[members]], kind="stable")]
    return _Groups(sizes[kept], members, first[group[members]], int(np.count_nonzero(spans[kept])))


def _ids_of(tables: Sequence[Corpus], rows: _Rows, members: npt.NDArray[np.int64]) -> list[Any]:
    ids: list[Any] = [None] * len(members)
    for number, table in enumerate(tables):
        lines = np.flatnonzero(rows.corpus[members] == number)
        if len(lines):
            for line, id_ in zip(lines.tolist(), table.ids_at(rows.row[members[lines]]), strict=True):
                ids[line] = id_
    return ids
