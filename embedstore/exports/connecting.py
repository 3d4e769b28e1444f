"""What to say when a database can't be reached or refuses an export: why, where, and what to do next."""

from urllib.parse import urlsplit

__all__ = ["address_of", "next_step"]

_UNKNOWN = ("not known", "resolve host", "translate host", "name resolution", "getaddrinfo", "nodename nor servname")
_CLOSED = ("refused", "no such file", "timed out", "timeout", "unreachable", "no route to host")
_KEYS = ("password", "unauthorized", "forbidden", "authentication failed", "invalid api key", "must provide an api key")


def address_of(place: str) -> str:
    """Return an address without what may be secret in it: the user, a password, a query.

    Examples
    --------
    >>> address_of("https://me:hidden@host:6333/base?key=hidden")
    'https://host:6333/base'
    """
    parts = urlsplit(place)
    if not parts.netloc:
        return place.partition("?")[0]
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def next_step(said: str, server: str, key: str) -> str:
    """Return what to do after an error of a client, "" if that is not known.

    Parameters
    ----------
    said : str
        The error.
    server : str
        What should run at the address.
    key : str
        How a key or a password is given.

    Examples
    --------
    >>> next_step("Connection refused", "Qdrant", "set QDRANT_API_KEY")
    'check the host and the port, and that Qdrant runs there'
    """
    said = said.lower()
    steps = {
        _UNKNOWN: "check the name of the host in the address",
        _KEYS: key,
        _CLOSED: f"check the host and the port, and that {server} runs there",
        ("ssl", "tls", "certificate"): "check whether the server speaks TLS, and the certificate of its host",
    }
    return next((step for words, step in steps.items() if any(word in said for word in words)), "")
