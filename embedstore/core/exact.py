"""Values of a store's own JSON, each with exactly the type that it was written with.

``int(value)`` would take "3", 3.7 and True too: what is read from a disk is refused, not converted.
"""

from typing import TypeVar

from embedstore.core.checks import shown
from embedstore.errors import DamagedStoreError

__all__ = ["MOST", "exactly", "text_of", "whole"]

MOST = 2**53
"""Upper limit for the numbers of a manifest: bytes, rows, dimensions."""

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


def text_of(value: object, what: str) -> str:
    """Return a text that UTF-8 can encode; see `exactly`."""
    text = exactly(str, value, what)
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise DamagedStoreError(f"the manifest is damaged: {what} {shown(text)} is no valid text") from error
    return text


def whole(value: object, what: str, *, least: int = 0, most: int = MOST) -> int:
    """Return a whole number from `least` to `most`; see `exactly`."""
    number = exactly(int, value, what)
    if not least <= number <= most:
        raise DamagedStoreError(
            f"the manifest is damaged: expected {what} from {least:,} to {most:,}, found {shown(number)}"
        )
    return number
