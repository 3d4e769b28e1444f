"""Measure what it costs to learn from a sample: ``python benchmarks/samples.py CSV TEXT CLASS LABEL=VALUE ...``.

Up to 8,000 rows of a CSV file that hold one of the values are drawn, and the first 300 characters of their texts are
encoded with the bundled model. Then each command runs with limits that leave 1/2, 1/5 and
1/20 of the rows to learn from, and its accuracy on all rows, or on the test rows, is printed. A tenth of the classes is
made wrong for `doubts`, whose figure is the average precision with which it finds these.
"""

import sys
import tempfile

import numpy as np
import pandas as pd
from sklearn.metrics import average_precision_score

import embedstore
from embedstore.labels import learnt
from embedstore.learning import best_labels, fitting

_PARTS = (1, 2, 5, 20)  # one part in so many
_ANSWERS = 60
_ROWS = 8_000
_CHARACTERS = 300


def _lowered(rows: int, dimension: int) -> None:
    learnt.MOST_LEARNT = best_labels.MOST_LEARNT = rows
    fitting._MOST_BYTES = 8 * dimension * rows


def _found(store: "embedstore.EmbeddingStore", wrong: np.ndarray) -> float:
    doubts = store.doubts("given", filter="any")
    score = np.zeros(len(wrong))
    score[doubts.rows] = np.arange(len(doubts.rows), 0, -1)
    return float(average_precision_score(wrong, score))


def main(path: str, text: str, target: str, pairs: list[str]) -> None:
    """Print a line for each part of the rows."""
    value_of = dict(pair.split("=") for pair in pairs)
    frame = pd.read_csv(path, dtype=str)[[text, target]].dropna()
    frame[text] = frame[text].str[:_CHARACTERS]
    frame = frame[frame[target].isin(value_of.values())].drop_duplicates(text)
    frame = frame.sample(min(_ROWS, len(frame)), random_state=0).reset_index(drop=True)
    rng = np.random.default_rng(0)
    wrong = rng.random(len(frame)) < 0.1
    classes = np.unique(frame[target])
    place = np.searchsorted(classes, frame[target])
    frame["given"] = classes[np.where(wrong, (place + rng.integers(1, len(classes), len(frame))) % len(classes), place)]
    with tempfile.TemporaryDirectory() as folder:
        store = embedstore.create(f"{folder}/store")
        store.add(frame, text=text)
        store.encode()
        labels = list(value_of)
        name_of = {value: label for label, value in value_of.items()}
        for row in rng.choice(len(frame), _ANSWERS, replace=False).tolist():
            store.annotations.add(row, name_of[frame[target][row]], labels)
        dimension = store.space().dimension
        for part in _PARTS:
            rows = len(frame) // part
            _lowered(rows, dimension)
            how = {
                "method": "best",
                "gold": target,
                "mapping": [f"{value}={label}" for label, value in value_of.items()],
            }
            tags = [store.tag(labels, **how, examples=examples).report.accuracy for examples in (False, True)]
            _lowered(int(0.8 * len(frame)) // part, dimension)
            trained = store.train(target).report.accuracy
            _lowered(2 * rows, dimension)  # doubts hold a row twice
            figures = (*tags, trained, _found(store, wrong))
            print(f"| 1/{part} ({rows:,}) | {' | '.join(f'{one:.3f}' for one in figures)} |", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:4], sys.argv[4:])
