"""Time one annotation question and its answer, as the number of answers grows.

``python benchmarks/annotate.py STORE TARGET SET VALUE=LABEL ...`` answers up to 600 questions with the column's values,
on a copy of the store, and prints the mean and the maximum of each hundred.
"""

import argparse
import shutil
import tempfile
import time
from pathlib import Path

import numpy as np

import embedstore
from embedstore.core.values import value_text
from embedstore.labels.label_set import LabelSet

parser = argparse.ArgumentParser()
parser.add_argument("store")
parser.add_argument("target")
parser.add_argument("set")
parser.add_argument("map", nargs="*")
asked = parser.parse_args()

labels = LabelSet.named(asked.set)
mapping = dict(pair.split("=") for pair in asked.map)
with tempfile.TemporaryDirectory() as folder:
    store = embedstore.open(shutil.copytree(asked.store, Path(folder) / "store"))
    corpus = store.corpus()
    given = [mapping.get(value_text(v), value_text(v)) for v in corpus.column(asked.target).to_pylist()]
    label_of = {int(p): label for p, label in zip(corpus.positions(), given, strict=True) if label in labels.names}
    session = store.annotations.session(labels)
    seconds: list[float] = []
    print("| answers | mean s | maximum s |\n|---|---|---|")
    while len(seconds) < 600:
        start = time.perf_counter()
        question = session.question
        if question is None:
            break
        session.advice()
        label = label_of.get(question.position)
        session.answer(label) if label else session.skip()
        seconds.append(time.perf_counter() - start)
        if len(seconds) % 100 == 0:
            print(f"| {len(seconds)} | {np.mean(seconds[-100:]):.3f} | {max(seconds[-100:]):.2f} |", flush=True)
