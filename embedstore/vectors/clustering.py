"""Group unit vectors: spherical k-means of FAISS."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import numpy.typing as npt

__all__ = ["spherical_centres", "threads_for"]

_ITERATIONS = 25
_ALONE = 1 << 24  # bytes: with fewer, threads wait for each other for longer than they work, most where others work too


def spherical_centres(
    vectors: npt.NDArray[np.float32], count: int, *, random_state: int, restarts: int = 10
) -> npt.NDArray[np.float32]:
    """Return the centres of groups of vectors: unit vectors, so that the nearest one has the highest cosine.

    Equal vectors in equal order give equal centres, whatever the number of threads.

    Parameters
    ----------
    vectors : ndarray of shape (n, dim), float32
        Unit vectors, at least `count`.
    count : int
        Number of groups.
    random_state : int
        Seed of the starts.
    restarts : int
        Number of starts; the best result is returned.

    Returns
    -------
    ndarray of shape (count, dim), float32
        Centres can coincide if vectors do.
    """
    import faiss

    means = faiss.Kmeans(
        vectors.shape[1],
        count,
        niter=_ITERATIONS,
        nredo=restarts,
        seed=random_state,
        spherical=True,
        min_points_per_centroid=1,
        max_points_per_centroid=len(vectors),
    )
    with threads_for(vectors.nbytes):
        means.train(vectors)
    return np.array(means.centroids, dtype=np.float32).reshape(count, vectors.shape[1])


@contextmanager
def threads_for(size: int) -> Iterator[None]:
    """Let FAISS use one thread for a few bytes of vectors, and all for many.

    OpenMP keeps the number for the calling thread.
    """
    import faiss

    threads = faiss.omp_get_max_threads()
    if size < _ALONE:
        faiss.omp_set_num_threads(1)
    try:
        yield
    finally:
        faiss.omp_set_num_threads(threads)
