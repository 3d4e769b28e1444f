"""The routes of the page: which method of a `Desk` each calls, with what, and what it answers."""

import base64
import tempfile
from pathlib import Path
from typing import Any, cast, get_args

import numpy as np
from starlette.background import BackgroundTask
from starlette.responses import FileResponse, Response
from starlette.types import Message, Receive, Scope, Send

from embedstore.annotations.order import Order
from embedstore.core.checks import shown
from embedstore.desk.desk import Desk
from embedstore.desk.query import MapMethod
from embedstore.errors import UsageError
from embedstore.web.given import LENS, QUERY, RENAMED, SWITCH, TEXT, TEXTS, WHOLE, Given, Route
from embedstore.web.judging import JUDGING

__all__ = ["ROUTES"]

_FORMATS = {
    "csv": "text/csv",
    "tsv": "text/tab-separated-values",
    "jsonl": "application/x-ndjson",
    "parquet": "application/vnd.apache.parquet",
}


def _about(desk: Desk, given: Given) -> Any:
    return desk.about()


def _rows(desk: Desk, given: Given) -> Any:
    start, count = given.whole("start", 0), given.whole("count", 50)
    return desk.rows(given.query(), given.lens(), start=start, count=count)


def _text(desk: Desk, given: Given) -> Any:
    row = given.text("row")
    if not (row.isascii() and row.isdecimal() and len(row) < 19):
        raise UsageError(f"expected the number of a row, found {shown(row)}")
    return {"text": desk.text(int(row))}


def _counts(desk: Desk, given: Given) -> Any:
    return desk.counts(given.query(), given.texts("columns"), given.lens())


def _map(desk: Desk, given: Given) -> Any:
    layout = desk.maps.newest()
    points = layout.points(given.one_of("method", get_args(MapMethod)))
    desk.maps.begin()
    return Response(points.astype("<f4").tobytes(), media_type="application/octet-stream")


def _map_anew(desk: Desk, given: Given) -> Any:
    desk.maps.begin(anew=True)
    return desk.news()["map"]


def _colours(desk: Desk, given: Given) -> Any:
    names, codes = desk.colours(given.text("by"), given.lens())
    return {"groups": list(names), "codes": base64.b64encode(codes.astype("<i2").tobytes()).decode()}


def _mask(desk: Desk, given: Given) -> Any:
    bits = np.packbits(desk.mask(given.query(), given.lens()), bitorder="little")
    return Response(bits.tobytes(), media_type="application/octet-stream")


def _tags(desk: Desk, given: Given) -> Any:
    found = desk.tags(given.lens())
    return {"shares": found.shares, "notes": list(found.notes)}


def _answer(desk: Desk, given: Given) -> Any:
    if ("rows" in given.values) == ("query" in given.values):
        found = "both: leave one out" if "rows" in given.values else "neither: give one"
        raise UsageError(f"expected rows or a query to label, found {found}")
    rows = given.query() if "query" in given.values else given.list("rows")
    keys = given.texts("keys") if "keys" in given.values else None
    who, action = given.text("who", ""), given.text("action")
    return {"texts": desk.answer(rows, given.text("label"), given.lens(), who=who, action=action, keys=keys)}


def _answered(desk: Desk, given: Given) -> Any:
    return desk.answered(given.query(), given.lens(), who=given.text("who", ""))


def _carry(desk: Desk, given: Given) -> Any:
    renamed, action = given.renamed(), given.text("action")
    return {"texts": desk.carry_over(given.lens("before"), given.lens(), renamed=renamed, action=action)}


def _undo(desk: Desk, given: Given) -> Any:
    return {"texts": desk.take_back(given.text("action"))}


def _ask(desk: Desk, given: Given) -> Any:
    order = given.one_of("order", _ORDERS)
    who, about, count = given.text("who", ""), given.text("about", ""), min(given.whole("count", 20), 100)
    return {"rows": desk.ask(given.lens(), who=who, order=order, about=about, count=count)}


def _command(desk: Desk, given: Given) -> Any:
    return {"command": desk.command(given.query(), given.lens())}


def _download(desk: Desk, given: Given) -> Any:
    kind = given.one_of("format", tuple(_FORMATS))
    result = desk.result(given.query(), given.lens(), answers=given.switch("answers"))
    folder = tempfile.TemporaryDirectory(prefix="embedstore-")
    path = Path(folder.name) / f"{desk.corpus}.{kind}"
    try:
        result.save(path)
    except BaseException:
        folder.cleanup()
        raise
    return _Passing(path, media_type=_FORMATS[kind], filename=path.name, background=BackgroundTask(folder.cleanup))


class _Passing(FileResponse):
    """A file whose folder is gone before its last part is sent, and also if the browser leaves before."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        clear = cast(BackgroundTask, self.background)

        async def sent(message: Message) -> None:
            if message["type"] == "http.response.body" and not message.get("more_body"):
                await clear()
            await send(message)

        try:
            await super().__call__(scope, receive, sent)
        finally:
            await clear()


_ROW = {**TEXT, "pattern": "^[0-9]{1,18}$"}
_MAPS = {"enum": [*get_args(MapMethod)]}
_ORDERS = ("typical", *(one for one in get_args(Order) if one != "typical"))
_SEEN = {"query": QUERY, "lens": LENS}

_LOOKING = (
    Route("/api/about", "The store, its columns, label sets and people.", _about, method="GET"),
    Route("/api/rows", "Some of the rows of a query.", _rows, {**_SEEN, "start": WHOLE, "count": WHOLE}),
    Route("/api/text/{row}", "The whole text of a row.", _text, {"row": _ROW}, ("row",), method="GET"),
    Route("/api/counts", "How often each value stands in columns.", _counts, {**_SEEN, "columns": TEXTS}, ("columns",)),
    Route(
        "/api/map",
        "The place of each row: pairs of float32.",
        _map,
        {"method": {"enum": [*get_args(MapMethod)]}},
        method="GET",
    ),
    Route("/api/map/anew", "Lay the texts out anew.", _map_anew),
    Route("/api/colours", "The group of each row, to colour it.", _colours, {"by": TEXT, "lens": LENS}, ("by",)),
    Route("/api/mask", "Which rows a query shows: a bit a row.", _mask, _SEEN),
    Route("/api/tags", "The shares of the labels.", _tags, {"lens": LENS}, ("lens",)),
    Route(
        "/api/answer",
        "Label rows in one action.",
        _answer,
        {
            **_SEEN,
            "rows": {"type": "array", "items": WHOLE},
            "keys": TEXTS,
            "label": TEXT,
            "who": TEXT,
            "action": TEXT,
        },
        ("label", "lens", "action"),
        writes=True,
    ),
    Route("/api/answered", "How many texts have an answer.", _answered, {**_SEEN, "who": TEXT}, ("lens",)),
    Route(
        "/api/carry",
        "Take answers over to other labels in one action.",
        _carry,
        {"before": LENS, "lens": LENS, "renamed": RENAMED, "action": TEXT},
        ("before", "lens", "action"),
        writes=True,
    ),
    Route("/api/undo", "Take an action back.", _undo, {"action": TEXT}, ("action",), writes=True),
    Route(
        "/api/ask",
        "Rows to label next.",
        _ask,
        {"lens": LENS, "who": TEXT, "order": {"enum": [*_ORDERS]}, "about": TEXT, "count": WHOLE},
        ("lens",),
    ),
    Route(
        "/api/download",
        "The rows of a query as a file.",
        _download,
        {**_SEEN, "format": {"enum": [*_FORMATS]}, "answers": SWITCH},
    ),
    Route("/api/command", "The shell command for the same rows.", _command, _SEEN),
)

ROUTES = _LOOKING + JUDGING
"""All routes but those of the page's files, of events and of the OpenAPI description."""
