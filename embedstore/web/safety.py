"""Who may ask: the browser that was given the address, or the password, from the page itself, and nobody else.

Each request must name a host that the server is known by, so that no other site can point its own name at this
machine (DNS rebinding). A request from a page must come from this one (cross-site requests). All but the first must
carry the cookie that the address with the token sets, or the password if there is one: then the token lets nobody in.
What is sent back can load nothing from elsewhere, and runs no script but the files of the page.
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

from embedstore.web.login import Login
from embedstore.web.password import Password

__all__ = ["Guard", "Keys"]

_SECRET = 32  # bytes
_OPEN = "/static/desk.css"  # what the page that asks for the password needs
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
    """The token of one start of the server, and the cookie, which stays good over starts with the same password.

    Parameters
    ----------
    store : Path
        The store; each has its own cookie.
    password : str, optional
        What lets in instead of the token.

    Attributes
    ----------
    token : str
        What the address has.
    cookie : str
        What the browser sends back.
    name : str
        Name of the cookie.
    password : Password or None
        What lets in instead of the token.

    Raises
    ------
    UsageError
        If the password is too short.
    """

    def __init__(self, store: Path, *, password: str | None = None) -> None:
        self.token = secrets.token_urlsafe(32)
        named, secret = os.fsencode(store.resolve()), _secret()
        self.name = f"embedstore-{sha256(named).hexdigest()[:12]}"
        self.password = None
        if password is not None:
            self.password = Password(password, salt=hmac.new(secret, b"salt\0" + named, sha256).digest())
            named += b"\0" + self.password.digest
        self.cookie = hmac.new(secret, named, sha256).hexdigest()

    @property
    def set_cookie(self) -> str:
        """The header that gives a browser the cookie."""
        return f"{self.name}={self.cookie}; HttpOnly; SameSite=Strict; Path=/"


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
        self._login = Login(keys.password, keys.set_cookie) if keys.password else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or refuse it."""
        if scope["type"] != "http":
            return
        headers = Headers(scope=scope)
        entering = self._login is None and self._has_token(scope)

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                sent = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    sent.setdefault(name, value)
                if entering:
                    sent.append("Set-Cookie", self._keys.set_cookie)
            await send(message)

        app = self._allowed(scope, headers, known=entering or self._has_cookie(headers))
        await app(scope, receive, answer)

    def _allowed(self, scope: Scope, headers: Headers, *, known: bool) -> ASGIApp:
        """Return what answers a request: the page, the question for the password, or a refusal."""
        if problem := self._problem(scope, headers):
            return _refusal(problem)
        if self._login and _is_form(scope):
            return self._login
        if known or (self._login and scope["path"] == _OPEN):
            return self._app
        stranger = "open the address that `embedstore serve` printed: this browser was not given it"
        return self._login or _refusal(stranger)

    def _problem(self, scope: Scope, headers: Headers) -> str:
        """Return why a request is refused; "" if it is not."""
        host = headers.get("host", "").lower()
        if self._hosts and host not in self._hosts:
            return "expected the address that `embedstore serve` printed, found another host"
        origin = headers.get("origin")
        if origin is not None and origin.lower() != f"http://{host}":
            return "expected a request of the page itself, found one of another site"
        if not _is_visit(scope) and headers.get("sec-fetch-site", "same-origin") != "same-origin":
            return "expected a request of the page itself, found one of another site"
        return ""

    def _has_token(self, scope: Scope) -> bool:
        given = parse_qs(scope["query_string"].decode("latin-1")).get("token", [""])[0]
        return _is_visit(scope) and _same(given, self._keys.token)

    def _has_cookie(self, headers: Headers) -> bool:
        found = SimpleCookie()
        with suppress(CookieError):
            found.load(headers.get("cookie", ""))
        return self._keys.name in found and _same(found[self._keys.name].value, self._keys.cookie)


def _refusal(problem: str) -> ASGIApp:
    return JSONResponse({"error": problem}, 403)


def _is_visit(scope: Scope) -> bool:
    """Return whether a request opens the page, as one from a bookmark or another program does."""
    return (scope["path"], scope["method"]) in (("/", "GET"), ("/", "HEAD"))


def _is_form(scope: Scope) -> bool:
    """Return whether a request gives the password."""
    return (scope["path"], scope["method"]) == ("/", "POST")


def _same(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode(), other.encode())
