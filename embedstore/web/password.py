"""The password of a page that other machines can reach, and how often it may be given wrongly."""

import hmac
import math
import time
from collections import OrderedDict
from dataclasses import dataclass
from hashlib import scrypt
from ipaddress import IPv4Address, IPv6Address, ip_address

from embedstore.errors import UsageError

__all__ = ["FEWEST", "Failures", "Password"]

FEWEST = 8
"""Fewest characters of a password."""

_COST = {"n": 2**14, "r": 8, "p": 1}  # of scrypt: 16 MB and some 50 ms, as RFC 7914 proposes for logins
_FREE = 5  # wrong passwords before an address has to wait
_FIRST, _LONGEST = 30.0, 900.0  # seconds of waiting; each further wrong password doubles them
_MOST = 1000  # addresses that are remembered
_NETWORK = 64  # bits: whoever has one IPv6 address has all that begin like it


class Password:
    """A password, of which only a hash is kept, in memory.

    Parameters
    ----------
    text : str
        The password.
    salt : bytes
        What the hash is salted with.

    Attributes
    ----------
    digest : bytes
        The hash.

    Raises
    ------
    UsageError
        If the password has fewer than 8 characters.
    """

    def __init__(self, text: str, *, salt: bytes) -> None:
        if len(text) < FEWEST:
            raise UsageError(
                f"expected a password of at least {FEWEST} characters, found {len(text)}: choose a longer one"
            )
        self._salt = salt
        self.digest = self._hashed(text)

    def matches(self, text: str) -> bool:
        """Return whether a text is the password, after the same time for any text of this length."""
        return hmac.compare_digest(self._hashed(text), self.digest)

    def _hashed(self, text: str) -> bytes:
        return scrypt(text.encode(errors="surrogateescape"), salt=self._salt, **_COST)


@dataclass(slots=True)
class _Failed:
    """How often an address gave a wrong password, and when it may give the next one (seconds, monotonic)."""

    times: int = 0
    until: float = 0.0


class Failures:
    """Wrong passwords by address: after five of them an address has to wait, and longer after each further one.

    The latest 1,000 addresses are remembered. IPv6 addresses of one network count as one.
    """

    def __init__(self) -> None:
        self._failed: OrderedDict[str, _Failed] = OrderedDict()

    def __len__(self) -> int:
        return len(self._failed)

    def wait(self, address: str) -> int:
        """Return the whole seconds that an address has to wait; 0 if it may try."""
        failed = self._failed.get(_network(address), _Failed())
        return max(0, math.ceil(failed.until - time.monotonic()))

    def add(self, address: str) -> None:
        """Count a wrong password of an address."""
        failed = self._failed.setdefault(_network(address), _Failed())
        failed.times += 1
        if failed.times >= _FREE:
            failed.until = time.monotonic() + min(_LONGEST, _FIRST * 2 ** min(failed.times - _FREE, 10))
        self._failed.move_to_end(_network(address))
        if len(self._failed) > _MOST:
            self._failed.popitem(last=False)

    def forget(self, address: str) -> None:
        """Forget an address: it gave the password."""
        self._failed.pop(_network(address), None)


def _network(address: str) -> str:
    """Return what stands for an address: itself, or its network for IPv6."""
    try:
        known: IPv4Address | IPv6Address = ip_address(address)
    except ValueError:
        return address
    if isinstance(known, IPv6Address):
        return str(known.ipv4_mapped) if known.ipv4_mapped else f"{int(known) >> _NETWORK:x}::"
    return address
