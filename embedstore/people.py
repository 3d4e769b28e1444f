"""What people said of rows: asking, keeping, importing, listing."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from embedstore.annotation_tables import answer_rows, check_contradictions, check_labels, news
from embedstore.annotations import (
    ANNOTATIONS,
    Annotation,
    agreed,
    annotated_rows,
    answers_to,
    choices,
    current,
    is_annotations,
    is_called,
    keep,
    keys_at,
    positions_of,
    read_annotations,
    set_name,
)
from embedstore.contents import Contents, reading
from embedstore.corpus import Corpus, value_text
from embedstore.errors import InputError, NotFoundError, UsageError
from embedstore.labels import Labels, LabelSet
from embedstore.questions import Order, Questions
from embedstore.space import text_starts, texts_at
from embedstore.storage.segments import text_key

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
        standing = answers_to(current(read_annotations(self.path, manifest)), label_set)
        labels_of, _ = agreed(standing)
        own = [one.text for one in standing if one.who == who]
        places = positions_of(self.path, manifest, [*labels_of, *own])
        asked = [places[key] for key in own if key in places]
        return Questions(
            chosen,
            table.positions(),
            label_set.prototypes(vectors_of),
            answers={places[key]: label_set.names.index(label) for key, label in labels_of.items() if key in places},
            skipped=asked,
            history=asked,
            order=order,
            random_state=[seed, *who.encode(errors="replace")],
        )

    def text_at(self, position: int) -> str:
        """Return the text at a position."""
        return texts_at(self.path, self.manifest, np.array([position]))[0]

    @reading
    def annotate(self, position: int, label: str, labels: Labels, *, who: str = "", corpus: str | None = None) -> None:
        """Keep an answer to the text at a position; it is on disk when this returns.

        Parameters
        ----------
        position : int
            Of the text in the store.
        label : str
            One of the labels; "" if it was skipped.
        labels : LabelSet, or what stands for one
            The labels that there were to choose from.
        who : str
            Who answered.
        corpus : str, optional
            Where the text was found.

        Raises
        ------
        UsageError
            If there is no such text or label.
        """
        label_set = LabelSet.of(labels)
        if label and label not in label_set.names:
            raise UsageError(f"expected one of {', '.join(label_set.names)}, found {label!r}")
        keep(self.path, [self._answer(position, label, set_name(label_set), who, corpus)])

    @reading
    def take_back(self, position: int, labels: Labels, *, who: str = "", corpus: str | None = None) -> None:
        """Take back the last answer, or skip, of a person to the text at a position."""
        answer = self._answer(position, "", set_name(LabelSet.of(labels)), who, corpus)
        keep(self.path, [Annotation(text=answer.text, label="", label_set=answer.label_set, action="undo", who=who)])

    def _answer(self, position: int, label: str, label_set: str, who: str, corpus: str | None) -> Annotation:
        texts = int(text_starts(self.manifest)[-1])
        if not 0 <= position < texts:
            raise UsageError(f"expected the position of a text, from 0 to {texts - 1}, found {position}")
        table = self.corpus(corpus)
        (key,) = keys_at(self.path, self.manifest, np.array([position]))
        rows, _ = table.rows_at(np.array([position]))
        row = value_text(table.ids_at(rows[:1])[0]) if len(rows) else ""
        return Annotation(
            text=key,
            label=label,
            label_set=label_set,
            action="label" if label else "skip",
            who=who,
            corpus=table.name,
            row=row,
        )

    @reading
    def annotation_table(
        self, *, corpus: str | None = None, who: str | None = None, disagreements: bool = False
    ) -> pa.Table:
        """Return the answers that stand.

        Parameters
        ----------
        corpus, who : str, optional
            Only those to texts found there; only those of this person.
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
        said: dict[Any, set[str]] = {}
        for one in standing:
            said.setdefault((one.text, choices(one.label_set)), set()).add(one.label)
        split = {key for key, labels in said.items() if len(labels) > 1}
        if disagreements:
            standing = sorted(
                (one for one in standing if (one.text, choices(one.label_set)) in split),
                key=lambda one: (one.text, one.who),
            )
        name = None if corpus is None else self.corpus(corpus).name
        standing = [one for one in standing if name in (None, one.corpus) and who in (None, one.who)]
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
                "yes" if (one.text, choices(one.label_set)) in split else "",
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
    def import_annotations(
        self, table: Any, labels: Labels | None = None, *, corpus: str | None = None, who: str = ""
    ) -> int:
        """Keep the answers in a table; return how many are new. All of it is kept, or nothing.

        What stands already is not kept twice, and an answer does not take the place of a later one.

        Parameters
        ----------
        table : path, DataFrame, Table or sequence of dict
            Columns id and label; who, corpus, label_set, when and text may be there, as `annotation_table` gives them.
            Where there are texts, an answer goes to its text, whatever row that is now; rows without a label are
            passed over.
        labels : LabelSet, or what stands for one, optional
            The labels that there were to choose from; needed where label_set does not say.
        corpus, who : str, optional
            Where rows do not say.

        Raises
        ------
        InputError
            If a column is missing, a label is unknown, a row is gone, or a person calls a text by two labels.
        """
        rows = answer_rows(table)
        label_set = None if labels is None else LabelSet.of(labels)
        if label_set is None and not all(row["label_set"] for row in rows if row["label"]):
            raise UsageError("expected labels (-l, --labels) to choose from, or a column label_set that names them")
        check_labels(rows, label_set)
        rows = [row for row in rows if row["label"]]
        keys = [text_key(row["text"]).hex() if row["text"] else "" for row in rows]
        places = positions_of(self.path, self.manifest, [key for key in keys if key])
        answers, gone = [], []
        for row, key in zip(rows, keys, strict=True):
            found = self.corpus(row["corpus"] or corpus)
            position = places.get(key) if key else _position_of(found, row["id"])
            if position is None:
                gone.append(value_text(row["id"]))
                continue
            name = row["label_set"] or (set_name(label_set) if label_set else "")
            made = self._answer(position, row["label"], name, row["who"] or who, found.name)
            answers.append(replace(made, when=row["when"]))
        if gone:
            raise InputError(
                f"{len(gone):,} of {len(rows):,} annotations are of rows that are not there, {gone[0]!r} first: take "
                "them out of the file, or add the rows; nothing was kept"
            )
        check_contradictions(answers)
        answers = news(answers, current(read_annotations(self.path, self.manifest)))
        keep(self.path, answers)
        return len(answers)

    def _annotated(self, table: Corpus, target: str | None, labels: LabelSet | None = None) -> Corpus:
        """Return a corpus with a column of what people said, where `target` asks for it."""
        if target is None or not is_annotations(target) or target in table.schema.names:
            return table
        column = self._given(table, labels, target.partition(":")[2])
        if column is None:
            raise InputError(
                f"no row of corpus {table.name!r} was annotated yet"
                + (f" with the labels {', '.join(labels.names)}" if labels else "")
                + ": run `embedstore annotate`, or import annotations"
            )
        return table.beside(target, column)

    def _given(self, table: Corpus, labels: LabelSet | None = None, name: str = "") -> pa.ChunkedArray | None:
        """Return what people said of each row, of these labels or of the label set of a name; None if nothing."""
        manifest = self.manifest
        standing = current(read_annotations(self.path, manifest))
        if labels:
            standing = answers_to(standing, labels)
        sets = {choices(one.label_set): one.label_set for one in standing if one.action == "label"}
        there = "; ".join(sets.values())
        if name:
            standing = [one for one in standing if is_called(one.label_set, name)]
            if sets and not standing:
                raise InputError(f"no annotations are of a label set {name!r}: there are {there}")
            sets = {among: called for among, called in sets.items() if is_called(called, name)}
        if len(sets) > 1 and not labels:
            raise InputError(
                f"the annotations are of several label sets: say which, as {ANNOTATIONS}:{next(iter(sets.values()))}; "
                f"there are {there}"
            )
        said, _ = agreed(standing)
        column = annotated_rows(self.path, manifest, table, said) if said else None
        return column if column is not None and column.null_count < len(column) else None


def _position_of(table: Corpus, id_: Any) -> int | None:
    try:
        return int(table.positions()[table.row_of(id_)])
    except NotFoundError:
        return None
