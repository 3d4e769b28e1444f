"""The map of a corpus: by principal components at once, and by neighbourhood as soon as that is made."""

import logging
import os
from contextlib import suppress
from functools import cached_property
from threading import Thread, get_native_id
from typing import Any

import numpy as np
import numpy.typing as npt

from embedstore.core.guards import Lock
from embedstore.desk.learners import load_learners
from embedstore.desk.query import MapMethod
from embedstore.desk.recent import Recent
from embedstore.errors import EmbedstoreError, UsageError
from embedstore.maps.plane import FEWEST, Plane, keep_plane, kept_plane, lay_out, principal_plane
from embedstore.storage.derived import MapRecord
from embedstore.store import EmbeddingStore
from embedstore.vectors.snapshot import Snapshot
from embedstore.vectors.space import Space

__all__ = ["Layout", "Maps"]

logger = logging.getLogger(__name__)

_LATER = 10  # niceness of the thread that makes a map
_AT_ONCE = 20_000  # new texts that are placed while somebody waits: half a second


class Layout:
    """The places of the rows of a corpus, in one state of it.

    Parameters
    ----------
    space : Space
        The vectors.
    positions : ndarray of shape (rows,), int64
        Position of each row's text.
    placed : ndarray of bool, shape (rows,)
        The rows that have a text and a vector; the others have no place on the map.
    plane : Plane, optional
        The map by neighbourhood, as far as it is made.
    """

    def __init__(
        self,
        space: Space,
        positions: npt.NDArray[np.int64],
        placed: npt.NDArray[np.bool_],
        plane: Plane | None = None,
    ) -> None:
        self._space = space
        self.distinct, self._inverse = np.unique(positions[placed], return_inverse=True)
        self._placed = placed
        self._plane = plane
        self._lock = Lock()
        self._made: dict[str, npt.NDArray[np.float32]] = {}

    @cached_property
    def lacking(self) -> int:
        """Number of texts without a place by neighbourhood."""
        return len(self.distinct) if self._plane is None else len(self._plane.lacking(self.distinct))

    @property
    def methods(self) -> tuple[MapMethod, ...]:
        """The maps that are ready."""
        ready = self._plane is not None and self.lacking <= _AT_ONCE
        return ("pca", "neighbours") if ready else ("pca",)

    def points(self, method: MapMethod = "pca") -> npt.NDArray[np.float32]:
        """Return the place of each row, shape (rows, 2), float32; NaN for a row without a place.

        Raises
        ------
        UsageError
            If this map is not ready.
        """
        if method not in self.methods:
            raise UsageError(f"the map {method} is not ready: ask for pca, or wait")
        with self._lock.held():
            if method not in self._made:
                self._made[method] = self._of_rows(method)
            return self._made[method]

    def _of_rows(self, method: MapMethod) -> npt.NDArray[np.float32]:
        if method == "pca" or self._plane is None:
            points = principal_plane(self._space, self.distinct)
        else:
            points = self._plane.with_texts(self._space, self.distinct).places(self.distinct)
        found = np.full((len(self._placed), 2), np.nan, dtype=np.float32)
        found[self._placed] = points[self._inverse]
        return found


class Maps:
    """The map of a corpus by neighbourhood: made in the background, and kept in the store.

    New texts are placed between the others, which stay where they are. Somebody who makes a new map keeps it in the
    place of the old one.

    Parameters
    ----------
    store : EmbeddingStore
        The store.
    corpus, space : str
        Name of the corpus; key of the vectors.
    keep : bool
        Whether to write to the store. A map that can't be written, or may not be, is there until the process ends.
    """

    def __init__(self, store: EmbeddingStore, corpus: str, space: str, *, keep: bool = True) -> None:
        self._store = store
        self._corpus = corpus
        self._space = space
        self._keep = keep
        self._layouts: Recent[Layout] = Recent(1)
        self._read: Recent[Plane] = Recent(1)
        self._own: Plane | None = None
        self._thread: Thread | None = None
        self._lock = Lock()
        self._turns = 0
        self._placed = 0.0
        self._problem = ""

    def layout(self, now: Snapshot) -> Layout:
        """Return the places of the rows in a state of the store."""
        table = now.corpus(self._corpus)
        vectors = now.embeddings(self._space)
        plane = self.plane(now)

        def make() -> Layout:
            positions = table.positions()
            placed = now.texts.answerable(positions) & vectors.holds(positions)
            return Layout(vectors, positions, placed, plane)

        key = table.record, vectors.count, plane
        return self._layouts.of(key, make)

    def newest(self) -> Layout:
        """Return the places of the rows as they are now."""
        with self._store.snapshot() as now:
            return self.layout(now)

    def plane(self, now: Snapshot) -> Plane | None:
        """Return the map by neighbourhood; None if there is none, or if it can't be read."""
        record = self._record(now)
        if self._own is not None or record is None:
            return self._own
        try:
            return self._read.of(record, lambda: kept_plane(now, record))
        except (EmbedstoreError, OSError) as error:  # a map can be made again
            logger.warning("the kept map can't be read, another one is made: %s", error)
            return None

    def state(self, now: Snapshot) -> dict[str, Any]:
        """Return the state of the maps as JSON values.

        Returns
        -------
        dict
            ``methods``: the maps that are ready. ``by``: what laid out the map by neighbourhood, "" without one.
            ``mark``: a text that changes when places can change. ``running``: whether a map is being made.
            ``placed``: the share of texts that have a place by then; 0 until the first ones have. ``problem``: why none
            could be made.
        """
        layout = self.layout(now)
        plane = self.plane(now)
        return {
            "methods": list(layout.methods),
            "by": plane.method if plane else "",
            "mark": f"{hash((plane, layout.distinct.size, self._turns)):x}",
            "running": self._thread is not None and self._thread.is_alive(),
            "placed": round(self._placed, 2),
            "problem": self._problem,
        }

    def begin(self, *, anew: bool = False) -> None:
        """Begin to make the map by neighbourhood in the background, if there is none or many texts are not on it.

        Parameters
        ----------
        anew : bool
            Make another one in any case; this one moves all texts.
        """
        with self._lock.held():
            if self._thread is not None and self._thread.is_alive():
                return
            layout = self.newest()
            wanted = anew or (not self._problem and "neighbours" not in layout.methods)
            if wanted and len(layout.distinct) >= FEWEST:
                self._turns += 1
                self._problem, self._placed = "", 0.0
                self._thread = Thread(target=self._make, kwargs={"anew": anew}, name="map", daemon=True)
                self._thread.start()

    def wait(self) -> None:
        """Wait until no map is being made."""
        if self._thread is not None:
            self._thread.join()

    def _make(self, *, anew: bool) -> None:
        with suppress(OSError, AttributeError):  # where the system can: what people wait for goes first
            os.setpriority(os.PRIO_PROCESS, get_native_id(), _LATER)
        try:
            load_learners()
            with self._store.snapshot() as now:
                self._lay_out(now, anew=anew)
        except (EmbedstoreError, OSError, MemoryError, ValueError) as error:
            self._problem = f"the map by neighbourhood could not be made: {error}"

    def _lay_out(self, now: Snapshot, *, anew: bool) -> None:
        """Make the map of a state, and keep it; one that can't be written is there until the process ends."""
        layout, space = self.layout(now), now.embeddings(self._space)
        plane = None if anew else self.plane(now)
        if plane is None:
            plane = lay_out(space, layout.distinct, on_placed=self._tell)
        else:
            plane = plane.with_texts(space, layout.distinct, on_placed=self._tell)
        self._own = plane
        if self._keep:
            with suppress(EmbedstoreError, OSError):
                keep_plane(now, self._corpus, self._space, plane, before=self._record(now))
                self._own = None

    def _tell(self, placed: int, of: int) -> None:
        self._placed = placed / of

    def _record(self, now: Snapshot) -> MapRecord | None:
        return now.manifest.maps.get((self._space, self._corpus))
