"""The page about a corpus, served on this machine: a face over `embedstore.desk`, as the shell is one over a store.

It needs the extra ``web`` (Starlette, uvicorn). No logic is in here: each route calls one method of a `Desk`.
"""

from typing import TYPE_CHECKING

from embedstore.core.lazy import lazy_exports

if TYPE_CHECKING:
    from embedstore.web.app import make_app
    from embedstore.web.serving import Server

__all__ = ["Server", "make_app"]

_HOMES = {"Server": "serving", "make_app": "app"}

__getattr__, __dir__ = lazy_exports(__name__, _HOMES)
