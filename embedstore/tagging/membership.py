"""The methods that score labels one against the rest, for texts that can have several."""

import numpy as np
import numpy.typing as npt

from embedstore.labels.multilabel import membership, topic_membership
from embedstore.tagging.scored import Scored

__all__ = ["by_cosine", "by_topic"]

Scores = npt.NDArray[np.float64]


def by_cosine(scored: Scored) -> tuple[Scores, tuple[str, ...]]:
    """Return each label's scores from its similarities, and no notes."""
    return membership(scored.cosines, learnt=scored.learnt), ()


def by_topic(scored: Scored) -> tuple[Scores, tuple[str, ...]]:
    """Return each label's scores as a topic of the corpus, and notes."""
    return topic_membership(scored.vectors, scored.prototypes, scored.texts(), learnt=scored.learnt)
