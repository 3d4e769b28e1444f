"""The routes of the page: which method of a `Desk` each calls, with what, and what it answers."""

import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, get_args

import numpy as np
from starlette.responses import Response

from embedstore.annotations.order import Order
from embedstore.core.checks import shown
from embedstore.desk.desk import Desk
from embedstore.desk.lens import Lens
from embedstore.desk.query import MapMethod, Query
from embedstore.errors import UsageError

__all__ = ["ROUTES", "Route"]

_TEXT: dict[str, Any] = {"type": "string"}
_WHOLE: dict[str, Any] = {"type": "integer", "minimum": 0}
_QUERY: dict[str, Any] = {"$ref": "#/components/schemas/Query"}
_LENS: dict[str, Any] = {"$ref": "#/components/schemas/Lens"}


@dataclass(frozen=True, slots=True)
class Route:
    """A route.

    Parameters
    ----------
    path : str
        Its path.
    summary : str
        What it answers, for the OpenAPI description.
    call : callable
        Takes the desk and the values that were given, and returns a response or a JSON value.
    takes : mapping of str to dict
        The JSON schema of each value: those of the body of a POST, or of the query string of a GET.
    needs : tuple of str
        The values that must be given.
    method : str
        GET or POST.
    writes : bool
        Whether it changes the store.
    """

    path: str
    summary: str
    call: Callable[[Desk, Mapping[str, Any]], Any]
    takes: Mapping[str, dict[str, Any]] = field(default_factory=dict)
    needs: tuple[str, ...] = ()
    method: str = "POST"
    writes: bool = False


def _about(desk: Desk, given: Mapping[str, Any]) -> Any:
    return desk.about()


def _rows(desk: Desk, given: Mapping[str, Any]) -> Any:
    start, count = _whole(given, "start", 0), _whole(given, "count", 50)
    return desk.rows(_query(given), _lens(given), start=start, count=count)


def _text(desk: Desk, given: Mapping[str, Any]) -> Any:
    row = str(given["row"])
    if not (row.isascii() and row.isdecimal() and len(row) < 19):
        raise UsageError(f"expected the number of a row, found {shown(row)}")
    return {"text": desk.text(int(row))}


def _counts(desk: Desk, given: Mapping[str, Any]) -> Any:
    return desk.counts(_query(given), _texts(given, "columns"), _lens(given))


def _map(desk: Desk, given: Mapping[str, Any]) -> Any:
    method = given.get("method", "pca")
    if method not in get_args(MapMethod):
        raise UsageError(f"expected a map of {', '.join(get_args(MapMethod))}, found {shown(method)}")
    layout = desk.layout()
    points = layout.points(method)
    layout.begin()
    return Response(points.astype("<f4").tobytes(), media_type="application/octet-stream")


def _map_state(desk: Desk, given: Mapping[str, Any]) -> Any:
    return desk.layout().state()


def _colours(desk: Desk, given: Mapping[str, Any]) -> Any:
    names, codes = desk.colours(_named(given, "by"), _lens(given))
    return {"groups": list(names), "codes": base64.b64encode(codes.astype("<i2").tobytes()).decode()}


def _mask(desk: Desk, given: Mapping[str, Any]) -> Any:
    bits = np.packbits(desk.mask(_query(given), _lens(given)), bitorder="little")
    return Response(bits.tobytes(), media_type="application/octet-stream")


def _tags(desk: Desk, given: Mapping[str, Any]) -> Any:
    found = desk.tags(_lens(given))
    return {"shares": found.shares, "notes": list(found.notes)}


def _answer(desk: Desk, given: Mapping[str, Any]) -> Any:
    if ("rows" in given) == ("query" in given):
        raise UsageError("expected rows or a query to label, found both or neither")
    rows = _query(given) if "query" in given else _numbers(given, "rows")
    who, action = _named(given, "who", ""), _named(given, "action")
    return {"texts": desk.answer(rows, _named(given, "label"), _lens(given), who=who, action=action)}


def _undo(desk: Desk, given: Mapping[str, Any]) -> Any:
    return {"texts": desk.take_back(_named(given, "action"))}


def _ask(desk: Desk, given: Mapping[str, Any]) -> Any:
    order: Any = given.get("order", "typical")
    if order not in get_args(Order):
        raise UsageError(f"expected an order of {', '.join(get_args(Order))}, found {shown(order)}")
    count = min(_whole(given, "count", 20), 100)
    return {"rows": desk.ask(_lens(given), who=_named(given, "who", ""), order=order, count=count)}


def _command(desk: Desk, given: Mapping[str, Any]) -> Any:
    return {"command": desk.command(_query(given), _lens(given))}


def _query(given: Mapping[str, Any]) -> Query:
    return Query.from_json(given.get("query", {}))


def _lens(given: Mapping[str, Any]) -> Lens:
    return Lens.from_json(given.get("lens"))


def _named(given: Mapping[str, Any], name: str, default: str | None = None) -> str:
    value = given.get(name, default)
    if not isinstance(value, str) or len(value) > 10_000:
        raise UsageError(f"expected {name} to be a short text, found {shown(value)}")
    return value


def _texts(given: Mapping[str, Any], name: str) -> list[str]:
    value = given.get(name)
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise UsageError(f"expected {name} to be a list of texts, found {shown(value)}")
    return value


def _numbers(given: Mapping[str, Any], name: str) -> list[int]:
    value = given.get(name)
    if not isinstance(value, list):
        raise UsageError(f"expected {name} to be a list of numbers, found {shown(value)}")
    return value


def _whole(given: Mapping[str, Any], name: str, default: int) -> int:
    value = given.get(name, default)
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise UsageError(f"expected {name} to be a whole number of 0 or more, found {shown(value)}")
    return value


_SEEN = {"query": _QUERY, "lens": _LENS}
_LIST = {"type": "array", "items": _TEXT}

ROUTES = (
    Route("/api/about", "The store, its columns, label sets and people.", _about, method="GET"),
    Route("/api/rows", "Some of the rows of a query.", _rows, {**_SEEN, "start": _WHOLE, "count": _WHOLE}),
    Route("/api/text/{row}", "The whole text of a row.", _text, {"row": _TEXT}, ("row",), method="GET"),
    Route("/api/counts", "How often each value stands in columns.", _counts, {**_SEEN, "columns": _LIST}, ("columns",)),
    Route("/api/map", "The place of each row: pairs of float32.", _map, {"method": _TEXT}, method="GET"),
    Route("/api/map/state", "Which maps are ready.", _map_state, method="GET"),
    Route("/api/colours", "The group of each row, to colour it.", _colours, {"by": _TEXT, "lens": _LENS}, ("by",)),
    Route("/api/mask", "Which rows a query shows: a bit a row.", _mask, _SEEN),
    Route("/api/tags", "The shares of the labels.", _tags, {"lens": _LENS}, ("lens",)),
    Route(
        "/api/answer",
        "Label rows in one action.",
        _answer,
        {
            **_SEEN,
            "rows": {"type": "array", "items": _WHOLE},
            "label": _TEXT,
            "who": _TEXT,
            "action": _TEXT,
        },
        ("label", "lens", "action"),
        writes=True,
    ),
    Route("/api/undo", "Take an action back.", _undo, {"action": _TEXT}, ("action",), writes=True),
    Route(
        "/api/ask",
        "Rows to label next.",
        _ask,
        {"lens": _LENS, "who": _TEXT, "order": _TEXT, "count": _WHOLE},
        ("lens",),
    ),
    Route("/api/command", "The shell command for the same rows.", _command, _SEEN),
)
"""All routes but those of files, downloads and events."""
