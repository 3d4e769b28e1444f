"""The values that were made last."""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

from embedstore.core.guards import Lock

__all__ = ["Recent"]

Value = TypeVar("Value")


class _Slot(Generic[Value]):
    """The place of a value: `made` has it alone, or nothing while it is not made."""

    def __init__(self) -> None:
        self.lock = Lock()
        self.made: list[Value] = []


class Recent(Generic[Value]):
    """The values that were made last, by key; one thread makes a value, and those who want the same one wait for it.

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
        self._slots: OrderedDict[Hashable, _Slot[Value]] = OrderedDict()
        self._lock = Lock()

    def __len__(self) -> int:
        return sum(len(slot.made) for slot in self._slots.values())

    def of(self, key: Hashable, make: Callable[[], Value]) -> Value:
        """Return the value of a key, made now if it is not there."""
        with self._lock.held():
            if key not in self._slots:
                self._slots[key] = _Slot()
            self._slots.move_to_end(key)
            slot = self._slots[key]
        with slot.lock.held():
            if not slot.made:
                try:
                    slot.made.append(make())
                finally:
                    self._tidy(key, slot)
            return slot.made[0]

    def _tidy(self, key: Hashable, slot: _Slot[Value]) -> None:
        """Forget a value that could not be made; drop the oldest while there are too many."""
        with self._lock.held():
            if not slot.made and self._slots.get(key) is slot:
                del self._slots[key]
            while len(self._slots) > 1 and self._too_many():
                self._slots.popitem(last=False)

    def _too_many(self) -> bool:
        if len(self._slots) > self._most:
            return True
        made = [value for slot in self._slots.values() for value in slot.made]
        return self._size is not None and sum(map(self._size, made)) > self._largest
