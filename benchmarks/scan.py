"""Time tagging and search over a million vectors, warm, against a matrix product, scikit-learn and FAISS."""

import faiss
import numpy as np
from common import LABELS, random_store, result, scratch, side_by_side
from sklearn.metrics.pairwise import cosine_similarity

ROWS = 1_000_000
QUERIES = [f"query {number}" for number in range(64)]

with scratch() as folder:
    store = random_store(f"{folder}/store", ROWS)
    vectors = store.space().vectors(store.corpus())
    with store.snapshot() as now:
        encoded = now.queries(now.space())
        labels, queries = encoded(LABELS), encoded(QUERIES)
    flat = faiss.IndexFlatIP(vectors.shape[1])
    flat.add(vectors)
    kept = {}

    def ours() -> None:
        """Tag every row."""
        kept["tags"] = store.tag(LABELS, no_encode=True).column("Predicted_Labels")

    def sklearn_tags() -> None:
        """Tag with scikit-learn's `cosine_similarity`, as in the tutorial."""
        kept["sklearn"] = cosine_similarity(vectors, labels).argmax(axis=1)

    one_pass = {"limit": lambda: vectors @ labels[0]}
    seconds = side_by_side({"ours": ours, "peer": sklearn_tags, **one_pass}, rounds=15)
    assert [LABELS[number] for number in kept["sklearn"]] == kept["tags"].to_pylist()
    result(
        "tag 1,000,000 x 384 with 5 labels",
        seconds["ours"],
        seconds["limit"],
        "one pass: matrix @ vector",
        {"scikit-learn cosine_similarity + argmax": seconds["peer"]},
        "1.6 x the limit",
        "every tag equals scikit-learn's",
    )
    for count, name, reach in ((1, "one pass: matrix @ vector", "1.3"), (64, "one SGEMM: matrix @ 64 vectors", "1.5")):
        few = queries[:count]
        limit = (lambda: vectors @ queries[0]) if count == 1 else (lambda: vectors @ queries.T)

        def search(texts: list[str] = QUERIES[:count]) -> None:
            """Search with texts that have cached vectors."""
            kept["rows"] = store.search(texts, k=10, no_encode=True).table.column("id").to_pylist()

        def faiss_search(few: np.ndarray = few) -> None:
            """Search the flat index."""
            kept["faiss"] = flat.search(few, 10)[1]

        seconds = side_by_side({"ours": search, "peer": faiss_search, "limit": limit}, rounds=15 if count == 1 else 5)
        exact = [np.argsort(-(vectors @ query.astype(np.float64)), kind="stable")[:10] for query in few[:8]]
        assert kept["rows"][: 10 * len(exact)] == [f"r{row}" for rows in exact for row in rows]
        result(
            f"exact search over 1,000,000 x 384, {count} quer{'y' if count == 1 else 'ies'}",
            seconds["ours"],
            seconds["limit"],
            name,
            {"faiss.IndexFlatIP": seconds["peer"]},
            f"{reach} x the limit",
            "the rows of a brute-force search in float64",
        )
