"""Messages and progress bars on stderr."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from embedstore.core.values import clean

if TYPE_CHECKING:
    from embedstore.vectors import EncodeProgress

__all__ = ["encode_progress", "note", "notes_of"]


def note(message: str) -> None:
    """Print a message to stderr unless --quiet."""
    context = click.get_current_context(silent=True)
    if not (context and context.find_root().obj.get("quiet")):
        click.echo(clean(message), err=True)


def notes_of(notes: tuple[str, ...]) -> None:
    """Print the notes of a result to stderr unless --quiet."""
    for line in notes:
        note(f"note: {line}")


@contextmanager
def encode_progress() -> "Iterator[Callable[[EncodeProgress], None] | None]":
    """Yield a progress callback that draws a bar on stderr; None if stderr is not a terminal, or with --quiet."""
    quiet = click.get_current_context().find_root().obj["quiet"]
    if quiet or not sys.stderr.isatty():
        yield None
        return
    from tqdm import tqdm

    bar = tqdm(unit=" texts", dynamic_ncols=True, desc="encode", file=sys.stderr)

    def show(progress: "EncodeProgress") -> None:
        bar.total = progress.total
        share = progress.cached / max(1, progress.cached + progress.total)
        bar.set_description(f"encode ({share:.0%} cached)", refresh=False)
        bar.update(progress.done - bar.n)
        bar.refresh()

    try:
        yield show
    finally:
        bar.close()
