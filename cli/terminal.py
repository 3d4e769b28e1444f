"""What a person sees: text made safe for a terminal, progress bars, tables on stdout."""

import re
import shutil
import sys
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from pathlib import Path

    import pyarrow as pa

    from embedstore.encode import EncodeProgress

__all__ = [
    "clean",
    "clip",
    "encode_progress",
    "give_table",
    "note",
    "print_shares",
    "print_tables",
    "warn_of_one_label",
]

_ESCAPE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\-_])?")
_SHARE_WARNED = 0.9


def clean(text: str) -> str:
    r"""Return `text` without escape sequences, control characters and direction marks, on one line.

    Examples
    --------
    >>> clean("red \x1b[31malert\x1b[0m\nnext")
    'red alert next'
    """
    text = _ESCAPE.sub("", text)
    spaced = "".join(" " if c in "\n\r\t\x0b\x0c\x85\u2028\u2029" else c for c in text)
    return "".join(c for c in spaced if unicodedata.category(c) not in ("Cc", "Cf", "Cs") or c == "\u200d")


def clip(text: str, width: int) -> str:
    """Return `text` cleaned and cut to `width` characters."""
    text = clean(text)
    return text if len(text) <= width else text[: max(1, width - 1)] + "…"


def note(message: str) -> None:
    """Print a message to stderr unless --quiet."""
    context = click.get_current_context(silent=True)
    if not (context and context.find_root().obj.get("quiet")):
        click.echo(clean(message), err=True)


@contextmanager
def encode_progress() -> "Iterator[Callable[[EncodeProgress], None] | None]":
    """Give a progress callback that draws a bar on stderr, or None where stderr is no terminal."""
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


def print_tables(tables: "Iterable[pa.Table]", schema: "pa.Schema") -> None:
    """Write tables as CSV to stdout: as they are to a pipe or file, cleaned to a terminal."""
    from embedstore.output import write_stream

    if sys.stdout.isatty():
        tables = (_cleaned(table) for table in tables)
    stream: Any = sys.stdout
    stream.reconfigure(encoding="utf-8", newline="")
    write_stream(tables, schema, stream)


def give_table(table: "pa.Table", output: "Path | None", as_json: bool, spreadsheet_safe: bool) -> None:
    """Write a table to `output`, or print it as CSV unless JSON goes to stdout."""
    from embedstore import output as out

    tables: Iterable[pa.Table] = [table]
    schema = table.schema
    if spreadsheet_safe:
        tables, schema = out.spreadsheet_safe(tables, schema)
    if output:
        out.write_table(tables, schema, output)
        note(f"{table.num_rows:,} rows written to {output}")
    elif not as_json:
        print_tables(tables, schema)


def _cleaned(table: "pa.Table") -> "pa.Table":
    import pyarrow as pa

    for number, field in enumerate(table.schema):
        if pa.types.is_string(field.type) or pa.types.is_large_string(field.type):
            values = [None if v is None else clean(v) for v in table.column(number).to_pylist()]
            table = table.set_column(number, field, pa.array(values, field.type))
    return table


def print_shares(shares: dict[str, float], *, err: bool) -> None:
    """Print the share of rows of each label."""
    if not shares:
        return
    width = min(40, max(len(clean(name)) for name in shares))
    bar = max(10, min(40, shutil.get_terminal_size().columns - width - 12))
    for name, share in shares.items():
        line = f"  {clip(name, width):<{width}} {share:6.1%} {'█' * round(share * bar)}"
        note(line) if err else click.echo(line)


def warn_of_one_label(shares: dict[str, float], *, best: bool) -> None:
    """Warn when one of a user's labels takes nearly all rows; `best` if the best method gave them."""
    top = max(shares, key=lambda name: shares[name])
    if shares[top] > _SHARE_WARNED:
        note(
            f"warning: {shares[top]:.0%} of the rows got {top!r}: {'' if best else '--method best, '}labels that read "
            "like the reviews themselves, or several descriptions a label (--labels FILE.yaml; `embedstore labels` "
            "lists shipped sets) tell rows apart better"
        )
