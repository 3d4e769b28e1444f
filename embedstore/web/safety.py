"""Who may ask: the browser that was given the address, from the page itself, and nobody else.

Each request must name a host that the server is known by, so that no other site can point its own name at this
machine (DNS rebinding). A request from a page must come from this one (cross-site requests). All but the first must
carry the cookie that the address with the token sets. What is sent back can load nothing from elsewhere, and runs no
script but the files of the page.
"""

import hmac
import os
import secrets
from collections.abc import Collection
from contextlib import suppress
from hashlib import sha256
from http.cookies import CookieError, SimpleCookie
from pathlib import Path
from urllib.parse import parse_qs

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["Guard", "Keys"]

_SECRET = 32  # bytes
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data: blob:; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cache-Control": "no-store",
}


class Keys:
    """The token of one start of the server, and the cookie, which stays good over starts.

    Parameters
    ----------
    store : Path
        The store; each has its own cookie.

    Attributes
    ----------
    token : str
        What the address has.
    cookie : str
        What the browser sends back.
    name : str
        Name of the cookie.
    """

    def __init__(self, store: Path) -> None:
        self.token = secrets.token_urlsafe(32)
        named = os.fsencode(store.resolve())
        self.cookie = hmac.new(_secret(), named, sha256).hexdigest()
        self.name = f"embedstore-{sha256(named).hexdigest()[:12]}"


def _secret() -> bytes:
    """Return this user's secret, made at the first use; one of this process alone if it can't be kept."""
    fresh = secrets.token_bytes(_SECRET)
    with suppress(OSError, RuntimeError):  # RuntimeError: there is no home
        path = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "embedstore" / "desk.key"
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with (
            suppress(FileExistsError),
            os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as new,
        ):
            new.write(fresh)
        kept, about = path.read_bytes(), path.stat()
        if len(kept) == _SECRET and not about.st_mode & 0o077 and about.st_uid == os.getuid():
            return kept
    return fresh


class Guard:
    """Lets through what comes from the page; see the module.

    Parameters
    ----------
    app : ASGI application
        What is guarded.
    keys : Keys
        Token and cookie.
    hosts : collection of str
        Names with ports that the server is known by; none means any, for a server that others can reach.
    """

    def __init__(self, app: ASGIApp, keys: Keys, hosts: Collection[str]) -> None:
        self._app = app
        self._keys = keys
        self._hosts = frozenset(hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or refuse it."""
        if scope["type"] != "http":
            return
        headers = Headers(scope=scope)
        known = self._has_cookie(headers)
        given = parse_qs(scope["query_string"].decode("latin-1")).get("token", [""])[0]
        entering = scope["path"] == "/" and scope["method"] in ("GET", "HEAD") and _same(given, self._keys.token)

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                sent = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    sent[name] = value
                if entering:
                    sent.append(
                        "Set-Cookie", f"{self._keys.name}={self._keys.cookie}; HttpOnly; SameSite=Strict; Path=/"
                    )
            await send(message)

        problem = self._problem(scope, headers, known=known or entering)
        app = JSONResponse({"error": problem}, 403) if problem else self._app
        await app(scope, receive, answer)

    def _problem(self, scope: Scope, headers: Headers, *, known: bool) -> str:
        """Return why a request is refused; "" if it is not."""
        host = headers.get("host", "").lower()
        if self._hosts and host not in self._hosts:
            return "expected the address that `embedstore serve` printed, found another host"
        origin = headers.get("origin")
        if origin is not None and origin.lower() != f"http://{host}":
            return "expected a request of the page itself, found one of another site"
        if scope["path"] != "/" and headers.get("sec-fetch-site", "same-origin") != "same-origin":
            return "expected a request of the page itself, found one of another site"
        if scope["method"] not in ("GET", "HEAD", "POST"):
            return "expected GET or POST"
        if not known:
            return "open the address that `embedstore serve` printed: this browser was not given it"
        return ""

    def _has_cookie(self, headers: Headers) -> bool:
        found = SimpleCookie()
        with suppress(CookieError):
            found.load(headers.get("cookie", ""))
        return self._keys.name in found and _same(found[self._keys.name].value, self._keys.cookie)


def _same(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode(), other.encode())
