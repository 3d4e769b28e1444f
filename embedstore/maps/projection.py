"""Project vectors to two dimensions."""

from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from embedstore.core.parallel import one_thread
from embedstore.errors import MissingExtraError, UsageError

__all__ = ["Projection", "principal_axes", "project"]

Projection = Literal["pca", "tsne", "umap"]


def project(
    vectors: npt.NDArray[np.float32], method: Projection = "pca", *, random_state: int = 42, cores: int = -1
) -> npt.NDArray[np.float32]:
    """Project vectors to two dimensions.

    Parameters
    ----------
    vectors : ndarray of shape (n, dim), float32
        At least three vectors.
    method : {"pca", "tsne", "umap"}
        Principal components; t-SNE of scikit-learn; UMAP, which needs umap-learn.
    random_state : int
        Seed of t-SNE and UMAP.
    cores : int
        Number of cores for t-SNE; -1 means all.

    Returns
    -------
    ndarray of shape (n, 2), float32
    """
    if method not in get_args(Projection):
        raise UsageError(f"expected a method of {', '.join(get_args(Projection))}, found {method!r}")
    if len(vectors) < 3:
        raise UsageError(f"expected at least 3 rows to draw, found {len(vectors)}")
    if method == "pca":
        mean, axes = principal_axes(vectors)
        return np.asarray((vectors - mean) @ axes, dtype=np.float32)
    if vectors.shape[1] == 1:
        raise UsageError(f"expected vectors of 2 dimensions or more for {method}, found 1: take pca")
    if method == "tsne":
        from sklearn.manifold import TSNE
        from threadpoolctl import threadpool_limits

        perplexity = min(30.0, (len(vectors) - 1) / 3)
        model = TSNE(2, perplexity=perplexity, init="pca", random_state=random_state, n_jobs=cores)
        # scikit-learn limits BLAS in it too, and could leave that limit if threads overlap. Its own loops take all
        # cores whatever `n_jobs` is; this limit is one of the calling thread.
        with one_thread, threadpool_limits(cores if cores > 0 else None, user_api="openmp"):
            made = model.fit_transform(vectors)
        return np.asarray(made, dtype=np.float32)
    try:
        from umap import UMAP
    except ImportError as error:
        raise MissingExtraError("this map needs umap-learn: pip install umap-learn, or take pca or tsne") from error
    model = UMAP(2, metric="cosine", random_state=random_state, n_jobs=1)  # a seed allows no more
    return np.asarray(model.fit_transform(vectors), dtype=np.float32)


def principal_axes(vectors: npt.NDArray[np.float32]) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float64]]:
    """Return the mean of vectors, shape (dim,), and their two principal axes, shape (dim, 2).

    With one dimension, the second axis is nothing.
    """
    mean = vectors.mean(axis=0)
    if vectors.shape[1] == 1:
        return mean, np.array([[1.0, 0.0]])
    centred = vectors - mean
    with one_thread:  # a few hundred dimensions: threads wait for each other for longer than they work
        _, axes = np.linalg.eigh((centred.T @ centred).astype(np.float64))
    axes = axes[:, [-1, -2]]
    axes *= np.sign(axes[np.abs(axes).argmax(axis=0), [0, 1]])  # a component's sign is arbitrary: this fixes it
    return mean, axes
