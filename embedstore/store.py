"""The Python interface: one `EmbeddingStore` object with a method for each operation."""

import inspect
import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from copy import copy
from functools import partial, wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar, cast

from embedstore import corpora, exports, incoming, learning, maintenance, maps, tagging, topics, vectors
from embedstore.core.checks import check_arguments, shown
from embedstore.core.names import store_path
from embedstore.core.settings import Home, Settings
from embedstore.errors import NotFoundError, UsageError
from embedstore.storage import manifest as manifests
from embedstore.storage.state import Manifest
from embedstore.vectors.snapshot import Cache, Snapshot, open_snapshot

if TYPE_CHECKING:
    from embedstore.annotations import AnnotationBook
    from embedstore.corpora import Corpus
    from embedstore.encoders import Encoder
    from embedstore.tables.condition import Condition

__all__ = ["EmbeddingStore", "create", "open_store"]

_OF_AN_ENCODER = ("spec", "dimension", "provenance", "encode")

Parameters = ParamSpec("Parameters")
Answer = TypeVar("Answer")


def create(
    store: str | Path, *, encoder: "Encoder | None" = None, settings: Settings | None = None
) -> "EmbeddingStore":
    """Make an empty store.

    Parameters
    ----------
    store : str or Path
        A name, or the path of a folder that does not exist yet or is empty; see `open_store`.
    encoder, settings
        As in `EmbeddingStore`.

    Raises
    ------
    UsageError
        If the path is a file, or the folder holds a store or other files.

    Examples
    --------
    >>> import embedstore
    >>> store = embedstore.create("tea")
    >>> store.corpora()
    []
    """
    from embedstore.storage.adding import adding_rows

    root = store_path(store)
    taken = UsageError(f"expected a new or empty folder for a store, found something at {root}")
    if root.exists() and (not root.is_dir() or manifests.exists(root) or manifests.unknown_names(root)):
        raise taken
    with adding_rows(root, (settings or Settings()).wait):
        if manifests.exists(root):
            raise taken  # another process or thread was first
        manifests.commit(root, lambda base: base)
    return EmbeddingStore(root, encoder=encoder, settings=settings)


def open_store(
    store: str | Path, *, encoder: "Encoder | None" = None, settings: Settings | None = None
) -> "EmbeddingStore":
    """Open an existing store.

    Parameters
    ----------
    store : str or Path
        A name, as in the shell: a folder under ``$EMBEDSTORE_HOME``, or under ``./indexes`` if that is not set. A
        `Path`, or a text with a slash such as ``"./reviews"``, is the folder itself.
    encoder, settings
        As in `EmbeddingStore`.

    Raises
    ------
    UsageError
        If `store` is neither a name nor a path.
    NotFoundError
        If the folder has no store; the message lists the stores beside it.
    DamagedStoreError
        If the newest manifest was altered.

    Examples
    --------
    >>> import embedstore
    >>> store = embedstore.open("reviews")
    >>> [(corpus.name, len(corpus)) for corpus in store.corpora()]
    [('train', 60)]
    """
    root = store_path(store)
    try:
        manifests.load(root)
    except NotFoundError as error:
        raise NotFoundError(f"{error}{manifests.stores_elsewhere(store, root)}") from error
    return EmbeddingStore(root, encoder=encoder, settings=settings)


def _question(
    of: Callable[[], Callable[Concatenate[Snapshot, Parameters], Answer]], *, of_rows: bool = True
) -> Callable[Concatenate["EmbeddingStore", Parameters], Answer]:
    """Return a method that calls a function with a snapshot of the store's newest state.

    `of` returns the function. It is called at the first use of the method, so that nothing is imported before. The
    method has the function's signature and documentation, and checks its arguments against the annotations. `of_rows`
    says whether it can be asked of some rows only; see `EmbeddingStore.where`.
    """
    method: Any = _Method(of, lambda store: store.snapshot(), of_rows=of_rows)
    return cast("Callable[Concatenate[EmbeddingStore, Parameters], Answer]", method)


def _action(
    of: Callable[[], Callable[Concatenate[Home, Parameters], Answer]],
) -> Callable[Concatenate["EmbeddingStore", Parameters], Answer]:
    """Return a method that calls a function with the store's home, for changes; see `_question`."""
    method: Any = _Method(of, lambda store: nullcontext(store.home), of_rows=False)
    return cast("Callable[Concatenate[EmbeddingStore, Parameters], Answer]", method)


def _precaution(
    of: Callable[[], Callable[Concatenate[Snapshot, Parameters], Answer]],
) -> Callable[Concatenate["EmbeddingStore", Parameters], Answer]:
    """Return a method that calls a function with a snapshot, an empty one before there is a store; see `_question`."""
    method: Any = _Method(of, lambda store: store._snapshot_or_empty(), of_rows=False)
    return cast("Callable[Concatenate[EmbeddingStore, Parameters], Answer]", method)


class _Method:
    """A descriptor that replaces itself with the method at its first use; see `_question`."""

    def __init__(
        self, of: Callable[[], Callable[..., Any]], first: Callable[["EmbeddingStore"], Any], *, of_rows: bool
    ) -> None:
        self._of = of
        self._first = first
        self._of_rows = of_rows

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, store: "EmbeddingStore | None", owner: type) -> Any:
        method = _method_of(
            self._of(), self._first if self._of_rows else self._of_all, self._name, of_rows=self._of_rows
        )
        setattr(owner, self._name, method)
        return method.__get__(store, owner)

    def _of_all(self, store: "EmbeddingStore") -> Any:
        if store.condition:
            raise UsageError(
                f"{self._name} is for a whole store: call it without where({store.condition.expression!r})"
            )
        return self._first(store)


def _method_of(
    function: Callable[..., Any], first: Callable[["EmbeddingStore"], Any], name: str, *, of_rows: bool
) -> Callable[..., Any]:
    signature = inspect.signature(function)
    _, *others = signature.parameters.values()
    own_arguments = signature.replace(parameters=others)

    @wraps(function)
    def method(self: "EmbeddingStore", *arguments: Any, **options: Any) -> Any:
        if of_rows and "where" in options:
            where = f"where({shown(options['where'])})"
            raise UsageError(f"expected {name} without where=, found it: call store.{where}.{name}(...)")
        arguments, options = check_arguments(own_arguments, arguments, options)
        with first(self) as given:
            return function(given, *arguments, **options)

    own = inspect.Parameter("self", inspect.Parameter.POSITIONAL_OR_KEYWORD)
    method.__signature__ = signature.replace(parameters=[own, *others])  # type: ignore[attr-defined]
    method.__name__, method.__qualname__ = name, f"EmbeddingStore.{name}"
    documented = re.sub(r"^(now|home) : \w+\n(    .*\n?)+", "", inspect.getdoc(function) or "", flags=re.MULTILINE)
    documented = re.sub(r"^Parameters\n-+\n(\n|\Z)", "", documented, flags=re.MULTILINE).rstrip()
    some_rows = f'\n\nFor some rows only: ``store.where("stars <= 2").{name}(...)``; see `where`.' if of_rows else ""
    method.__doc__ = re.sub(r"(?=\n\n|\Z)", lambda _: some_rows, documented, count=1)
    return method


class EmbeddingStore:
    """A store of texts, vectors and tables, with a method for each operation.

    Each method reads the newest state of the folder; ``with store.snapshot() as now:`` keeps one state for several
    calls. Use `embedstore.open` or `embedstore.create` to get a store.

    Parameters
    ----------
    path : Path
        The folder of the store.
    encoder : Encoder, optional
        Your own encoder, used instead of a checkpoint.
    settings : Settings, optional
        Sizes that affect speed.

    Attributes
    ----------
    path : Path
        The folder of the store.
    annotations : AnnotationBook
        Labels given by people: add, undo, import, export, ask for new ones.
    condition : Condition or None
        The condition on the rows that questions see; see `where`.
    """

    def __init__(self, path: Path, *, encoder: "Encoder | None" = None, settings: Settings | None = None) -> None:
        if encoder is not None and not all(hasattr(encoder, name) for name in _OF_AN_ENCODER):
            raise UsageError(f"expected an encoder with {', '.join(_OF_AN_ENCODER)}, found {shown(encoder)}")
        if not isinstance(settings, Settings | None):
            raise UsageError(f"expected an object of Settings for settings, found {shown(settings)}")
        self.path = Path(path)
        self.home = Home(self.path, settings or Settings())
        self._encoder = encoder
        self._cache = Cache(encoder, self.home.settings)
        self.condition: Condition | None = None

    def __repr__(self) -> str:
        where = f".where({self.condition.expression!r})" if self.condition else ""
        return f"{type(self).__name__}({str(self.path)!r}){where}"

    def __getstate__(self) -> dict[str, Any]:
        state = {"path": self.path, "encoder": self._encoder, "settings": self.home.settings}
        return state | {"where": self.condition.expression if self.condition else None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        where = state.pop("where")
        EmbeddingStore.__init__(self, **state)  # nothing that is loaded goes into a pickle
        self.condition = self.where(where).condition if where else None

    def where(self, condition: str) -> "EmbeddingStore":
        """Return this store as if its corpora held only the rows that fulfil a condition.

        Parameters
        ----------
        condition : str
            An SQL expression of columns that is true or false, such as ``stars <= 2 AND product = 'kettle'``; see
            `embedstore.tables.condition.Condition`. The column ``annotations`` is the label that people gave to a row.

        Returns
        -------
        EmbeddingStore
            Its questions see the rows that fulfil this and all earlier conditions. `search` can still be asked for
            the neighbours of any row. What writes to the store or checks it, such as `encode`, is refused.

        Raises
        ------
        UsageError
            If it is not one expression.
        """
        from embedstore.tables.condition import Condition

        other, made = copy(self), Condition(condition)
        if self.condition:
            made = Condition(f"(\n{self.condition.expression}\n) AND (\n{condition}\n)")  # a remark ends with its line
        other.condition = made
        return other

    @property
    def whole(self) -> "EmbeddingStore":
        """The same store with all of its rows; see `where`."""
        other = copy(self)
        other.condition = None
        return other

    def snapshot(self) -> AbstractContextManager[Snapshot]:
        """Open a snapshot of the newest state.

        Until it is closed, `gc` leaves the files of this state.
        """
        return self._selected(self.condition) if self.condition else open_snapshot(self.path, self._cache)

    def _snapshot_or_empty(self) -> AbstractContextManager[Snapshot]:
        there = manifests.exists(self.path)
        return self.snapshot() if there else nullcontext(Snapshot(self.path, Manifest(), self._cache))

    @contextmanager
    def _selected(self, condition: "Condition") -> Iterator[Snapshot]:
        from embedstore.annotations.selection import rows_where

        with open_snapshot(self.path, self._cache) as now:
            yield now.choosing(partial(rows_where, condition=condition))

    @property
    def manifest(self) -> Manifest:
        """The newest manifest, which lists all files of the store."""
        return manifests.load(self.path)

    @property
    def annotations(self) -> "AnnotationBook":
        """Labels given by people: add, undo, import, export, ask for new ones."""
        from embedstore.annotations import AnnotationBook

        return AnnotationBook(self.snapshot)

    def corpora(self) -> "list[Corpus]":
        """Return all corpora in the order of their creation."""
        with self.snapshot() as now:
            return now.corpora

    # Add rows, encode texts, build an index

    add = _action(lambda: corpora.add)
    check_encoding = _precaution(lambda: vectors.check_encoding)
    encode = _question(lambda: vectors.encode, of_rows=False)
    import_vectors = _precaution(lambda: incoming.import_vectors)
    collect = _question(lambda: vectors.collect, of_rows=False)
    index = _question(lambda: vectors.build_index, of_rows=False)

    # Read the contents

    corpus = _question(lambda: Snapshot.corpus)
    space = _question(lambda: Snapshot.space)
    info = _question(lambda: maintenance.describe, of_rows=False)

    # Search, label, train and compare

    search = _question(lambda: vectors.search)
    duplicates = _question(lambda: vectors.find_duplicates)
    tag = _question(lambda: tagging.tag)
    against = _question(lambda: tagging.against)
    explain = _question(lambda: tagging.explain)
    topics = _question(lambda: topics.find_topics)
    map = _question(lambda: maps.map_corpus)
    train = _question(lambda: learning.train)
    predict = _question(lambda: learning.predict)
    classify = _question(lambda: learning.classify)
    compare = _question(lambda: learning.compare)
    doubts = _question(lambda: learning.find_doubts)
    label_set = _question(lambda: learning.label_set_from_column)

    # Export and maintenance

    rename_corpus = _action(lambda: maintenance.rename_corpus)
    drop_corpus = _action(lambda: maintenance.drop_corpus)
    copy = _action(lambda: maintenance.copy)
    export = _question(lambda: exports.export)
    verify = _question(lambda: maintenance.verify, of_rows=False)
    repair = _action(lambda: maintenance.repair)
    gc = _action(lambda: maintenance.gc)
