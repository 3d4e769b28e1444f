"""What a request gives: values by name, each checked where it is used."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from embedstore.core.checks import shown
from embedstore.desk.lens import Lens
from embedstore.desk.query import Query
from embedstore.errors import UsageError

if TYPE_CHECKING:
    from embedstore.desk.desk import Desk

__all__ = ["LENS", "MAPPING", "QUERY", "RENAMED", "SHARE", "TEXT", "TEXTS", "WHOLE", "Given", "Route"]

TEXT: dict[str, Any] = {"type": "string"}
TEXTS: dict[str, Any] = {"type": "array", "items": TEXT}
WHOLE: dict[str, Any] = {"type": "integer", "minimum": 0}
SHARE: dict[str, Any] = {"type": "number", "minimum": 0, "maximum": 1}
MAPPING: dict[str, Any] = {"type": "object", "additionalProperties": TEXT}
RENAMED: dict[str, Any] = {"type": "array", "items": {**TEXTS, "minItems": 2, "maxItems": 2}}
QUERY: dict[str, Any] = {"$ref": "#/components/schemas/Query"}
LENS: dict[str, Any] = {"$ref": "#/components/schemas/Lens"}

_LONGEST = 10_000  # characters of a text


class Given:
    """The values that a request gives.

    Parameters
    ----------
    values : mapping of str to object
        The body of a POST, or the parameters of a GET.
    """

    def __init__(self, values: Mapping[str, Any]) -> None:
        self.values = values

    def query(self) -> Query:
        """Return the rows that are meant; without a query, all rows."""
        return Query.from_json(self.values.get("query", {}))

    def lens(self, name: str = "lens") -> Lens:
        """Return the labels that are meant; without a lens, none."""
        return Lens.from_json(self.values.get(name))

    def text(self, name: str, default: str | None = None) -> str:
        """Return a short text."""
        value = self.values.get(name, default)
        if not isinstance(value, str) or len(value) > _LONGEST:
            raise UsageError(f"expected {name} to be a short text, found {shown(value)}")
        return value

    def one_of(self, name: str, known: tuple[str, ...]) -> Any:
        """Return one of some texts; by default the first."""
        value = self.values.get(name, known[0])
        if value not in known:
            raise UsageError(f"expected {name} to be one of {', '.join(known)}, found {shown(value)}")
        return value

    def texts(self, name: str) -> list[str]:
        """Return a list of texts."""
        value = self.values.get(name)
        if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
            raise UsageError(f"expected {name} to be a list of texts, found {shown(value)}")
        return value

    def list(self, name: str) -> list[Any]:
        """Return a list."""
        value = self.values.get(name)
        if not isinstance(value, list):
            raise UsageError(f"expected {name} to be a list, found {shown(value)}")
        return value

    def mapping(self, name: str) -> dict[str, str]:
        """Return a mapping of texts to texts; by default an empty one."""
        value = self.values.get(name, {})
        if not isinstance(value, dict) or not all(isinstance(one, str) for one in value.values()):
            raise UsageError(f"expected {name} to map texts to texts, found {shown(value)}")
        return value

    def whole(self, name: str, default: int) -> int:
        """Return a whole number of 0 or more."""
        value = self.values.get(name, default)
        if isinstance(value, float) and value.is_integer():  # JSON has one kind of numbers
            value = int(value)
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            raise UsageError(f"expected {name} to be a whole number of 0 or more, found {shown(value)}")
        return value

    def share(self, name: str, default: float) -> float:
        """Return a number from 0 to 1."""
        value = self.values.get(name, default)
        if not isinstance(value, (int, float)) or isinstance(value, bool) or not 0 <= value <= 1:
            raise UsageError(f"expected {name} to be a number from 0 to 1, found {shown(value)}")
        return float(value)


class _Call(Protocol):
    def __call__(self, desk: "Desk", given: Given) -> Any:
        """Return a response, or a JSON value."""


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
        Takes the desk and what is given, and returns a response or a JSON value.
    takes : mapping of str to dict
        The JSON schema of each value: those of the body of a POST, or of the parameters of a GET.
    needs : tuple of str
        The values that must be given.
    method : str
        GET or POST.
    writes : bool
        Whether it changes the store.
    """

    path: str
    summary: str
    call: _Call
    takes: Mapping[str, dict[str, Any]] = field(default_factory=dict)
    needs: tuple[str, ...] = ()
    method: str = "POST"
    writes: bool = False
