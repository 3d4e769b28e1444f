"""The tags of a corpus by the labels that a person is at work on."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from embedstore.corpora.rows import Corpus
from embedstore.desk.lens import Lens
from embedstore.labels.label_set import LabelSet
from embedstore.tagging.pipeline import tag
from embedstore.vectors.snapshot import Snapshot

__all__ = ["Tagged", "tagged"]


@dataclass(frozen=True, slots=True)
class Tagged:
    """The tag of each row.

    Attributes
    ----------
    labels : LabelSet
        The labels.
    codes : ndarray of shape (rows,), int16
        Number of each row's label; -1 for a row without a text.
    columns : dict of str to ChunkedArray
        ``Predicted_Labels``, ``score`` and ``margin``, null for a row without a text.
    shares : dict of str to float
        Share of the rows of each label.
    notes : tuple of str
        Notes to the user.
    """

    labels: LabelSet
    codes: npt.NDArray[np.int16]
    columns: dict[str, pa.ChunkedArray]
    shares: dict[str, float]
    notes: tuple[str, ...]

    @property
    def nbytes(self) -> int:
        """Size in memory of what there is for each row."""
        return self.codes.nbytes + sum(int(one.nbytes) for one in self.columns.values())


def tagged(now: Snapshot, table: Corpus, lens: Lens, *, space: str) -> Tagged:
    """Tag the rows of a corpus through a lens; see `embedstore.tagging.tag`."""
    labels = lens.chosen
    found = tag(now, labels, corpus=table.name, space=space, method=lens.method, examples=lens.examples)
    coded = found.column("Predicted_Labels")
    names = coded.dictionary.to_pylist()
    number = np.array([labels.names.index(name) for name in names] + [-1], dtype=np.int16)
    codes = number[coded.indices.fill_null(len(names)).to_numpy(zero_copy_only=False)]
    columns = {"Predicted_Labels": pa.chunked_array([coded.dictionary_decode()])}
    columns |= {name: pa.chunked_array([found.column(name)]) for name in ("score", "margin")}
    return Tagged(labels, codes, columns, found.shares, found.notes)
