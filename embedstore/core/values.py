"""Single values as text: to compare them with the user's input, and to show them."""

import base64
import datetime
import decimal
import json
import re
import unicodedata
from collections.abc import Iterable

__all__ = ["clean", "clip", "same_value", "value_key", "value_text"]

_ESCAPE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\-_])?")
_WHOLE = re.compile(r"(-?(?:0|[1-9][0-9]*))\.0+")


def value_text(value: object) -> str:
    """Return a value as it is written in a CSV file, "" for None; `embedstore.core.cells.spelled` does it for columns.

    Examples
    --------
    >>> value_text(1.0), value_text(True), value_text(None), value_text("x")
    ('1.0', 'True', '', 'x')
    """
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, decimal.Decimal):
        return format(value, "f")
    if isinstance(value, datetime.datetime | datetime.time):
        text = value.isoformat(" ") if isinstance(value, datetime.datetime) else value.isoformat()
        return re.sub(r"(\.[0-9]*?)0+(?=$|[+-])", lambda found: found[1].rstrip("."), text)
    if isinstance(value, bytes):
        return base64.b64encode(value).decode("ascii")
    if isinstance(value, list | tuple | dict):
        return json.dumps(value, ensure_ascii=False, default=value_text)
    return str(value)


def same_value(text: str, known: Iterable[str]) -> str | None:
    """Return the one of the known texts that stands for the same value as `text`; None if there is none, or two.

    The same text goes before all others. Beside it, whole numbers are the same with and without ``.0``, and booleans
    are the same in the spellings of Python and of JSON.

    Examples
    --------
    >>> same_value("3.0", ["2", "3"]), same_value("true", ["True"]), same_value("1.10", ["1.1"])
    ('3', 'True', None)
    """
    listed = list(known)
    if text in listed:
        return text
    key = value_key(text)
    found = [one for one in listed if value_key(one) == key]
    return found[0] if len(found) == 1 else None


def value_key(text: str) -> str:
    """Return the text that all spellings of one value have in common; see `same_value`.

    Examples
    --------
    >>> value_key("3.0"), value_key("true"), value_key("1.10")
    ('3', 'True', '1.10')
    """
    if text in ("true", "false"):
        return text.capitalize()
    whole = _WHOLE.fullmatch(text)
    return "0" if whole and whole[1] == "-0" else whole[1] if whole else text


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
