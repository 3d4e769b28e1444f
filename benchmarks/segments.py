"""What the number of segments costs: opening a store and `info`, and a commit as the store grows."""

import itertools
from dataclasses import replace
from functools import partial

import numpy as np
from common import RandomEncoder, result, scratch, side_by_side

import embedstore
from embedstore.encode import Receipt, store_vectors, with_receipts
from embedstore.encoders import Described
from embedstore.storage.manifest import _PARSED, commit
from embedstore.storage.segments import write_texts

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
            """Return the manifest with all of them."""
            if receipts:
                base = with_receipts(base, described, receipts)
            return replace(base, texts=(*base.texts, *texts))

        commit(store.path, add)

    def ask(size: int) -> None:
        """Open a store in the state that a new process finds, and describe it."""
        _PARSED.clear()
        assert embedstore.open(f"{folder}/{size}", encoder=encoder).info()["segments"] == size

    def grow(size: int) -> None:
        """Add one row: read the manifest, write a segment and a table, commit."""
        name = f"c{next(numbers)}"
        stores[size].add([{"text": f"new text {name}"}], text="text", corpus=name)

    numbers = itertools.count()
    opened = side_by_side({str(size): partial(ask, size) for size in SIZES})
    # A size at a time: a process that adds to one store reads each manifest once, when it opens it.
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
