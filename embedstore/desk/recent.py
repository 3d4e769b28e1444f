"""The values that were made last."""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

from embedstore.core.guards import Lock

__all__ = ["Recent"]

Value = TypeVar("Value")


class Recent(Generic[Value]):
    """The values that were made last, by key; one thread makes a value, and the others wait for it.

    Parameters
    ----------
    most : int
        Number of values that are kept.
    size : callable, optional
        Returns the bytes of a value.
    largest : int
        Bytes that the values may have together; the newest value is kept in any case.
    """

    def __init__(self, most: int, *, size: Callable[[Value], int] | None = None, largest: int = 0) -> None:
        self._most = most
        self._size = size
        self._largest = largest
        self._values: OrderedDict[Hashable, Value] = OrderedDict()
        self._lock = Lock()

    def __len__(self) -> int:
        return len(self._values)

    def of(self, key: Hashable, make: Callable[[], Value]) -> Value:
        """Return the value of a key, made now if it is not there."""
        with self._lock.held():
            if key not in self._values:
                self._values[key] = make()
                while len(self._values) > 1 and self._too_many():
                    self._values.popitem(last=False)
            self._values.move_to_end(key)
            return self._values[key]

    def _too_many(self) -> bool:
        if len(self._values) > self._most:
            return True
        return self._size is not None and sum(map(self._size, self._values.values())) > self._largest
