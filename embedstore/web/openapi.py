"""The OpenAPI description of the routes."""

from typing import Any

from embedstore import __version__
from embedstore.labels.label_file import SHIPPED
from embedstore.web.given import LENS, RENAMED, TEXTS, Route
from embedstore.web.routes import ROUTES

__all__ = ["description"]

_PLACE = {"type": "number", "minimum": -1e150, "maximum": 1e150}
_QUERY: dict[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "where": {"type": "string"},
        "words": {"type": "string"},
        "meaning": {"type": "string"},
        "like": {"type": "string"},
        "least": {"type": ["number", "null"]},
        "lasso": {
            "type": "array",
            "items": {"type": "array", "items": _PLACE, "minItems": 2, "maxItems": 2},
            "minItems": 3,
        },
        "map": {"enum": ["pca", "neighbours"]},
        "sort": {"enum": ["rows", "unsure"]},
        "answered": {"enum": ["", "any", "none", "mine", "disagreed"]},
        "who": {"type": "string"},
        "changed_from": LENS,
        "renamed": RENAMED,
    },
}
_LENS: dict[str, Any] = {
    "type": ["object", "null"],
    "additionalProperties": False,
    "properties": {
        "labels": {
            "anyOf": [
                {"enum": [*SHIPPED]},
                TEXTS,
                {"type": "object", "additionalProperties": TEXTS},
                {
                    "type": "array",
                    "items": {
                        "type": "array",
                        "prefixItems": [{"type": "string"}, TEXTS],
                        "minItems": 2,
                        "maxItems": 2,
                    },
                },
                {"type": "null"},
            ]
        },
        "method": {"type": "string"},
        "examples": {"type": "boolean"},
        "ordinal": {"type": "boolean"},
        "shares": {"type": ["object", "null"], "additionalProperties": {"type": "number"}},
        "min_confidence": {"type": ["number", "null"], "minimum": 0, "maximum": 1},
    },
}
_ERRORS = {
    "400": "The request is wrong.",
    "403": "The request is not of the page, or the store can't be written.",
    "404": "There is no such row or column.",
    "409": "A text has no vector yet.",
    "503": "The store is damaged or busy.",
}


def description() -> dict[str, Any]:
    """Return the OpenAPI 3.1 description of all routes that answer with JSON or bytes."""
    paths: dict[str, Any] = {}
    for route in ROUTES:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route)
    return {
        "openapi": "3.1.0",
        "info": {"title": "embedstore: the desk", "version": __version__},
        "paths": paths,
        "components": {"schemas": {"Query": _QUERY, "Lens": _LENS}},
    }


def _operation(route: Route) -> dict[str, Any]:
    answers = {"200": {"description": route.summary}} | {code: {"description": why} for code, why in _ERRORS.items()}
    said: dict[str, Any] = {"summary": route.summary, "responses": answers}
    if route.method == "POST":
        schema = {
            "type": "object",
            "additionalProperties": False,
            "properties": dict(route.takes),
            "required": list(route.needs),
        }
        said["requestBody"] = {"required": True, "content": {"application/json": {"schema": schema}}}
    elif route.takes:
        said["parameters"] = [
            {
                "name": name,
                "in": "path" if "{" + name + "}" in route.path else "query",
                "required": name in route.needs,
                "schema": schema,
            }
            for name, schema in route.takes.items()
        ]
    return said
