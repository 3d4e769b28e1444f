"""`serve`: look at a corpus, search it and label it, on a page in the browser."""

import os
import webbrowser
from threading import Timer

import click
from embedstore.cli import interrupts
from embedstore.cli.opening import open_named
from embedstore.cli.options import corpus_option, space_option, store_argument
from embedstore.cli.terminal import echo, hidden_line, note

from embedstore.errors import MissingExtraError, UsageError

__all__ = ["serve"]

_VARIABLE = "EMBEDSTORE_PASSWORD"


@click.command()
@store_argument
@click.option("--port", type=click.IntRange(0, 65535), metavar="N", help="By default 8421, or a free one.")
@click.option("--no-open", is_flag=True, help="Print the address, and open no browser.")
@click.option("--host", default="127.0.0.1", show_default=True, metavar="ADDRESS", help="The address to listen on.")
@click.option("--i-know", is_flag=True, help="Let other machines in, with --host: what is sent is not encrypted.")
@click.option(
    "--password",
    "asks_password",
    is_flag=True,
    help=f"Let in who gives a password: asked for here, or that of the variable {_VARIABLE}.",
)
@click.option("--read-only", is_flag=True, help="Show everything, and let nobody answer.")
@corpus_option
@space_option
def serve(
    store: str,
    port: int | None,
    no_open: bool,
    host: str,
    i_know: bool,
    asks_password: bool,
    read_only: bool,
    corpus: str | None,
    space: str | None,
) -> None:
    """Open a page in the browser to look at a corpus, search it and label it.

    Only this machine can reach it, and only with the address that is printed; with --host and --password, whoever
    knows the password can. Answers are those of `embedstore annotate`. Ctrl-C ends it.
    """
    try:
        from embedstore.web.serving import LOCAL, Server
    except ImportError as error:
        raise MissingExtraError("this needs Starlette and uvicorn: pip install 'embedstore[web]'") from error
    from embedstore.desk import Desk

    if host not in LOCAL and not (i_know or asks_password):
        raise UsageError(
            f"with --host {host} other machines can reach the page, and nothing that is sent is encrypted: give "
            "--password to let in who knows it, or --i-know to let in who has the address"
        )
    password = _password() if asks_password else None
    desk = Desk(open_named(store), corpus=corpus, space=space, read_only=read_only)
    server = Server(desk, host=host, port=port, password=password)
    echo(server.address)
    if host not in LOCAL:
        note("plain HTTP: whoever can listen on the network sees the texts and what lets in; use a network you trust")
    note("Ctrl-C ends it; every answer is kept as it is given")
    if not no_open:
        Timer(0.5, webbrowser.open, [server.address]).start()
    try:
        server.run()
    except interrupts.EndedError as error:  # the usual end of a server: every answer is kept, as was said
        click.get_current_context().exit(error.exit_code)
    note("ended")


def _password() -> str:
    """Return the password of the environment, or one that is given twice on the terminal."""
    if kept := os.environ.pop(_VARIABLE, None):  # the browser that is started does not get it
        return kept
    otherwise = f"give --password with {_VARIABLE} set"
    password = hidden_line("Password for the page", otherwise=otherwise)
    if hidden_line("The same once more", otherwise=otherwise) != password:
        raise UsageError("expected the same password twice, found two: start again")
    return password
