"""Find the rows nearest to a text, to a row, or to many texts at once."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from embedstore.core.blank import Blank
from embedstore.core.checks import at_least
from embedstore.core.counts import counted, form
from embedstore.core.masks import distinct, mask_of
from embedstore.core.unit import unit_rows
from embedstore.core.values import is_blank, value_text
from embedstore.corpora.rows import Corpus, id_array
from embedstore.errors import NotFoundError, UsageError
from embedstore.tables.result import TableResult
from embedstore.vectors.index import OpenIndex
from embedstore.vectors.scan import top_positions
from embedstore.vectors.snapshot import Snapshot
from embedstore.vectors.space import Space

__all__ = ["Matches", "Neighbour", "nearest", "search"]


class Neighbour(NamedTuple):
    """One found row: corpus, row number (from 0), position of its text, cosine similarity."""

    corpus: str
    row: int
    position: int
    score: float


class Matches(TableResult):
    """The rows found by a search, best first: columns query, rank, score, corpus, id, text.

    `rank` counts from 1; `score` is the cosine similarity (float32, higher is nearer).

    Attributes
    ----------
    rows : list of int
        The number (from 0) of each found row in its corpus.
    """

    def __init__(self, table: pa.Table, notes: tuple[str, ...], rows: list[int]) -> None:
        super().__init__(table, notes)
        self.rows = rows


def search(
    now: Snapshot,
    query: str | Sequence[str] | None = None,
    *,
    row: object = None,
    k: int | None = None,
    corpus: str | None = None,
    space: str | None = None,
    exact: bool = False,
    blank: Blank = "skip",
    no_encode: bool = False,
) -> Matches:
    """Find the rows nearest to a text, to several texts, or to a row.

    Parameters
    ----------
    now : Snapshot
        The state of the store.
    query : str or sequence of str, optional
        Text or texts to search for; several can be a list, a series or an array.
    row : object, optional
        Id of a row to search for, instead of a text. The row itself is left out of the result.
    k : int, optional
        Number of rows per query; by default 10. If there are fewer rows, all are returned.
    corpus : str, optional
        Corpus to search; by default all.
    space : str, optional
        Key or model name of the vectors.
    exact : bool
        Scan all vectors even if an index would be faster. An hnsw or ivf index is opened only after some tens of
        queries, because scans are faster before that.
    blank : {"skip", "answer"}
        Whether rows with a blank text are left out, or can be asked for and found like others.
    no_encode : bool
        Raise an error instead of loading a model.

    Raises
    ------
    UsageError
        If both or neither of text and row are given, a text is blank, `k` is below 1, or there is no row to find.
    NotFoundError
        If there is no such row.

    Examples
    --------
    >>> import embedstore
    >>> store = embedstore.open("reviews")
    >>> found = store.search("a coffee maker that is easy to clean", k=1)
    >>> found.table.select(["corpus", "id"]).to_pylist()
    [{'corpus': 'train', 'id': 'r0005'}]
    """
    if (query is None) == (row is None):
        found = "neither: give one" if row is None else "both: leave one out"
        raise UsageError(f"expected a text or a row to search for, found {found}")
    if k is not None:
        at_least("k", k, 1)
    corpora = [now.corpus(corpus)] if corpus else now.corpora
    vectors = now.embeddings(space, corpora)
    exclude = None
    if row is not None:
        asker, number = _owner([now.whole.corpus(one.name) for one in corpora], row)
        itself = next(one for one in corpora if one.name == asker.name).place_of(number)
        exclude = (asker.name, itself) if itself >= 0 else None
        position = asker.positions()[number : number + 1]
        if not now.texts.answerable(position, blank).all():
            raise UsageError(
                f"expected a row with a text to search for, found none in row {value_text(row)!r}: name another row, "
                "or take rows without a text in with --blank answer"
            )
        asked = unit_rows(vectors.at(position, asker.name))
        texts = now.texts.at(position)
    else:
        texts = [query] if isinstance(query, str) else list(query or ())
        if not texts or any(map(is_blank, texts)):
            raise UsageError("expected a text to search for, found none or a blank one")
        asked = now.queries(vectors, no_encode=no_encode)(texts, prompt=vectors.record.query_prompt)
    there = [now.texts.answerable(one.positions(), blank) for one in corpora]
    told = sum(int(np.count_nonzero(mask)) for mask in there)
    rows = told - (exclude is not None)
    if not rows:
        with_text = "rows with a text" if told < sum(map(len, corpora)) else "rows"
        found = "none but the row itself" if exclude else "none"
        raise UsageError(f"expected {with_text} to search in, found {found}: add rows first")
    record = None if exact else now.manifest.indexes.get(vectors.key)
    index = now.indexes.of(vectors, record, len(asked))
    answers = nearest(vectors, corpora, asked, min(k or 10, rows), index=index, exclude=exclude, blank=blank)
    positions = np.array([found.position for answer in answers for found in answer], dtype=np.int64)
    few = f"{counted(k or 0, 'row')} were asked for; there {form(rows, 'is', 'are')} {rows:,} to be found"
    notes = (few,) if k and k > rows else ()
    numbers_of = {one.name: one.numbers_of for one in corpora}
    numbers = [int(numbers_of[found.corpus](np.array(found.row))) for answer in answers for found in answer]
    return Matches(_table(answers, texts, now.texts.at(positions), corpora), notes, numbers)


def nearest(
    space: Space,
    corpora: Sequence[Corpus],
    queries: npt.NDArray[np.float32],
    k: int,
    *,
    index: OpenIndex | None = None,
    exclude: tuple[str, int] | None = None,
    blank: Blank = "skip",
) -> list[list[Neighbour]]:
    """Return the `k` nearest rows of each query, best first; ties are in the order of corpora and rows.

    Parameters
    ----------
    space : Space
        The vectors.
    corpora : sequence of Corpus
        Corpora to search.
    queries : ndarray of shape (q, dim), float32
        Unit vectors.
    k : int
        Number of rows per query, from 1 to the number of rows that can be found.
    index : OpenIndex, optional
        Index that proposes candidates; by default all vectors are scanned.
    exclude : (str, int), optional
        Corpus name and row number of a row to leave out.
    blank : {"skip", "answer"}
        Whether rows with a blank text are left out, or found like others.
    """
    wanted = np.zeros(len(space.texts), dtype=bool)
    for corpus in corpora:
        space.require(corpus.positions(), corpus.name)
        wanted |= mask_of(corpus.positions(), len(wanted))
    if blank == "skip":
        wanted[space.texts.blank] = False
    candidates = _candidates(space, queries, k + (exclude is not None), wanted, index)
    places = _Places.of(space, corpora, distinct(np.concatenate(candidates)))
    asker = (-1, -1) if exclude is None else ([c.name for c in corpora].index(exclude[0]), exclude[1])
    return [
        places.best(query, found, k, asker)
        for query, found in zip(unit_rows(queries.astype(np.float64)), candidates, strict=True)
    ]


class _Places(NamedTuple):
    """The rows at some text positions, and the vectors of these positions.

    `number`, `row` and `position` are the corpus number, row number and text position of each row. The rows at
    `positions[i]` are the `counts[i]` entries of `by_position` from `firsts[i]` on, in the order of corpora and rows.
    """

    corpora: Sequence[Corpus]
    positions: npt.NDArray[np.int64]
    vectors: npt.NDArray[np.float64]
    number: npt.NDArray[np.int64]
    row: npt.NDArray[np.int64]
    position: npt.NDArray[np.int64]
    by_position: npt.NDArray[np.int64]
    firsts: npt.NDArray[np.int64]
    counts: npt.NDArray[np.int64]

    @classmethod
    def of(cls, space: Space, corpora: Sequence[Corpus], positions: npt.NDArray[np.int64]) -> "_Places":
        found = [(number, *corpus.rows_at(positions)) for number, corpus in enumerate(corpora)]
        number = np.concatenate([np.full(len(rows), n) for n, rows, _ in found])
        row = np.concatenate([rows for _, rows, _ in found])
        position = np.concatenate([here for _, _, here in found])
        by_position = np.argsort(position, kind="stable")
        firsts = np.searchsorted(position[by_position], positions)
        counts = np.diff(np.append(firsts, len(position)))
        vectors = unit_rows(space.at(positions).astype(np.float64))
        return cls(corpora, positions, vectors, number, row, position, by_position, firsts, counts)

    def best(
        self, query: npt.NDArray[np.float64], candidates: npt.NDArray[np.int64], k: int, asker: tuple[int, int]
    ) -> list[Neighbour]:
        """Return the `k` best rows at the candidates' positions, without the row `asker`."""
        # Candidates are scored again one by one in float64, so scan and index give the same scores.
        which = np.searchsorted(self.positions, candidates)
        scores = np.einsum("ij,j->i", self.vectors[which], query).astype(np.float32)
        scores = np.repeat(scores, self.counts[which])
        here = self.by_position[_ranges(self.firsts[which], self.counts[which])]
        keep = (self.number[here] != asker[0]) | (self.row[here] != asker[1])
        here, scores = here[keep], scores[keep]
        order = np.lexsort((self.row[here], self.number[here], -scores))[:k]
        return [
            Neighbour(self.corpora[self.number[i]].name, int(self.row[i]), int(self.position[i]), float(s))
            for i, s in zip(here[order], scores[order], strict=True)
        ]


def _ranges(firsts: npt.NDArray[np.int64], counts: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return the concatenated ranges first, first + 1, … of all pairs of a first number and a count."""
    ends = np.cumsum(counts)
    return np.arange(ends[-1] if len(ends) else 0) + np.repeat(firsts - ends + counts, counts)


def _candidates(
    space: Space,
    queries: npt.NDArray[np.float32],
    reach: int,
    wanted: npt.NDArray[np.bool_],
    index: OpenIndex | None,
) -> list[npt.NDArray[np.int64]]:
    if index is None:
        return top_positions(space, queries, reach, wanted)
    lacking = min(reach, int(np.count_nonzero(wanted)))
    fetch = reach
    while True:
        covered = [found[wanted[found]] for found in index.search(queries, fetch)]
        if fetch >= index.record.count or min(map(len, covered)) >= lacking:
            break
        fetch *= 4
        if fetch > index.record.count // 4:  # the index finds too few of the wanted texts: scan all
            return top_positions(space, queries, reach, wanted)
    rest = top_positions(space, queries, reach, wanted, skip=index.covers)
    return [np.union1d(*pair) for pair in zip(covered, rest, strict=True)]


def _table(
    answers: Sequence[Sequence[Neighbour]], queries: Sequence[str], texts: Sequence[str], corpora: Sequence[Corpus]
) -> pa.Table:
    """Return the answers as one table, with the ids of their rows."""
    flat = [(number, rank, found) for number, answer in enumerate(answers) for rank, found in enumerate(answer, 1)]
    ids: list[Any] = [None] * len(flat)
    for corpus in corpora:
        lines = [line for line, (_, _, found) in enumerate(flat) if found.corpus == corpus.name]
        if lines:
            shown = corpus.ids_at(np.array([flat[line][2].row for line in lines]))
            for line, value in zip(lines, shown, strict=True):
                ids[line] = value
    columns = {
        "query": [queries[number] for number, _, _ in flat],
        "rank": [rank for _, rank, _ in flat],
        "score": pa.array([found.score for _, _, found in flat], pa.float32()),
        "corpus": [found.corpus for _, _, found in flat],
        "id": id_array(ids),
        "text": texts,
    }
    return pa.table(columns)


def _owner(corpora: Sequence[Corpus], id_: object) -> tuple[Corpus, int]:
    """Return the first corpus with a row of this id, and the row number."""
    problems = []
    for corpus in corpora:
        try:
            return corpus, corpus.row_of(id_)
        except NotFoundError as error:
            problems.append(error)
    raise problems[0] if problems else NotFoundError("the store has no rows")
