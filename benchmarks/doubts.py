"""Measure how many planted label errors are found, beside cleanlab: `python benchmarks/doubts.py STORE TARGET`.

A seeded generator changes labels of the store's only corpus, in memory: 2%, 5% and 10% of them, to any other class
("uniform") or to the class after it, with a rate that rises from class to class ("by class"). Prints two Markdown
tables of means over the seeds: precision, recall and F1 of each filter and of cleanlab's default, and the estimated
shares of wrong labels. cleanlab gets the same probabilities. It is one of the peers in benchmarks/requirements.txt.
"""

import sys
from collections.abc import Callable, Iterator

import numpy as np
from cleanlab.count import num_label_issues
from cleanlab.filter import find_label_issues

import embedstore
from embedstore.core.values import is_blank
from embedstore.learning import TrainOptions
from embedstore.learning.doubts import out_of_fold
from embedstore.learning.label_errors import FILTERS, find_label_errors

SHARES, SEEDS = (0.02, 0.05, 0.1), 3
CLEANLAB = "cleanlab's default"


def uniform(y: np.ndarray, share: float, rng: np.random.Generator) -> np.ndarray:
    """Return the labels with a share of them changed to any other class."""
    labels, classes = y.copy(), y.max() + 1
    wrong = rng.choice(len(y), round(share * len(y)), replace=False)
    labels[wrong] = (y[wrong] + rng.integers(1, classes, len(wrong))) % classes
    return labels


def by_class(y: np.ndarray, share: float, rng: np.random.Generator) -> np.ndarray:
    """Return the labels with a share changed to the next class; the last class has three times the first one's rate."""
    labels, classes = y.copy(), y.max() + 1
    rates = np.linspace(0.5, 1.5, classes)[y]
    wrong = rng.choice(len(y), round(share * len(y)), replace=False, p=rates / rates.sum())
    labels[wrong] = (y[wrong] + 1) % classes
    return labels


KINDS: dict[str, Callable[[np.ndarray, float, np.random.Generator], np.ndarray]] = {
    "uniform": uniform,
    "by class": by_class,
}


def scores(rows: np.ndarray, wrong: np.ndarray) -> tuple[float, float, float]:
    """Return precision, recall and F1 of the flagged rows."""
    hits = int(wrong[rows].sum())
    precision, recall = hits / max(1, len(rows)), hits / max(1, wrong.sum())
    return precision, recall, 2 * hits / max(1, len(rows) + wrong.sum())


def measured(probabilities: np.ndarray, labels: np.ndarray, y: np.ndarray) -> tuple[dict, list[float]]:
    """Return the scores of each method; and accuracy, estimates of ours and cleanlab, and right suggestions."""
    wrong = labels != y
    found = {name: find_label_errors(probabilities, labels, filter=name) for name in FILTERS}
    rows = {name: errors.rows for name, errors in found.items()}
    rows[CLEANLAB] = np.flatnonzero(find_label_issues(labels, probabilities, n_jobs=1))
    ours = found["expected"]
    hits = wrong[ours.rows]
    right = np.mean(ours.suggested[hits] == y[ours.rows[hits]]) if hits.any() else np.nan
    calibrated = num_label_issues(labels, probabilities, estimation_method="off_diagonal_calibrated")
    shares = [calibrated / len(y), num_label_issues(labels, probabilities) / len(y)]
    return {name: scores(one, wrong) for name, one in rows.items()}, [ours.accuracy, ours.noise, *shares, right]


def runs(vectors: np.ndarray, y: np.ndarray, groups: np.ndarray) -> Iterator[tuple[str, float, list]]:
    """Yield the kind, the planted share and what was measured with each seed; first without planted errors."""
    plans = [("none", 0.0), *((kind, share) for kind in KINDS for share in SHARES)]
    for kind, share in plans:
        seeds = range(SEEDS if share else 1)
        planted = [KINDS[kind](y, share, np.random.default_rng(seed)) if share else y for seed in seeds]
        judged = [out_of_fold(vectors, labels, groups, folds=5, options=TrainOptions())[0] for labels in planted]
        yield kind, share, [measured(p, labels, y) for p, labels in zip(judged, planted, strict=True)]


def main(path: str, target: str) -> None:
    """Measure with the store's only space and corpus."""
    store = embedstore.open(path)
    corpus = store.corpus()
    column = corpus.column(target).to_pylist()
    with store.snapshot() as now:
        texts = now.texts.at(corpus.positions())
    rows = np.array([row for row, value in enumerate(column) if value is not None and not is_blank(texts[row])])
    y = np.unique([column[row] for row in rows], return_inverse=True)[1]
    positions = corpus.positions()[rows]
    filters, estimates = [], []
    for kind, share, found in runs(store.space().at(positions, corpus.name), y, positions):
        accuracy, ours, calibrated, plain, right = np.mean([more for _, more in found], axis=0)
        estimates.append(f"| {kind} | {share:.0%} | {accuracy:.3f} | {ours:.3f} | {calibrated:.3f} | {plain:.3f} |")
        if share:
            means = {name: np.mean([each[name] for each, _ in found], axis=0) for name in found[0][0]}
            cells = [f"{p:.2f}, {r:.2f}, **{f:.3f}**" for p, r, f in (means[name] for name in (CLEANLAB, *FILTERS))]
            filters.append(f"| {kind} | {share:.0%} | {' | '.join(cells)} | {right:.2f} |")
            print(filters[-1], file=sys.stderr, flush=True)
    print(f"{target}: {len(y):,} rows, {y.max() + 1} classes. Precision, recall, F1:\n")
    print(f"| planted | share | {' | '.join((CLEANLAB, *FILTERS))} | right class suggested |\n{'|---' * 10}|")
    print("\n".join(filters))
    print("\nEstimated share of wrong labels:\n")
    print(f"| planted | share | accuracy | ours | cleanlab, calibrated | cleanlab, as counted |\n{'|---' * 6}|")
    print("\n".join(estimates))


if __name__ == "__main__":
    main(*sys.argv[1:])
