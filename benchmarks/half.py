"""Compare float16 with float32 vectors: bytes, and the share of tags and neighbours that stay the same."""

from dataclasses import replace

import numpy as np
from common import Remembered, result, reviews, scratch

import embedstore
from embedstore.encoders import EncoderOptions, describe, load

texts = reviews(8000)
encoder = load(describe(None, EncoderOptions()), sample=texts[:16])
vectors = encoder.encode(texts)
LABELS = ["Negative", "Positive", "books", "kitchen", "electronics"]

known = Remembered([*texts, *LABELS], np.concatenate([vectors, encoder.encode(LABELS)]))

with scratch() as folder:
    found, size = {}, {}
    for dtype in ("float32", "float16"):
        known.spec = replace(known.spec, dtype=dtype)
        store = embedstore.create(f"{folder}/{dtype}", encoder=known)
        store.add([{"text": text} for text in texts], text="text")
        store.encode()
        tags = store.tag(LABELS).to_pandas()["Predicted_Labels"]
        rows = range(0, len(texts), max(1, len(texts) // 200))
        near = [set(store.search(row=row, k=10).table.column("id").to_pylist()) for row in rows]
        found[dtype] = tags, near
        (block, *_) = store.space().blocks()
        size[dtype] = block.vectors.strides[0]
    same = float(np.mean(found["float32"][0].to_numpy() == found["float16"][0].to_numpy()))
    recall = float(np.mean([len(a & b) / 10 for a, b in zip(found["float32"][1], found["float16"][1], strict=True)]))
    assert same >= 0.999, same
    assert recall >= 0.999, recall
    result(
        "bytes a vector, float16",
        size["float16"],
        size["float32"],
        "float32",
        {},
        "half",
        f"{100 * same:.2f}% of tags and {recall:.4f} of recall@10 kept, {len(texts):,} texts",
        unit="bytes",
    )
