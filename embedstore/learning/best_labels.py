"""The labels that `tag --method best` gives to the texts of some corpora, with or without the answers of people."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from embedstore.annotations.column import answered_rows
from embedstore.labels.label_set import LabelSet
from embedstore.labels.zeroshot import Refined
from embedstore.learning.targets import Target
from embedstore.tagging.methods import find_method
from embedstore.tagging.scored import Scored
from embedstore.tagging.steps import answers_given, refined, score
from embedstore.vectors.queries import QueryEncoder
from embedstore.vectors.snapshot import Snapshot
from embedstore.vectors.space import Space

__all__ = ["BestLabels", "answers_of"]


@dataclass(frozen=True, slots=True)
class BestLabels:
    """Refined scores of the distinct texts of some corpora.

    Attributes
    ----------
    names : tuple of str
        The labels.
    positions : ndarray of shape (texts,), int64
        Positions of the texts, sorted.
    scored : Scored
        The texts with their similarities to the labels.
    found : Refined
        Standardised scores, with notes on how they were made.
    """

    positions: npt.NDArray[np.int64]
    scored: Scored
    found: Refined

    @property
    def names(self) -> tuple[str, ...]:
        """The labels."""
        return self.scored.labels.names

    @property
    def notes(self) -> tuple[str, ...]:
        """What the labels were taken for, and steps that were skipped, with reasons."""
        return self.found.notes

    @classmethod
    def of(
        cls, now: Snapshot, space: Space, targets: Sequence[Target], labels: LabelSet, queries: QueryEncoder
    ) -> "BestLabels":
        """Refine the similarities of the answerable texts of `targets` to the labels; missing label texts are encoded.

        Raises
        ------
        ModelRequiredError
            If a label text has no vector and `queries` must not load a model.
        """
        method = find_method("best")
        described = method.describe(labels)
        prototypes = described.prototypes(queries)
        positions = np.unique(np.concatenate([one.table.positions()[one.answerable] for one in targets]))
        cosines = score(space, prototypes, positions, all_scores=True).scores
        if cosines is None:
            raise ValueError("expected the scores of all labels")
        vectors = space.unit_at(positions)
        scored = Scored(
            labels=described,
            prototypes=prototypes,
            cosines=cosines,
            vectors=vectors,
            texts=lambda: now.texts.at(positions),
            vectors_of=queries,
            shares=described.shares or None,
        )
        return cls(positions, scored, refined(method, scored))

    def with_answers(self, answers: Mapping[int, str]) -> "BestLabels":
        """Return the labels that `answers` lead to: the label of each answered text by its position."""
        given = [answers.get(position) for position in self.positions.tolist()]
        scored = replace(self.scored, answers=answers_given(np.arange(len(given)), given, self.names))
        return replace(self, scored=scored, found=refined(find_method("best"), scored))

    def at(self, positions: npt.NDArray[np.int64]) -> list[str]:
        """Return the label of each text at `positions`, shape (n,)."""
        best = self.found.scores[np.searchsorted(self.positions, positions)].argmax(axis=1)
        return [self.names[number] for number in best.tolist()]


def answers_of(now: Snapshot, targets: Sequence[Target], labels: LabelSet) -> dict[int, str]:
    """Return the label that people gave to each answerable text of some corpora, by its position."""
    found: dict[int, str] = {}
    for one in targets:
        column = answered_rows(now, one.table, labels)
        if column is not None:
            rows = zip(one.table.positions().tolist(), column.to_pylist(), one.answerable.tolist(), strict=True)
            found |= {position: label for position, label, there in rows if there and label in labels.names}
    return found
