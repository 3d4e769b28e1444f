"""The method "cosine": the label with the highest cosine similarity."""

from typing import TYPE_CHECKING, ClassVar

import numpy as np

from embedstore.labels.label_set import LabelSet

if TYPE_CHECKING:
    from embedstore.labels.zeroshot import Refined
    from embedstore.tagging.scored import Scored

__all__ = ["Cosine"]


class Cosine:
    """Plain cosine similarity: the nearest label wins."""

    refines: ClassVar[bool] = False
    takes_shares: ClassVar[bool] = False
    sharpness: ClassVar[float] = 20.0

    def describe(self, labels: LabelSet) -> LabelSet:
        """Return the labels unchanged."""
        return labels

    def refine(self, scored: "Scored") -> "Refined":
        """Return the similarities divided by their standard deviation around each text's mean."""
        from embedstore.labels.zeroshot import Refined

        apart = scored.cosines - scored.cosines.mean(axis=1, keepdims=True)
        spread = scored.learnt.of(lambda: float(np.std(apart)))
        return Refined(scored.cosines.astype(np.float64) / max(spread, 1e-9), np.empty(0), ())
