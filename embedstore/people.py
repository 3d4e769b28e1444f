"""What people said of rows: asking, keeping, importing, listing."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from embedstore.annotations import (
    ANNOTATIONS,
    Annotation,
    agreed,
    annotated_rows,
    current,
    keep,
    keys_at,
    positions_of,
    read_annotations,
)
from embedstore.contents import Contents, reading
from embedstore.corpus import Corpus, value_text
from embedstore.errors import InputError, NotFoundError
from embedstore.labels import Labels, LabelSet
from embedstore.questions import Order, Questions
from embedstore.space import texts_at
from embedstore.tables import ReadOptions, sources_of

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["People"]

_SCHEMA = pa.schema(
    [(name, pa.string()) for name in ("corpus", "id", "label", "label_set", "who", "when", "disagreement", "text")]
)


class People(Contents):
    """A store whose rows people may label."""

    @reading
    def questions(
        self,
        labels: Labels,
        *,
        corpus: str | None = None,
        space: str | None = None,
        order: Order = "uncertain",
        who: str = "",
        seed: int = 42,
        no_encode: bool = False,
    ) -> Questions:
        """Return an iterator-like object that chooses which rows to show a person; see `embedstore.questions`."""
        label_set = LabelSet.of(labels).described()
        table = self.corpus(corpus)
        chosen = self._embeddings(space, [table])
        chosen.require(table.positions(), table.name)

        def vectors_of(texts: Sequence[str]) -> npt.NDArray[np.float32]:
            return self._query_vectors(chosen, texts, no_encode=no_encode)

        manifest = self.manifest
        standing = current(read_annotations(self.path, manifest))
        labels_of, _ = agreed(standing, label_set.names)
        skipped = [one.text for one in standing if one.action == "skip" and one.who == who]
        places = positions_of(self.path, manifest, [*labels_of, *skipped])
        return Questions(
            chosen,
            table.positions(),
            label_set.prototypes(vectors_of),
            answers={places[key]: label_set.names.index(label) for key, label in labels_of.items() if key in places},
            skipped=[places[key] for key in skipped if key in places],
            order=order,
            random_state=seed,
        )

    def text_at(self, position: int) -> str:
        """Return the text at a position."""
        return texts_at(self.path, self.manifest, np.array([position]))[0]

    @reading
    def annotate(
        self, position: int, label: str, labels: LabelSet, *, who: str = "", corpus: str | None = None
    ) -> None:
        """Keep an answer to the text at a position; it is on disk when this returns.

        Parameters
        ----------
        position : int
            Of the text in the store.
        label : str
            One of the labels; "" if it was skipped.
        labels : LabelSet
            The labels that there were to choose from.
        who : str
            Who answered.
        corpus : str, optional
            Where the text was found.
        """
        keep(self.path, [self._answer(position, label, labels, who, corpus)])

    @reading
    def take_back(self, position: int, labels: LabelSet, *, who: str = "", corpus: str | None = None) -> None:
        """Take back the last answer of a person to the text at a position."""
        answer = self._answer(position, "", labels, who, corpus)
        keep(self.path, [Annotation(text=answer.text, label="", label_set=answer.label_set, action="undo", who=who)])

    def _answer(self, position: int, label: str, labels: LabelSet, who: str, corpus: str | None) -> Annotation:
        table = self.corpus(corpus)
        (key,) = keys_at(self.path, self.manifest, np.array([position]))
        rows, _ = table.rows_at(np.array([position]))
        row = value_text(table.ids_at(rows[:1])[0]) if len(rows) else ""
        return Annotation(
            text=key,
            label=label,
            label_set=_name_of(labels),
            action="label" if label else "skip",
            who=who,
            corpus=table.name,
            row=row,
        )

    @reading
    def annotation_table(self, *, disagreements: bool = False) -> pa.Table:
        """Return the answers that stand.

        Parameters
        ----------
        disagreements : bool
            Only those to texts that were called by different labels of one label set.

        Returns
        -------
        Table
            Columns corpus, id, label, label_set, who, when, disagreement ("yes" or ""), text; the text is null where
            the store no longer has it.
        """
        manifest = self.manifest
        standing = [one for one in current(read_annotations(self.path, manifest)) if one.action == "label"]
        said: dict[tuple[str, str], set[str]] = {}
        for one in standing:
            said.setdefault((one.text, one.label_set), set()).add(one.label)
        split = {key for key, labels in said.items() if len(labels) > 1}
        if disagreements:
            standing = sorted(
                (one for one in standing if (one.text, one.label_set) in split), key=lambda one: (one.text, one.who)
            )
        places = positions_of(self.path, manifest, [one.text for one in standing])
        texts = dict(
            zip(places, texts_at(self.path, manifest, np.array(list(places.values()), dtype=np.int64)), strict=True)
        )
        rows = [
            (
                one.corpus,
                one.row,
                one.label,
                one.label_set,
                one.who,
                one.when,
                "yes" if (one.text, one.label_set) in split else "",
                texts.get(one.text),
            )
            for one in standing
        ]
        return pa.table([pa.array([row[i] for row in rows], pa.string()) for i in range(len(_SCHEMA))], schema=_SCHEMA)

    def annotations(self, *, disagreements: bool = False) -> "pd.DataFrame":
        """Return the answers that stand as a DataFrame; see `annotation_table`."""
        frame: pd.DataFrame = self.annotation_table(disagreements=disagreements).to_pandas()
        return frame

    @reading
    def import_annotations(self, table: Any, labels: Labels, *, corpus: str | None = None, who: str = "") -> int:
        """Keep the answers in a table; return how many. All of it is kept, or nothing.

        Parameters
        ----------
        table : path, DataFrame, Table or sequence of dict
            Columns id and label; who and corpus may be there.
        labels : sequence of str, or LabelSet
            The labels that there were to choose from.
        corpus, who : str, optional
            Where rows do not say.

        Raises
        ------
        InputError
            If a column is missing, a label is unknown, or a row is gone.
        """
        label_set = LabelSet.of(labels)
        rows: list[dict[str, Any]] = []
        for source in sources_of(table, ReadOptions()):
            schema = source.survey().schema
            names = schema.names
            if missing := [name for name in ("id", "label") if name not in names]:
                raise InputError(f"expected annotations with columns id and label, {source.name} has no {missing[0]!r}")
            rows += [row for _, batch in source.batches(schema) for row in batch.to_pylist()]
        unknown = sorted({value_text(row["label"]) for row in rows} - {"", *label_set.names})
        if unknown:
            raise InputError(
                f"the annotations hold the label {unknown[0]!r}, which is none of {', '.join(label_set.names)}"
            )
        answers, gone = [], []
        for row in rows:
            if not (label := value_text(row["label"])):
                continue
            found = self.corpus(value_text(row.get("corpus")) or corpus)
            try:
                position = int(found.positions()[found.row_of(row["id"])])
            except NotFoundError:
                gone.append(value_text(row["id"]))
                continue
            answers.append(self._answer(position, label, label_set, value_text(row.get("who")) or who, found.name))
        if gone:
            raise InputError(
                f"{len(gone):,} of {len(rows):,} annotations are of rows that are not there, {gone[0]!r} first: take "
                "them out of the file, or add the rows; nothing was kept"
            )
        keep(self.path, answers)
        return len(answers)

    def _annotated(self, table: Corpus, target: str | None) -> Corpus:
        if target != ANNOTATIONS or ANNOTATIONS in table.schema.names:
            return table
        column = self._given(table)
        if column is None:
            raise InputError(
                f"no row of corpus {table.name!r} was annotated yet: run `embedstore annotate`, or import annotations"
            )
        return table.beside(ANNOTATIONS, column)

    def _given(self, table: Corpus, names: Sequence[str] | None = None) -> pa.ChunkedArray | None:
        manifest = self.manifest
        labels, _ = agreed(current(read_annotations(self.path, manifest)), names)
        column = annotated_rows(self.path, manifest, table, labels) if labels else None
        return column if column is not None and column.null_count < len(column) else None


def _name_of(labels: LabelSet) -> str:
    return labels.name or "|".join(labels.names)
