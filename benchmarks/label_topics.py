"""Measure labels that are topics on stores with known classes: the tables of docs/research/topic-labels.md.

``python benchmarks/label_topics.py STORE:TARGET [STORE:TARGET ...]`` takes the classes of a column for labels, by their
names alone, and at most 2,500 texts of each corpus, drawn at random. It prints:

- accuracy of names alone, of the two methods, of the methods with answers, and of a logistic regression on all labels;
- the same for random choices of the classes: 2 labels or more, some of them two classes together, and one label up to
  20 times as frequent as another;
- accuracy of each corpus with the settings that are best on all other corpora (leave one corpus out).
"""

import argparse
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import KFold, cross_val_predict

import embedstore
from embedstore.core.unit import unit_rows
from embedstore.core.values import is_blank, value_text
from embedstore.labels.fewshot import Answers, blend
from embedstore.labels.label_set import LabelSet
from embedstore.labels.mixture import TopicSettings, topic_scores
from embedstore.labels.regime import regime_of
from embedstore.labels.zeroshot import refine

_MOST, _LEAST_IN_CLASS, _CHOICES = 2_500, 8, 8
USUAL = TopicSettings()
SETTINGS = {
    "usual": USUAL,
    "hold 0": replace(USUAL, hold=0.0),
    "hold 0.1": replace(USUAL, hold=0.1),
    "hold 0.3": replace(USUAL, hold=0.3),
    "128 axes": replace(USUAL, axes=128),
    "even 1": replace(USUAL, even=1.0),
    "shrink 0.1": replace(USUAL, shrink=0.1),
    "prior 0.3": replace(USUAL, prior=0.3),
    "1 pass": replace(USUAL, passes=1),
    "no words": replace(USUAL, passes=0),
}


@dataclass(frozen=True)
class Task:
    """Texts of a corpus with their classes, and the vectors of the labels."""

    name: str
    vectors: np.ndarray
    texts: list[str]
    y: np.ndarray
    prototypes: np.ndarray

    def at(self, rows: np.ndarray) -> "Task":
        """Return the task of some of the texts."""
        return replace(self, vectors=self.vectors[rows], texts=[self.texts[row] for row in rows], y=self.y[rows])

    def right(self, scores: np.ndarray, rows: np.ndarray | None = None) -> float:
        """Return the share of the texts, or of those at `rows`, whose best label is their class."""
        right = scores.argmax(axis=1) == self.y
        return float(np.mean(right if rows is None else right[rows]))

    def cosines(self) -> np.ndarray:
        """Return the cosine similarity of each text to each label."""
        return self.vectors @ self.prototypes.T

    def topics(self, settings: TopicSettings = USUAL, answers: Answers | None = None) -> np.ndarray:
        """Return the scores of the method "topics"."""
        found = topic_scores(self.vectors, self.prototypes, self.texts, settings=settings, answers=answers).scores
        return found if answers is None else blend(found, self.vectors, answers.rows, answers.labels)


def loaded(asked: str) -> Task:
    """Return the texts of STORE:TARGET that have a class, by the class' name."""
    path, _, target = asked.partition(":")
    store = embedstore.open(path)
    corpus, space = store.corpus(), store.space()
    distinct, first = np.unique(corpus.positions(), return_index=True)
    values = corpus.column(target).to_pylist()
    given = ["" if values[row] is None else value_text(values[row]) for row in first]
    texts = space.texts.at(distinct)
    kept = [row for row, value in enumerate(given) if not is_blank(value) and not is_blank(texts[row])]
    names = sorted({given[row] for row in kept})
    with store.snapshot() as now:
        prototypes = now.queries(space)(names)
    y = np.array([names.index(given[row]) for row in kept])
    return Task(target, unit_rows(space.at(distinct[kept])), [texts[row] for row in kept], y, prototypes)


def choices(whole: Task, seed: int = 0) -> Iterator[Task]:
    """Yield random choices of the classes."""
    rng = np.random.default_rng(seed)
    usable = np.flatnonzero(np.bincount(whole.y) >= _LEAST_IN_CLASS)
    for number in range(_CHOICES):
        count = int(np.clip(round(np.exp(rng.uniform(np.log(2), np.log(len(usable) + 0.49)))), 2, len(usable)))
        chosen = rng.permutation(usable)[:count]
        together = rng.integers(1, count // 2 + 1) if number % 2 and count >= 4 else 0
        groups = [chosen[2 * one : 2 * one + 2] for one in range(together)] + [[one] for one in chosen[2 * together :]]
        group_of = np.full(int(whole.y.max()) + 1, -1)
        for one, group in enumerate(groups):
            group_of[group] = one
        y = group_of[whole.y]
        frequency = rng.permutation([1, 1, 5, 20][number % 4] ** -np.linspace(0, 1, len(groups)))
        there = np.bincount(y[y >= 0], minlength=len(groups))
        wanted = np.maximum((np.min(there / frequency) * frequency).astype(int), np.minimum(5, there))
        drawn = [rng.choice(np.flatnonzero(y == one), size, replace=False) for one, size in enumerate(wanted)]
        rows = rng.permutation(np.concatenate(drawn))[:_MOST]
        prototypes = unit_rows(np.stack([whole.prototypes[group].mean(axis=0) for group in groups]))
        yield replace(whole, y=y, prototypes=prototypes).at(np.sort(rows))


def with_answers(task: Task, each: int | None, count: int = 0, seeds: int = 3) -> float:
    """Return the accuracy on the other texts after random answers: `each` for every label, or `count` in all."""
    found = []
    for seed in range(seeds):
        rng = np.random.default_rng(seed)
        if each:
            drawn = [rng.permutation(np.flatnonzero(task.y == one))[:each] for one in np.unique(task.y)]
            rows = np.sort(np.concatenate(drawn))
        else:
            rows = np.sort(rng.choice(len(task.y), min(count, len(task.y) // 4), replace=False))
        rest = np.setdiff1d(np.arange(len(task.y)), rows)
        found.append(task.right(task.topics(answers=Answers(rows, task.y[rows])), rest))
    return float(np.mean(found))


def logreg(task: Task) -> float:
    """Return the five-fold accuracy of a logistic regression on all labels."""
    folds = KFold(5, shuffle=True, random_state=0)
    found = cross_val_predict(LogisticRegression(max_iter=1000), task.vectors, task.y, cv=folds)
    return float(np.mean(found == task.y))


def table(titles: list[str], rows: list[list[str]]) -> None:
    """Print a table."""
    print(f"\n| {' | '.join(titles)} |\n|{'---|' * len(titles)}")
    for row in rows:
        print(f"| {' | '.join(row)} |", flush=True)


def percent(gain: float, most: float) -> str:
    """Return a gain as a share of the largest."""
    return f"{gain / most:.0%}"


def whole_corpora(tasks: list[Task]) -> None:
    """Print the accuracy on each corpus."""
    found = []
    for task in tasks:
        start = time.perf_counter()
        topics = task.right(task.topics())
        seconds = time.perf_counter() - start
        scale = task.right(refine(task.cosines(), task.texts).scores)
        names = LabelSet.of([str(number) for number in range(len(task.prototypes))])
        best = topics if regime_of(names, task.prototypes, task.vectors).name == "topics" else scale
        answered = [with_answers(task, 3), with_answers(task, None, 50), with_answers(task, None, 100)]
        found.append([task.right(task.cosines()), scale, topics, best, *answered, logreg(task), seconds])
        print(f"{task.name}: {[round(one, 3) for one in found[-1]]}", file=sys.stderr, flush=True)
    rows = []
    for task, line in zip([*tasks, None], [*found, np.mean(found, axis=0)], strict=True):
        names, most = line[0], line[7] - line[0]
        cells = [f"{one:.3f}" for one in line[:8]]
        ways = [percent(line[place] - names, most) for place in (3, 4)]
        about = [task.name, f"{len(task.y):,}", str(len(task.prototypes))] if task else ["mean", "", ""]
        rows.append([*about, *cells, *ways, f"{line[8]:.1f}"])
    titles = ["corpus", "texts", "labels", "names alone", "`scale`", "`topics`", "`best`", "`best`, 3 answers a label"]
    titles += [
        "`best`, 50 answers",
        "`best`, 100 answers",
        "LogReg, all labels",
        "way, no answer",
        "way, 3 a label",
        "s",
    ]
    table(titles, rows)


def chosen_labels(tasks: list[Task]) -> None:
    """Print the gains over names alone on random choices of labels."""
    rows, every = [], []
    for task in tasks:
        pairs = [(one.right(one.cosines()), one.right(one.topics())) for one in choices(task)]
        gains = np.array([after - before for before, after in pairs])
        every.append(gains)
        means = np.mean(pairs, axis=0)
        rows.append([task.name, f"{means[0]:.3f}", f"{means[1]:.3f}", f"{gains.mean():+.3f}", f"{gains.min():+.3f}"])
        print(rows[-1], file=sys.stderr, flush=True)
    gains = np.concatenate(every)
    table(["corpus", "names alone", "`topics`", "gain", "worst"], rows)
    print(
        f"\n{len(gains)} choices: mean {gains.mean():+.3f}; {np.mean(gains < -0.005):.0%} are below names alone, "
        f"5% by {-np.quantile(gains, 0.05):.3f} or more, the worst by {-gains.min():.3f}"
    )


def left_out(tasks: list[Task]) -> None:
    """Print the accuracy of each corpus with the settings that are best on the others."""
    found = {
        name: [np.mean([one.right(one.topics(settings)) for one in (task, *list(choices(task))[:4])]) for task in tasks]
        for name, settings in SETTINGS.items()
    }
    names = list(found)
    scores = np.array(list(found.values()))
    rows = []
    for place, task in enumerate(tasks):
        others = np.delete(scores, place, axis=1).mean(axis=1)
        best = int(others.argmax())
        own = scores[:, place]
        rows.append([task.name, names[best], f"{own[best]:.3f}", f"{own[0]:.3f}", f"{own.max():.3f}"])
    table(["corpus left out", "best settings of the others", "with these", "usual", "best on itself"], rows)
    table(["settings", "mean"], [[name, f"{row.mean():.4f}"] for name, row in zip(names, scores, strict=True)])


def measure(tasks: list[Task]) -> None:
    """Print all tables."""
    rng = np.random.default_rng(0)
    small = [task.at(np.sort(rng.permutation(len(task.y))[:_MOST])) for task in tasks]
    whole_corpora(small)
    chosen_labels(small)
    left_out(small)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("corpora", nargs="+")
    measure([loaded(one) for one in parser.parse_args().corpora])
