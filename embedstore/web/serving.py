"""Serve the page until the process is told to stop."""

import asyncio
import logging
import socket
from pathlib import Path

import uvicorn

from embedstore.desk.desk import Desk
from embedstore.errors import UsageError
from embedstore.web.app import make_app
from embedstore.web.safety import Keys

__all__ = ["LOCAL", "LOOPBACK", "PORT", "Server"]

PORT = 8421
"""The port that is taken if it is free."""

LOOPBACK = "127.0.0.1"

LOCAL = (LOOPBACK, "localhost", "::1")
"""The addresses that only this machine can reach."""


class Server:
    """A server of one page.

    Parameters
    ----------
    desk : Desk
        What is shown.
    host : str
        The address to listen on.
    port : int, optional
        The port; by default 8421, or any free one if that is taken. 0 is any free one.
    password : str, optional
        What the page asks for; at least 8 characters.

    Attributes
    ----------
    address : str
        What to open in a browser; without a password it has a token, which lets in whoever has it.

    Raises
    ------
    UsageError
        If the port is taken, the address is none of this machine's, or the password is too short.
    """

    def __init__(
        self, desk: Desk, *, host: str = LOOPBACK, port: int | None = None, password: str | None = None
    ) -> None:
        keys = Keys(Path(desk.store.path), password=password)
        self._socket = _listening(host, port)
        bound = self._socket.getsockname()[1]
        names = [f"{_written(name)}:{bound}" for name in LOCAL] if host in LOCAL else []
        app = make_app(desk, keys, hosts=names, ending=lambda: self._server.should_exit)
        config = uvicorn.Config(
            app,
            log_level="warning",
            access_log=False,
            lifespan="off",
            server_header=False,
            proxy_headers=False,  # wrong passwords are counted by the address that is connected, whatever it says
            timeout_graceful_shutdown=1,
        )
        logging.getLogger("uvicorn.error").addFilter(_is_fault)
        self._server = uvicorn.Server(config)
        shown = socket.gethostname() if host in ("0.0.0.0", "::") else host  # noqa: S104 - the user asked for it
        self.address = f"http://{_written(shown)}:{bound}/" + ("" if password else f"?token={keys.token}")

    def run(self) -> None:
        """Serve until Ctrl-C or a signal; requests that have begun are answered."""
        try:
            self._server.run(sockets=[self._socket])
        except KeyboardInterrupt:  # uvicorn raises it once more when all is closed
            return

    def stop(self) -> None:
        """Make `run` end, from another thread."""
        self._server.should_exit = True


def _written(host: str) -> str:
    """Return a host as it stands in an address."""
    return f"[{host}]" if ":" in host else host


def _is_fault(record: logging.LogRecord) -> bool:
    """Return whether a line of the log tells more than that a request was cut off because the server ends."""
    error = record.exc_info[1] if record.exc_info else None
    return not isinstance(error, asyncio.CancelledError) and not record.getMessage().startswith("Cancel ")


def _listening(host: str, port: int | None) -> socket.socket:
    for number in (PORT, 0) if port is None else (port,):
        made = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            made.bind((host, number))
            made.listen(128)
        except (OSError, OverflowError) as error:
            made.close()
            problem: Exception = error
        else:
            return made
    raise UsageError(f"can't listen on {host}, port {port}: {problem}; name another with --port or --host") from problem
