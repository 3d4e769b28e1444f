"""Measure what to ask about first, and how good the advice of when to stop is: tables of docs/research/asking.md.

``python benchmarks/asking.py STORE:TARGET [STORE:TARGET ...] [--seeds N]`` takes the classes of a column for labels, by
their names alone, and at most 2,000 texts of each corpus, drawn at random. A random half of them can be asked about;
answers are the classes. It prints:

- accuracy of ``tag --method topics --examples`` on the other half after 10 to 100 answers, for each order, with the
  gain over the random order and its 95% interval over the corpora, and the gain on the worst corpus;
- how far the accuracy that the advice expects is from the true one, how often its interval holds the true one, and how
  often it is right on whether 25 more answers bring 0.0075 or more.
"""

import argparse
from collections import defaultdict

import numpy as np
from label_topics import Task, loaded, table

from embedstore.annotations.advice import Advice, Advisor
from embedstore.annotations.order import Questions
from embedstore.labels.fewshot import Answers
from embedstore.labels.label_set import LabelSet

_MOST = 2_000
ORDERS = ("random", "typical", "uncertain", "disagreement")
CURVE = (10, 25, 50, 100)
ADVISED = (10, 25, 50, 75, 100, 125, 150, 175, 200)


class Held:
    """Vectors in memory, in the place of a space."""

    def __init__(self, vectors: np.ndarray) -> None:
        self.unit_at = vectors.__getitem__


def named(task: Task) -> LabelSet:
    """Return labels for the classes of a task; their names play no part."""
    return LabelSet.of([f"label {number}" for number in range(len(task.prototypes))])


def halves(task: Task, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows that can be asked about, and the others."""
    rows = np.random.default_rng(seed).permutation(len(task.y))
    return np.sort(rows[: len(rows) // 2]), np.sort(rows[len(rows) // 2 :])


def asked(task: Task, pool: np.ndarray, order: str, seed: int, count: int) -> np.ndarray:
    """Return the first `count` rows that are asked about, in order."""
    labels = named(task)
    held = Held(task.vectors[pool])
    places = np.arange(len(pool))
    questions = Questions(held, places, labels, task.prototypes, answers={}, order=order, random_state=seed)
    while len(questions.answers) < min(count, len(pool)):
        place = questions.next()
        questions.answer(place, int(task.y[pool[place]]))
    return pool[list(questions.answers)]


def curve(task: Task, order: str, seed: int) -> list[float]:
    """Return the accuracy of "topics" with examples on the other half, after each number of answers."""
    pool, others = halves(task, seed)
    rows = asked(task, pool, order, seed, max(CURVE))
    given = [np.sort(rows[:count]) for count in CURVE]
    return [task.right(task.topics(answers=Answers(some, task.y[some])), others) for some in given]


def advised(task: Task, order: str, seed: int) -> list[tuple[Advice | None, float]]:
    """Return the advice after each number of answers, and the true accuracy on the texts left."""
    everything = np.arange(len(task.y))
    rows = asked(task, everything, order, seed, max(ADVISED))
    advisor = Advisor(named(task), task.prototypes, task.vectors)
    found = []
    for count in ADVISED:
        given, rest = rows[:count], np.setdiff1d(everything, rows[:count])
        scores = advisor.scores(given, task.y[given], rest)
        true = float(np.mean(scores.argmax(axis=1) == task.y[rest]))
        found.append((advisor.advise(given, task.y[given]), true))
    return found


def print_curves(tasks: list[Task], seeds: int) -> None:
    """Print the learning curves."""
    found = {order: np.array([[curve(one, order, seed) for seed in range(seeds)] for one in tasks]) for order in ORDERS}
    lines = []
    for order in ORDERS:
        gains = found[order] - found["random"]  # shape (corpora, seeds, counts)
        by_corpus = gains.mean(axis=1)
        half = 1.96 * by_corpus.std(axis=0) / np.sqrt(len(tasks))
        worst = by_corpus.min(axis=0)
        cells = [
            f"{found[order][..., at].mean():.3f} ({gains[..., at].mean():+.3f}±{half[at]:.3f}; {worst[at]:+.3f})"
            for at in range(len(CURVE))
        ]
        lines.append([f"`{order}`", *cells])
    table(["order", *(f"{count} answers" for count in CURVE)], lines)


def print_advice(tasks: list[Task], seeds: int) -> None:
    """Print how good the advice is."""
    for order in ("typical", "random"):
        by_count = defaultdict(list)
        for task in tasks:
            for seed in range(seeds):
                steps = advised(task, order, seed)
                for at, (advice, true) in enumerate(steps):
                    following = steps[at + 1][1] - true if at + 1 < len(steps) else None
                    if advice:
                        by_count[ADVISED[at]].append((advice, true, following))
        lines = []
        for count, seen in by_count.items():
            error = np.array([advice.accuracy - true for advice, true, _ in seen])
            held = np.mean([advice.low <= true <= advice.high for advice, true, _ in seen])
            width = np.mean([advice.high - advice.low for advice, _, _ in seen])
            told = [(a.pays, a.gain, gain) for a, _, gain in seen if gain is not None and a.gain is not None]
            good = f"{np.mean([pays == (gain >= 0.0075) for pays, _, gain in told]):.0%}" if told else ""
            gains = f"{np.mean([g for _, g, _ in told]):.3f} / {np.mean([g for _, _, g in told]):.3f}" if told else ""
            stop = [gain for pays, _, gain in told if not pays]
            missed = f"{len(stop)}: {np.mean(stop):+.3f}" if stop else ""
            cells = [f"{np.mean(error):+.3f}", f"{np.abs(error).mean():.3f}", f"{held:.0%}", f"{width / 2:.3f}"]
            lines.append([str(count), *cells, good, gains, missed])
        titles = ["answers", "error", "size of the error", "in the interval", "half the interval"]
        titles += ["right on whether more pay", "gain of 25 more: expected / true", "told to stop: true gain"]
        print(f"\nOrder `{order}`:")
        table(titles, lines)


def main(tasks: list[Task], seeds: int) -> None:
    """Print all tables."""
    rng = np.random.default_rng(0)
    small = [task.at(np.sort(rng.permutation(len(task.y))[:_MOST])) for task in tasks]
    print_advice(small, max(1, seeds // 5))
    print_curves(small, seeds)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("corpora", nargs="+", metavar="STORE:TARGET")
    parser.add_argument("--seeds", type=int, default=10)
    options = parser.parse_args()
    main([loaded(one) for one in options.corpora], options.seeds)
