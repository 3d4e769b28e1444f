"""One table of what each road to a column's classes is worth: baselines, cached vectors, finetuned checkpoints."""

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from embedstore.classify import predicted_names
from embedstore.corpus import value_text
from embedstore.errors import InputError, ModelRequiredError
from embedstore.heads import Head
from embedstore.labels import LabelSet
from embedstore.metrics import Report, intervals, map_gold, paired_interval, parse_map, report
from embedstore.space import Space
from embedstore.targets import Split
from embedstore.training import TrainOptions, fit, within_memory
from embedstore.vectors import unit_rows

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Classifier", "Comparison", "Score", "compare"]

Vectors = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Classifier:
    """A finetuned checkpoint's logits; what it took to have them (seconds, texts); whether it was asked for."""

    space: Space
    head: Head
    seconds: float
    encoded: int
    asked: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """One line of the table.

    Attributes
    ----------
    method : str
        What was done.
    model, space : str
        Checkpoint and space key of its vectors; "" where there are none.
    rows : int
        Rows tested on that had a class the method can give.
    accuracy, macro_f1 : float
        From 0 to 1.
    accuracy_low, accuracy_high, macro_f1_low, macro_f1_high : float
        Ends of 95% bootstrap intervals.
    seconds : float
        To encode what was missing, to learn and to predict.
    encoded : int
        Texts encoded for it now.
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


@dataclass(frozen=True, slots=True)
class Comparison:
    """The table, what it was tested on, what it comes to ("" where no vectors were learnt from), and notes."""

    target: str
    tested_on: str
    scores: tuple[Score, ...]
    verdict: str
    notes: tuple[str, ...]

    def table(self) -> pa.Table:
        """Return a row per method."""
        return pa.Table.from_pylist([asdict(score) for score in self.scores])

    def frame(self) -> "pd.DataFrame":
        """Return a row per method as a pandas DataFrame."""
        frame: pd.DataFrame = self.table().to_pandas()
        return frame

    def to_json(self) -> dict[str, Any]:
        """Return everything as a JSON object."""
        return {
            "target": self.target,
            "tested_on": self.tested_on,
            "scores": [asdict(score) for score in self.scores],
            "verdict": self.verdict,
            "notes": list(self.notes),
        }


def compare(
    target: str,
    split: Split,
    spaces: Sequence[Space],
    classifiers: Sequence[Classifier],
    *,
    texts_at: Callable[[npt.NDArray[np.int64]], list[str]],
    label_set: LabelSet | None,
    prototypes_of: Callable[[Space, LabelSet], tuple[Vectors, int]],
    mapping: Sequence[str],
    options: TrainOptions,
) -> Comparison:
    """Score every method on the same rows.

    Parameters
    ----------
    target : str
        Name of the column.
    split : Split
        Rows to learn from and to test on.
    spaces : sequence of Space
        Vectors to use.
    classifiers : sequence of Classifier
        Logits to use.
    texts_at : callable
        Returns the texts at positions.
    label_set : LabelSet or None
        Labels to tag with; None takes the classes, if they have names.
    prototypes_of : callable
        Returns the labels' unit vectors in a space, shape (labels, dim), and how many texts were encoded for them.
    mapping : sequence of str
        ``VALUE=LABEL`` pairs: labels, and labels of checkpoints, that a class stands for.
    options : TrainOptions
        Penalty, iterations and seed of the logistic regressions.

    Raises
    ------
    InputError
        If a pair names a label that nothing gives, or a label set or checkpoint that was asked for does not cover
        the classes.
    """
    notes = list(split.notes)
    asked = label_set is not None
    labels = label_set or _named_classes(split, notes)
    _check_mapping(mapping, [*([labels.names] if labels else []), *(one.head.names for one in classifiers)])
    run = _Run(split, options, notes)
    run.score("majority class", None, run.majority)
    run.score("TF-IDF + LogReg", None, lambda: run.tfidf(texts_at))
    for space in spaces:
        try:
            test = space.at(split.test_positions)
            chosen = within_memory(len(split.y), space.dimension, options.random_state, notes)
            train, y = space.at(split.train_positions[chosen]), split.y[chosen]
        except ModelRequiredError as error:
            notes.append(f"{space.record.model} ({space.key[:12]}) is left out: {error}")
            continue
        if labels:
            run.tagged(space, test, labels, mapping, prototypes_of, asked=asked)
        run.score("class centroids", space, partial(run.centroids, train, y, test))
        run.score("LogReg", space, partial(run.logreg, train, y, test))
    for one in classifiers:
        run.classified(one, mapping)
    return Comparison(target, split.tested_on, tuple(run.scores), run.verdict(), tuple(dict.fromkeys(notes)))


class _Run:
    """Scores so far, on the rows of one split."""

    def __init__(self, split: Split, options: TrainOptions, notes: list[str]) -> None:
        self.scores: list[Score] = []
        self._split = split
        self._options = options
        self._notes = notes
        self._names = [value_text(value) for value in split.classes]
        self._right: list[npt.NDArray[np.bool_]] = []  # of each LogReg, TF-IDF's first: whether each row came out right

    def score(
        self,
        method: str,
        space: Space | None,
        predict: Callable[[], Report],
        *,
        seconds: float = 0.0,
        encoded: int = 0,
    ) -> None:
        """Time `predict` and add a line for its report."""
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
        """Give every row the most frequent class."""
        return self._report(np.full(len(self._split.given), np.bincount(self._split.y).argmax()))

    def tfidf(self, texts_at: Callable[[npt.NDArray[np.int64]], list[str]]) -> Report:
        """Learn from words alone."""
        from sklearn.feature_extraction.text import TfidfVectorizer

        vectorizer = TfidfVectorizer()
        try:
            train = vectorizer.fit_transform(texts_at(self._split.train_positions))
        except ValueError as error:
            raise InputError(f"the texts have no words to learn from ({error})") from error
        test = vectorizer.transform(texts_at(self._split.test_positions))
        return self.logreg(train, self._split.y, test)

    def logreg(self, train: Any, y: npt.NDArray[np.int64], test: Any) -> Report:
        """Learn a logistic regression, as `train` does."""
        found = self._report(numbers := fit(train, y, self._options, self._notes).predict(test))
        self._right.append(
            np.array([self._names[i] == name for i, name in zip(numbers, self._split.given, strict=True)])
        )
        return found

    def verdict(self) -> str:
        """Say how much better the best LogReg on vectors is than that on words, row by row."""
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
        """Give each row the class whose mean unit vector is nearest by cosine."""
        unit = unit_rows(train)
        means = unit_rows(np.stack([unit[y == number].mean(axis=0) for number in range(len(self._names))]))
        return self._report((test @ means.T).argmax(axis=1))

    def tagged(
        self,
        space: Space,
        test: Vectors,
        labels: LabelSet,
        mapping: Sequence[str],
        prototypes_of: Callable[[Space, LabelSet], tuple[Vectors, int]],
        *,
        asked: bool,
    ) -> None:
        """Tag by cosine; nothing is learnt."""
        start = time.monotonic()
        prototypes, encoded = prototypes_of(space, labels)
        seconds = time.monotonic() - start

        def predict() -> Report:
            return self._mapped([labels.names[i] for i in (test @ prototypes.T).argmax(axis=1)], labels.names, mapping)

        self._score_or_note("cosine labels", space, predict, seconds=seconds, encoded=encoded, asked=asked)

    def classified(self, one: Classifier, mapping: Sequence[str]) -> None:
        """Take the checkpoint's word."""
        if one.head.several or one.head.activation == "identity":
            self._notes.append(f"{one.space.record.model} does not choose one label of several: it is left out")
            return

        def predict() -> Report:
            names = predicted_names(one.space, one.head, self._split.test_positions)
            return self._mapped(names, one.head.names, mapping)

        self._score_or_note(
            "finetuned checkpoint", one.space, predict, seconds=one.seconds, encoded=one.encoded, asked=one.asked
        )

    def _score_or_note(self, method: str, space: Space, predict: Any, *, asked: bool, **cost: Any) -> None:
        try:
            self.score(method, space, predict, **cost)
        except (InputError, ModelRequiredError) as error:
            if asked:
                raise
            self._notes.append(f"{method} of {space.record.model} are left out: {error}")

    def _report(self, numbers: npt.NDArray[np.int64]) -> Report:
        return report(self._split.given, [self._names[number] for number in numbers])

    def _mapped(self, predicted: list[str], names: Sequence[str], mapping: Sequence[str]) -> Report:
        pairs = [pair for pair in mapping if pair.partition("=")[2] in ("", *names)]
        return map_gold(self._split.given, predicted, names, parse_map(pairs, names))


def _named_classes(split: Split, notes: list[str]) -> LabelSet | None:
    names = [value_text(value) for value in split.classes]
    if all(isinstance(value, str) and value.strip() for value in split.classes):
        return LabelSet.of(names)
    notes.append(
        "the classes have no names to tag with: give labels (-l, --labels) and --map VALUE=LABEL for that line"
    )
    return None


def _check_mapping(mapping: Sequence[str], vocabularies: Sequence[Sequence[str]]) -> None:
    known = sorted({name for names in vocabularies for name in names})
    for pair in mapping:
        _, equals, label = pair.partition("=")
        if not equals or (label and label not in known):
            raise InputError(
                f"expected --map VALUE=LABEL with a label of {', '.join(known) or 'none given'}, found {pair!r}"
            )
