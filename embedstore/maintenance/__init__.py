"""Maintain a store: describe it, verify every byte, repair it, remove the files that it no longer refers to."""

from typing import TYPE_CHECKING

from embedstore.core.lazy import lazy_exports

if TYPE_CHECKING:
    from embedstore.maintenance.contents import describe
    from embedstore.maintenance.sweeping import GcReport, gc
    from embedstore.maintenance.verification import VerifyReport, repair, verify

__all__ = [
    "GcReport",
    "VerifyReport",
    "describe",
    "gc",
    "repair",
    "verify",
]

_HOMES = {
    "GcReport": "sweeping",
    "VerifyReport": "verification",
    "describe": "contents",
    "gc": "sweeping",
    "repair": "verification",
    "verify": "verification",
}

__getattr__, __dir__ = lazy_exports(__name__, _HOMES)
