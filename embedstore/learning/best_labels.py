"""The labels that `tag --method best` gives to the texts of some corpora, with or without the answers of people."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from embedstore.annotations.column import answered_rows
from embedstore.core.masks import numbered
from embedstore.labels.label_set import LabelSet
from embedstore.labels.learnt import MOST_LEARNT
from embedstore.learning.targets import Target
from embedstore.tagging.methods import find_method
from embedstore.tagging.scored import AllTexts, Found
from embedstore.tagging.steps import all_refined, answers_given, score
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
    texts : AllTexts
        The texts with their similarities to the labels.
    found : Found
        Standardised scores, with notes on how they were made.
    """

    texts: AllTexts
    found: Found

    @property
    def names(self) -> tuple[str, ...]:
        """The labels."""
        return self.texts.labels.names

    @property
    def notes(self) -> tuple[str, ...]:
        """What the labels were taken for, and steps that were skipped, with reasons."""
        return self.found.notes

    @classmethod
    def of(
        cls,
        now: Snapshot,
        space: Space,
        targets: Sequence[Target],
        labels: LabelSet,
        queries: QueryEncoder,
        asked: npt.NDArray[np.int64],
    ) -> "BestLabels":
        """Refine the similarities of the answerable texts of `targets` to the labels; missing label texts are encoded.

        Of more than 100,000 texts, these are a random sample, and those at the positions `asked`.

        Raises
        ------
        ModelRequiredError
            If a label text has no vector and `queries` must not load a model.
        """
        method = find_method("best")
        described = method.describe(labels)
        prototypes = described.prototypes(queries)
        every = np.concatenate([one.table.positions()[one.answerable] for one in targets])
        positions, _ = numbered(every, len(now.texts))
        if len(positions) > MOST_LEARNT:
            drawn = np.random.default_rng(42).choice(positions, MOST_LEARNT, replace=False)
            positions, _ = numbered(np.concatenate([drawn, asked]), len(now.texts))
        texts = AllTexts(
            labels=described,
            prototypes=prototypes,
            positions=positions,
            space=space,
            vectors_of=queries,
            cosines=score(space, prototypes, positions, all_scores=True).scores,
            shares=described.shares or None,
        )
        return cls(texts, all_refined(method, texts))

    def with_answers(self, answers: Mapping[int, str]) -> "BestLabels":
        """Return the labels that `answers` lead to: the label of each answered text by its position."""
        given = [answers.get(position) for position in self.texts.positions.tolist()]
        texts = replace(self.texts, answers=answers_given(np.arange(len(given)), given, self.names))
        return BestLabels(texts, all_refined(find_method("best"), texts))

    def at(self, positions: npt.NDArray[np.int64]) -> list[str]:
        """Return the label of each text at `positions`, shape (n,)."""
        best = self.found.scores[np.searchsorted(self.texts.positions, positions)].argmax(axis=1)
        return [self.names[number] for number in best.tolist()]


def answers_of(now: Snapshot, targets: Sequence[Target], labels: LabelSet) -> dict[int, str]:
    """Return the label that people gave to each answerable text of some corpora, by its position."""
    found: dict[int, str] = {}
    for one in targets:
        column = answered_rows(now, one.table, labels)
        if column is not None:
            said = np.flatnonzero(one.answerable & column.is_valid().to_numpy())
            rows = zip(one.table.positions()[said].tolist(), column.take(pa.array(said)).to_pylist(), strict=True)
            found |= {position: label for position, label in rows if label in labels.names}
    return found
