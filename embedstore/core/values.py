"""Cells as text: to compare them with the user's input, and to show them."""

import re
import unicodedata

__all__ = ["clean", "clip", "value_text"]

_ESCAPE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\-_])?")


def value_text(value: object) -> str:
    """Return a cell as a user would type it.

    Examples
    --------
    >>> value_text(1.0), value_text(None), value_text("x")
    ('1', '', 'x')
    """
    if value is None:
        return ""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def clean(text: str) -> str:
    r"""Return `text` without escape sequences, control characters and direction marks, on one line.

    Examples
    --------
    >>> clean("red \x1b[31malert\x1b[0m\nnext")
    'red alert next'
    """
    text = _ESCAPE.sub("", text)
    spaced = "".join(" " if c in "\n\r\t\x0b\x0c\x85\u2028\u2029" else c for c in text)
    return "".join(c for c in spaced if unicodedata.category(c) not in ("Cc", "Cf", "Cs") or c == "\u200d")


def clip(text: str, width: int) -> str:
    """Return `text` cleaned and cut to `width` characters.

    Examples
    --------
    >>> clip("a long sentence", 7)
    'a long…'
    """
    text = clean(text)
    return text if len(text) <= width else text[: max(1, width - 1)] + "…"
