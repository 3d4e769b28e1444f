"""Time approximate search at a recall@10 of at least 0.95 on real review vectors, against hnswlib and usearch."""

import hashlib
import json
import time
from collections.abc import Callable
from functools import partial

import hnswlib
import numpy as np
import usearch.index
from common import PEERS, Remembered, result, reviews, scratch, side_by_side

import embedstore
from embedstore.encoders import EncoderOptions, describe, load
from embedstore.vectors.index import OpenIndex

K, QUERIES, WANTED = 10, 2000, 0.95

texts = reviews()
encoder = load(describe(None, EncoderOptions()), sample=texts[:16])
# All reviews, then halves of reviews up to 31,000 texts in total.
halves = [part for text in texts for part in (text[: len(text) // 2], text[len(text) // 2 :]) if part.strip()]
halves = [text for text in dict.fromkeys(halves) if text not in set(texts)][: max(0, 31_000 - len(texts))]
texts += halves
kept = PEERS.parent.parent / f"bench-{hashlib.sha256(json.dumps(texts).encode()).hexdigest()[:16]}.npy"
if not kept.exists():
    np.save(kept, encoder.encode(texts))
vectors = np.load(kept)
held_out = min(QUERIES, len(texts) // 4)
queries, stored = vectors[:held_out], np.ascontiguousarray(vectors[held_out:])
exact = np.argpartition(-(queries @ stored.T), K, axis=1)[:, :K]


def recall(found: np.ndarray) -> float:
    """Return the share of the exact neighbours among the found ones (recall@K)."""
    return float(np.mean([len(set(a) & set(b)) / K for a, b in zip(exact.tolist(), found.tolist(), strict=True)]))


def least_effort(engine: Callable[[int], np.ndarray]) -> tuple[int, float]:
    """Return the least effort at which an engine has the recall that is wanted, and its recall there."""
    for effort in range(4, 400):
        if (found := recall(engine(effort))) >= WANTED:
            return effort, found
    raise RuntimeError(f"no effort reaches a recall of {WANTED}")


with scratch() as folder:
    store = embedstore.create(f"{folder}/store", encoder=Remembered(texts[held_out:], stored))
    store.add([{"text": text} for text in texts[held_out:]], text="text")
    store.encode()
    place = {text: number for number, text in enumerate(texts[held_out:])}
    order = np.array([place[text] for text in store.space().texts.at(np.arange(len(stored)))])
    theirs = hnswlib.Index(space="ip", dim=stored.shape[1])
    theirs.init_index(len(stored), M=16, ef_construction=200)
    theirs.add_items(stored)
    search = usearch.index.Index(ndim=stored.shape[1], metric="ip", dtype="f32", connectivity=16, expansion_add=200)
    search.add(np.arange(len(stored)), stored)

    def usearch_at(effort: int) -> np.ndarray:
        """Search with an expansion of `effort`."""
        search.expansion_search = effort
        return search.search(queries, K).keys.astype(np.int64)

    def hnswlib_at(effort: int) -> np.ndarray:
        """Search with an ef of `effort`."""
        theirs.set_ef(effort)
        return theirs.knn_query(queries, K)[0].astype(np.int64)

    def ours_at(index: OpenIndex, effort: int | None) -> np.ndarray:
        """Search an index of the store with an efSearch, or so many lists, of `effort`."""
        return order[np.stack(index.search(queries, K, effort=effort))]

    peers = {"hnswlib": hnswlib_at, "usearch": usearch_at}
    least = {name: least_effort(engine) for name, engine in peers.items()}
    for kind in ("hnsw", "ivf"):
        started = time.perf_counter()
        record = store.index(kind)
        built = time.perf_counter() - started
        engines = {"ours": partial(ours_at, OpenIndex(record, store.space())), **peers}
        least["ours"] = least_effort(engines["ours"])
        seconds = side_by_side({name: partial(engine, least[name][0]) for name, engine in engines.items()})
        rates = {name: held_out / value for name, value in seconds.items()}
        ours = f"; ours as it comes {recall(engines['ours'](None)):.3f}, built in {built:.1f} s, "
        result(
            f"approximate search ({kind}), recall@10 ≥ 0.95, {len(stored):,} vectors",
            rates.pop("ours"),
            0,
            "queries per second",
            rates,
            "1.15 x the best of them",
            "recall@10 "
            + ", ".join(f"{name} {least[name][1]:.3f} (effort {least[name][0]})" for name in engines)
            + ours
            + f"{record.file.size / stored.nbytes:.2f} x the bytes of the vectors",
            unit="/s",
        )
