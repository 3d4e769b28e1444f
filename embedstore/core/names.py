"""Names that users type: checks, hints, and the folder that a store's name means."""

import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from embedstore.errors import UsageError

__all__ = ["check_name", "listed", "near_model", "nearest_hint", "store_path"]

_SHOWN = 20
_ALMOST = 0.85  # the least likeness of names that may be one: a letter or two of a short name


def check_name(what: str, name: str, *, longest: int = 64, advice: str = "") -> str:
    """Return `name` if it can be the name of a corpus, a probe or a store.

    Parameters
    ----------
    what : str
        The kind of thing that is named, for the error message.
    name : str
        The name to check.
    longest : int
        The maximum number of characters.
    advice : str
        The end of the error message.

    Raises
    ------
    UsageError
        If `name` is too long, has other characters than letters, digits, '.', '_' and '-', or begins with one of
        the last three.

    Examples
    --------
    >>> check_name("corpus", "train-2")
    'train-2'
    """
    if not re.fullmatch(rf"[A-Za-z0-9][A-Za-z0-9._-]{{0,{longest - 1}}}", name):
        raise UsageError(f"expected a {what} name of letters, digits, '.', '_' and '-', found {name!r}{advice}")
    return name


def store_path(store: str | os.PathLike[str]) -> Path:
    """Return the folder of a store: a name means a folder under ``$EMBEDSTORE_HOME``, or else under ``./indexes``.

    Parameters
    ----------
    store : str or Path
        A name; or a path, which is a `Path` or a text with a slash. A leading ``~`` of a text is the home directory.

    Raises
    ------
    UsageError
        If `store` is neither.

    Examples
    --------
    >>> store_path("./reviews").as_posix(), store_path(Path("reviews")).as_posix()
    ('reviews', 'reviews')
    """
    if isinstance(store, os.PathLike):
        return Path(store)
    if not isinstance(store, str) or "\x00" in store:
        raise UsageError(f"expected the name of a store or a path, found {store!r}")
    if "/" in store:
        return Path(store).expanduser()
    check_name("store", store, longest=100, advice=f"; a path needs a slash (./{store})")
    return Path(os.environ.get("EMBEDSTORE_HOME") or "indexes") / store


def nearest_hint(name: str, known: Sequence[str]) -> str:
    """Return the end of an error message: the known name most similar to `name`, then the first 20 known names.

    Examples
    --------
    >>> nearest_hint("reviw", ["id", "review"])
    "did you mean 'review'? there are id, review"
    """
    from difflib import get_close_matches

    close = get_close_matches(name, known, n=1, cutoff=0.6)
    return (f"did you mean {close[0]!r}? " if close else "") + (
        f"there are {listed(known)}" if known else "there are none"
    )


def listed(known: Sequence[str]) -> str:
    """Return the first names of many, for a message."""
    return ", ".join(known[:_SHOWN]) + (" …" if len(known) > _SHOWN else "")


def near_model(name: str, known: Iterable[str]) -> str | None:
    """Return the known model whose name is spelled almost as `name`, with or without its owner; None if it is known.

    Examples
    --------
    >>> near_model("all-MinLM-L6-v2", ["sentence-transformers/all-MiniLM-L6-v2"])
    'sentence-transformers/all-MiniLM-L6-v2'
    >>> near_model("all-MiniLM-L6-v2", ["sentence-transformers/all-MiniLM-L6-v2"])
    """
    from difflib import get_close_matches

    spelled = {form: one for one in known for form in (one.rpartition("/")[2], one)}
    if name in spelled:
        return None
    folded = {form.casefold(): one for form, one in spelled.items()}
    close = get_close_matches(name.casefold(), folded, n=1, cutoff=_ALMOST)
    return folded[close[0]] if close else None
