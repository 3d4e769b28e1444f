"""Measure each step of the tagging methods on a store with known labels: the tables of docs/labels.md.

``python benchmarks/labels.py STORE TARGET SET VALUE=LABEL ... [--corpus NAME]`` prints:

- the accuracy of plain cosine, of descriptions and of each step, with 95% intervals (for ordered sets of more than two
  labels also the mean absolute error);
- for two labels, the accuracy when the second label has 20% to 90% of the texts (at most 3,000 random texts);
- for each order of questions, the accuracy on the other rows after 0 to 250 answers.
"""

import argparse
import time

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_predict

import embedstore
from embedstore.annotations.order import Questions
from embedstore.core.unit import unit_rows
from embedstore.core.values import value_text
from embedstore.labels.fewshot import blend
from embedstore.labels.label_set import LabelSet
from embedstore.labels.zeroshot import STEPS, refine, topic_bias

parser = argparse.ArgumentParser()
parser.add_argument("store")
parser.add_argument("target")
parser.add_argument("set")
parser.add_argument("map", nargs="*")
parser.add_argument("--corpus")
asked = parser.parse_args()

store = embedstore.open(asked.store)
corpus, space, labels = store.corpus(asked.corpus), store.space(), LabelSet.named(asked.set)
ordered = labels.ordinal and len(labels.names) > 2
mapping = dict(pair.split("=") for pair in asked.map)
given = [mapping.get(value_text(v), value_text(v)) for v in corpus.column(asked.target).to_pylist()]
distinct, first = np.unique(corpus.positions(), return_index=True)
y = np.array([labels.names.index(given[row]) if given[row] in labels.names else -1 for row in first])
known = y >= 0
vectors = unit_rows(space.at(distinct))
texts = space.texts.at(distinct)


def vectors_of(words: list[str]) -> np.ndarray:
    """Return cached vectors of label texts."""
    with store.snapshot() as now:
        return now.queries(space)(words)


def cosines(one: LabelSet) -> np.ndarray:
    """Return the cosine similarity of each text to each label."""
    return vectors @ one.prototypes(vectors_of).T


def line(name: str, predicted: np.ndarray, base: np.ndarray, seconds: float) -> None:
    """Print accuracy with its interval, balanced accuracy, and the gain over plain cosine with its interval."""
    right = (predicted == y)[known]
    gain = right.astype(float) - base
    width = 1.96 * np.sqrt(right.var() / len(right))
    gap = 1.96 * gain.std() / np.sqrt(len(gain))
    balanced = np.mean([right[y[known] == one].mean() for one in np.unique(y[known])])
    figures = f"{right.mean():.3f} ± {width:.3f} | {balanced:.3f} | {gain.mean():+.3f} ± {gap:.3f} | {seconds:.1f}"
    if ordered:
        figures += f" | {np.abs(predicted - y)[known].mean():.3f}"
    print(f"| {name} | {figures} |", flush=True)


bare = cosines(LabelSet.of(labels.names)).argmax(axis=1)
base = (bare == y)[known].astype(float)
plain = cosines(labels)
shares = np.bincount(y[known], minlength=len(labels.names)) / known.sum()
print(f"{corpus.name}: {known.sum():,} texts, shares {np.round(shares, 2).tolist()}\n")
titles = ["method", "accuracy", "balanced", "gain over names alone", "seconds"]
if ordered:
    titles.append("mean absolute error in steps")
print(f"| {' | '.join(titles)} |\n|{'---|' * len(titles)}")
line("names alone, cosine", bare, base, 0)
line("descriptions, cosine (`--method cosine`)", plain.argmax(axis=1), base, 0)
line("scores centred wholly", (plain - plain.mean(axis=0)).argmax(axis=1), base, 0)
line("a quarter of means taken off", (plain - 0.25 * plain.mean(axis=0)).argmax(axis=1), base, 0)
start = time.perf_counter()
prototypes = labels.prototypes(vectors_of)
bias = topic_bias(labels, prototypes, texts, vectors, vectors_of)
own = time.perf_counter() - start
for steps in (("centre",), ("words",), STEPS):
    start = time.perf_counter()
    found = refine(plain, texts, bias=bias, steps=steps).scores.argmax(axis=1)
    name = "`--method best`: centre + words" if steps == STEPS else " + ".join(steps)
    line(name, found, base, time.perf_counter() - start + own * ("centre" in steps))
best = refine(plain, texts, bias=bias)
line("a quarter of means + words", refine(plain, texts).scores.argmax(axis=1), base, 0)
line(
    "best, true shares given",
    refine(plain, texts, bias=bias, shares=np.maximum(shares, 1e-3)).scores.argmax(axis=1),
    base,
    0,
)
cross = np.full(len(y), -1)
cross[known] = cross_val_predict(LogisticRegression(max_iter=1000), vectors[known], y[known], cv=5)
line("LogReg on all labels (five folds)", cross, base, 0)

if len(labels.names) == 2:
    SHARES = (0.2, 0.35, 0.5, 0.65, 0.8, 0.9)
    cells: dict[str, list[str]] = {}
    rng = np.random.default_rng(0)
    for share in SHARES:
        sides = [np.flatnonzero(y == one) for one in (0, 1)]
        count = int(min(3000, len(sides[0]) / (1 - share), len(sides[1]) / share))
        parts = (round(count * (1 - share)), round(count * share))
        drawn = np.concatenate([rng.choice(side, part, replace=False) for side, part in zip(sides, parts, strict=True)])
        here, some = plain[drawn], [texts[row] for row in drawn]
        for name, scores in {
            "descriptions, cosine": here,
            "scores centred wholly": here - here.mean(axis=0),
            "a quarter of means + words": refine(here, some).scores,
            "`--method best`": refine(here, some, bias=bias[drawn] if np.ndim(bias) == 2 else bias).scores,
        }.items():
            cells.setdefault(name, []).append(f"{(scores.argmax(axis=1) == y[drawn]).mean():.3f}")
    print("\n| share of " + labels.names[1] + " | " + " | ".join(map(str, SHARES)) + " |\n|---|" + "---|" * len(SHARES))
    for name, row in cells.items():
        print(f"| {name} | {' | '.join(row)} |", flush=True)

COUNTS = (0, 10, 25, 50, 100, 250)
print("\n| order | " + " | ".join(map(str, COUNTS)) + " |\n|---|" + "---|" * len(COUNTS))
place = {int(position): row for row, position in enumerate(distinct)}
for order in ("random", "typical", "uncertain", "disagreement"):
    questions = Questions(space, distinct[known], labels, prototypes, answers={}, order=order)
    cells = []
    for count in COUNTS:
        while len(questions.answers) < count:
            position = questions.next()
            questions.answer(position, int(y[place[position]]))
        rows = np.array(sorted(place[position] for position in questions.answers), dtype=np.int64)
        found = blend(best.scores, vectors, rows, y[rows])
        rest = known & ~np.isin(np.arange(len(y)), rows)
        cells.append(f"{(found.argmax(axis=1) == y)[rest].mean():.3f}")
    print(f"| {order} | " + " | ".join(cells) + " |", flush=True)
