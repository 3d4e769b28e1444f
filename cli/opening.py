"""Open the store that the user named, as the options of the running command say."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from embedstore.core import names
from embedstore.errors import UsageError

if TYPE_CHECKING:
    from embedstore.core.settings import Settings
    from embedstore.store import EmbeddingStore

__all__ = ["check_gold", "hide_pandas", "open_named", "settings", "store_path"]


def store_path(store: str) -> Path:
    """Return the folder of the store that the user named; see `embedstore.core.names.store_path`.

    Raises
    ------
    UsageError
        If `store` is not a valid name or path, or contains '..'.
    """
    if ".." in Path(store).parts:
        raise UsageError(f"expected a store name or a path without '..', found {store!r}: give its full path")
    return names.store_path(store)


def hide_pandas() -> None:
    """Keep pyarrow from importing pandas at its first conversion; the commands pass no pandas objects to it.

    This import takes as long as the rest of the start-up. `to_pandas` still works.
    """
    if "pandas" in sys.modules:
        return
    import pyarrow as pa

    hidden = _Hidden()
    sys.meta_path.insert(0, hidden)
    try:
        pa.array([0]).to_numpy()
    finally:
        sys.meta_path.remove(hidden)


class _Hidden:
    """An import hook that hides pandas."""

    def find_spec(self, name: str, path: object = None, target: object = None) -> None:
        """Refuse pandas; leave all other modules to other hooks."""
        if name == "pandas":
            raise ImportError("hidden from pyarrow")


def settings() -> "Settings":
    """Return the settings of the running command."""
    from embedstore.core.settings import Settings

    context = click.get_current_context(silent=True)
    given = context.meta if context else {}
    return Settings(
        **{name: given[f"embedstore.{name}"] for name in ("wait", "check") if f"embedstore.{name}" in given}
    )


def check_gold(store: "EmbeddingStore", corpus: str | None, gold: str | None) -> None:
    """Raise an `InputError` if a column to compare with is missing, before anything is encoded."""
    if gold:
        from embedstore.annotations.column import is_annotations

        if not is_annotations(gold):
            store.corpus(corpus).require(gold)


def open_named(store: str) -> "EmbeddingStore":
    """Open the store that the user named.

    Raises
    ------
    NotFoundError
        If the store does not exist; the message lists the existing stores.
    """
    from embedstore.store import open_store

    store_path(store)
    hide_pandas()
    opened = open_store(store, settings=settings())
    context = click.get_current_context(silent=True)
    where = context.meta.get("embedstore.where") if context else None
    return opened if where is None else opened.where(where)
