"""The web application: routes over a desk, the files of the page, and events."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping
from importlib.resources import files
from itertools import count
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route as WebRoute
from starlette.types import ASGIApp

from embedstore.core.checks import shown
from embedstore.core.system import explained
from embedstore.desk.desk import Desk
from embedstore.errors import (
    DamagedStoreError,
    EmbedstoreError,
    ModelRequiredError,
    NotFoundError,
    StorageError,
    StoreBusyError,
    UsageError,
)
from embedstore.web.given import Given, Route
from embedstore.web.openapi import description
from embedstore.web.routes import ROUTES
from embedstore.web.safety import Guard, Keys

__all__ = ["make_app"]

_LARGEST = 4_000_000  # bytes of a request
_FILES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
_EVERY = 1.0  # seconds between looks at what has changed
_LOOKS = 10  # at whether the server ends, meanwhile

Answering = Callable[[Request], Awaitable[Response]]


def make_app(
    desk: Desk,
    keys: Keys,
    *,
    hosts: Collection[str] = (),
    ending: Callable[[], bool] = lambda: False,
) -> ASGIApp:
    """Return the guarded web application for a desk.

    Parameters
    ----------
    desk : Desk
        What is shown.
    keys : Keys
        Token and cookie.
    hosts : collection of str
        Names with ports that the server is known by; see `Guard`.
    ending : callable
        Returns whether the server ends: streams of events then end too.
    """
    page = {one.name: one.read_bytes() for one in (files("embedstore.web") / "page").iterdir() if one.is_file()}

    async def index(request: Request) -> Response:
        return Response(page["index.html"], media_type="text/html")

    async def static(request: Request) -> Response:
        name = request.path_params["name"]
        kind = _FILES.get(Path(name).suffix)
        if name not in page or kind is None:
            return _refused("there is no such file", 404)
        return Response(page[name], media_type=kind)

    async def openapi(request: Request) -> Response:
        return JSONResponse(description())

    async def events(request: Request) -> Response:
        return StreamingResponse(_news(desk, ending), media_type="text/event-stream")

    routes = [
        WebRoute("/", index),
        WebRoute("/static/{name}", static),
        WebRoute("/api/openapi.json", openapi),
        WebRoute("/api/events", events),
        *(_web_route(desk, one) for one in ROUTES),
    ]
    handlers: Any = {404: _not_found, 405: _not_allowed, Exception: _unexpected}
    return Guard(Starlette(routes=routes, exception_handlers=handlers), keys, hosts)


def _web_route(desk: Desk, route: Route) -> WebRoute:
    def call(given: Mapping[str, Any]) -> Any:
        if route.writes and desk.read_only:
            return _refused("this desk is read-only: nothing can be answered here", 403)
        for name in route.needs:
            if name not in given:
                raise UsageError(f"expected {name} in the request, found {', '.join(given) or 'nothing'}")
        if unknown := [name for name in given if name not in route.takes]:
            raise UsageError(f"expected any of {', '.join(route.takes) or 'nothing'}, found {shown(unknown[0])}")
        return route.call(desk, Given(given))

    return WebRoute(route.path, _answering(call, _body if route.method == "POST" else _asked), methods=[route.method])


def _answering(
    call: Callable[[Mapping[str, Any]], Any], read: Callable[[Request], Awaitable[Mapping[str, Any]]]
) -> Answering:
    """Return a handler that reads what was given, calls a function in a thread, and tells errors as one line."""

    async def handler(request: Request) -> Response:
        try:
            found = await run_in_threadpool(call, await read(request))
        except EmbedstoreError as error:
            return _refused(str(error), _status(error))
        except OSError as error:
            return _refused(explained(error), 503)
        return found if isinstance(found, Response) else JSONResponse(found)

    return handler


def _status(error: EmbedstoreError) -> int:
    if isinstance(error, NotFoundError):
        return 404
    if isinstance(error, ModelRequiredError):
        return 409
    return 503 if isinstance(error, DamagedStoreError | StoreBusyError | StorageError) else 400


async def _asked(request: Request) -> Mapping[str, Any]:
    return {**request.query_params, **request.path_params}


async def _body(request: Request) -> Mapping[str, Any]:
    """Return the JSON object in the body of a request."""
    if request.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
        raise UsageError("expected a body of type application/json")
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size > _LARGEST:
            raise UsageError(f"expected a request of at most {_LARGEST:,} bytes")
        parts.append(part)
    try:
        value = json.loads(b"".join(parts), parse_constant=_no_number)
        json.dumps(value, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        raise UsageError(f"expected JSON in UTF-8, found something else: {error}") from error
    if not isinstance(value, dict):
        raise UsageError(f"expected a JSON object, found {shown(value)}")
    return value


def _no_number(name: str) -> float:
    raise ValueError(f"{name} is no JSON number")


async def _news(desk: Desk, ending: Callable[[], bool]) -> AsyncIterator[str]:
    """Yield what has changed, as events: the state of the map, and marks of the answers and rows."""
    told: dict[str, Any] = {}
    for turn in count():
        if ending():
            return
        if turn % _LOOKS:
            await asyncio.sleep(_EVERY / _LOOKS)
            continue
        try:
            news = await run_in_threadpool(desk.news)
        except (EmbedstoreError, OSError):  # the next request of the page tells it
            news = told
        for name, value in news.items():
            if told.get(name) != value:
                yield f"event: {name}\ndata: {json.dumps(value)}\n\n"
        told = dict(news)
        yield ": still here\n\n"


async def _not_found(request: Request, error: Exception) -> Response:
    return _refused("there is no such page", 404)


async def _not_allowed(request: Request, error: Exception) -> Response:
    answer = _refused(f"this page does not take {request.method}", 405)
    answer.headers.update(getattr(error, "headers", None) or {})
    return answer


async def _unexpected(request: Request, error: Exception) -> Response:
    return _refused(f"unexpected {type(error).__name__} (the terminal of `embedstore serve` has more: report it)", 500)


def _refused(problem: str, status: int) -> JSONResponse:
    return JSONResponse({"error": problem}, status)
