"""Values of a store's own JSON, each with exactly the type that it was written with.

``int(value)`` would take "3", 3.7 and True too: what is read from a disk is refused, not converted.
"""

import re
from typing import Any, TypeVar

from embedstore.core.checks import shown
from embedstore.core.counts import counted
from embedstore.errors import DamagedStoreError

__all__ = ["MOST", "exactly", "hash_of", "list_or_value", "parts_of", "text_of", "whole"]

MOST = 2**53
"""Upper limit for the numbers of a manifest: bytes, rows, dimensions."""

_HASH = re.compile("[0-9a-f]{64}")

Value = TypeVar("Value")

_NAMES: dict[type, str] = {
    bool: "true or false",
    dict: "an object",
    int: "a whole number",
    list: "a list",
    str: "a text",
}


def exactly(kind: type[Value], value: object, what: str) -> Value:
    """Return a value if its type is `kind` and no other.

    Raises
    ------
    DamagedStoreError
        If it is not; the message says what has the value.
    """
    if type(value) is not kind:
        raise DamagedStoreError(f"the manifest is damaged: expected {_NAMES[kind]} as {what}, found {shown(value)}")
    return value


def parts_of(value: object, what: str, *lengths: int) -> list[Any]:
    """Return a list that has one of the given lengths; see `exactly`."""
    if type(value) is not list or len(value) not in lengths:
        raise DamagedStoreError(f"the manifest is damaged: expected {what}, found {list_or_value(value)}")
    return value


def list_or_value(value: object) -> str:
    """Return a value for an error message; of a list only its length."""
    return f"a list of {counted(len(value), 'value')}" if type(value) is list else shown(value)


def text_of(value: object, what: str) -> str:
    """Return a text that UTF-8 can encode; see `exactly`."""
    text = exactly(str, value, what)
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise DamagedStoreError(f"the manifest is damaged: {what} {shown(text)} is no valid text") from error
    return text


def hash_of(value: object, what: str) -> str:
    """Return the 64 hexadecimal digits of a hash; see `exactly`."""
    text = exactly(str, value, what)
    if not _HASH.fullmatch(text):
        raise DamagedStoreError(f"the manifest is damaged: expected 64 hex digits as {what}, found {shown(text)}")
    return text


def whole(value: object, what: str, *, least: int = 0, most: int = MOST) -> int:
    """Return a whole number from `least` to `most`; see `exactly`."""
    number = exactly(int, value, what)
    if not least <= number <= most:
        raise DamagedStoreError(
            f"the manifest is damaged: expected {what} from {least:,} to {most:,}, found {shown(number)}"
        )
    return number
