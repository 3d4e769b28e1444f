"""A snapshot: one fixed state of a store, from which an operation reads."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

import numpy as np
import numpy.typing as npt

from embedstore.core.guards import Lock
from embedstore.core.names import listed, nearest_hint
from embedstore.core.settings import Home, Settings
from embedstore.corpora.rows import Corpus
from embedstore.corpora.texts import Texts
from embedstore.errors import ModelRequiredError, NotFoundError, UsageError
from embedstore.storage import locks
from embedstore.storage.listed import check_files
from embedstore.storage.manifest import load_whole, reading
from embedstore.storage.owner import tell_owner
from embedstore.storage.records import CorpusRecord
from embedstore.storage.state import Manifest
from embedstore.vectors.index import Indexes
from embedstore.vectors.models import Models
from embedstore.vectors.space import Space
from embedstore.vectors.unproven import unproven_name

if TYPE_CHECKING:
    from embedstore.encoders import Encoder
    from embedstore.vectors.queries import QueryEncoder

__all__ = ["Cache", "Snapshot", "open_snapshot"]

Derived = TypeVar("Derived")
Chooser = Callable[["Snapshot", Corpus], Corpus]


class Cache:
    """Objects that an open store keeps between snapshots: loaded models, open indexes, positions of rows, answers.

    Parameters
    ----------
    encoder : Encoder, optional
        Encoder to use instead of any checkpoint.
    settings : Settings, optional
        Settings; they hold the number of queries from which an index is opened, and how long to wait for a lock.
    """

    def __init__(self, encoder: "Encoder | None" = None, settings: Settings | None = None) -> None:
        chosen = settings or Settings()
        self.models = Models(encoder)
        self.indexes = Indexes(chosen.index_after)
        self.wait = chosen.wait
        self.settings = chosen
        self._told = False
        self._check = chosen.check
        self._checked: set[str] = set()
        self._corpora: dict[str, Corpus] = {}
        self._kept: dict[Callable[[], Any], Any] = {}
        self._lock = Lock()

    def kept(self, make: Callable[[], Derived]) -> Derived:
        """Return ``make()``, made once."""
        with self._lock.held():
            if make not in self._kept:
                self._kept[make] = make()
            return cast(Derived, self._kept[make])

    def tell_owner(self, root: Path) -> None:
        """Say once whose the store is, if it is somebody else's."""
        if not self._told:
            self._told = True
            tell_owner(root)

    def check(self, root: Path, manifest: Manifest) -> None:
        """With `Settings.check`, compare the hash of each file that was not read before; see `check_files`."""
        if self._check:
            with self._lock.held():
                check_files(root, [file for file in manifest.files() if file.path not in self._checked])
                self._checked = {file.path for file in manifest.files()}

    def corpus(self, root: Path, name: str, record: CorpusRecord) -> Corpus:
        """Return the corpus of a record: the kept one, with the positions that it has read, if its record is equal."""
        with self._lock.held():
            held = self._corpora.get(name)
            if held is None or held.record != record:
                held = self._corpora[name] = Corpus(root, name, record)
            return held


class Snapshot:
    """One state of a store: everything read from it comes from one manifest.

    While it is open, `gc` removes no file of this state. Use ``with store.snapshot() as now:``.

    Parameters
    ----------
    root : Path
        The store.
    manifest : Manifest
        The state.
    cache : Cache
        Objects kept from earlier snapshots.

    Attributes
    ----------
    root, manifest
        As given.
    texts : Texts
        The distinct texts.
    models : Models
        Checkpoints and loaded encoders.
    indexes : Indexes
        Open FAISS indexes.
    wait : float
        Seconds to wait for other processes; see `Settings`.
    """

    def __init__(self, root: Path, manifest: Manifest, cache: Cache) -> None:
        self.root = root
        self.manifest = manifest
        self.texts = Texts(root, manifest.texts, manifest.keys)
        self.models = cache.models
        self.indexes = cache.indexes
        self.wait = cache.wait
        self._cache = cache
        self._corpora: dict[str, Corpus] = {}
        self._fresh: dict[tuple[str, str], npt.NDArray[np.float32]] = {}
        self._results: dict[Any, Any] = {}
        self._choose: Chooser | None = None

    @property
    def name(self) -> str:
        """Name of the store's folder."""
        return self.root.resolve().name

    @property
    def home(self) -> Home:
        """The store and its settings, for what adds rows."""
        return Home(self.root, self._cache.settings)

    def writing(self) -> AbstractContextManager[None]:
        """Hold the store's lock while new files are written and committed; see `embedstore.storage.locks.writing`."""
        return locks.writing(self.root, self.wait)

    def reload(self) -> "Snapshot":
        """Return the store's newest state, with the commits made since this one."""
        newest = Snapshot(self.root, load_whole(self.root), self._cache)
        return newest.choosing(self._choose) if self._choose else newest

    def newest(self, encoder: "Encoder | None" = None) -> AbstractContextManager["Snapshot"]:
        """Open the store's newest state, with the same loaded models, or with another encoder instead of them."""
        cache = self._cache if encoder is None else Cache(encoder, self._cache.settings)
        return open_snapshot(self.root, cache)

    def choosing(self, choose: "Chooser") -> "Snapshot":
        """Return the same state, of which only the rows that `choose` takes are seen; see `whole`.

        Parameters
        ----------
        choose : callable
            Takes this snapshot and a corpus, and returns the rows of it that are seen.
        """
        chosen = Snapshot(self.root, self.manifest, self._cache)
        chosen._choose = choose
        return chosen

    @cached_property
    def whole(self) -> "Snapshot":
        """The same state with all of its rows."""
        return Snapshot(self.root, self.manifest, self._cache) if self._choose else self

    @cached_property
    def corpora(self) -> list[Corpus]:
        """All corpora, in the order of creation."""
        return [self._corpus(name) for name in self.manifest.corpora]

    def corpus(self, name: str | None = None) -> Corpus:
        """Return a corpus; by default the only one, else ``train``.

        Raises
        ------
        NotFoundError
            If there is no corpus with this name.
        """
        known = self.manifest.corpora
        wanted = name or (next(iter(known)) if len(known) == 1 else "train")
        if wanted not in known and known and not name:
            raise NotFoundError(
                f"expected --corpus NAME: {self.root} has several corpora and none is called {wanted!r}, the default; "
                f"there are {listed(list(known))}"
            )
        if wanted not in known:
            raise NotFoundError(f"{self.root} has no corpus {wanted!r}: {nearest_hint(wanted, list(known))}")
        return self._corpus(wanted)

    def _corpus(self, name: str) -> Corpus:
        if name not in self._corpora:
            corpus = self._cache.corpus(self.root, name, self.manifest.corpora[name])
            self._corpora[name] = self._choose(self.whole, corpus) if self._choose else corpus
        return self._corpora[name]

    @cached_property
    def spaces(self) -> list[Space]:
        """The spaces with vectors of corpus texts, in the order of creation."""
        records = self.manifest.spaces.values()
        made = [Space(self.texts, record, self.corpus, lambda: self.whole.corpora) for record in records]
        return [space for space in made if space.count]

    def space(self, selector: str | None = None, *, covering: Sequence[Corpus] = ()) -> Space:
        """Return a space, by a prefix of its key or by its model name.

        The default is the first embedding space with a vector for every row of the corpora in `covering`, else the
        store's first embedding space; unproven spaces come last. A model name means its embeddings before its logits,
        and its own vectors before those that are only claimed to be.

        Raises
        ------
        ModelRequiredError
            If no text has a vector.
        NotFoundError
            If there are no rows, no space matches, or more than one.
        """
        if not self.spaces:
            if self.manifest.corpora:
                raise ModelRequiredError(f"{self.root} has no vectors yet: run `embedstore encode STORE`")
            raise NotFoundError(f"{self.root} has no rows yet: run `embedstore encode STORE FILE --text COLUMN`")
        if selector is None:
            filled = [space for space in self.spaces if space.spec.output == "embedding"]
            filled.sort(key=lambda space: not space.spec.proven)
            if not filled:
                raise NotFoundError(f"{self.root} has logits only: name their space, or run `embedstore encode STORE`")
            return next((space for space in filled if len(filled) > 1 and space.covers(covering)), filled[0])
        names = (selector, unproven_name(selector))
        chosen = [s for s in self.spaces if s.key.startswith(selector) or s.record.model in names]
        chosen = [s for s in chosen if s.spec.proven] or chosen
        chosen = [s for s in chosen if s.spec.output == "embedding"] or chosen
        if len(chosen) != 1:
            shown = ", ".join(f"{space.key[:12]} ({space.record.model})" for space in self.spaces)
            raise NotFoundError(f"expected one space for {selector!r}, found {len(chosen)}: there are {shown}")
        return chosen[0]

    def embeddings(self, selector: str | None, covering: Sequence[Corpus] = ()) -> Space:
        """Return a space as `space` does; raise a `UsageError` for logits."""
        space = self.space(selector, covering=covering)
        if space.spec.output != "embedding":
            raise UsageError(f"expected a space of embeddings, found the logits of {space.record.model}: name another")
        return space

    def queries(self, space: Space, *, no_encode: bool = False) -> "QueryEncoder":
        """Return an encoder of labels and queries into a space."""
        from embedstore.vectors.queries import QueryEncoder

        load_encoder = self.models.load_for
        return QueryEncoder(
            self.root,
            self.manifest,
            space.record,
            load_encoder,
            writing=self.writing,
            no_encode=no_encode,
            fresh=self._fresh,
        )

    def cached(self, make: Callable[["Snapshot"], Derived]) -> Derived:
        """Return ``make(self)``, computed once per snapshot."""
        if make not in self._results:
            self._results[make] = make(self)
        return cast(Derived, self._results[make])

    def kept(self, make: Callable[[], Derived]) -> Derived:
        """Return ``make()``, made once for all snapshots of an open store."""
        return self._cache.kept(make)


@contextmanager
def open_snapshot(root: Path, cache: Cache) -> Iterator[Snapshot]:
    """Open the newest state of a store; `gc` leaves its files while it is open.

    Raises
    ------
    NotFoundError
        If there is no store.
    DamagedStoreError
        If its newest manifest is damaged.
    """
    cache.tell_owner(root)
    with reading(root) as manifest:
        cache.check(root, manifest)
        yield Snapshot(root, manifest, cache)
