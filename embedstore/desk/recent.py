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
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._values: OrderedDict[Hashable, Value] = OrderedDict()
        self._lock = Lock()

    def of(self, key: Hashable, make: Callable[[], Value]) -> Value:
        """Return the value of a key, made now if it is not there."""
        with self._lock.held():
            if key not in self._values:
                self._values[key] = make()
                while len(self._values) > self._most:
                    self._values.popitem(last=False)
            self._values.move_to_end(key)
            return self._values[key]
