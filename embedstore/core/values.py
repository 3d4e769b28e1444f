"""Cells as text: to compare them with the user's input, to show them, and to see whether they say anything."""

import re
import unicodedata

__all__ = ["BLANK_RANGES", "clean", "clip", "is_blank", "value_text"]

_ESCAPE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\-_])?")

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
