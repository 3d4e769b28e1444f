"""`verify`: check every byte of a store."""

from dataclasses import asdict

import click
from embedstore.cli.opening import open_named
from embedstore.cli.options import json_option, store_argument
from embedstore.cli.printing import print_json
from embedstore.cli.terminal import echo, note

from embedstore.core.counts import counted, shown_bytes
from embedstore.errors import DamagedStoreError

__all__ = ["verify"]


@click.command()
@store_argument
@click.option("--repair", is_flag=True, help="Forget damaged vectors, indexes and probes, so that they are made again.")
@json_option
def verify(store: str, repair: bool, as_json: bool) -> None:
    """Read and check every byte of a store.

    Checks hashes, text keys, shapes, finite values and unit lengths.
    """
    opened = open_named(store)
    for path in opened.repair() if repair else ():
        note(f"forgotten: {path}; `embedstore encode STORE`, `index` or `train` makes it again")
    report = opened.verify()
    if as_json:
        print_json(asdict(report))
    for fault in report.faults:
        echo(fault, err=True)
    if report.faults:
        raise DamagedStoreError(
            f"{counted(len(report.faults), 'fault')} in {counted(report.files, 'file')}: restore texts, "
            "tables and annotations from a "
            "backup; `embedstore verify STORE --repair` forgets damaged vectors, indexes and probes, which can be made "
            "again"
        )
    if not as_json:
        echo(f"{counted(report.files, 'file')}, {shown_bytes(report.size)}: all as written")
