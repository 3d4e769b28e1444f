"""JSON in parts: how much a text will take in memory, and the elements of a long array one after another."""

import json
import re
from collections.abc import Callable, Iterator
from typing import IO, Any

from embedstore.tables.base import VALUE_WEIGHT

__all__ = ["Elements", "weight_of"]

# Possessive: the regex engine keeps no way back, which would take memory for each character.
_STRING = re.compile(r'"(?:[^"\\]++|\\.)*+"?', re.DOTALL)
_BRACKET = re.compile(r"[\[\]{}]")
_SPACE = re.compile(r"[ \t\n\r]*+")
_COMMA = re.compile(r"[ \t\n\r]*+,[ \t\n\r]*+")
_NUMBER = re.compile(r"-?\d[\d.eE+-]*+")  # or the beginning of one
_BLOCK = 1 << 18  # characters that are read at first
_DECODER = json.JSONDecoder()
_UNDECIDED = 16  # characters at the end of a text that can be the beginning of something longer


def weight_of(text: str, most: int, depth: int) -> tuple[int, int]:
    """Return the weight of a text and its depth, without parsing it.

    Parameters
    ----------
    text : str
        JSON, or the beginning of it.
    most, depth : int
        The largest numbers that are of interest: below them, rough ones are returned.

    Returns
    -------
    tuple of int
        The number of characters and 64 for each value; how many lists and objects are inside one another.

    Examples
    --------
    >>> weight_of('{"a": [1, "[,"]}', 300, 1)
    (208, 2)
    """
    opened = text.count("[") + text.count("{")
    weight = len(text) + VALUE_WEIGHT * (text.count(",") + opened)
    if weight <= most and opened <= depth:
        return weight, opened
    bare = _STRING.sub("", text)
    weight = len(text) + VALUE_WEIGHT * (bare.count(",") + bare.count("[") + bare.count("{"))
    if weight > most:
        return weight, 0
    level = deepest = 0
    for bracket in _BRACKET.findall(bare):
        level += 1 if bracket in "[{" else -1
        deepest = max(deepest, level)
    return weight, deepest


class Elements:
    """The elements of a JSON array, one after another; one of them and a block of text are in memory.

    Parameters
    ----------
    text : str
        The beginning of the array.
    stream : text stream
        What follows.
    check : callable
        Return the weight of a text, or refuse it.
    moved : callable
        Told how many line breaks have been passed, before each element.

    Raises
    ------
    ValueError
        While it is read, if this is no JSON array, or something follows it.
    """

    def __init__(
        self, text: str, stream: IO[str], *, check: Callable[[str], int], moved: Callable[[int], None]
    ) -> None:
        self._text = text
        self._at = 0
        self._stream = stream
        self._check = check
        self._moved = moved

    def __iter__(self) -> Iterator[tuple[Any, int]]:
        """Yield each element, and its weight."""
        self._next_sign()
        self._pass(1)
        if self._next_sign() != "]":
            while True:
                value, end, weight = self._value()
                yield value, weight
                between = _COMMA.match(self._text, end)
                if between and between.end() < len(self._text):
                    self._pass(between.end() - self._at)
                    continue
                self._pass(end - self._at)
                sign = self._next_sign()
                if sign == "]":
                    break
                if sign != ",":
                    raise ValueError("Expecting ',' delimiter")
                self._pass(1)
                self._next_sign()
        self._pass(1)
        if self._next_sign():
            raise ValueError("Extra data")

    def _next_sign(self) -> str:
        """Pass white space; return the character after it, "" at the end."""
        while True:
            found = _SPACE.match(self._text, self._at)
            self._pass((found.end() if found else self._at) - self._at)
            if self._at < len(self._text):
                return self._text[self._at]
            self._text, self._at = self._stream.read(_BLOCK), 0
            if not self._text:
                return ""

    def _pass(self, count: int) -> None:
        self._moved(self._text.count("\n", self._at, self._at + count))
        self._at += count

    def _value(self) -> tuple[Any, int, int]:
        """Return the next element, where it ends, and its weight; read on until it ends."""
        while True:
            try:
                value, end = _DECODER.raw_decode(self._text, self._at)
            except json.JSONDecodeError as error:
                cut = error.msg.startswith("Unterminated") or error.pos >= len(self._text) - _UNDECIDED
                self._check(self._text[self._at :])
                if not (cut and self._read_on()):
                    raise ValueError(error.msg) from error
            else:
                number = _NUMBER.match(self._text, self._at)
                weight = self._check(self._text[self._at : end])
                if not (number and number.end() == len(self._text) and self._read_on()):
                    return value, end, weight

    def _read_on(self) -> bool:
        """Put a block after the element that has begun; return False if there is none."""
        begun = self._text[self._at :]
        block = self._stream.read(max(_BLOCK, len(begun)))
        if block:
            self._text, self._at = begun + block, 0
        return bool(block)
