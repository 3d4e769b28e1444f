"""Groups of rows whose texts are the same or nearly so, within a corpus and across corpora."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from embedstore.corpus import Corpus
from embedstore.errors import UsageError
from embedstore.parallel import spread
from embedstore.space import Space, texts_at
from embedstore.vectors import unit_rows

__all__ = ["Duplicate", "Duplicates", "duplicates"]

_EXACT_UP_TO = 100_000  # texts; two cores compare every pair of so many in 20 s
_BLOCK = 2048  # rows of a product's sides: 16 MiB of similarities
_PAIRS = 1 << 22  # pairs that a thread holds before it joins them
_NEIGHBOURS = 50
_PROBED = 16  # lists looked through for each text; what is very near is in the same list or the next
_QUERIES = 8192

Pairs = npt.NDArray[np.int64]


class Duplicate(NamedTuple):
    """A row of a group: its corpus, number there (from 0) and id; its cosine similarity to the group's first row."""

    corpus: str
    row: int
    id: Any
    similarity: float


@dataclass(frozen=True, slots=True)
class Duplicates:
    """Groups of rows with the same or nearly the same text, the largest first.

    Attributes
    ----------
    groups : list of list of Duplicate
        In each group the rows in the order of corpora, then of rows; groups of one size in the order of their first
        rows.
    texts : list of list of str
        The text of each row, in the same order.
    rows_in_groups : int
        Number of rows in the groups.
    spanning : int
        Number of groups with rows of more than one corpus.
    notes : tuple of str
        What was left out, and whether neighbours were searched approximately.
    """

    groups: list[list[Duplicate]]
    texts: list[list[str]]
    rows_in_groups: int
    spanning: int
    notes: tuple[str, ...]

    def table(self) -> pa.Table:
        """Return a row per row: group (int64, from 1), size (int64), corpus, id, similarity (float32), text.

        Ids keep their type where all have the same one, and are texts otherwise.
        """
        flat = [(number, len(group), row) for number, group in enumerate(self.groups, 1) for row in group]
        ids = [row.id for _, _, row in flat]
        return pa.table(
            {
                "group": pa.array([number for number, _, _ in flat], pa.int64()),
                "size": pa.array([size for _, size, _ in flat], pa.int64()),
                "corpus": pa.array([row.corpus for _, _, row in flat], pa.string()),
                "id": ids if len({type(id_) for id_ in ids}) == 1 else pa.array([str(id_) for id_ in ids], pa.string()),
                "similarity": pa.array([row.similarity for _, _, row in flat], pa.float32()),
                "text": pa.array([text for texts in self.texts for text in texts], pa.string()),
            }
        )


def duplicates(space: Space, corpora: Sequence[Corpus], threshold: float = 0.95, *, leaks: bool = False) -> Duplicates:
    """Find groups of rows whose texts are the same, or whose vectors have a cosine of at least `threshold`.

    A group is what is joined by a chain of such pairs: its ends may be less alike than the threshold, and so may be
    a row and the group's first. Similarities are computed in float32: one that differs from the threshold by less
    than about 1e-6 may fall on either side. Rows with the text "" are left out.

    Each pair is compared, on all cores, up to 100,000 distinct texts; above, FAISS looks approximately for the 50
    nearest of each, and a note says so.

    Parameters
    ----------
    space : Space
        The vectors; where they have no unit length they are divided by their norms.
    corpora : sequence of Corpus
        Whose rows are compared, within a corpus and across.
    threshold : float
        The lowest cosine similarity of a pair, above 0, at most 1.
    leaks : bool
        Keep only the groups with rows of more than one corpus: training rows that leaked into a test.

    Raises
    ------
    UsageError
        If the threshold is out of range, or leaks are asked for among fewer than two corpora.
    ModelRequiredError
        If a row's text has no vector yet.
    """
    if not 0 < threshold <= 1:
        raise UsageError(f"expected a threshold above 0 and at most 1, found {threshold}")
    corpora = list({corpus.name: corpus for corpus in corpora}.values())
    if leaks and len(corpora) < 2:
        raise UsageError(f"expected at least two corpora to look for leaks between, found {len(corpora)}")
    for corpus in corpora:
        space.require(corpus.positions(), corpus.name)
    rows, notes = _rows(space, corpora)
    distinct, which = np.unique(rows.position, return_inverse=True)
    vectors = space.at(distinct)
    if not space.spec.normalized:
        vectors = unit_rows(vectors)
    if len(distinct) > _EXACT_UP_TO:
        notes.append(
            f"{len(distinct):,} distinct texts: the {_NEIGHBOURS} nearest of each were searched approximately (FAISS), "
            "so some pairs may be missing"
        )
        pairs = _near(vectors, threshold)
    else:
        pairs = _all(vectors, threshold)
    group = _components(pairs, len(distinct))[which]
    return _collect(space, corpora, rows, vectors, which, group, leaks=leaks, notes=notes)


@dataclass(frozen=True, slots=True)
class _Rows:
    """Rows in the order of corpora: number of the corpus, row there, position of the text; each (rows,), int64."""

    corpus: npt.NDArray[np.int64]
    row: npt.NDArray[np.int64]
    position: npt.NDArray[np.int64]


def _rows(space: Space, corpora: Sequence[Corpus]) -> tuple[_Rows, list[str]]:
    """Return all rows that have a text, and a note of those that have none."""
    empty = space.empty_text()
    kept = [np.flatnonzero(corpus.positions() != empty) for corpus in corpora]
    numbers = [np.full(len(rows), number) for number, rows in enumerate(kept)]
    positions = [corpus.positions()[rows] for corpus, rows in zip(corpora, kept, strict=True)]
    none = [np.empty(0, dtype=np.int64)]
    left_out = sum(map(len, corpora)) - sum(map(len, kept))
    notes = [f"{left_out:,} rows without a text are left out"] if left_out else []
    return _Rows(*(np.concatenate(none + parts) for parts in (numbers, kept, positions))), notes


def _all(vectors: npt.NDArray[np.float32], threshold: float) -> Pairs:
    """Return pairs that join what a comparison of every pair joins: shape (pairs, 2), no more than rows a thread."""
    starts = range(0, len(vectors), _BLOCK)
    blocks = [(one, other) for one in starts for other in starts if one <= other]

    def work(pieces: Iterable[tuple[int, int]]) -> Pairs:
        def found() -> Iterator[Pairs]:
            for one, other in pieces:
                alike = vectors[one : one + _BLOCK] @ vectors[other : other + _BLOCK].T >= threshold
                hits = np.flatnonzero(alike)
                if len(hits):
                    row, column = np.divmod(hits, alike.shape[1])
                    yield np.stack([row + one, column + other], axis=1)

        return _joined(found(), len(vectors))

    parts = spread(blocks, work, 2 * len(vectors) ** 2)
    return np.concatenate(parts)


def _near(vectors: npt.NDArray[np.float32], threshold: float) -> Pairs:
    """Return pairs among the nearest neighbours that FAISS finds: shape (pairs, 2)."""
    import faiss

    count, dimension = vectors.shape
    # FAISS' guidelines: 4 sqrt(n) lists, trained on 39 to 256 vectors a list.
    lists = max(1, min(int(4 * count**0.5), count // 39))
    index = faiss.IndexIVFFlat(faiss.IndexFlatIP(dimension), dimension, lists, faiss.METRIC_INNER_PRODUCT)
    index.cp.seed = 0
    index.train(vectors)
    index.add(vectors)
    index.nprobe = min(lists, _PROBED)

    def found() -> Iterator[Pairs]:
        for start in range(0, count, _QUERIES):
            scores, ids = index.search(vectors[start : start + _QUERIES], min(count, _NEIGHBOURS + 1))
            query, place = np.nonzero((scores >= threshold) & (ids >= 0))
            yield np.stack([query + start, ids[query, place]], axis=1)

    return _joined(found(), count)


def _joined(parts: Iterable[Pairs], count: int) -> Pairs:
    """Return fewer pairs that join the same: what is held never grows much above `_PAIRS`, or `count`."""
    held: list[Pairs] = [np.empty((0, 2), dtype=np.int64)]
    size = 0
    for part in parts:
        held.append(part)
        size += len(part)
        if size > max(_PAIRS, 2 * count):
            held = [_fewest(np.concatenate(held), count)]
            size = len(held[0])
    return np.concatenate(held)


def _fewest(pairs: Pairs, count: int) -> Pairs:
    """Return each row that has a pair with the first row of its component."""
    component = _components(pairs, count)
    _, first = np.unique(component, return_index=True)
    rows = np.arange(count)
    stars = np.stack([first[component], rows], axis=1)
    return np.asarray(stars[stars[:, 0] != rows])


def _components(pairs: Pairs, count: int) -> npt.NDArray[np.int64]:
    """Return the number of each one's component, shape (count,)."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    graph = coo_array((np.ones(len(pairs), dtype=bool), (pairs[:, 0], pairs[:, 1])), shape=(count, count))
    _, component = connected_components(graph, directed=False)
    return np.asarray(component, dtype=np.int64)


def _collect(
    space: Space,
    corpora: Sequence[Corpus],
    rows: _Rows,
    vectors: npt.NDArray[np.float32],
    which: npt.NDArray[np.int64],
    group: npt.NDArray[np.int64],
    *,
    leaks: bool,
    notes: list[str],
) -> Duplicates:
    """Return the groups of two and more rows, in order; `which` and `group` are the vector and group of each row."""
    _, first, group, sizes = np.unique(group, return_index=True, return_inverse=True, return_counts=True)
    spans = np.zeros(len(sizes), dtype=bool)
    spans[group[rows.corpus != rows.corpus[first[group]]]] = True
    kept = np.flatnonzero(spans if leaks else sizes > 1)
    kept = kept[np.lexsort((first[kept], -sizes[kept]))]
    place = np.full(len(sizes), -1)
    place[kept] = np.arange(len(kept))
    members = np.flatnonzero(place[group] >= 0)
    members = members[np.argsort(place[group[members]], kind="stable")]
    leader = which[first[group[members]]]
    similarity = _similarities(vectors, which[members], leader)
    ids: list[Any] = [None] * len(members)
    for number, corpus in enumerate(corpora):
        lines = np.flatnonzero(rows.corpus[members] == number)
        if len(lines):
            for line, id_ in zip(lines.tolist(), corpus.ids_at(rows.row[members[lines]]), strict=True):
                ids[line] = id_
    texts = texts_at(space._root, space._manifest, rows.position[members])
    found = [
        Duplicate(corpora[number].name, row, id_, score)
        for number, row, id_, score in zip(
            rows.corpus[members].tolist(), rows.row[members].tolist(), ids, similarity.tolist(), strict=True
        )
    ]
    ends = np.cumsum(sizes[kept]).tolist()
    parts = [slice(start, end) for start, end in zip([0, *ends], ends, strict=False)]
    return Duplicates(
        [found[part] for part in parts],
        [texts[part] for part in parts],
        len(members),
        int(np.count_nonzero(spans[kept])),
        tuple(notes),
    )


def _similarities(
    vectors: npt.NDArray[np.float32], these: npt.NDArray[np.int64], those: npt.NDArray[np.int64]
) -> npt.NDArray[np.float32]:
    """Return the cosine of each pair of vectors, at most 1; of a vector to itself exactly 1."""
    out = np.empty(len(these), dtype=np.float32)
    for start in range(0, len(these), _BLOCK):
        here = slice(start, start + _BLOCK)
        out[here] = np.einsum("ij,ij->i", vectors[these[here]], vectors[those[here]])
    np.minimum(out, 1, out=out)
    out[these == those] = 1
    return out
