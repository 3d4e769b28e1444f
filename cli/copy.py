"""`copy`: copy a whole store."""

from dataclasses import asdict

import click
from embedstore.cli.opening import open_named, store_path
from embedstore.cli.options import json_option, store_argument
from embedstore.cli.printing import print_json
from embedstore.cli.terminal import echo

__all__ = ["copy_"]


@click.command("copy")
@store_argument
@click.argument("new_store")
@json_option
def copy_(store: str, new_store: str, as_json: bool) -> None:
    """Copy a whole store to NEW_STORE, a new name or folder.

    Every file is compared with the hash that it was written with. The copy is there whole or not at all, and other
    processes can use STORE meanwhile.
    """
    opened = open_named(store)
    report = opened.copy(store_path(new_store))
    if as_json:
        print_json(asdict(report))
    else:
        echo(f"{report}: {store_path(new_store)}")
