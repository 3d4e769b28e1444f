"""Time how opening a store, `info` and a commit depend on the number of segments."""

import itertools
from dataclasses import replace
from functools import partial

import numpy as np
from common import RandomEncoder, result, scratch, side_by_side

import embedstore
from embedstore.encoders import Described
from embedstore.storage.manifest import commit, forget_parsed
from embedstore.storage.segments import write_texts
from embedstore.vectors.executors import store_vectors
from embedstore.vectors.receipts import Receipt, with_receipts

SIZES = (10, 100, 1_000, 10_000)
encoder = RandomEncoder(8)
described = Described(model="random", folder=None, revision="", spec=encoder.spec, query_prompt="")

with scratch() as folder:
    stores = {}
    for size in SIZES:
        store = stores[size] = embedstore.create(f"{folder}/{size}", encoder=encoder)
        store.add([{"text": "first"}], text="text")
        store.encode()
        texts, receipts = [], []
        for number in range(size - 1):
            segment = write_texts(store.path, [f"text {number} of {size}"])
            vectors = encoder.encode([f"text {number} of {size}"])
            texts.append(segment)
            stored = store_vectors(store.path, segment, vectors, encoder.spec)
            receipts.append(Receipt(segment.file.sha256, stored, encoder.provenance, encoder.dimension))

        def add(base, texts=texts, receipts=receipts):
            """Return the manifest with all these segments added."""
            if receipts:
                base = with_receipts(base, described, receipts)
            return replace(base, texts=(*base.texts, *texts))

        commit(store.path, add)

    def ask(size: int) -> None:
        """Open a store without the parsed manifest in memory, as in a new process, and describe it."""
        forget_parsed()
        assert embedstore.open(f"{folder}/{size}", encoder=encoder).info()["segments"] == size

    def grow(size: int) -> None:
        """Add one row: read the manifest, write a segment and a table, and commit."""
        name = f"c{next(numbers)}"
        stores[size].add([{"text": f"new text {name}"}], text="text", corpus=name)

    numbers = itertools.count()
    opened = side_by_side({str(size): partial(ask, size) for size in SIZES})
    # One size at a time: a process that adds to one store parses each manifest only once.
    adding = {str(size): side_by_side({"add": partial(grow, size)}, rounds=9)["add"] for size in SIZES}
    for name, found in (("open and info", opened), ("a commit (add of one row)", adding)):
        slope = np.polyfit(SIZES, [found[str(size)] for size in SIZES], 1)[0]
        result(
            f"{name}, per segment from 10 to 10,000",
            float(slope),
            20e-6,
            "asked",
            {},
            "20 µs a segment",
            ", ".join(f"{size:,}: {1000 * found[str(size)]:.1f} ms" for size in SIZES),
        )
