"""Lazy packages: a module is imported when a public name of it is first used (PEP 562)."""

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

__all__ = ["lazy_exports"]


def lazy_exports(package: str, homes: Mapping[str, str]) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Return a package's ``__getattr__``, which imports a public name when it is used, and its ``__dir__``.

    Parameters
    ----------
    package : str
        The package's ``__name__``.
    homes : mapping of str to str
        Maps each public name to the module of the package that defines it.

    Examples
    --------
    >>> getattr_, dir_ = lazy_exports("embedstore.core", {"unit_rows": "unit"})
    >>> getattr_("unit_rows").__module__
    'embedstore.core.unit'
    """

    def get(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(import_module(f"{package}.{homes[name]}"), name)

    return get, lambda: sorted(homes)
