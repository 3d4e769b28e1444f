"""Time a LogReg on 100,000 x 768 vectors of a store, against scikit-learn on the same array in memory."""

import os

import numpy as np
from common import Remembered, result, scratch, side_by_side
from sklearn.linear_model import LogisticRegression

import embedstore

ROWS, DIMENSION = 100_000, 768

rng = np.random.default_rng(0)
classes = rng.integers(0, 2, ROWS)
vectors = rng.standard_normal((ROWS, DIMENSION), dtype=np.float32) + 0.08 * classes[:, None].astype(np.float32)
vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
texts = [f"text {number}" for number in range(ROWS)]

with scratch() as folder:
    store = embedstore.create(f"{folder}/store", encoder=Remembered(texts, vectors))
    rows = [{"text": text, "class": int(number)} for text, number in zip(texts, classes, strict=True)]
    store.add(rows, text="text")
    store.add(rows[:10], text="text", corpus="test")
    store.encode()
    os.sync()  # otherwise the timing includes background writes to the disk
    found = {}

    def ours() -> None:
        """Train from the store and save the probe."""
        found["ours"] = store.train("class", corpus="train", test_corpus="test", name="probe")

    def theirs() -> None:
        """Train on the array in memory."""
        found["peer"] = LogisticRegression(C=1.0, max_iter=1000).fit(vectors, classes)

    seconds = side_by_side({"ours": ours, "peer": theirs}, rounds=9)
    probabilities = store.predict("probe", corpus="train").to_pandas()
    peer = found["peer"].classes_[found["peer"].predict_proba(vectors).argmax(axis=1)]
    same = float(np.mean(probabilities["Predicted_Labels"].astype(int).to_numpy() == peer))
    assert same > 0.9995, same
    result(
        "LogReg on 100,000 x 768",
        seconds["ours"],
        seconds["peer"],
        "scikit-learn in memory",
        {"scikit-learn in memory": seconds["peer"]},
        "1.05 x the peer",
        f"{100 * same:.2f}% of predictions equal",
    )
