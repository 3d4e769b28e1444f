"""The methods that refine similarities by what the whole corpus says of them: "scale", "topics", and the better one."""

from dataclasses import replace
from typing import ClassVar

from embedstore.labels.label_set import LabelSet
from embedstore.labels.mixture import topic_scores
from embedstore.labels.regime import regime_of
from embedstore.labels.zeroshot import Refined, refine, topic_bias
from embedstore.tagging.scored import Scored

__all__ = ["Best", "Scale", "Topics"]


class Scale:
    """For steps of a scale, such as opinions; see `embedstore.labels.zeroshot`."""

    refines: ClassVar[bool] = True
    takes_shares: ClassVar[bool] = True
    sharpness: ClassVar[float] = 2.0

    def describe(self, labels: LabelSet) -> LabelSet:
        """Return the labels; those without descriptions get them from a shipped set that has these labels."""
        return labels.described()

    def refine(self, scored: Scored) -> Refined:
        """Return the refined scores."""
        texts, learnt = scored.texts(), scored.learnt
        bias = topic_bias(scored.labels, scored.prototypes, texts, scored.vectors, scored.vectors_of, learnt=learnt)
        return refine(scored.cosines, texts, bias=bias, shares=scored.shares, learnt=learnt)


class Topics(Scale):
    """For labels that are topics; see `embedstore.labels.mixture`."""

    def refine(self, scored: Scored) -> Refined:
        """Return the refined scores."""
        return topic_scores(
            scored.vectors,
            scored.prototypes,
            scored.texts(),
            answers=scored.answers,
            shares=scored.shares,
            learnt=scored.learnt,
        )


class Best(Scale):
    """The method that fits what the labels are; see `embedstore.labels.regime`."""

    def refine(self, scored: Scored) -> Refined:
        """Return the refined scores, with a note on what the labels were taken for."""
        regime = scored.learnt.of(lambda: regime_of(scored.labels, scored.prototypes, scored.vectors))
        found = (Topics() if regime.name == "topics" else Scale()).refine(scored)
        return replace(found, notes=(regime.note, *found.notes))
