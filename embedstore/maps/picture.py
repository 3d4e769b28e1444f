"""Lay out a corpus in two dimensions: choose rows, project their vectors, group them by colour."""

from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from embedstore.annotations.column import with_annotations
from embedstore.core.blank import Blank, blank_notes, no_text
from embedstore.core.checks import at_least
from embedstore.core.counts import counted
from embedstore.core.values import value_text
from embedstore.corpora.rows import Corpus
from embedstore.errors import UsageError
from embedstore.labels.label_set import Labels, LabelSet
from embedstore.maps.projection import Projection, project
from embedstore.reports.map_page import draw_map, groups_of
from embedstore.tables.result import TableResult
from embedstore.tagging.pipeline import tag
from embedstore.vectors.snapshot import Snapshot

__all__ = ["Map", "map_corpus"]

_TOPICS = "topics"
_DIGITS = 10  # of a number of topics, fewer than this


class Map(TableResult):
    """Rows of a corpus in two dimensions: columns id, x, y (float32), group, text.

    Attributes
    ----------
    total : int
        Number of rows of the corpus.
    empty : int
        Number of rows left out because their text is blank: they would be a few points far from the others.
    order : tuple of str
        Order of the groups if they form a scale, else empty.
    title, details : str
        Texts for the picture: the corpus with its colouring; the number of rows, the method and the model.
    """

    def __init__(
        self, table: pa.Table, *, total: int, empty: int, order: tuple[str, ...], title: str, details: str
    ) -> None:
        super().__init__(table, blank_notes(empty, total))
        self.total = total
        self.empty = empty
        self.order = order
        self.title = title
        self.details = details

    def summary(self) -> dict[str, Any]:
        """Return the numbers of drawn rows, of all rows and of rows without a text."""
        return {"rows": len(self), "total": self.total, "empty": self.empty}

    def plot(self, path: str | Path) -> None:
        """Draw the map to a file.

        Parameters
        ----------
        path : path
            ``.html`` for a page that shows the text under the pointer and needs no network; ``.png`` or ``.svg`` for
            a picture.
        """
        columns = self.table.to_pydict()
        points = np.stack([self.table.column(name).to_numpy() for name in ("x", "y")], axis=1)
        draw_map(
            Path(path),
            points,
            columns["text"],
            columns["id"],
            columns["group"],
            order=self.order,
            title=self.title,
            details=self.details,
        )


def map_corpus(
    now: Snapshot,
    *,
    labels: Labels | None = None,
    by: str | None = None,
    method: Projection = "pca",
    sample: int = 20_000,
    seed: int = 42,
    corpus: str | None = None,
    space: str | None = None,
    blank: Blank = "skip",
    no_encode: bool = False,
) -> Map:
    """Lay out a corpus in two dimensions.

    Parameters
    ----------
    now : Snapshot
        The state of the store.
    labels : sequence of str, or LabelSet, optional
        Colour each row by its tag from these labels.
    by : str, optional
        Colour by a column, by "annotations", or by "topics"; "topics:N" has N topics.
    method : {"pca", "tsne", "umap"}
        Principal components; t-SNE of scikit-learn; UMAP (needs umap-learn).
    sample : int
        Maximum number of rows; of more rows a random sample is drawn.
    seed : int
        Seed of the sample, of the method and of topics.
    corpus, space : str, optional
        Name of the corpus; key or model of the vectors.
    blank : {"skip", "answer"}
        Whether rows with a blank text are left out, or drawn like others.
    no_encode : bool
        Raise an error instead of loading a model.
    """
    at_least("sample", sample, 1)
    at_least("seed", seed, 0)
    if labels is not None and by is not None:
        raise UsageError("expected labels or a column to colour by, found both: leave one of them out")
    table = with_annotations(now, now.corpus(corpus), by)
    if by is not None and _is_topics(by) and by not in table.schema.names:
        table = _with_topics(now, table, by, space, seed, blank)
    vectors = now.embeddings(space, [table])
    filled = np.flatnonzero(now.texts.answerable(table.positions(), blank))
    if len(table) and not len(filled):
        raise no_text(table.name, len(table))
    rows = filled
    if len(filled) > sample:
        rows = np.sort(np.random.default_rng(seed).choice(filled, sample, replace=False))
    label_set = None if labels is None else LabelSet.of(labels)
    groups, order, coloured = _groups(now, table, rows, by, label_set, vectors.key, blank, no_encode=no_encode)
    positions = table.positions()[rows]
    points = project(vectors.at(positions, table.name), method, random_state=seed)
    columns = {
        "id": pa.array([value_text(id_) for id_ in table.ids_at(rows)], pa.string()),
        "x": pa.array(points[:, 0]),
        "y": pa.array(points[:, 1]),
        "group": pa.array(groups, pa.string()),
        "text": pa.array(now.texts.at(positions), pa.string()),
    }
    return Map(
        pa.table(columns),
        total=len(table),
        empty=len(table) - len(filled),
        order=order,
        title=f"{now.name}: {table.name}{coloured}",
        details=f"{len(rows):,} of {counted(len(table), 'row')}, {method.upper()} of {vectors.record.model}",
    )


def _is_topics(by: str) -> bool:
    return by.partition(":")[0] == _TOPICS


def _with_topics(now: Snapshot, table: Corpus, by: str, space: str | None, seed: int, blank: Blank) -> Corpus:
    """Return the corpus with a column of the names of topics, called `by`: "topics" or "topics:N"."""
    from embedstore.topics.pipeline import find_topics

    _, colon, number = by.partition(":")
    if colon and not (number.isascii() and number.isdecimal() and len(number) < _DIGITS):
        raise UsageError(f"expected topics or topics:N with a number to colour by, found {by!r}")
    count: Literal["auto"] | int = int(number) if number else "auto"
    found = find_topics(now, count, corpus=table.name, space=space, random_state=seed, blank=blank)
    return table.with_column(by, pa.chunked_array([found.column("topic_name").dictionary_decode()]))


def _groups(
    now: Snapshot,
    table: Corpus,
    rows: npt.NDArray[np.int64],
    by: str | None,
    labels: LabelSet | None,
    space: str,
    blank: Blank,
    *,
    no_encode: bool,
) -> tuple[list[str], tuple[str, ...], str]:
    """Return the group of each row, the order of the groups if they form a scale, and the end of the title."""
    if by:
        groups, order = groups_of(table.column(by).take(pa.array(rows)))
        return groups, order, f" by {by}"
    if labels is not None:
        tagged = tag(now, labels, corpus=table.name, space=space, blank=blank, no_encode=no_encode)
        groups, _ = groups_of(pa.chunked_array([tagged.column("Predicted_Labels").take(pa.array(rows))]))
        order = labels.names if labels.ordinal else ()
        return groups, order, f" by labels {labels.name or ', '.join(labels.names)}"
    return ["rows"] * len(rows), (), ""
