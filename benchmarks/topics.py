"""Measure topics against known classes, beside BERTopic: `python benchmarks/topics.py STORE TARGET [STORE TARGET]`.

Each store's only corpus has a column of classes; several pairs can be given. All methods get the same cached vectors of
its distinct texts. BERTopic is measured if it can be imported: with its defaults (UMAP, HDBSCAN), and merged to as many
topics as there are classes; its UMAP is seeded. A figure is the normalised mutual information and the adjusted Rand
index with the classes; texts that BERTopic leaves without a topic count as a group of their own. Coherence is the mean
NPMI, over the texts, of the pairs of each topic's ten first words.
"""

import itertools
import sys
import time
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score

import embedstore
from embedstore.core.values import is_blank

WORDS = 10
SEED = 42


def coherence(texts: Sequence[str], topics: Sequence[Sequence[str]]) -> float:
    """Return the mean NPMI of the pairs of words of each topic: 1 if they are in the same texts, -1 if in none."""
    words = sorted({word for topic in topics for word in topic})
    found = CountVectorizer(vocabulary=words, token_pattern=r"[^\W\d_](?:[\w\u0300-\u036f'\u2019-]*\w)?", binary=True)
    there = found.transform(texts).astype(np.float64).tocsc()
    number_of = {word: number for number, word in enumerate(words)}
    values = []
    for topic in topics:
        chosen = [number_of[word] for word in topic]
        both = (there[:, chosen].T @ there[:, chosen]).toarray() / len(texts)
        for one, other in itertools.combinations(range(len(chosen)), 2):
            together = both[one, other]
            likely = both[one, one] * both[other, other]
            values.append(np.log(together / likely) / -np.log(together) if 0 < together < 1 else -1.0)
    return float(np.mean(values)) if values else float("nan")


def ours(store: embedstore.EmbeddingStore, rows: np.ndarray, count: object) -> tuple[np.ndarray, list, str]:
    """Return the topic of each of the rows, and the words of the topics."""
    found = store.topics(count, random_state=SEED)
    topics = pa.chunked_array([found.column("topic")]).to_numpy()[rows]
    return topics, [topic.words for topic in found.topics], ""


def theirs(texts: Sequence[str], vectors: np.ndarray, count: int | None, stop: str | None) -> tuple:
    """Return BERTopic's topic of each text, the words of its topics, and its share of texts without a topic."""
    from bertopic import BERTopic
    from umap import UMAP

    model = BERTopic(
        umap_model=UMAP(n_neighbors=15, n_components=5, min_dist=0.0, metric="cosine", random_state=SEED),
        vectorizer_model=CountVectorizer(stop_words=stop),
        nr_topics=None if count is None else count + 1,
    )
    topics, _ = model.fit_transform(list(texts), vectors)
    words = [[word for word, _ in model.get_topic(number) if word][:WORDS] for number in sorted(set(topics) - {-1})]
    return np.array(topics), words, f"; {np.mean(np.array(topics) == -1):.0%} without a topic"


def measure(path: str, target: str) -> None:
    """Print one line for each method."""
    store = embedstore.open(path)
    corpus = store.corpus()
    column = corpus.column(target).to_pylist()
    positions = corpus.positions()
    with store.snapshot() as now:
        every = now.texts.at(positions)
    _, first = np.unique(positions, return_index=True)
    rows = np.array([row for row in first.tolist() if column[row] is not None and not is_blank(every[row])])
    texts, vectors = [every[row] for row in rows], store.space().unit_at(positions[rows])
    y = np.unique([str(column[row]) for row in rows], return_inverse=True)[1]
    classes = int(y.max()) + 1
    print(f"{path}: {len(rows):,} texts, {classes} classes of {target}", flush=True)
    methods = {
        "topics, auto": lambda: ours(store, rows, "auto"),
        "topics, classes": lambda: ours(store, rows, classes),
    }
    try:
        import bertopic  # noqa: F401
    except ImportError:
        print("BERTopic is not installed: it is left out")
    else:
        methods["BERTopic"] = lambda: theirs(texts, vectors, None, None)
        methods["BERTopic, classes, English stop words"] = lambda: theirs(texts, vectors, classes, "english")
    for name, method in methods.items():
        start, used = time.perf_counter(), time.process_time()
        topics, words, more = method()
        seconds, used = time.perf_counter() - start, time.process_time() - used
        print(
            f"  {name:<40} {len(words):>3} topics  NMI {normalized_mutual_info_score(y, topics):.3f}  "
            f"ARI {adjusted_rand_score(y, topics):.3f}  NPMI {coherence(texts, words):+.3f}  "
            f"{seconds:.1f} s ({used:.1f} s of processor){more}",
            flush=True,
        )


if __name__ == "__main__":
    for path, target in zip(sys.argv[1::2], sys.argv[2::2], strict=True):
        measure(path, target)
