"""Measure how many planted label errors are found: `python benchmarks/doubts.py STORE TARGET`.

A seeded generator changes the class of one in twenty labels of the store's only corpus, in memory.
"""

import sys
import time

import numpy as np

import embedstore
from embedstore.learning import TrainOptions
from embedstore.learning.doubts import LabelErrors, find_label_errors

SHARE, SEEDS = 0.05, 3


def planted(y: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the labels with some classes changed, and a mask of the changed ones."""
    rng = np.random.default_rng(seed)
    wrong = rng.choice(len(y), round(SHARE * len(y)), replace=False)
    labels = y.copy()
    labels[wrong] = (y[wrong] + rng.integers(1, y.max() + 1, len(wrong))) % (y.max() + 1)
    return labels, np.isin(np.arange(len(y)), wrong)


def ranking(wrong: np.ndarray, order: np.ndarray) -> float:
    """Return the average precision of the flagged rows in the given order."""
    hits = wrong[order]
    return float(np.sum(hits * np.cumsum(hits) / np.arange(1, len(hits) + 1)) / max(1, hits.sum()))


def measure(vectors: np.ndarray, y: np.ndarray, groups: np.ndarray, seed: int) -> None:
    """Plant errors, find them, and print one line."""
    labels, wrong = planted(y, seed)
    start = time.perf_counter()
    found: LabelErrors = find_label_errors(vectors, labels, groups, folds=5, options=TrainOptions())
    seconds = time.perf_counter() - start
    hits = wrong[found.rows]
    half = found.rows[: wrong.sum() // 2]
    by_margin = found.rows[np.argsort(found.margin, kind="stable")]
    print(
        f"seed {seed}: {len(found.rows):,} of {len(y):,} flagged, {wrong.sum():,} planted: "
        f"precision {hits.mean():.3f} (most doubtful {len(half)}: {wrong[half].mean():.3f}), "
        f"recall {hits.sum() / wrong.sum():.3f}, right class suggested "
        f"{np.mean(found.suggested[hits] == y[found.rows[hits]]):.3f}; "
        f"average precision by confidence {ranking(wrong, found.rows):.3f}, by margin {ranking(wrong, by_margin):.3f}; "
        f"accuracy {found.accuracy:.3f}, noise {found.noise:.3f}; {seconds:.1f} s"
    )


def main(path: str, target: str) -> None:
    """Measure with the store's only space and corpus."""
    store = embedstore.open(path)
    corpus = store.corpus()
    column = corpus.column(target).to_pylist()
    rows = np.array([row for row, value in enumerate(column) if value is not None])
    y = np.unique([column[row] for row in rows], return_inverse=True)[1]
    positions = corpus.positions()[rows]
    vectors = store.space().at(positions, corpus.name)
    for seed in range(SEEDS):
        measure(vectors, y, positions, seed)


if __name__ == "__main__":
    main(*sys.argv[1:])
