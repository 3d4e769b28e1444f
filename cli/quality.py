"""`doubts` and `duplicates`: what may be wrong with a corpus."""

import json
from pathlib import Path

import click
from embedstore.cli.options import (
    corpus_option,
    json_option,
    open_named,
    output_option,
    seed_option,
    space_option,
    spreadsheet_safe_option,
    store_argument,
)
from embedstore.cli.terminal import give_table, note

__all__ = ["doubts", "duplicates"]


@click.command()
@store_argument
@click.option("--target", required=True, metavar="COL", help="The column of labels, or annotations.")
@corpus_option
@space_option
@click.option("--folds", type=int, default=5, show_default=True, help="Parts that judge each other.")
@click.option("--C", "c", type=float, default=1.0, show_default=True, help="Inverse strength of the L2 penalty.")
@seed_option("the folds and of sampling")
@click.option("--drop-missing", is_flag=True, help="Leave rows without a label out.")
@output_option
@spreadsheet_safe_option
@json_option
def doubts(
    store: str,
    target: str,
    corpus: str | None,
    space: str | None,
    folds: int,
    c: float,
    seed: int,
    drop_missing: bool,
    output: Path | None,
    as_json: bool,
    spreadsheet_safe: bool,
) -> None:
    """Find rows whose given label is likely wrong, the most doubtful first (confident learning).

    Prints id, given, suggested, confidence (of the given label), margin and text as CSV, or writes them to -o.
    """
    from embedstore.output import output_format

    if output:
        output_format(output)
    opened = open_named(store)
    found = opened.doubts(
        target, corpus=corpus, space=space, folds=folds, C=c, random_state=seed, drop_missing=drop_missing
    )
    table = opened.doubts_table(found, corpus=corpus)
    give_table(table, output, as_json, spreadsheet_safe)
    for line in found.notes:
        note(f"note: {line}")
    if as_json:
        summary = {"rows": found.checked, "doubtful": len(found.rows), "accuracy": found.accuracy, "noise": found.noise}
        click.echo(json.dumps({**summary, "output": str(output) if output else None}))
        return
    note(
        f"{len(found.rows):,} of {found.checked:,} labels are doubtful, and about {found.noise:.1%} are likely wrong; "
        f"models of the other rows find {found.accuracy:.1%} of the {found.checked:,} as they are given"
    )


@click.command()
@store_argument
@click.option("--threshold", type=float, default=0.95, show_default=True, help="The lowest cosine similarity.")
@click.option("--corpus", "corpora", multiple=True, metavar="NAME", help="A corpus to look at; by default all.")
@click.option("--leaks", is_flag=True, help="Only groups with rows of more than one corpus.")
@space_option
@output_option
@spreadsheet_safe_option
@json_option
def duplicates(
    store: str,
    threshold: float,
    corpora: tuple[str, ...],
    leaks: bool,
    space: str | None,
    output: Path | None,
    as_json: bool,
    spreadsheet_safe: bool,
) -> None:
    """Find groups of rows with the same or nearly the same text.

    Prints group, size, corpus, id, similarity (to the group's first row) and text as CSV, or writes them to -o.
    """
    from embedstore.output import output_format

    if output:
        output_format(output)
    found = open_named(store).duplicates(threshold, corpora=corpora, space=space, leaks=leaks)
    give_table(found.table(), output, as_json, spreadsheet_safe)
    for line in found.notes:
        note(f"note: {line}")
    summary = {"groups": len(found.groups), "rows": found.rows_in_groups, "spanning": found.spanning}
    if as_json:
        click.echo(json.dumps({**summary, "output": str(output) if output else None}))
        return
    spanning = f"; {summary['spanning']:,} of them span corpora" if summary["spanning"] else ""
    note(f"{summary['groups']:,} groups of {summary['rows']:,} rows at a cosine of {threshold:g} or more{spanning}")
