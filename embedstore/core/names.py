"""Checks and hints for names that users type."""

import re
from collections.abc import Sequence
from difflib import get_close_matches

from embedstore.errors import UsageError

__all__ = ["check_name", "nearest_hint"]

_SHOWN = 20


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


def nearest_hint(name: str, known: Sequence[str]) -> str:
    """Return the end of an error message: the known name most similar to `name`, then the first 20 known names.

    Examples
    --------
    >>> nearest_hint("reviw", ["id", "review"])
    "did you mean 'review'? there are id, review"
    """
    close = get_close_matches(name, known, n=1, cutoff=0.6)
    shown = ", ".join(known[:_SHOWN]) + (" …" if len(known) > _SHOWN else "")
    return (f"did you mean {close[0]!r}? " if close else "") + (f"there are {shown}" if known else "there are none")
