"""The method "best": similarities refined by what the whole corpus says of them."""

from typing import ClassVar

from embedstore.labels.label_set import LabelSet
from embedstore.labels.zeroshot import Refined, refine, topic_bias
from embedstore.tagging.scored import Scored

__all__ = ["Best"]


class Best:
    """Scores refined with statistics of the whole corpus; see `embedstore.labels.zeroshot`."""

    refines: ClassVar[bool] = True
    takes_shares: ClassVar[bool] = True
    sharpness: ClassVar[float] = 2.0

    def describe(self, labels: LabelSet) -> LabelSet:
        """Return the labels; those without descriptions get them from a shipped set that has these labels."""
        return labels.described()

    def refine(self, scored: Scored) -> Refined:
        """Return the refined scores."""
        texts = scored.texts()
        bias = topic_bias(scored.labels, scored.prototypes, texts, scored.vectors, scored.vectors_of)
        return refine(scored.cosines, texts, bias=bias, shares=scored.shares)
