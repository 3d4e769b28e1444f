"""How good a classifier is with 10, 20, 40, … labelled texts, on texts that it has not learnt from."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from embedstore.annotations.column import with_annotations
from embedstore.core.blank import Blank
from embedstore.core.counts import counted, form, listed
from embedstore.core.values import same_value, value_text
from embedstore.errors import InputError
from embedstore.labels.label_set import LabelSet
from embedstore.learning.fitting import TrainOptions, fit, map_fits
from embedstore.learning.targets import Target, read_target
from embedstore.vectors.snapshot import Snapshot

__all__ = ["LearningCurve", "learning_curve"]

_FOLDS = 5
_FIRST = 10  # texts at the first point; each further point has twice as many
_MOST = 2_560  # texts at the last point, for two classes; fewer for more, so that a curve takes seconds
_APART = 1.4  # least ratio of the last two sizes
_LOOKED_AT = 10_000  # most texts
_PASSES, _FITS_OF = 5, 2_000  # most passes over the texts, and the texts that all passes look at together
_Z = 1.96  # standard deviations that hold 95% of a normal distribution

Shares = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class LearningCurve:
    """Accuracy by number of labelled texts.

    Attributes
    ----------
    sizes : ndarray of shape (points,), int64
        Number of texts that a classifier has learnt from.
    accuracy, low, high : ndarray of shape (points,), float64
        Mean share of other texts that get the right class, and the ends of a 95% interval for one classifier of this
        size: it holds what the choice of its texts changes, and that the tested texts are a sample.
    classes : tuple of str
        The classes.
    texts : int
        Number of texts that were looked at.
    majority : float
        Share of the most frequent class: what an answer without any learning gets right.
    notes : tuple of str
        Notes on what is left out.
    """

    sizes: npt.NDArray[np.int64]
    accuracy: Shares
    low: Shares
    high: Shares
    classes: tuple[str, ...]
    texts: int
    majority: float
    notes: tuple[str, ...]

    @property
    def outlook(self) -> str:
        """One sentence on what the last doubling of the texts has brought; "" for a curve of one point."""
        if len(self.sizes) < 2:
            return ""
        before, now = self.sizes[-2:].tolist()
        points = 100 * float(self.accuracy[-1] - self.accuracy[-2])
        return f"from {before:,} to {counted(now, 'labelled text')}, the accuracy changes by {points:+.1f} points"

    def to_json(self) -> dict[str, Any]:
        """Return ``points`` (dicts of ``texts``, ``accuracy``, ``low`` and ``high``) and the other fields."""
        columns = zip(self.sizes.tolist(), self.accuracy.tolist(), self.low.tolist(), self.high.tolist(), strict=True)
        return {
            "points": [{"texts": n, "accuracy": a, "low": low, "high": high} for n, a, low, high in columns],
            "classes": list(self.classes),
            "texts": self.texts,
            "majority": self.majority,
            "outlook": self.outlook,
            "notes": list(self.notes),
        }


def learning_curve(
    now: Snapshot,
    target: str,
    *,
    corpus: str | None = None,
    space: str | None = None,
    labels: LabelSet | None = None,
    mapping: Mapping[str, str] | None = None,
    blank: Blank = "skip",
    random_state: int = 42,
) -> LearningCurve:
    """Train on 10, 20, 40, … texts, and test on others.

    The texts are divided into five folds. For each fold, a logistic regression as `train` fits it learns from texts of
    the other folds, drawn by chance, and is tested on this one. So every text is tested once for each size. Below 1,000
    texts, this is done several times. Equal texts count once, with the class of the first row.

    Parameters
    ----------
    now : Snapshot
        The state of the store.
    target : str
        The column of classes, or "annotations".
    corpus, space : str, optional
        Name of the corpus; key or model of the vectors.
    labels : LabelSet, optional
        Only answers that chose from these labels count.
    mapping : mapping of str to str, optional
        The class that a value stands for; "" leaves its rows out. Other values are classes themselves.
    blank : {"skip", "answer"}
        Whether rows with a blank text are left out, or used like others.
    random_state : int
        Seed of the folds and of the draws.

    Raises
    ------
    InputError
        If fewer than two classes have five different texts.
    ModelRequiredError
        If a text has no vector yet.
    """
    table = with_annotations(now, now.corpus(corpus), target, labels)
    vectors_of = now.embeddings(space, [table])
    answerable = now.texts.answerable(table.positions(), blank)
    given = read_target(Target(table, target, drop_missing=True, answerable=answerable))
    positions, first = np.unique(table.positions()[given.rows], return_index=True)
    stands_for = [_class_of(value_text(value), mapping or {}) for value in given.values]
    kept, names, y = _classes(np.array([stands_for[code] for code in given.codes[first]], dtype=object), target)
    rng = np.random.default_rng(random_state)
    some = np.sort(rng.choice(len(kept), min(_LOOKED_AT, len(kept)), replace=False))
    vectors, y = vectors_of.at(positions[kept[some]], table.name), y[some]
    sizes = _sizes(len(y), len(names))
    right, spread = _tested(vectors, y, sizes, random_state)
    accuracy = right.mean(axis=1)
    off = _Z * np.sqrt(right.var(axis=1) / len(y) + spread)
    left = len(positions) - len(kept)
    out = f"{counted(left, 'text')} of values that are rare or stand for no label {form(left, 'is', 'are')} left out"
    end = f"the curve ends at {counted(int(sizes[-1]), 'text')}, to take seconds: `train --curve` goes on"
    notes = (*given.notes, *([out] if left else []), *([end] if sizes[-1] < _learnable(len(y)) else []))
    return LearningCurve(
        sizes,
        accuracy,
        np.maximum(0, accuracy - off),
        np.minimum(1, accuracy + off),
        names,
        len(y),
        float(np.bincount(y).max() / len(y)),
        notes,
    )


def _class_of(value: str, mapping: Mapping[str, str]) -> str:
    known = same_value(value, mapping)
    return value if known is None else mapping[known]


def _classes(
    given: npt.NDArray[np.object_], target: str
) -> tuple[npt.NDArray[np.int64], tuple[str, ...], npt.NDArray[np.int64]]:
    """Return the numbers of the texts whose class is frequent enough, the classes, and the class of each such text."""
    names, codes, counts = np.unique(given.astype(str), return_inverse=True, return_counts=True)
    good = (counts >= _FOLDS) & (names != "")
    if good.sum() < 2:
        found = [f"{name} ({count})" for name, count in zip(names.tolist(), counts.tolist(), strict=True) if name]
        raise InputError(
            f"expected at least two classes of {target!r} with {_FOLDS} different texts each, found "
            f"{listed(found) or 'none'}: label more texts"
        )
    kept = np.flatnonzero(good[codes])
    return kept, tuple(names[good].tolist()), (np.cumsum(good) - 1)[codes[kept]]


def _sizes(texts: int, classes: int) -> npt.NDArray[np.int64]:
    """Return the numbers of texts to learn from: 10, 20, 40, … and at last as many as there are, or as take seconds."""
    most = min(_learnable(texts), max(20 * classes, _MOST * 2 // classes))
    sizes = [_FIRST * 2**power for power in range(20) if _FIRST * 2**power * _APART <= most]
    return np.array([*sizes, most], dtype=np.int64)


def _learnable(texts: int) -> int:
    """Return the number of texts outside the largest fold."""
    return texts - -(-texts // _FOLDS)


def _tested(
    vectors: npt.NDArray[np.float32], y: npt.NDArray[np.int64], sizes: npt.NDArray[np.int64], random_state: int
) -> tuple[Shares, Shares]:
    """Return how often each text got its class at each size, shape (sizes, texts), and the variance between draws.

    The variance is that of the accuracies of classifiers, less what the choice of the tested texts explains; its shape
    is (sizes,).
    """
    passes = int(np.clip(_FITS_OF // len(y), 1, _PASSES))
    right = np.zeros((len(sizes), len(y)))
    draws = list(_draws(y, passes, random_state))

    def tested(draw: tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]) -> npt.NDArray[np.bool_]:
        learnt, test = draw
        return np.stack([_predicted(vectors, y, learnt[:size], test) == y[test] for size in sizes.tolist()])

    found = map_fits(tested, draws, vectors.nbytes, TrainOptions())
    for (_, test), hits in zip(draws, found, strict=True):
        right[:, test] += hits / passes
    of_fits = np.array([hits.mean(axis=1) for hits in found])
    mean = of_fits.mean(axis=0)
    explained = mean * (1 - mean) / np.mean([len(test) for _, test in draws])
    return right, np.maximum(0, of_fits.var(axis=0, ddof=1) - explained)


def _draws(
    y: npt.NDArray[np.int64], passes: int, random_state: int
) -> Iterator[tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]]:
    """Yield texts to learn from in random order, and texts to test on."""
    from sklearn.model_selection import StratifiedKFold

    for number in range(passes):
        rng = np.random.default_rng([random_state, number])
        folds = StratifiedKFold(_FOLDS, shuffle=True, random_state=int(rng.integers(2**31)))
        for learnt, test in folds.split(y, y):
            yield rng.permutation(learnt), test


def _predicted(
    vectors: npt.NDArray[np.float32],
    y: npt.NDArray[np.int64],
    learnt: npt.NDArray[np.int64],
    test: npt.NDArray[np.int64],
) -> npt.NDArray[np.int64]:
    """Return the classes of some texts, from a classifier of others; where these have one class, it is that one."""
    if len(np.unique(y[learnt])) == 1:
        return np.full(len(test), y[learnt[0]])
    return np.asarray(fit(vectors[learnt], y[learnt], TrainOptions(), overwrite=True).model.predict(vectors[test]))
