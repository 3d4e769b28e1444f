"""Measure tags of several labels a text on stores with known labels: the table of docs/labels.md.

``python benchmarks/multi.py STORE:TARGET [STORE:TARGET ...]`` takes the values of a column of lists for labels, by
their names alone, and at most 2,500 texts of each corpus. It prints micro-F1, macro-F1 and the share of texts with
exactly their labels, for all labels and for a random half of them (the texts of the other half then have no label):

- all labels with a cosine similarity of 0.3 or more, and the nearest label alone;
- `tag --multi` with the methods "cosine" and "topics", without known labels;
- the same after 100 random texts whose labels are known: calibrated, and learnt from (`--examples`);
- a logistic regression for each label on the other four fifths of the labels, at the threshold of `train --multi`.
"""

import argparse
import sys
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import KFold

import embedstore
from embedstore.core.unit import unit_rows
from embedstore.labels.multilabel import membership, topic_membership
from embedstore.labels.odds import KnownLabels, expected_best, probabilities
from embedstore.reports.multilabel import multilabel_report, values_in

_MOST, _LEAST, _ANSWERS = 2_500, 15, 100


@dataclass(frozen=True)
class Task:
    """Texts with their labels, and the vectors of the labels."""

    name: str
    vectors: np.ndarray
    texts: list[str]
    members: np.ndarray
    prototypes: np.ndarray

    def half(self) -> "Task":
        """Return the task of a random half of the labels."""
        count = self.members.shape[1]
        some = np.sort(np.random.default_rng(0).choice(count, max(1, count // 2), replace=False))
        return Task(self.name, self.vectors, self.texts, self.members[:, some], self.prototypes[some])

    def cosines(self) -> np.ndarray:
        """Return the cosine similarity of each text to each label."""
        return self.vectors @ self.prototypes.T

    def nearest(self) -> np.ndarray:
        """Return the nearest label of each text alone."""
        cosines = self.cosines()
        return cosines == cosines.max(axis=1, keepdims=True)

    def answered(self) -> KnownLabels:
        """Return the labels of random texts."""
        rows = np.sort(np.random.default_rng(0).choice(len(self.texts), _ANSWERS, replace=False))
        return KnownLabels(rows, self.members[rows])

    def logreg(self) -> np.ndarray:
        """Return the labels by a logistic regression for each label (five folds)."""
        found = np.zeros(self.members.shape, dtype=bool)
        for learnt, tested in KFold(5, shuffle=True, random_state=0).split(self.vectors):
            probability = np.zeros(self.members.shape)
            for label in range(self.members.shape[1]):
                given = self.members[learnt, label]
                if given.any() and not given.all():
                    model = LogisticRegression(max_iter=1000).fit(self.vectors[learnt], given)
                    probability[:, label] = model.predict_proba(self.vectors)[:, 1]
            found[tested] = probability[tested] >= expected_best(probability[learnt])
        return found


def loaded(asked: str) -> Task:
    """Return the texts of STORE:TARGET with the labels that 15 texts or more have."""
    path, _, target = asked.partition(":")
    store = embedstore.open(path)
    corpus, space = store.corpus(), store.space()
    distinct, first = np.unique(corpus.positions(), return_index=True)
    drawn = np.sort(np.random.default_rng(0).permutation(len(distinct))[:_MOST])
    cells = values_in(corpus.column(target), name=target)
    sets = [cells[row] or [] for row in first[drawn]]
    counts: dict[str, int] = {}
    for labels in sets:
        for label in labels:
            counts[label] = counts.get(label, 0) + 1
    names = sorted(label for label, count in counts.items() if count >= _LEAST)
    with store.snapshot() as now:
        prototypes = now.queries(space)(names)
    members = np.array([[name in labels for name in names] for labels in sets])
    texts = space.texts.at(distinct[drawn])
    return Task(path.rstrip("/").rpartition("/")[2], unit_rows(space.at(distinct[drawn])), texts, members, prototypes)


def chosen(probability: np.ndarray) -> np.ndarray:
    """Return the labels above the usual threshold."""
    return probability >= expected_best(probability)


def ways(task: Task) -> dict[str, Callable[[], np.ndarray]]:
    """Return the ways to choose labels, by name."""
    by_cosine = membership(task.cosines())
    by_topic, _ = topic_membership(task.vectors, task.prototypes, task.texts)
    known = task.answered()
    return {
        "cosine of 0.3": lambda: task.cosines() >= 0.3,
        "nearest label": task.nearest,
        "`cosine`": lambda: chosen(probabilities(by_cosine)),
        "`topics`": lambda: chosen(probabilities(by_topic)),
        f"`topics`, calibrated on {_ANSWERS}": lambda: chosen(probabilities(by_topic, known)),
        f"`topics`, {_ANSWERS} examples": lambda: chosen(probabilities(by_topic, known, task.vectors)),
        "LogReg, all labels": task.logreg,
    }


def measure(tasks: list[Task], title: str) -> None:
    """Print a table: micro-F1 on each corpus, then the means of all figures."""
    figures: dict[str, list[tuple[float, float, float]]] = {}
    lines = []
    for task in tasks:
        for name, way in ways(task).items():
            found = multilabel_report(task.members, way(), list(map(str, range(task.members.shape[1]))))
            figures.setdefault(name, []).append((found.micro_f1, found.macro_f1, found.subset_accuracy))
        cells = [f"{found[-1][0]:.3f}" for found in figures.values()]
        mean = task.members.sum(axis=1).mean()
        lines.append([task.name, f"{len(task.texts):,}", str(task.members.shape[1]), f"{mean:.2f}", *cells])
        print(lines[-1], file=sys.stderr, flush=True)
    means = np.array([np.mean(found, axis=0) for found in figures.values()])
    for number, what in enumerate(("micro-F1", "macro-F1", "all labels right")):
        lines.append([f"mean {what}", "", "", "", *(f"{one:.3f}" for one in means[:, number])])
    head = [title, "texts", "labels", "labels a text", *figures]
    print(f"\n| {' | '.join(head)} |\n|{'---|' * len(head)}")
    for line in lines:
        print(f"| {' | '.join(line)} |", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("corpora", nargs="+")
    every = [loaded(one) for one in parser.parse_args().corpora]
    measure(every, "all labels")
    measure([task.half() for task in every], "half of them")
