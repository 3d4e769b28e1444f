"""Nearest rows of a text, of a row, or of many texts at once."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from embedstore.corpus import Corpus
from embedstore.errors import UsageError
from embedstore.index import OpenIndex
from embedstore.scan import top_positions
from embedstore.space import Space, text_starts
from embedstore.storage.records import Manifest

__all__ = ["Neighbour", "nearest"]

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Neighbour:
    """One row found: its corpus, its number there (from 0), its text's position, its cosine similarity."""

    corpus: str
    row: int
    position: int
    score: float


def nearest(
    root: Path,
    manifest: Manifest,
    space: Space,
    corpora: Sequence[Corpus],
    queries: npt.NDArray[np.float32],
    k: int,
    *,
    exact: bool = False,
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
    exact : bool
        Scan all vectors even where there is an index.
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
    found = _candidates(root, manifest, space, queries, reach, wanted, exact=exact)
    everything = np.unique(np.concatenate(found))
    vectors = space.at(everything).astype(np.float64)
    vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), np.finfo(np.float64).tiny)
    places = [(number, *corpus.rows_at(everything)) for number, corpus in enumerate(corpora)]
    number = np.concatenate([np.full(len(r), n) for n, r, _ in places])
    row = np.concatenate([r for _, r, _ in places])
    position = np.concatenate([p for _, _, p in places])
    answers = []
    for query, candidates in zip(queries.astype(np.float64), found, strict=True):
        # Candidates are scored again, one by one in float64: the same whether a scan or an index found them.
        scores = np.float32(np.einsum("ij,j->i", vectors, query))
        here = np.flatnonzero(np.isin(position, candidates))
        if exclude is not None:
            asks = (row[here] == exclude[1]) & (number[here] == [c.name for c in corpora].index(exclude[0]))
            here = here[~asks]
        score = scores[np.searchsorted(everything, position[here])]
        order = np.lexsort((row[here], number[here], -score))[:k]
        answers.append(
            [Neighbour(corpora[number[i]].name, int(row[i]), int(position[i]), float(s)) for i, s in zip(here[order], score[order], strict=True)]
        )
    return answers


def _candidates(
    root: Path,
    manifest: Manifest,
    space: Space,
    queries: npt.NDArray[np.float32],
    reach: int,
    wanted: npt.NDArray[np.bool_],
    *,
    exact: bool,
) -> list[npt.NDArray[np.int64]]:
    if exact or space.key not in manifest.indexes:
        return top_positions(space, queries, reach, wanted)
    index = OpenIndex(root, manifest, space)
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
