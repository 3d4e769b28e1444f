"""Texts with several labels each, and an encoder that mixes what they are about."""

import itertools

import numpy as np
import pyarrow as pa
from conftest import HashEncoder

import embedstore

NAMES = ["Delivery", "Price", "Quality"]


class Mixing(HashEncoder):
    """The vector of a text is the sum of those of its words, with a little of its own."""

    def vector(self, text, prompt=""):
        of_words = [super(Mixing, self).vector(word) for word in text.split() if word in (*NAMES, "Other")]
        vector = np.sum(of_words, axis=0) + 0.3 * super().vector(text)
        return (vector / np.linalg.norm(vector)).astype(np.float32)


def sets_of(count=240):
    """Return sets of labels in turn: none, one or two."""
    some = [(), *itertools.combinations(NAMES, 1), *itertools.combinations(NAMES, 2), ()]
    return [some[number % len(some)] for number in range(count)]


TRUE = np.array([[name in labels for name in NAMES] for labels in sets_of()])


def mixed_store(path):
    """Return an encoded store of texts about several of NAMES, or none, with their labels in several forms."""
    store = embedstore.create(path, encoder=Mixing(24))
    sets = sets_of()
    rows = {
        "t": [" ".join(["Other", *labels, f"n{number}"]) for number, labels in enumerate(sets)],
        "is": pa.array([list(labels) for labels in sets], pa.list_(pa.string())),
        "said": [" | ".join(labels) for labels in sets],
    }
    store.add(pa.table(rows), text="t")
    store.encode()
    return store
