"""The tags of a corpus by the labels that a person is at work on."""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from embedstore.annotations.column import answered_rows
from embedstore.corpora.rows import Corpus
from embedstore.desk.lens import Lens
from embedstore.labels.label_set import LabelSet
from embedstore.reports.predictions import shares_of
from embedstore.tagging.pipeline import tag
from embedstore.tagging.steps import confident_rows
from embedstore.vectors.snapshot import Snapshot

__all__ = ["Tagged", "learnable", "tagged"]

_FIGURES = ("score", "margin", "confidence")
_NOTHING_LEARNT = "nobody has answered with these labels yet: nothing is learnt from answers"


@dataclass(frozen=True, slots=True)
class Tagged:
    """The tag of each row.

    Attributes
    ----------
    labels : LabelSet
        The labels.
    codes : ndarray of shape (rows,), int16
        Number of each row's label; -1 for a row without a tag: it has no text, or too little confidence.
    columns : dict of str to ChunkedArray
        ``Predicted_Labels``, ``score``, ``margin`` and, if the lens has a least confidence, ``confidence``; null for a
        row without a text.
    shares : dict of str to float
        Share of each label among the rows with a tag.
    notes : tuple of str
        Notes to the user.
    """

    labels: LabelSet
    codes: npt.NDArray[np.int16]
    columns: dict[str, pa.ChunkedArray]
    shares: dict[str, float]
    notes: tuple[str, ...]

    @property
    def has_text(self) -> npt.NDArray[np.bool_]:
        """Which rows have a text, shape (rows,)."""
        return np.asarray(self.columns["score"].is_valid(), dtype=bool)

    @property
    def confidence(self) -> npt.NDArray[np.float32]:
        """The confidence of each row, -1 for a row without a text, shape (rows,); the lens has a least confidence."""
        return np.asarray(self.columns["confidence"].fill_null(-1), dtype=np.float32)

    def confident(self, least: float) -> "Tagged":
        """Return the tags without those of less confidence, as `embedstore.tagging.tag` leaves such rows untagged."""
        texts = self.has_text
        kept = np.zeros(len(self.codes), dtype=bool)
        kept[texts], notes = confident_rows(self.confidence[texts], least)
        names = self.columns["Predicted_Labels"].combine_chunks()
        columns = self.columns | {"Predicted_Labels": pa.chunked_array([pc.if_else(pa.array(kept), names, None)])}
        shares = shares_of(self.codes[kept], self.labels.names)
        codes = np.where(kept, self.codes, np.int16(-1))
        return replace(self, codes=codes, columns=columns, shares=shares, notes=(*self.notes, *notes))

    @property
    def nbytes(self) -> int:
        """Size in memory of what there is for each row."""
        return self.codes.nbytes + sum(int(one.nbytes) for one in self.columns.values())


def learnable(now: Snapshot, table: Corpus, lens: Lens) -> tuple[Lens, tuple[str, ...]]:
    """Return a lens that can learn from answers if it says so, and a note if it can't.

    If no row of the corpus has an answer with the labels of the lens, the lens that is returned learns from none.
    """
    if not lens.examples or answered_rows(now, table, lens.chosen) is not None:
        return lens, ()
    return replace(lens, examples=False), (_NOTHING_LEARNT,)


def tagged(now: Snapshot, table: Corpus, lens: Lens, *, space: str) -> Tagged:
    """Tag the rows of a corpus through a lens, whatever their confidence is; see `embedstore.tagging.tag`.

    Without answers to learn from, there is a note in the place of an error; see `learnable`.
    """
    lens, notes = learnable(now, table, lens)
    labels, sure = lens.chosen, lens.min_confidence is not None
    found = tag(
        now, labels, corpus=table.name, space=space, method=lens.method, examples=lens.examples, confidence=sure
    )
    coded = found.column("Predicted_Labels")
    names = coded.dictionary.to_pylist()
    number = np.array([labels.names.index(name) for name in names] + [-1], dtype=np.int16)
    codes = number[coded.indices.fill_null(len(names)).to_numpy(zero_copy_only=False)]
    columns = {"Predicted_Labels": pa.chunked_array([coded.dictionary_decode()])}
    columns |= {name: pa.chunked_array([found.column(name)]) for name in _FIGURES[: 2 + sure]}
    return Tagged(labels, codes, columns, found.shares, (*found.notes, *notes))
