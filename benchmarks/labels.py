"""What each step of better tags is worth on a store whose labels are known: the tables of docs/labels.md.

``python benchmarks/labels.py STORE TARGET SET VALUE=LABEL ... [--corpus NAME]``: accuracy of plain cosine, of
descriptions, and of each step, with 95% intervals (and the mean absolute error of sets in order); then accuracy on the
rows not asked about after 10 to 250 answers, by the order in which they are asked.
"""

import argparse
import time

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_predict

import embedstore
from embedstore.corpus import value_text
from embedstore.fewshot import blend
from embedstore.labels import LabelSet
from embedstore.questions import Questions
from embedstore.space import texts_at
from embedstore.vectors import unit_rows
from embedstore.zeroshot import STEPS, refine

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
texts = texts_at(store.path, store.manifest, distinct)


def cosines(one: LabelSet) -> np.ndarray:
    """Return the similarity of each text to each label."""
    return vectors @ one.prototypes(lambda words: store._query_vectors(space, words)).T


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
for steps in (("centre",), ("words",), STEPS):
    start = time.perf_counter()
    found = refine(plain, texts, steps=steps).scores.argmax(axis=1)
    name = "`--method best`: centre + words" if steps == STEPS else " + ".join(steps)
    line(name, found, base, time.perf_counter() - start)
start = time.perf_counter()
best = refine(plain, texts)
line(
    "best, true shares given",
    refine(plain, texts, shares=np.maximum(shares, 1e-3)).scores.argmax(axis=1),
    base,
    0,
)
cross = np.full(len(y), -1)
cross[known] = cross_val_predict(LogisticRegression(max_iter=1000), vectors[known], y[known], cv=5)
line("LogReg on all labels (five folds)", cross, base, 0)

COUNTS = (0, 10, 25, 50, 100, 250)
print("\n| order | " + " | ".join(map(str, COUNTS)) + " |\n|---|" + "---|" * len(COUNTS))
prototypes = labels.prototypes(lambda words: store._query_vectors(space, words))
place = {int(position): row for row, position in enumerate(distinct)}
for order in ("random", "uncertain", "disagreement"):
    questions = Questions(space, distinct[known], prototypes, answers={}, order=order)
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
