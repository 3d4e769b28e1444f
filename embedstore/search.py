"""Nearest rows of a text, of a row, or of many texts at once."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from embedstore.corpus import Corpus
from embedstore.errors import NotFoundError, UsageError
from embedstore.index import Indexes
from embedstore.scan import top_positions
from embedstore.space import Space, text_starts, texts_at
from embedstore.storage.records import Manifest
from embedstore.vectors import unit_rows

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Matches", "Neighbour", "matches_of", "nearest", "row_owner", "search"]

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Neighbour:
    """One row found: its corpus, its number there (from 0), its text's position, its cosine similarity."""

    corpus: str
    row: int
    position: int
    score: float


def search(
    root: Path,
    manifest: Manifest,
    space: Space,
    corpora: Sequence[Corpus],
    query: str | Sequence[str] | None,
    row: object,
    vectors_of: Callable[[Sequence[str]], npt.NDArray[np.float32]],
    k: int,
    indexes: Indexes | None,
) -> "Matches":
    """Return the rows nearest to texts, or to a row; see `EmbeddingStore.search`."""
    exclude = None
    if row is not None:
        asker, number = row_owner(corpora, row)
        exclude = (asker.name, number)
        position = asker.positions()[number : number + 1]
        vectors = unit_rows(space.at(position, asker.name))
        queries = texts_at(root, manifest, position)
    else:
        queries = [query] if isinstance(query, str) else list(query or ())
        if not queries or any(not text.strip() for text in queries):
            raise UsageError("expected a text to search for, found none or a blank one")
        vectors = vectors_of(queries)
    answers = nearest(root, manifest, space, corpora, vectors, k, indexes=indexes, exclude=exclude)
    positions = np.array([found.position for answer in answers for found in answer], dtype=np.int64)
    return matches_of(answers, queries, texts_at(root, manifest, positions), corpora)


def nearest(
    root: Path,
    manifest: Manifest,
    space: Space,
    corpora: Sequence[Corpus],
    queries: npt.NDArray[np.float32],
    k: int,
    *,
    indexes: Indexes | None = None,
    exclude: tuple[str, int] | None = None,
) -> list[list[Neighbour]]:
    """Return for each query its `k` nearest rows, best first; equal scores in the order of corpora and rows.

    Parameters
    ----------
    root, manifest, space
        The store, its state, the vectors.
    corpora : sequence of Corpus
        Whose rows may be found.
    queries : ndarray of shape (q, dim), float32
        Unit vectors.
    k : int
        How many rows.
    indexes : Indexes, optional
        Asked where that pays; by default all vectors are scanned.
    exclude : (str, int), optional
        Corpus and number of the row that asks.

    Raises
    ------
    UsageError
        If `k` is below 1 or above the number of rows.
    """
    rows = sum(len(corpus) for corpus in corpora) - (exclude is not None)
    if not 1 <= k <= rows:
        raise UsageError(f"expected a k from 1 to the {rows:,} rows that can be found, found {k}")
    wanted = np.zeros(int(text_starts(manifest)[-1]), dtype=bool)
    for corpus in corpora:
        positions = corpus.positions()
        space.require(positions, corpus.name)
        wanted[positions] = True
    reach = k + (exclude is not None)
    found = _candidates(root, manifest, space, queries, reach, wanted, indexes)
    everything = np.unique(np.concatenate(found))
    places = [(number, *corpus.rows_at(everything)) for number, corpus in enumerate(corpora)]
    number = np.concatenate([np.full(len(r), n) for n, r, _ in places])
    row = np.concatenate([r for _, r, _ in places])
    position = np.concatenate([p for _, _, p in places])
    asker = (-1, -1) if exclude is None else ([c.name for c in corpora].index(exclude[0]), exclude[1])
    # The rows of each position follow each other, in the order of corpora and rows.
    by_position = np.argsort(position, kind="stable")
    firsts = np.searchsorted(position[by_position], everything)
    counts = np.diff(np.append(firsts, len(position)))
    answers = []
    vectors = unit_rows(space.at(everything).astype(np.float64))
    for query, candidates in zip(unit_rows(queries.astype(np.float64)), found, strict=True):
        # Candidates are scored again, one by one in float64: the same whether a scan or an index found them.
        which = np.searchsorted(everything, candidates)
        scores = np.repeat(np.einsum("ij,j->i", vectors[which], query).astype(np.float32), counts[which])
        here = by_position[_ranges(firsts[which], counts[which])]
        keep = (number[here] != asker[0]) | (row[here] != asker[1])
        here, scores = here[keep], scores[keep]
        order = np.lexsort((row[here], number[here], -scores))[:k]
        answers.append(
            [
                Neighbour(corpora[number[i]].name, int(row[i]), int(position[i]), float(s))
                for i, s in zip(here[order], scores[order], strict=True)
            ]
        )
    return answers


def _ranges(firsts: npt.NDArray[np.int64], counts: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return first, first + 1, … for each pair of a first number and a count, one after the other."""
    ends = np.cumsum(counts)
    return np.arange(ends[-1] if len(ends) else 0) + np.repeat(firsts - ends + counts, counts)


def _candidates(
    root: Path,
    manifest: Manifest,
    space: Space,
    queries: npt.NDArray[np.float32],
    reach: int,
    wanted: npt.NDArray[np.bool_],
    indexes: Indexes | None,
) -> list[npt.NDArray[np.int64]]:
    index = indexes.of(root, manifest, space, len(queries)) if indexes else None
    if index is None:
        return top_positions(space, queries, reach, wanted)
    lacking = min(reach, int(np.count_nonzero(wanted)))
    fetch = reach
    while True:
        covered = [found[wanted[found]] for found in index.search(queries, fetch)]
        if fetch >= index.record.count or min(map(len, covered)) >= lacking:
            break
        fetch *= 4
        if fetch > index.record.count // 4:  # the index knows little of these rows: look at all of them instead
            return top_positions(space, queries, reach, wanted)
    rest = top_positions(space, queries, reach, wanted, skip=index.covers)
    return [np.union1d(*pair) for pair in zip(covered, rest, strict=True)]


@dataclass(frozen=True, slots=True)
class Matches:
    """The rows that a search found, as columns: query, rank, score, corpus, id, text."""

    table: pa.Table

    def frame(self) -> "pd.DataFrame":
        """Return the rows as a pandas DataFrame."""
        frame: pd.DataFrame = self.table.to_pandas()
        return frame


def matches_of(
    answers: Sequence[Sequence[Neighbour]],
    queries: Sequence[str],
    texts: Sequence[str],
    corpora: Sequence[Corpus],
) -> Matches:
    """Return answers as one table, with the ids that their rows have in the corpora."""
    flat = [(number, rank, found) for number, answer in enumerate(answers) for rank, found in enumerate(answer, 1)]
    shown: list[Any] = [None] * len(flat)
    for corpus in corpora:
        lines = [line for line, (_, _, found) in enumerate(flat) if found.corpus == corpus.name]
        if lines:
            ids = corpus.ids_at(np.array([flat[line][2].row for line in lines]))
            for line, value in zip(lines, ids, strict=True):
                shown[line] = value
    same = len({type(value) for value in shown}) == 1
    return Matches(
        pa.table(
            {
                "query": [queries[number] for number, _, _ in flat],
                "rank": [rank for _, rank, _ in flat],
                "score": pa.array([found.score for _, _, found in flat], pa.float32()),
                "corpus": [found.corpus for _, _, found in flat],
                "id": shown if same else [str(value) for value in shown],
                "text": texts,
            }
        )
    )


def row_owner(corpora: Sequence[Corpus], id_: object) -> tuple[Corpus, int]:
    """Return the first corpus that has a row of that id, and the row's number there."""
    problems = []
    for corpus in corpora:
        try:
            return corpus, corpus.row_of(id_)
        except NotFoundError as error:
            problems.append(error)
    raise problems[0] if problems else NotFoundError("the store has no rows")
