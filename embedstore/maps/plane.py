"""A plane: the place of each text on a map that is kept. New texts get a place, and the others stay where they are."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib.util import find_spec
from typing import Literal

import numpy as np
import numpy.typing as npt

from embedstore.core.unit import unit_rows
from embedstore.errors import DamagedStoreError
from embedstore.maps.projection import principal_axes, project
from embedstore.storage.derived import MapRecord
from embedstore.storage.listed import map_dataset
from embedstore.storage.manifest import commit
from embedstore.storage.segments import write_map
from embedstore.storage.state import Manifest
from embedstore.vectors.snapshot import Snapshot
from embedstore.vectors.space import Space

__all__ = ["FEWEST", "Plane", "keep_plane", "kept_plane", "lay_out", "principal_plane"]

FEWEST = 6
"""Fewest texts that are laid out by neighbourhood."""

_SAMPLE = 20_000  # texts from which the principal axes are found
_FEW = 500  # texts for which threads would mostly wait for each other
_ANCHORS = 4_000  # texts that are laid out by the method; the others are placed between their neighbours
_NEIGHBOURS = 5
_SHARPNESS = 20.0  # of the weights of neighbours, e to this times the cosine: a cosine higher by 0.1 weighs 7 times
_BLOCK = 65_536  # vectors that are projected at once
_PLACED = 8_192  # vectors that are placed at once

Placed = Callable[[int, int], None]


@dataclass(frozen=True, slots=True, eq=False)
class Plane:
    """The places of texts by neighbourhood: texts with similar vectors are together.

    Attributes
    ----------
    method : {"tsne", "umap"}
        What laid out the anchors.
    anchors : int
        Number of texts, the first ones, that were laid out together; each other is placed between the anchors that are
        nearest to it.
    positions : ndarray of shape (n,), int64
        The positions of the texts, each once.
    points : ndarray of shape (n, 2), float32
        Their places.
    """

    method: Literal["tsne", "umap"]
    anchors: int
    positions: npt.NDArray[np.int64]
    points: npt.NDArray[np.float32]

    def places(self, positions: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
        """Return the place of each text, shape (n, 2), float32; NaN for a text that has none yet."""
        order = np.argsort(self.positions)
        known = self.positions[order]
        at = np.minimum(np.searchsorted(known, positions), len(known) - 1)
        return np.where((known[at] == positions)[:, None], self.points[order[at]], np.float32(np.nan))

    def lacking(self, positions: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Return the positions that have no place yet, ascending."""
        return np.setdiff1d(positions, self.positions)

    def with_texts(self, space: Space, positions: npt.NDArray[np.int64], *, on_placed: Placed | None = None) -> "Plane":
        """Return the plane with more texts; those that it has stay where they are.

        Parameters
        ----------
        space : Space
            The vectors.
        positions : ndarray of shape (n,), int64
            The positions of the texts.
        on_placed : callable, optional
            Called with the number of texts that are placed, and of all that are to be placed.
        """
        new = self.lacking(positions)
        if not len(new):
            return self
        vectors = space.unit_at(self.positions[: self.anchors])
        parts = [self.points]
        for start in range(0, len(new), _PLACED):
            here = new[start : start + _PLACED]
            parts.append(_between(space.unit_at(here) @ vectors.T, self.points[: self.anchors]))
            if on_placed:
                on_placed(start + len(here), len(new))
        return replace(self, positions=np.concatenate([self.positions, new]), points=np.concatenate(parts))


def lay_out(
    space: Space,
    positions: npt.NDArray[np.int64],
    *,
    random_state: int = 42,
    on_placed: Placed | None = None,
) -> Plane:
    """Lay out texts by neighbourhood: a sample of at most 4,000 by UMAP if it is installed, else by t-SNE.

    The other texts are placed between the nearest texts of the sample. t-SNE runs on one core.

    Parameters
    ----------
    space : Space
        The vectors.
    positions : ndarray of shape (n,), int64
        Positions of texts, each once; at least six.
    random_state : int
        Seed of the sample and of the method.
    on_placed : callable, optional
        See `Plane.with_texts`.
    """
    rng = np.random.default_rng(random_state)
    chosen = np.sort(rng.choice(positions, min(_ANCHORS, len(positions)), replace=False))
    method: Literal["tsne", "umap"] = "umap" if find_spec("umap") else "tsne"
    cores = 1 if len(chosen) < _FEW else -1
    points = project(unit_rows(space.at(chosen)), method, random_state=random_state, cores=cores)
    return Plane(method, len(chosen), chosen, points).with_texts(space, positions, on_placed=on_placed)


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


def kept_plane(now: Snapshot, record: MapRecord) -> Plane:
    """Read a plane that is kept in a store.

    Raises
    ------
    DamagedStoreError
        If its file is missing or altered.
    """
    positions = map_dataset(now.root, record.file, record.position)
    points = map_dataset(now.root, record.file, record.point)
    if positions.max() >= len(now.texts) or not np.isfinite(points).all():
        raise DamagedStoreError(
            f"{now.root / record.file.path} was altered: run `embedstore verify STORE --repair` to forget this map"
        )
    method: Literal["tsne", "umap"] = "umap" if record.method == "umap" else "tsne"
    return Plane(method, record.anchors, positions.astype(np.int64), points)


def keep_plane(now: Snapshot, corpus: str, space: str, plane: Plane, *, before: MapRecord | None) -> None:
    """Keep a plane in the store, unless somebody has kept another one meanwhile.

    Parameters
    ----------
    now : Snapshot
        The state of the store.
    corpus, space : str
        Name of the corpus; key of the vectors.
    plane : Plane
        The plane.
    before : MapRecord, optional
        The record of the plane that it replaces.
    """
    key = space, corpus
    with now.writing():
        file, position, point = write_map(now.root, plane.positions, plane.points, encoder_key=space)
        record = MapRecord(file, position, point, plane.method, plane.anchors)

        def change(base: Manifest) -> Manifest:
            if corpus not in base.corpora or base.maps.get(key) != before:
                return base  # another map was kept meanwhile, or the corpus was dropped
            return replace(base, maps={**base.maps, key: record})

        commit(now.root, change)


def _between(scores: npt.NDArray[np.float32], points: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Return places between the five points with the highest cosines, shape (n, 2), weighted by these.

    Parameters
    ----------
    scores : ndarray of shape (n, anchors), float32
        Cosines.
    points : ndarray of shape (anchors, 2), float32
        Places of the anchors.
    """
    near = np.argpartition(-scores, min(_NEIGHBOURS, scores.shape[1]) - 1, axis=1)[:, :_NEIGHBOURS]
    weights = np.exp(_SHARPNESS * np.take_along_axis(scores, near, axis=1)).astype(np.float32)
    return np.asarray((points[near] * weights[:, :, None]).sum(axis=1) / weights.sum(axis=1, keepdims=True))
