"""Choose a number of topics: groups that are apart, and that come out again from other texts of the same kind.

Two criteria are computed for some numbers of topics, each rescaled to 0 to 1 over these numbers, and added up:

- the mean silhouette (Rousseeuw 1987) by cosine distance, on a sample of texts;
- the stability: the adjusted Rand index (Hubert & Arabie 1985) of the groups of all texts by centres that are learnt
  from one half of them, and by centres from the other half; the mean over two splits.

Each alone is highest at two or three groups on many corpora, so numbers begin at 4. docs/research/topics.md has the
measurements.
"""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from embedstore.vectors.clustering import spherical_centres

__all__ = ["choose_count"]

_COUNTS = (4, 5, 6, 8, 10, 12, 15, 20, 25, 30, 40, 50)
_EACH = 10  # texts of a group on average, at least
_LOOKED_AT = 3_000  # texts
_COMPARED = 1_500  # texts whose distances to each other are computed
_SPLITS = 2

Vectors = npt.NDArray[np.float32]


def choose_count(vectors: Vectors, *, random_state: int) -> int:
    """Return the number of groups that suits vectors best: one of some numbers from 4 to 50, or 2 for very few vectors.

    Parameters
    ----------
    vectors : ndarray of shape (n, dim), float32
        Unit vectors, at least two.
    random_state : int
        Seed of the samples and of the starts.
    """
    counts = [count for count in _COUNTS if _EACH * count <= len(vectors)]
    if not counts:
        return 2
    rng = np.random.default_rng(random_state)
    chosen = vectors[rng.permutation(len(vectors))[:_LOOKED_AT]]
    silhouette = _silhouettes(chosen[:_COMPARED])
    apart, stable = np.empty(len(counts)), np.empty(len(counts))
    for number, count in enumerate(counts):
        labels = _nearest(chosen, spherical_centres(chosen, count, random_state=random_state, restarts=2))
        apart[number] = silhouette(labels[:_COMPARED])
        stable[number] = np.mean([_agreement(chosen, count, split, random_state) for split in range(_SPLITS)])
    return counts[int((_rescaled(apart) + _rescaled(stable)).argmax())]


def _nearest(vectors: Vectors, centres: Vectors) -> npt.NDArray[np.intp]:
    return np.asarray((vectors @ centres.T).argmax(axis=1))


def _silhouettes(vectors: Vectors) -> Callable[[npt.NDArray[np.intp]], float]:
    """Return a function that gives the mean silhouette of groups of these vectors; -1 if there is only one group."""
    from sklearn.metrics import silhouette_score

    distances = np.maximum(1 - vectors @ vectors.T, 0)
    np.fill_diagonal(distances, 0)

    def silhouette(labels: npt.NDArray[np.intp]) -> float:
        if not 1 < len(np.unique(labels)) < len(labels):
            return -1.0
        return float(silhouette_score(distances, labels, metric="precomputed"))

    return silhouette


def _agreement(vectors: Vectors, count: int, split: int, random_state: int) -> float:
    """Return the adjusted Rand index of the groups that two halves of the vectors give to all of them."""
    from sklearn.metrics import adjusted_rand_score

    order = np.random.default_rng([random_state, split]).permutation(len(vectors))
    one, other = (
        _nearest(vectors, spherical_centres(vectors[half], count, random_state=random_state, restarts=1))
        for half in np.array_split(order, 2)
    )
    return float(adjusted_rand_score(one, other))


def _rescaled(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return values on a scale from 0, for the least, to 1."""
    span = values.max() - values.min()
    return np.asarray((values - values.min()) / (span if span > 0 else 1))
