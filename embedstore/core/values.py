"""Single values as text: to compare them with the user's input, to show them, and to see whether they say anything."""

import base64
import datetime
import decimal
import json
import re
import unicodedata
from collections.abc import Iterable

__all__ = ["BLANK_RANGES", "clean", "clip", "is_blank", "is_unicode", "same_value", "value_key", "value_text"]

_ESCAPE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])?")
_WHOLE = re.compile(r"(-?(?:0|[1-9][0-9]*))\.0+")

BLANK_RANGES = (
    (0x0000, 0x0020), (0x007F, 0x00A0), (0x00AD, 0x00AD), (0x034F, 0x034F), (0x061C, 0x061C), (0x115F, 0x1160),
    (0x1680, 0x1680), (0x17B4, 0x17B5), (0x180B, 0x180F), (0x2000, 0x200F), (0x2028, 0x202F), (0x205F, 0x206F),
    (0x2800, 0x2800), (0x3000, 0x3000), (0x3164, 0x3164), (0xFE00, 0xFE0F), (0xFEFF, 0xFEFF), (0xFFA0, 0xFFA0),
    (0xFFF0, 0xFFFB), (0x13430, 0x1343F), (0x1BCA0, 0x1BCA3), (0x1D173, 0x1D17A), (0xE0000, 0xE0FFF),
)  # fmt: skip
"""First and last code point of each run of characters that say nothing.

These are Unicode's white space, control characters, format characters (category Cf) and other characters that are
shown as nothing (Default_Ignorable_Code_Point), and the empty braille pattern. Format characters that are visible, such
as the Arabic number sign, are not among them (Prepended_Concatenation_Mark). See UAX #44 of Unicode.
"""
_NOTHING = frozenset(chr(code) for first, last in BLANK_RANGES for code in range(first, last + 1))


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


def is_unicode(value: object) -> bool:
    """Return whether a value is a text that UTF-8 can encode: one without half of a surrogate pair."""
    if not isinstance(value, str):
        return False
    try:
        return value.isascii() or value.encode() is not None
    except UnicodeEncodeError:
        return False


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


def is_blank(text: str) -> bool:
    r"""Return whether a text says nothing: it is empty, or all of its characters are in `BLANK_RANGES`.

    Examples
    --------
    >>> is_blank(""), is_blank(" \t\u3000"), is_blank("\u200b\ufeff"), is_blank(" .")
    (True, True, True, False)
    """
    # Nearly every text says something in its first character.
    return not text or (text[0] in _NOTHING and _NOTHING.issuperset(text))


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
