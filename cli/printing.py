"""Print results or write them to files: rows, summaries, reports, shares."""

import json
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import click
from embedstore.cli.opening import open_named
from embedstore.cli.terminal import ALL_ROWS, echo, note, notes_of, on_terminal, output_stream, pages, terminal_width

from embedstore.core.counts import counted, form
from embedstore.core.layout import matrix, table
from embedstore.core.values import clean, clip
from embedstore.errors import OutputError, UsageError

if TYPE_CHECKING:
    import pyarrow as pa

    from embedstore.labels import LabelSet
    from embedstore.reports import Predictions
    from embedstore.tables.result import Result

__all__ = [
    "check_apart",
    "check_outputs",
    "print_data",
    "print_json",
    "print_matrix",
    "print_predictions",
    "print_result",
    "print_table",
    "warn_of_one_label",
    "write_or_preview",
    "write_rows",
]

_SHARE_WARNED = 0.9
_PAGED = 100_000  # rows that are held for a pager; more are printed as they come


def check_outputs(
    store: str, output: Path | None = None, plot: Path | None = None, *, label_files: Sequence[str | None] = ()
) -> None:
    """Check that the files can be written or drawn, before any work is done.

    Raises
    ------
    OutputError
        If one can't; or if it is one of the label files, or a table that rows of the store were read from.
    UsageError
        If both rows and JSON are to go to standard output.
    """
    context = click.get_current_context(silent=True)
    if context and context.meta.get(ALL_ROWS) and context.params.get("as_json"):
        raise UsageError("expected -o - or --json, found both: each goes to standard output")
    if output:
        from embedstore.tables.write import output_format

        output_format(output)
    if plot:
        from embedstore.reports.pictures import picture_path

        picture_path(plot)
    check_apart(store, [output, plot], label_files)


def check_apart(store: str, outputs: Sequence[Path | None], label_files: Sequence[str | None] = ()) -> None:
    """Raise an `OutputError` if an output is a label file, or a table that rows of the store were read from."""
    earlier = [path for path in outputs if path and path.exists()]
    if not earlier:
        return
    reads = {name: "it is the label file" for name in label_files if name}
    for corpus, record in open_named(store).manifest.corpora.items():
        reads |= {part.origin: f"corpus {corpus!r} was read from it" for part in record.parts if part.origin}
    for path in earlier:
        for name, what in reads.items():
            if Path(name).exists() and path.samefile(name):
                raise OutputError(f"can't write {path}: {what}; choose another name")


def write_rows(result: "Result", output: Path | None, *, as_json: bool, spreadsheet_safe: bool) -> None:
    """Write the rows of a result to `output`.

    Without it print them, unless JSON goes to stdout: as a list on a terminal, as CSV elsewhere.
    """
    if output:
        result.save(output, spreadsheet_safe=spreadsheet_safe)
    elif as_json:
        return
    elif not on_terminal() or len(result) > _PAGED or spreadsheet_safe:
        _print_csv(result, output_stream(), spreadsheet_safe=spreadsheet_safe)
    else:
        from embedstore.cli.preview import print_list

        with pages() as stream:
            print_list(result, stream)


def write_or_preview(found: "Predictions", output: Path | None, *, as_json: bool, spreadsheet_safe: bool) -> None:
    """Write rows as `write_rows` does; on a terminal print the first ones only."""
    if output or as_json or not on_terminal():
        write_rows(found, output, as_json=as_json, spreadsheet_safe=spreadsheet_safe)
        return
    from embedstore.cli.preview import print_preview

    print_preview(found)


def print_result(result: "Result", output: Path | None, *, as_json: bool, spreadsheet_safe: bool) -> bool:
    """Print a result's rows and notes, and its summary as JSON if `as_json`; return `as_json`."""
    write_rows(result, output, as_json=as_json, spreadsheet_safe=spreadsheet_safe)
    if output:
        note(f"{counted(len(result), 'row')} written to {output}")
    notes_of(result.notes)
    if as_json:
        print_json({**result.summary(), "output": str(output) if output else None})
    return as_json


def _print_csv(result: "Result", stream: IO[str], *, spreadsheet_safe: bool) -> None:
    """Write rows as CSV to stdout: unchanged for a pipe or file, cleaned of control characters for a terminal."""
    from embedstore.tables.separated import CSV

    tables: Iterable[pa.Table] = result.batches()
    schema = result.schema
    if spreadsheet_safe:
        from embedstore.tables.write import spreadsheet_safe as guarded

        tables, schema = guarded(tables, schema)
    CSV.write_stream(tables, schema, stream)


def print_data(text: str) -> None:
    """Print a text of several lines to stdout: unchanged for a pipe or file, cleaned for a terminal."""
    stream = output_stream()
    for line in text.splitlines(keepends=True):
        stream.write(line)


def print_json(summary: Any) -> None:
    """Print a summary as one line of JSON (RFC 8259): numbers that are not finite are null, dates are texts.

    Characters that a terminal would obey are written as JSON's escapes, which stand for the same text.
    """
    text = json.dumps(_without_nan(summary), ensure_ascii=False, allow_nan=False, default=str)
    print_data("".join(one if one.isprintable() else json.dumps(one)[1:-1] for one in text) + "\n")


def _without_nan(value: Any) -> Any:
    """Return lists and mappings with null for each number that JSON has no form for."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {name: _without_nan(one) for name, one in value.items()}
    return [_without_nan(one) for one in value] if isinstance(value, list | tuple) else value


def print_predictions(found: "Predictions", output: Path | None, *, as_json: bool, spreadsheet_safe: bool) -> None:
    """Print rows or write them to `output`; then print shares, notes and report, or a summary as JSON."""
    write_or_preview(found, output, as_json=as_json, spreadsheet_safe=spreadsheet_safe)
    if as_json:
        print_json(found.summary() | ({"output": str(output)} if output else {}))
        return
    _print_shares(found.shares)
    notes_of(found.notes)
    if found.report:
        report = found.report
        left_out = (
            [
                f"{counted(report.left_out, 'row')} without a label to compare with "
                f"{form(report.left_out, 'is', 'are')} left out"
            ]
            if report.left_out
            else []
        )
        doubt = [f"expected calibration error {found.reliability.error:.4f}"] if found.reliability else []
        # If rows go to a file, the report goes to stdout; if rows go to stdout, it goes to stderr.
        lines = report.lines(terminal_width(err=output is None))
        echo("", *lines, *left_out, *doubt, err=output is None)
    if output:
        note(f"{counted(len(found), 'row')} written to {output}")


def _print_shares(shares: dict[str, float]) -> None:
    """Print each label's share of the rows as a bar, to stderr."""
    if not shares:
        return
    import shutil

    columns = shutil.get_terminal_size().columns
    width = min(40, max(8, columns - 22), max(len(clean(name)) for name in shares))
    bar = max(10, min(40, columns - width - 12))
    for name, share in shares.items():
        note(f"  {clip(name, width):<{width}} {share:6.1%} {'█' * round(share * bar)}")


def warn_of_one_label(found: dict[str, float], labels: "LabelSet", *, best: bool, shares_known: bool) -> None:
    """Warn if one label has nearly all rows, and name what helps.

    Parameters
    ----------
    found : dict of str to float
        Share of the rows that got each label.
    labels : LabelSet
        The labels.
    best, shares_known : bool
        Whether the method was "best", and whether the shares were given to it.
    """
    top = max(found, key=lambda name: found[name])
    if found[top] <= _SHARE_WARNED:
        return
    method = [] if best else ["--method best"]
    shares = [] if shares_known else [f"--share LABEL=SHARE{'' if best else ' with it'}, if you know the shares"]
    scale = "`ordinal: true` in the label file, if the labels are steps of a scale"
    described = "several descriptions a label (--labels FILE.yaml; `embedstore labels` lists shipped sets)"
    texts = [described] if labels.bare else [] if labels.ordinal else [scale]
    advice = [*method, *shares, *texts, "labels that read like the texts themselves"]
    note(f"warning: {found[top]:.0%} of the rows got {top!r}; what helps: {'; '.join(advice)}")


def print_matrix(head: str, rows: tuple[str, ...], columns: tuple[str, ...], counts: list[list[int]]) -> None:
    """Print a table of counts to stderr; `head` names what rows and columns are, with a backslash between."""
    width = max(8, *(len(clip(name, 24)) for name in (*rows, *columns))) + 2
    lines = [head.ljust(width + 2) + "".join(clip(name, 24).rjust(width) for name in columns)]
    for name, row in zip(rows, counts, strict=True):
        lines.append(clip(name, 24).ljust(width + 2) + "".join(f"{count:,}".rjust(width) for count in row))
    for line in matrix(lines, head, rows, columns, counts, width=terminal_width(err=True)):
        note(line)


def print_table(rows: Sequence[tuple[str, ...]], align: str, *, last: bool = False) -> None:
    """Print rows of cells to stdout, as `embedstore.core.layout.table` lays them out for the terminal."""
    echo(*table(rows, align, width=terminal_width(), last=last))
