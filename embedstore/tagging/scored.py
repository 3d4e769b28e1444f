"""What a tagging method refines: the distinct texts of a corpus, with their similarities to the labels."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from embedstore.labels.fewshot import Answers
from embedstore.labels.label_set import LabelSet
from embedstore.labels.zeroshot import VectorsOf

__all__ = ["Scored"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """The distinct texts of a corpus, scored by cosine similarity.

    Attributes
    ----------
    labels : LabelSet
        The labels.
    prototypes : ndarray of shape (labels, dim), float32
        Unit vectors of the labels.
    cosines : ndarray of shape (texts, labels), float32
        Cosine similarity of each text to each label.
    vectors : ndarray of shape (texts, dim), float32
        Unit vectors of the texts.
    texts : callable
        Reads and returns the texts.
    vectors_of : callable
        Returns the unit vectors of texts that are not in the corpus, such as label texts.
    shares : sequence of float or None
        Known share of each label.
    answers : Answers or None
        What people said of some texts.
    """

    labels: LabelSet
    prototypes: npt.NDArray[np.float32]
    cosines: npt.NDArray[np.float32]
    vectors: npt.NDArray[np.float32]
    texts: Callable[[], list[str]]
    vectors_of: VectorsOf
    shares: Sequence[float | None] | None = None
    answers: Answers | None = None
