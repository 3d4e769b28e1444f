"""Lay a whole corpus out in two dimensions: by principal components at once, by neighbourhood in the background."""

import os
from contextlib import suppress
from threading import Thread, get_native_id
from typing import Any

import numpy as np
import numpy.typing as npt

from embedstore.core.guards import Lock
from embedstore.core.unit import unit_rows
from embedstore.desk.learners import load_learners
from embedstore.errors import EmbedstoreError, UsageError
from embedstore.reports.map_page import principal_axes, project
from embedstore.vectors.space import Space

__all__ = ["Layout", "principal_plane"]

_SAMPLE = 20_000  # texts from which the axes are found
_LAID_OUT = 4_000  # texts that are laid out by t-SNE; the others are placed between their neighbours
_NEIGHBOURS = 5
_LATER = 10  # niceness of the thread that makes a map
_BLOCK = 65_536


def principal_plane(
    space: Space, positions: npt.NDArray[np.int64], *, random_state: int = 42
) -> npt.NDArray[np.float32]:
    """Project the vectors of texts on the two principal components of a sample, shape (n, 2), float32."""
    rng = np.random.default_rng(random_state)
    chosen = np.sort(rng.choice(positions, min(_SAMPLE, len(positions)), replace=False))
    mean, axes = principal_axes(space.at(chosen))
    plane = axes.astype(np.float32)
    blocks = (positions[start : start + _BLOCK] for start in range(0, len(positions), _BLOCK))
    parts = [(space.at(block) - mean) @ plane for block in blocks]
    return np.concatenate(parts) if parts else np.empty((0, 2), dtype=np.float32)


def _by_neighbours(
    space: Space, positions: npt.NDArray[np.int64], *, random_state: int = 42
) -> npt.NDArray[np.float32]:
    """Lay out texts so that neighbours are together: a sample by t-SNE, the others between their neighbours in it."""
    rng = np.random.default_rng(random_state)
    chosen = np.sort(rng.choice(len(positions), min(_LAID_OUT, len(positions)), replace=False))
    vectors = unit_rows(space.at(positions[chosen]))
    plane = project(vectors, "tsne", random_state=random_state, cores=1)
    points = np.empty((len(positions), 2), dtype=np.float32)
    for start in range(0, len(positions), 8_192):
        here = slice(start, start + 8_192)
        scores = space.unit_at(positions[here]) @ vectors.T
        near = np.argpartition(-scores, min(_NEIGHBOURS, scores.shape[1]) - 1, axis=1)[:, :_NEIGHBOURS]
        weights = np.exp(20 * np.take_along_axis(scores, near, axis=1)).astype(np.float32)
        points[here] = (plane[near] * weights[:, :, None]).sum(axis=1) / weights.sum(axis=1, keepdims=True)
    points[chosen] = plane
    return points


class Layout:
    """The map of a corpus: principal components at once, and a map by neighbourhood as soon as it is ready.

    Parameters
    ----------
    space : Space
        The vectors.
    positions : ndarray of shape (rows,), int64
        Position of each row's text.
    answerable : ndarray of bool, shape (rows,)
        The rows that have a text; the others have no place on the map.
    """

    def __init__(self, space: Space, positions: npt.NDArray[np.int64], answerable: npt.NDArray[np.bool_]) -> None:
        self._space = space
        self._distinct, self._inverse = np.unique(positions[answerable], return_inverse=True)
        self._answerable = answerable
        self._made: dict[str, npt.NDArray[np.float32]] = {}
        self._problem = ""
        self._lock = Lock()
        self._thread: Thread | None = None

    def state(self) -> dict[str, Any]:
        """Return ``methods`` (the maps that are ready), ``running`` (whether one is being made) and ``problem``."""
        running = self._thread is not None and self._thread.is_alive()
        return {"methods": list(self._made), "running": running, "problem": self._problem}

    def points(self, method: str = "pca") -> npt.NDArray[np.float32]:
        """Return the place of each row, shape (rows, 2), float32; NaN for a row without a text."""
        with self._lock.held():
            if "pca" not in self._made:
                self._made["pca"] = self._of_rows(principal_plane(self._space, self._distinct))
            if method not in self._made:
                raise UsageError(f"the map {method} is not ready: ask for pca, or wait")
            return self._made[method]

    def begin(self) -> None:
        """Begin to make the map by neighbourhood, in the background."""
        with self._lock.held():
            if self._thread is None and len(self._distinct) > _NEIGHBOURS:
                self._thread = Thread(target=self._make, name="map", daemon=True)
                self._thread.start()

    def _make(self) -> None:
        with suppress(OSError, AttributeError):  # where the system can: what people wait for goes first
            os.setpriority(os.PRIO_PROCESS, get_native_id(), _LATER)
        try:
            load_learners()
            self._made["tsne"] = self._of_rows(_by_neighbours(self._space, self._distinct))
        except (EmbedstoreError, OSError, MemoryError, ValueError) as error:
            self._problem = f"the map by neighbourhood could not be made: {error}"

    def _of_rows(self, points: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        found = np.full((len(self._answerable), 2), np.nan, dtype=np.float32)
        found[self._answerable] = points[self._inverse]
        return found
