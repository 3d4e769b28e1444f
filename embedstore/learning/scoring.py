"""Score and time methods on the rows of one split."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from embedstore.core.blocks import row_blocks
from embedstore.core.counts import counted, form
from embedstore.core.unit import unit_rows
from embedstore.core.values import value_text
from embedstore.corpora.texts import Texts
from embedstore.errors import CheckpointError, InputError, ModelRequiredError
from embedstore.labels.label_set import LabelSet
from embedstore.learning.best_labels import BestLabels, answers_of
from embedstore.learning.checkpoints import predicted_names
from embedstore.learning.fitting import TrainOptions, fit
from embedstore.learning.splits import Split
from embedstore.learning.targets import Target
from embedstore.reports.gold import map_gold, parse_map
from embedstore.reports.metrics import Report, intervals, paired_interval, report
from embedstore.vectors.clustering import spherical_centres
from embedstore.vectors.plan import EncodeReport
from embedstore.vectors.queries import QueryEncoder
from embedstore.vectors.snapshot import Snapshot
from embedstore.vectors.space import Space

__all__ = ["Score", "Scoring"]

_TOPICS_FROM = 20_000  # most rows that topics are learnt from
_ROWS_OF_STARTS = 50_000  # of all starts together: with few, each rounding of the vectors ends in another optimum

Vectors = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """The figures of one method.

    Attributes
    ----------
    method : str
        Name of the method.
    model, space : str
        Checkpoint and space key of its vectors; "" if it uses no vectors.
    rows : int
        Number of test rows whose class the method can predict.
    accuracy, macro_f1 : float
        From 0 to 1.
    accuracy_low, accuracy_high, macro_f1_low, macro_f1_high : float
        Ends of 95% bootstrap intervals.
    seconds : float
        Time to encode missing texts, to train and to predict.
    encoded : int
        Number of texts encoded in this run.
    """

    method: str
    model: str
    space: str
    rows: int
    accuracy: float
    accuracy_low: float
    accuracy_high: float
    macro_f1: float
    macro_f1_low: float
    macro_f1_high: float
    seconds: float
    encoded: int


class Scoring:
    """A collector of scores on the rows of one split.

    Parameters
    ----------
    split : Split
        Training rows and test rows.
    options : TrainOptions
        Penalty, iterations and seed of the logistic regressions.
    mapping : sequence of str
        ``VALUE=LABEL`` pairs: the label, of the label set or of a checkpoint, that a class stands for.
    notes : tuple of str
        Notes to begin with.

    Attributes
    ----------
    scores : list of Score
        One score per method.
    notes : tuple of str
        The first notes, then warnings of solvers and the methods left out, with reasons.
    """

    def __init__(self, split: Split, options: TrainOptions, mapping: Sequence[str], notes: tuple[str, ...]) -> None:
        self.scores: list[Score] = []
        self.notes = notes
        self._split = split
        self._options = options
        self._mapping = mapping
        self._names = [value_text(value) for value in split.classes]
        self._right: list[npt.NDArray[np.bool_]] = []  # hits per row of each LogReg; TF-IDF comes first

    def score(
        self,
        method: str,
        space: Space | None,
        predict: Callable[[], Report],
        *,
        seconds: float = 0.0,
        encoded: int = 0,
    ) -> None:
        """Time `predict` and add a score from its report."""
        start = time.monotonic()
        found = predict()
        seconds += time.monotonic() - start
        ends = intervals(found, random_state=self._options.random_state)
        self.scores.append(
            Score(
                method=method,
                model=space.record.model if space else "",
                space=space.key if space else "",
                rows=found.rows,
                accuracy=found.accuracy,
                accuracy_low=ends.accuracy[0],
                accuracy_high=ends.accuracy[1],
                macro_f1=found.macro_f1,
                macro_f1_low=ends.macro_f1[0],
                macro_f1_high=ends.macro_f1[1],
                seconds=round(seconds, 3),
                encoded=encoded,
            )
        )

    def majority(self) -> Report:
        """Predict the most frequent class for every row."""
        return self._report(np.full(len(self._split.given), np.bincount(self._split.y).argmax()))

    def tfidf(self, texts: Texts) -> Report:
        """Train a logistic regression on TF-IDF features, without vectors."""
        from sklearn.feature_extraction.text import TfidfVectorizer

        vectorizer = TfidfVectorizer()
        try:
            train = vectorizer.fit_transform(texts.at(self._split.train_positions))
        except ValueError as error:
            raise InputError(f"the texts have no words to learn from ({error})") from error
        test = vectorizer.transform(texts.at(self._split.test_positions))
        return self.logreg(train, self._split.y, test)

    def logreg(self, train: Any, y: npt.NDArray[np.int64], test: Any) -> Report:
        """Train a logistic regression, as the function `train` does."""
        fitted = fit(train, y, self._options)
        self.notes += fitted.notes
        found = self._report(numbers := fitted.model.predict(test))
        self._right.append(
            np.array([self._names[i] == name for i, name in zip(numbers, self._split.given, strict=True)])
        )
        return found

    def verdict(self) -> str:
        """Return the gain in accuracy of the best LogReg on vectors over TF-IDF, with a paired interval, as a line."""
        lines = [score for score in self.scores if score.method == "LogReg"]
        if not lines:
            return ""
        best = max(range(len(lines)), key=lambda number: lines[number].accuracy)
        gain = self._right[best + 1].astype(int) - self._right[0]
        low, high = paired_interval(gain, random_state=self._options.random_state)
        return (
            f"LogReg on {lines[best].model} against TF-IDF + LogReg: {100 * gain.mean():+.1f} points of accuracy "
            f"[{100 * low:+.1f}, {100 * high:+.1f}]"
        )

    def centroids(self, train: Vectors, y: npt.NDArray[np.int64], test: Vectors) -> Report:
        """Predict the class whose mean unit vector has the highest cosine similarity."""
        unit = unit_rows(train)
        means = unit_rows(np.stack([unit[y == number].mean(axis=0) for number in range(len(self._names))]))
        return self._report(_nearest(test, means))

    def topics(self, space: Space, train: Vectors, y: npt.NDArray[np.int64], test: Vectors) -> Report:
        """Find as many topics as there are classes, and predict the class that most training rows of a topic have.

        A note says how well topics and classes agree: their normalised mutual information on the test rows.
        """
        from sklearn.metrics import normalized_mutual_info_score

        rng = np.random.default_rng(self._options.random_state)
        unit, count = unit_rows(train), len(self._names)
        some = np.sort(rng.choice(len(unit), min(_TOPICS_FROM, len(unit)), replace=False))
        starts = int(np.clip(_ROWS_OF_STARTS // len(some), 10, 200))
        centres = spherical_centres(unit[some], count, random_state=self._options.random_state, restarts=starts)
        votes = np.zeros((count, count), dtype=np.int64)
        np.add.at(votes, (_nearest(train, centres), y), 1)
        votes[votes.sum(axis=1) == 0] = np.bincount(y, minlength=count)
        found = _nearest(test, centres)
        agreement = normalized_mutual_info_score(self._split.given, found)
        told = f"{counted(count, 'topic')} of {space.record.model} ({space.key[:8]}) and the classes"
        self.notes += (f"{told} agree by {agreement:.2f} (normalised mutual information, 0 to 1)",)
        return self._report(votes.argmax(axis=1)[found])

    def score_tags(self, space: Space, test: Vectors, labels: LabelSet, queries: QueryEncoder, *, asked: bool) -> None:
        """Score tags by cosine similarity, without training."""
        start, before = time.monotonic(), queries.encoded
        prototypes = labels.prototypes(queries)
        cost = {"seconds": time.monotonic() - start, "encoded": queries.encoded - before}

        def predict() -> Report:
            return self._mapped([labels.names[i] for i in _nearest(test, prototypes)], labels.names)

        self._score_or_note("cosine labels", space, predict, asked=asked, **cost)

    def score_best(
        self, now: Snapshot, space: Space, targets: Sequence[Target], labels: LabelSet, queries: QueryEncoder
    ) -> None:
        """Score the tags of "--method best"; and, if there are any, those after the answers of people.

        The method sees all answerable texts of `targets` and none of their classes. Answers to test texts are not
        blended in, so that every method is tested on the same rows, and on none that it has learnt from.
        """
        start, before = time.monotonic(), queries.encoded
        try:
            found = BestLabels.of(now, space, targets, labels, queries, self._split.test_positions)
        except (ModelRequiredError, CheckpointError) as error:
            self.notes += (f"best labels of {space.record.model} are left out: {error}",)
            return
        self.notes += tuple(f"best labels: {note}" for note in found.notes)
        seconds = time.monotonic() - start
        predict = partial(self._labelled, found)
        self._score_or_note(
            "best labels", space, predict, asked=False, seconds=seconds, encoded=queries.encoded - before
        )
        given = answers_of(now, targets, labels)
        tested = set(self._split.test_positions.tolist())
        kept = {position: label for position, label in given.items() if position not in tested}
        if kept:
            self.notes += (_told(kept=len(kept), left_out=len(given) - len(kept)),)
            learnt = partial(self._labelled, found, kept)
            self._score_or_note("best labels + answers", space, learnt, asked=False, seconds=seconds)

    def _labelled(self, found: BestLabels, answers: Mapping[int, str] | None = None) -> Report:
        learnt = found.with_answers(answers) if answers else found
        return self._mapped(learnt.at(self._split.test_positions), found.names)

    def score_checkpoint(self, space: Space, made: EncodeReport | None, *, asked: bool) -> None:
        """Score the labels of a checkpoint; `made` is the report of encoding its logits, None if they were stored."""
        head = space.record.head
        if head is None or head.is_multilabel or head.activation == "identity":
            self.notes += (f"{space.record.model} does not choose one label of several: it is left out",)
            return

        def predict() -> Report:
            return self._mapped(predicted_names(space, head, self._split.test_positions), head.names)

        cost = {"seconds": made.seconds, "encoded": made.encoded} if made else {}
        self._score_or_note("finetuned checkpoint", space, predict, asked=asked, **cost)

    def _score_or_note(self, method: str, space: Space, predict: Any, *, asked: bool, **cost: Any) -> None:
        try:
            self.score(method, space, predict, **cost)
        except (InputError, ModelRequiredError) as error:
            if asked:
                raise
            self.notes += (f"{method} of {space.record.model} are left out: {error}",)

    def _report(self, numbers: npt.NDArray[np.int64]) -> Report:
        return report(self._split.given, [self._names[number] for number in numbers])

    def _mapped(self, predicted: list[str], names: Sequence[str]) -> Report:
        pairs = [pair for pair in self._mapping if pair.partition("=")[2] in ("", *names)]
        return map_gold(self._split.given, predicted, names, parse_map(pairs, names), column=self._split.target)


def _nearest(vectors: Vectors, of_labels: Vectors) -> npt.NDArray[np.intp]:
    """Return the number of the label vector with the largest product for each vector, shape (n,)."""
    found = np.empty(len(vectors), dtype=np.intp)
    for here in row_blocks(len(vectors), len(of_labels)):
        found[here] = (vectors[here] @ of_labels.T).argmax(axis=1)
    return found


def _told(*, kept: int, left_out: int) -> str:
    rest = f"; {left_out:,} more {form(left_out, 'is of a test row and is', 'are of test rows and are')} left out"
    return f"best labels + answers: learnt from {counted(kept, 'answered text')}" + (rest if left_out else "")
