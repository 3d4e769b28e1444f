"""The page that asks for the password: a form without scripts, at the address of the page itself."""

import asyncio
import html
from importlib.resources import files
from urllib.parse import parse_qs

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.types import Receive, Scope, Send

from embedstore.web.password import Failures, Password

__all__ = ["Login"]

_LARGEST = 10_000  # bytes of a form
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; img-src data:; base-uri 'none'; form-action 'self'; "
        "frame-ancestors 'none'"
    ),
    # With "no-referrer", as the rest of the page has, browsers send a form with the origin "null".
    "Referrer-Policy": "same-origin",
}


class Login:
    """An ASGI application for those who have not given the password yet.

    Parameters
    ----------
    password : Password
        What is asked for.
    cookie : str
        The Set-Cookie header of those who gave it.
    """

    def __init__(self, password: Password, cookie: str) -> None:
        self._password = password
        self._cookie = cookie
        self._failures = Failures()
        self._one = asyncio.Lock()  # to hash is slow and takes memory on purpose: once at a time
        self._page = (files("embedstore.web") / "page" / "login.html").read_text(encoding="utf-8")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        answer = await self._answer(Request(scope, receive))
        await answer(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        if request.url.path != "/":
            return JSONResponse({"error": "load the page again and give its password: this browser has not"}, 403)
        if request.method != "POST":
            return self._asking("", 200)
        given = await _given(request)
        address = request.client.host if request.client else ""
        async with self._one:
            return await self._judged(given, address)

    async def _judged(self, given: str, address: str) -> Response:
        if seconds := self._failures.wait(address):
            problem = f"too many wrong passwords: wait {seconds} s, then give the right one"
            return self._asking(problem, 429, {"Retry-After": str(seconds)})
        if not await run_in_threadpool(self._password.matches, given):
            self._failures.add(address)
            return self._asking("this is not the password: give the one of `embedstore serve --password`", 401)
        self._failures.forget(address)
        return RedirectResponse("/", 303, {"Set-Cookie": self._cookie})

    def _asking(self, problem: str, status: int, headers: dict[str, str] | None = None) -> Response:
        page = self._page.replace("{problem}", html.escape(problem)).replace("{hidden}", "" if problem else "hidden")
        return HTMLResponse(page, status, _HEADERS | (headers or {}))


async def _given(request: Request) -> str:
    """Return the password in a form; "" if there is none."""
    content = b""
    async for part in request.stream():
        content += part
        if len(content) > _LARGEST:
            return ""
    try:
        fields = parse_qs(content.decode("ascii"), encoding="utf-8", errors="surrogateescape", max_num_fields=9)
    except ValueError:
        return ""
    return fields.get("password", [""])[0]
