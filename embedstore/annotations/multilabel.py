"""Ask a person for all labels of one text at a time."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from embedstore.annotations.annotation import Annotation
from embedstore.annotations.queue import AHEAD, Queue, doubt_of
from embedstore.annotations.session import AnnotationSession
from embedstore.core.checks import column_values
from embedstore.labels.choice import joined_labels
from embedstore.labels.multilabel import membership
from embedstore.labels.odds import KnownLabels, probabilities
from embedstore.labels.typical import first_apart
from embedstore.vectors.space import Space

__all__ = ["MultilabelQuestions", "MultilabelSession"]

_ORDERS = ("typical", "uncertain", "random")
_BREADTH = 10  # candidates for each text that is chosen

Labels = tuple[str, ...]


class MultilabelQuestions(Queue[Labels]):
    """The queue of texts to ask about, if a text can have several labels; see `Queue` for what is not named here.

    Parameters
    ----------
    prototypes : ndarray of shape (labels, dim), float32
        Unit vectors of the labels.
    names : sequence of str
        The labels.
    answers : mapping of int to tuple of str
        Labels of each answered text, by position.
    order : {"typical", "uncertain", "random"}
        "uncertain" asks where the probability of a label is nearest to a half, and takes dissimilar texts. "typical"
        first asks about typical texts of unlike groups; see `first_typical`.
    about : int, optional
        Number of a label: its probability alone counts, and texts that get it come first.
    """

    kind = " for several labels a text"

    def __init__(
        self,
        space: Space,
        positions: npt.NDArray[np.int64],
        prototypes: npt.NDArray[np.float32],
        names: Sequence[str],
        *,
        answers: Mapping[int, Labels],
        skipped: Iterable[int] = (),
        history: Sequence[int] = (),
        order: str = "typical",
        about: int | None = None,
        random_state: int | Sequence[int] = 42,
    ) -> None:
        super().__init__(
            space,
            positions,
            len(names),
            _ORDERS,
            answers=answers,
            skipped=skipped,
            history=history,
            order=order,
            random_state=random_state,
        )
        self._about = about
        self._scores = membership(self._vectors @ prototypes.T)
        self._number = {name: number for number, name in enumerate(names)}

    def chosen(self, rest: npt.NDArray[np.int64]) -> list[int]:
        """Return the places of texts with an uncertain label that are unlike each other."""
        lead = probabilities(self._scores, self._known())[rest] - 0.5
        doubt = -np.abs(lead).min(axis=1) if self._about is None else doubt_of(lead[:, self._about])
        candidates = rest[np.argsort(-doubt, kind="stable")[: AHEAD * _BREADTH]]
        return first_apart(self._vectors, candidates, AHEAD)

    def _known(self) -> KnownLabels:
        pairs = sorted((self._place[position], labels) for position, labels in self.answers.items())
        members = np.zeros((len(pairs), len(self._number)), dtype=bool)
        for row, (_, labels) in enumerate(pairs):
            members[row, [self._number[name] for name in labels]] = True
        return KnownLabels(np.array([place for place, _ in pairs], dtype=np.int64), members)


class MultilabelSession(AnnotationSession):
    """Questions to one person who gives a text all labels that apply; see `AnnotationSession`."""

    def recorded(self, one: Annotation) -> Labels:
        """Return the labels of an answer."""
        return one.labels

    def shown(self, said: Labels) -> Labels:
        """Return the labels, as they are recorded."""
        return said

    def answer(self, label: Sequence[str]) -> None:
        """Store the labels of the text, and go to the next question; an empty list means that none applies.

        Raises
        ------
        UsageError
            If a label is not in the label set, or no question is left.
        """
        self.give(joined_labels(map(str, column_values("the labels of an answer", label))))
