"""Encode on many machines: who gets which task, what a worker does, and the executor for a Ray cluster."""

from typing import TYPE_CHECKING

from embedstore.core.lazy import lazy_exports

if TYPE_CHECKING:
    from embedstore.cluster.executor import RayExecutor

__all__ = ["RayExecutor"]

_HOMES = {"RayExecutor": "executor"}

__getattr__, __dir__ = lazy_exports(__name__, _HOMES)
