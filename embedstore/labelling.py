"""Tagging rows of a store: plain and refined, against another label set, explained."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from embedstore.contents import reading
from embedstore.corpus import Corpus, value_text
from embedstore.joined import Joined
from embedstore.labels import Labels, LabelSet
from embedstore.people import People
from embedstore.space import Space, text_starts, texts_at
from embedstore.tagging import TagOptions, tag
from embedstore.targets import classes_of, given_classes
from embedstore.vectors import unit_rows

if TYPE_CHECKING:
    import pandas as pd

    from embedstore.maps import Drawn, Projection

__all__ = ["Explanation", "Flow", "Labelling"]

_NEIGHBOURS = 5
_SHOWN = 3  # descriptions a label
_UNTAGGED = "(untagged)"
_ALIKE = 0.95  # cosine from which two examples of a label say the same


@dataclass(frozen=True, slots=True)
class Flow:
    """What changes between two label sets.

    Attributes
    ----------
    before, after : tuple of str
        The labels of the first set and of the other; "(untagged)" last, where rows are.
    counts : ndarray of shape (before, after), int64
        Rows by their two tags.
    moved : Joined
        All rows, with Predicted_Labels and Predicted_Labels_against.
    changed : ndarray of bool, shape (rows,)
        Rows whose two tags have different names.
    """

    before: tuple[str, ...]
    after: tuple[str, ...]
    counts: npt.NDArray[np.int64]
    moved: Joined
    changed: npt.NDArray[np.bool_]

    def rows(self) -> Iterator[pa.Table]:
        """Yield the rows that moved, with both tags, as tables of bounded size."""
        start = 0
        for table in self.moved.tables():
            yield table.filter(pa.array(self.changed[start : start + table.num_rows]))
            start += table.num_rows


@dataclass(frozen=True, slots=True)
class Explanation:
    """What is behind the tag of a row.

    Attributes
    ----------
    text, label : str
        The row's text and its tag.
    scores : list of (str, float)
        Each label's score, best first.
    descriptions : list of (str, str, float)
        Label, one of its texts, and the cosine similarity of the row to it; the nearest of each label.
    neighbours : list of (str, float, str, str)
        Id, cosine similarity, tag and text of the nearest rows of the corpus.
    """

    text: str
    label: str
    scores: list[tuple[str, float]]
    descriptions: list[tuple[str, str, float]]
    neighbours: list[tuple[str, float, str, str]]


def _numbered(tags: pa.DictionaryArray) -> tuple[tuple[str, ...], npt.NDArray[np.int64]]:
    """Return the labels, and the number of each row's; rows without one come last."""
    names = tuple(tags.dictionary.to_pylist())
    numbers = tags.indices.fill_null(len(names)).to_numpy(zero_copy_only=False).astype(np.int64)
    return (*names, _UNTAGGED) if tags.null_count else names, numbers


def _unlike(vectors: npt.NDArray[np.float32], order: npt.NDArray[np.int64], count: int) -> list[int]:
    """Return the first rows in an order that are no near-duplicates of those before."""
    taken: list[int] = []
    for row in order.tolist():
        if len(taken) == count:
            break
        if not taken or float((vectors[taken] @ vectors[row]).max()) < _ALIKE:
            taken.append(row)
    return taken


class Labelling(People):
    """A store whose rows can be tagged."""

    @reading
    def tagging(
        self,
        labels: Labels,
        *,
        corpus: str | None = None,
        space: str | None = None,
        no_encode: bool = False,
        **options: Any,
    ) -> Joined:
        """Tag every row of a corpus with the nearest label; see `tag`. Rows are read as they are asked for."""
        label_set = LabelSet.of(labels)
        chosen = TagOptions(**options)
        if chosen.method == "best":
            label_set = label_set.described()
        table = self._annotated(self.corpus(corpus), chosen.gold, label_set)
        doubtful = chosen.examples or chosen.confidence or chosen.min_confidence is not None or chosen.method == "best"
        known = self._given(table, label_set) if doubtful else None
        space_used = self._embeddings(space, [table])
        space_used.require(table.positions(), table.name)

        def vectors_of(texts: Sequence[str]) -> npt.NDArray[np.float32]:
            return self._query_vectors(space_used, texts, no_encode=no_encode)

        manifest = self.manifest
        return tag(
            space_used,
            table,
            label_set,
            chosen,
            texts=int(text_starts(manifest)[-1]),
            texts_at=lambda positions: texts_at(self.path, manifest, positions),
            vectors_of=vectors_of,
            known=known,
        )

    def tag(self, labels: Labels, **options: Any) -> "pd.DataFrame":
        """Label every row by cosine similarity to the labels' vectors.

        Parameters
        ----------
        labels : sequence of str, mapping of str to descriptions, or LabelSet
            At least two. New texts are encoded once and kept.
        **options
            ``corpus``, ``space`` (key or model), ``no_encode``, and those of `embedstore.tagging.TagOptions`.

        Returns
        -------
        DataFrame
            The corpus' rows and columns, then ``Predicted_Labels``, ``score`` and ``margin``.

        Raises
        ------
        UsageError
            If there are fewer than two labels, or blank or repeated ones.
        ModelRequiredError
            If a row has no vector, or, under ``no_encode``, a label has none.
        """
        return self.tagging(labels, **options).frame()

    def against(self, labels: Labels, other: Labels, **options: Any) -> Flow:
        """Tag every row with two label sets, and say what changes from the first to the other.

        Parameters
        ----------
        labels, other : sequence of str, or LabelSet
            The two sets.
        **options
            Those of `tag`.
        """
        first, second = self.tagging(labels, **options), self.tagging(other, **{**options, "gold": None, "mapping": ()})
        one, two = first.column("Predicted_Labels"), second.column("Predicted_Labels")
        (before, here), (after, there) = (_numbered(column) for column in (one, two))
        counts = np.zeros((len(before), len(after)), dtype=np.int64)
        np.add.at(counts, (here, there), 1)
        differ = np.array([[name != other_name for other_name in after] for name in before], dtype=bool)
        changed = differ[here, there]
        moved = Joined(
            first.corpus,
            {"Predicted_Labels": one, "Predicted_Labels_against": two},
            first.shares,
            first.report,
            notes=first.notes,
        )
        return Flow(before, after, counts, moved, changed)

    @reading
    def explain(self, row: object, labels: Labels, **options: Any) -> Explanation:
        """Return the descriptions and the neighbours behind the tag of a row.

        Parameters
        ----------
        row : object
            The row's id.
        labels : sequence of str, or LabelSet
            As of `tag`.
        **options
            Those of `tag`.
        """
        label_set = LabelSet.of(labels)
        joined = self.tagging(label_set, **{**options, "scores": True})
        used = label_set.described() if options.get("method") == "best" else label_set
        table = joined.corpus
        number = table.row_of(row)
        space = self._embeddings(options.get("space"), [table])
        vector = space.at(table.positions()[[number]])[0]
        vector = vector / max(float(np.linalg.norm(vector)), 1e-12)
        descriptions = []
        for name, texts in zip(used.names, used.prompts(), strict=True):
            near = self._query_vectors(space, texts, no_encode=options.get("no_encode", False)) @ vector
            descriptions += [(name, texts[i], float(near[i])) for i in np.argsort(-near, kind="stable")[:_SHOWN]]
        tags = joined.column("Predicted_Labels")
        scores = [(name, float(joined.column(name)[number].as_py())) for name in used.names]
        neighbours = []
        for found in self._neighbours(space, table, row):
            place = table.row_of(found["id"])
            neighbours.append((str(found["id"]), float(found["score"]), tags[place].as_py() or "", found["text"]))
        (text,) = texts_at(self.path, self.manifest, table.positions()[[number]])
        label = tags[number].as_py() or ""
        return Explanation(text, label, sorted(scores, key=lambda one: -one[1]), descriptions, neighbours)

    @reading
    def map(
        self,
        path: str | Path,
        *,
        labels: Labels | None = None,
        by: str | None = None,
        method: "Projection" = "pca",
        sample: int = 20_000,
        seed: int = 42,
        corpus: str | None = None,
        space: str | None = None,
        no_encode: bool = False,
    ) -> "Drawn":
        """Draw a corpus in two dimensions; rows without a text are left out.

        Parameters
        ----------
        path : path
            ``.html``, ``.png`` or ``.svg``; see `embedstore.maps.draw_map`.
        labels : sequence of str, or LabelSet, optional
            Colour by their tags.
        by : str, optional
            Colour by a column, or by "annotations".
        method : {"pca", "tsne", "umap"}
            As of `embedstore.maps.project`.
        sample : int
            Rows to draw at most, drawn by chance.
        seed : int
            Of the sample and of the method.
        corpus, space, no_encode
            As of `tag`.
        """
        from embedstore.maps import Drawn, draw_map, groups_of, project

        table = self._annotated(self.corpus(corpus), by)
        chosen = self._embeddings(space, [table])
        filled = np.flatnonzero(table.positions() != chosen.empty_text())
        rows = filled
        if len(filled) > sample:
            rows = np.sort(np.random.default_rng(seed).choice(filled, sample, replace=False))
        groups, title = ["rows"] * len(rows), f"{self.path.name}: {table.name}"
        order: tuple[str, ...] = ()
        if by:
            groups, order = groups_of(table.column(by).take(pa.array(rows)))
            title += f" by {by}"
        elif labels is not None:
            label_set = LabelSet.of(labels)
            tags = self.tagging(label_set, corpus=table.name, space=chosen.key, no_encode=no_encode)
            groups, _ = groups_of(pa.chunked_array([tags.column("Predicted_Labels").take(pa.array(rows))]))
            order = label_set.names if label_set.ordinal else ()
            title += f" by labels {label_set.name or ', '.join(label_set.names)}"
        positions = table.positions()[rows]
        draw_map(
            Path(path),
            project(chosen.at(positions, table.name), method, random_state=seed),
            texts_at(self.path, self.manifest, positions),
            [value_text(id_) for id_ in table.ids_at(rows)],
            groups,
            order=order,
            title=title,
            details=f"{len(rows):,} of {len(table):,} rows, {method.upper()} of {chosen.record.model}",
        )
        return Drawn(len(rows), len(table), len(table) - len(filled))

    @reading
    def label_set(
        self, target: str, *, count: int = 5, corpus: str | None = None, space: str | None = None
    ) -> LabelSet:
        """Start a label set from a column: its values, each with the texts nearest to the mean of its rows.

        Parameters
        ----------
        target : str
            A column of classes, or "annotations".
        count : int
            Texts to take for each value.
        corpus, space : str, optional
            As of `tag`.
        """
        table = self._annotated(self.corpus(corpus), target)
        chosen = self._embeddings(space, [table])
        rows, codes, values = given_classes(table, target, [], drop_missing=True)
        classes = classes_of({values[code] for code in np.unique(codes)}, len(rows), target)
        positions = table.positions()[rows]
        vectors = unit_rows(chosen.at(positions, table.name))
        middle = vectors.mean(axis=0)
        texts = []
        for value in classes:
            mine = np.flatnonzero(codes == values.index(value))
            typical = vectors[mine] @ (vectors[mine].mean(axis=0) - middle)
            best = _unlike(vectors[mine], np.argsort(-typical, kind="stable"), count)
            found = [text for text in texts_at(self.path, self.manifest, positions[mine[best]]) if text.strip()]
            texts.append(tuple(found) or (value_text(value),))
        return LabelSet(tuple(value_text(value) for value in classes), tuple(texts), name=target)

    def _neighbours(self, space: Space, corpus: Corpus, row: object) -> list[dict[str, Any]]:
        k = min(_NEIGHBOURS, len(corpus) - 1)
        if k < 1:
            return []
        matches: Any = self.matches(row=row, k=k, corpus=corpus.name, space=space.key)  # type: ignore[attr-defined]
        found: list[dict[str, Any]] = matches.table.to_pylist()
        return found
