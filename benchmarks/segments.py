"""Time how opening a store, `info`, commits and a pass over all vectors depend on the number of segments.

The segments are hard links to one text and its vector, under made-up hashes, so that 100,000 take seconds to make. All
that is timed is done as with other segments: nothing of it compares a segment's hash.
"""

import itertools
import os
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
from common import RandomEncoder, result, scratch, side_by_side

import embedstore
from embedstore.encoders import Described
from embedstore.storage.manifest import commit, forget_parsed
from embedstore.storage.segments import write_texts
from embedstore.vectors.executors import store_vectors
from embedstore.vectors.receipts import Receipt, with_receipts

SIZES = (10, 1_000, 100_000)
FEWER = (10, 1_000, 10_000)  # for what opens the files of all segments
_LINKS = 10_000  # of one file: file systems allow no more than some 65,000
encoder = RandomEncoder(8)
described = Described(model="random", folder=None, revision="", spec=encoder.spec, query_prompt="")


def linked(root: Path, file, number: int):
    """Return the record of another name for a file."""
    sha256 = f"{number + 1:064x}"
    path = f"{file.path.partition('/')[0]}/{sha256}.h5"
    of = (
        root / file.path
        if number % _LINKS == 0
        else root / path.replace(sha256, f"{number // _LINKS * _LINKS + 1:064x}")
    )
    if number % _LINKS:
        os.link(of, root / path)
    else:
        (root / path).write_bytes(of.read_bytes())
    return file._replace(path=path, sha256=sha256)


def receipt_of(root: Path, text: str):
    """Write a text and its vector; return the text segment and the receipt."""
    segment = write_texts(root, [text])
    stored = store_vectors(root, segment, encoder.encode([text]), encoder.spec)
    return segment, Receipt(segment.file.sha256, stored, encoder.provenance, encoder.dimension)


def made(folder: Path, size: int) -> "embedstore.EmbeddingStore":
    """Make a store of so many segments, all but one in a single commit."""
    store = embedstore.create(folder, encoder=encoder)
    store.add([{"text": "first"}], text="text")
    store.encode()
    segment, receipt = receipt_of(store.path, "second")
    texts = [replace(segment, file=linked(store.path, segment.file, number)) for number in range(size - 1)]
    receipts = [
        replace(
            receipt,
            text=text.file.sha256,
            segment=replace(receipt.segment, file=linked(store.path, receipt.segment.file, number)),
        )
        for number, text in enumerate(texts)
    ]
    commit(
        store.path,
        lambda base: replace(with_receipts(base, described, receipts), texts=base.texts.plus(texts)),
    )
    return store


with scratch() as folder:
    stores = {size: made(Path(folder) / str(size), size) for size in sorted({*SIZES, *FEWER})}
    numbers = itertools.count()
    os.sync()

    def ask(size: int) -> None:
        """Open a store without the parsed manifest in memory, as in a new process, and describe it."""
        forget_parsed()
        found = embedstore.open(f"{folder}/{size}", encoder=encoder).info()
        assert found["segments"] >= size
        assert found["spaces"][0]["texts"] >= size

    def receive(size: int, *, anew: bool) -> None:
        """Write a text and its vector, and commit them; `anew` as the first commit of a process."""
        if anew:
            forget_parsed()
        segment, receipt = receipt_of(stores[size].path, f"new text {next(numbers)} of {size}")
        commit(
            stores[size].path,
            lambda base: replace(with_receipts(base, described, [receipt]), texts=base.texts.plus([segment])),
        )

    def grow(size: int) -> None:
        """Add one row: read the keys of all texts, write a segment and a table, and commit."""
        name = f"c{next(numbers)}"
        stores[size].add([{"text": f"new text {name}"}], text="text", corpus=name)

    def go_through(size: int) -> None:
        """Map the vectors of all segments, as each question about all texts does, without the manifest in memory."""
        forget_parsed()
        space = embedstore.open(f"{folder}/{size}", encoder=encoder).space()
        assert sum(len(block.vectors) for block in space.blocks()) >= size

    # One size at a time: a process that writes to one store parses each manifest only once.
    works = {
        "open and info": (ask, SIZES, 9, 0.2e-6),
        "a commit of a vector segment": (partial(receive, anew=False), SIZES, 65, 0.2e-6),
        "the first such commit of a process": (partial(receive, anew=True), SIZES, 9, 2e-6),
        "an add of one row": (grow, FEWER, 5, 60e-6),
        "a pass over the vectors": (go_through, FEWER, 3, 60e-6),
    }
    for name, (work, sizes, rounds, limit) in works.items():
        found = {size: side_by_side({"": partial(work, size)}, rounds=rounds)[""] for size in sizes}
        slope = np.polyfit(sizes, [found[size].cpu for size in sizes], 1)[0]
        result(
            f"{name}, CPU time per segment from 10 to {sizes[-1]:,}",
            float(slope),
            limit,
            "asked",
            {},
            f"{1e6 * limit:.1f} µs a segment",
            ", ".join(
                f"{size:,}: {1000 * found[size].cpu:.1f} ms of CPU, {1000 * found[size]:.1f} ms" for size in sizes
            ),
        )
