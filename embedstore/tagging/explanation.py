"""Explain the tag of a row: its scores, the nearest descriptions and the nearest rows."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from embedstore.core.blank import Blank
from embedstore.core.unit import unit_rows
from embedstore.core.values import value_text
from embedstore.errors import UsageError
from embedstore.labels.label_set import Labels, LabelSet
from embedstore.reports.predictions import Predictions
from embedstore.tables.result import TableResult
from embedstore.tagging.methods import find_method
from embedstore.tagging.pipeline import tag
from embedstore.vectors.neighbours import search
from embedstore.vectors.snapshot import Snapshot
from embedstore.vectors.space import Space

__all__ = ["Explanation", "NearDescription", "NearRow", "explain"]

_NEIGHBOURS = 5
_SHOWN = 3  # descriptions per label


class NearDescription(NamedTuple):
    """A label, one of its texts, and the cosine similarity between the row and that text."""

    label: str
    text: str
    score: float


class NearRow(NamedTuple):
    """A row near the explained row: its id, cosine similarity, tag ("" if untagged) and text."""

    id: str
    score: float
    label: str
    text: str


class Explanation(TableResult):
    """The explanation of a row's tag; its table holds the nearest rows: columns id, score, label, text.

    Attributes
    ----------
    text, label : str
        The row's text and its tag; the tag is "" if the row is untagged.
    scores : list of (str, float)
        Each label's score, best first.
    descriptions : list of NearDescription
        The three nearest descriptions of each label, nearest first.
    neighbours : list of NearRow
        The nearest rows of the corpus.
    """

    def __init__(
        self,
        text: str,
        label: str,
        scores: list[tuple[str, float]],
        descriptions: list[NearDescription],
        neighbours: list[NearRow],
    ) -> None:
        self.text = text
        self.label = label
        self.scores = scores
        self.descriptions = descriptions
        self.neighbours = neighbours
        columns = {
            "id": pa.array([row.id for row in neighbours], pa.string()),
            "score": pa.array([row.score for row in neighbours], pa.float32()),
            "label": pa.array([row.label for row in neighbours], pa.string()),
            "text": pa.array([row.text for row in neighbours], pa.string()),
        }
        super().__init__(pa.table(columns))

    def summary(self) -> dict[str, Any]:
        """Return all fields as a JSON object."""
        return {
            "text": self.text,
            "label": self.label,
            "scores": dict(self.scores),
            "descriptions": self.descriptions,
            "neighbours": self.neighbours,
        }


def explain(
    now: Snapshot,
    row: object,
    labels: Labels,
    *,
    corpus: str | None = None,
    space: str | None = None,
    method: str = "cosine",
    shares: Mapping[str, float] | None = None,
    confidence: bool = False,
    min_confidence: float | None = None,
    examples: bool = False,
    blank: Blank = "skip",
    no_encode: bool = False,
) -> Explanation:
    """Explain the tag of a row by its scores, the nearest descriptions and the nearest rows.

    Parameters
    ----------
    now : Snapshot
        The state of the store.
    row : object
        The row's id.
    labels : sequence of str, or LabelSet
        As in `tag`.
    corpus, space, method, shares, confidence, min_confidence, examples, blank, no_encode
        As in `tag`; with "skip", rows with a blank text are no neighbours either.

    Raises
    ------
    NotFoundError
        If no row has this id.
    UsageError
        If the row has a blank text, and `blank` is "skip".
    """
    tagged = tag(
        now,
        labels,
        corpus=corpus,
        space=space,
        method=method,
        shares=shares,
        scores=True,
        confidence=confidence,
        min_confidence=min_confidence,
        examples=examples,
        blank=blank,
        no_encode=no_encode,
    )
    used = find_method(method).describe(LabelSet.of(labels))
    table = tagged.corpus
    number = table.row_of(row)
    if not tagged.answered[number]:
        raise UsageError(
            f"expected a row with a text to explain, found none in row {value_text(row)!r}: name another row, or "
            "tag rows without a text with --blank answer"
        )
    position = table.positions()[[number]]
    vectors = now.embeddings(space, [table])
    near = _near_descriptions(now, vectors, used, unit_rows(vectors.at(position))[0], no_encode=no_encode)
    tags = tagged.column("Predicted_Labels")
    scores = [(name, float(tagged.column(name)[number].as_py())) for name in used.names]
    (text,) = now.texts.at(position)
    return Explanation(
        text,
        tags[number].as_py() or "",
        sorted(scores, key=lambda one: -one[1]),
        near,
        _neighbours(now, vectors, row, tagged, blank),
    )


def _near_descriptions(
    now: Snapshot, space: Space, labels: LabelSet, vector: npt.NDArray[np.float32], *, no_encode: bool
) -> list[NearDescription]:
    vectors_of = now.queries(space, no_encode=no_encode)
    found = []
    for name, texts in zip(labels.names, labels.prompts(), strict=True):
        near = vectors_of(texts) @ vector
        best = np.argsort(-near, kind="stable")[:_SHOWN]
        found += [NearDescription(name, texts[i], float(near[i])) for i in best]
    return found


def _neighbours(now: Snapshot, space: Space, row: object, tagged: Predictions, blank: Blank) -> list[NearRow]:
    if np.count_nonzero(tagged.answered) < 2:
        return []
    table = tagged.corpus
    tags = tagged.column("Predicted_Labels")
    matches = search(now, row=row, k=_NEIGHBOURS, corpus=table.name, space=space.key, blank=blank)
    return [
        NearRow(str(found["id"]), float(found["score"]), tags[table.row_of(found["id"])].as_py() or "", found["text"])
        for found in matches.table.to_pylist()
    ]
