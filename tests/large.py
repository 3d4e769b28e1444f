"""A large store of synthetic reviews that is made in seconds, and is one of the bundled model for all that reads it."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

import embedstore
from embedstore.core.parallel import one_thread
from embedstore.encoders import DEFAULT_MODEL, EncoderOptions, describe
from embedstore.encoders.light import LightEncoder
from embedstore.maps.plane import Plane, keep_plane, principal_plane

DIMENSION = 64
PRODUCTS = ("kettle", "desk lamp", "office chair", "novel", "phone", "raincoat")
SAID = {
    1: ("it broke after a week", "the worst that I ever bought", "it came damaged and late"),
    2: ("it disappoints", "poor quality for the price", "the colour is not the one of the picture"),
    3: ("it is all right", "neither good nor bad", "it does what it should"),
    4: ("it works well", "good value for the money", "I would buy it again"),
    5: ("I love it", "excellent, the best of its kind", "a perfect present"),
}
NOISE = 0.6  # length of what is added to a unit vector, so that no two texts are the same


class SyntheticEncoder:
    """An encoder of `reviews`: a text's vector is that of its beginning by the bundled model, and noise."""

    def __init__(self) -> None:
        described = describe(DEFAULT_MODEL, options=EncoderOptions(truncate_dim=DIMENSION))
        model = LightEncoder(described)
        self.dimension, self.spec, self.provenance = DIMENSION, model.spec, model.provenance
        beginnings = [f"the {product}: {said}" for product in PRODUCTS for each in SAID.values() for said in each]
        with one_thread:  # these products are small
            self._vectors = dict(zip(beginnings, model.encode(beginnings), strict=True))
        self._random = np.random.default_rng(0)

    def encode(
        self, texts: Sequence[str], *, prompt: str | None = None, on_texts: Callable[[int, int], None] | None = None
    ) -> np.ndarray:
        if on_texts:
            on_texts(len(texts), 0)
        vectors = np.stack([self._vectors[text.rpartition(", ")[0]] for text in texts])
        noise = self._random.standard_normal(vectors.shape, dtype=np.float32)
        vectors += noise * np.float32(NOISE / np.sqrt(DIMENSION))
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def reviews(rows: int) -> pa.Table:
    """Return a table of reviews that all differ, with a product, stars and an id."""
    random = np.random.default_rng(0)
    products = np.array(PRODUCTS)[random.integers(len(PRODUCTS), size=rows)]
    stars = random.integers(1, 6, size=rows)
    saying = random.integers(3, size=rows)
    texts = [
        f"the {product}: {SAID[star][said]}, order {n}"
        for n, (product, star, said) in enumerate(zip(products, stars.tolist(), saying.tolist(), strict=True))
    ]
    return pa.table({"key": [f"k{n}" for n in range(rows)], "review": texts, "product": products, "stars": stars})


def make_store(path: Path, rows: int) -> None:
    """Make a store of so many reviews."""
    store = embedstore.create(path, encoder=SyntheticEncoder())
    store.add(reviews(rows), text="review", id="key")
    store.encode()
    with store.snapshot() as now:  # a map is there, so no server spends half a minute on one
        space, positions = now.embeddings(None), np.unique(now.corpus().positions())
        plane = Plane("tsne", len(positions), positions, principal_plane(space, positions))
        keep_plane(now, now.corpus().name, space.key, plane, before=None)
