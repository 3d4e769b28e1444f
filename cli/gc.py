"""`gc`: remove files that a store no longer refers to."""

from dataclasses import asdict

import click
from embedstore.cli.opening import open_named
from embedstore.cli.options import json_option, store_argument
from embedstore.cli.printing import print_json
from embedstore.cli.terminal import echo, note

from embedstore.core.counts import counted, form, shown_bytes

__all__ = ["gc"]


@click.command()
@store_argument
@click.option("--dry-run", is_flag=True, help="Only say what would go.")
@json_option
def gc(store: str, dry_run: bool, as_json: bool) -> None:
    """Remove files that the store no longer refers to.

    Files that another process reads stay until the next call. Small query segments are merged afterwards.
    """
    report = open_named(store).gc(dry_run=dry_run)
    if as_json:
        print_json(asdict(report))
        return
    if report.removed:
        echo(*report.removed)
    did = "would be removed" if dry_run else "removed"
    size = shown_bytes(report.size)
    echo(f"{counted(len(report.removed), 'file')}, {size} {did}; {counted(report.merged, 'query segment')} merged")
    if report.spared:
        these = form(report.spared, "it", "them")
        note(f"note: {counted(report.spared, 'unlisted file')} left, because another process reads {these}")
    if report.waiting:
        kept = f"{counted(report.waiting, 'finished segment')} {form(report.waiting, 'waits', 'wait')}"
        note(f"note: {kept} for `embedstore encode {store} --collect`")
