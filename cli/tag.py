"""`tag`, and the options that say which labels are meant."""

import json
from collections.abc import Callable
from functools import reduce
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from embedstore.cli.label import show
from embedstore.cli.options import (
    corpus_option,
    json_option,
    no_encode_option,
    open_named,
    output_option,
    plot_option,
    space_option,
    spreadsheet_safe_option,
    store_argument,
)
from embedstore.cli.terminal import clean, clip, note, print_tables, warn_of_one_label

from embedstore.errors import UsageError

if TYPE_CHECKING:
    from embedstore.labelling import Explanation, Flow
    from embedstore.labels import LabelSet

__all__ = ["label_options", "label_set_of", "tag"]

_LABELS = (
    click.option("-l", "--label", "labels", multiple=True, metavar="LABEL", help="A label; give two or more."),
    click.option(
        "--labels",
        "label_file",
        metavar="FILE|NAME",
        help="A label set: a label a line (# is a comment), YAML or JSON; or a shipped one (`embedstore labels`).",
    ),
)


def label_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command -l and --labels."""
    return reduce(lambda wrapped, option: option(wrapped), reversed(_LABELS), command)


def label_set_of(labels: tuple[str, ...], label_file: str | None) -> "LabelSet":
    """Return the label set that -l and --labels mean.

    Raises
    ------
    UsageError
        If both or neither are given.
    """
    from embedstore.labels import LabelSet

    if bool(labels) == bool(label_file):
        raise UsageError(
            f"expected labels as -l LABEL (two or more) or --labels FILE, found {'both' if labels else 'neither'}"
        )
    return LabelSet.named(label_file) if label_file else LabelSet.of(labels)


@click.command()
@store_argument
@label_options
@corpus_option
@space_option
@click.option(
    "--method",
    type=click.Choice(["cosine", "best"]),
    default="cosine",
    show_default=True,
    help="cosine: the nearest label; best: refined by what the whole corpus says (docs/labels.md).",
)
@click.option(
    "--share", "shares", multiple=True, metavar="LABEL=SHARE", help="Known share of a label, for --method best."
)
@click.option("--examples", is_flag=True, help="Blend in what people said of some rows (`embedstore annotate`).")
@click.option("--scores", is_flag=True, help="Add one column per label.")
@click.option("--confidence", is_flag=True, help="Add the probability of each tag.")
@click.option("--min-confidence", type=float, metavar="P", help="Leave rows below this confidence untagged.")
@click.option("--gold", metavar="COL", help="Compare with a column: classification report and confusion matrix.")
@click.option(
    "--map", "mapping", multiple=True, metavar="VALUE=LABEL", help="The label that a --gold value stands for."
)
@click.option("--against", metavar="FILE|NAME", help="Show what changes from these labels to another label set.")
@click.option("--explain", metavar="ID", help="Show the descriptions and the neighbours behind the tag of a row.")
@plot_option
@output_option
@spreadsheet_safe_option
@no_encode_option
@json_option
def tag(
    store: str,
    labels: tuple[str, ...],
    label_file: str | None,
    shares: tuple[str, ...],
    against: str | None,
    explain: str | None,
    plot: Path | None,
    output: Path | None,
    as_json: bool,
    spreadsheet_safe: bool,
    **options: Any,
) -> None:
    """Label every row by cosine similarity to the labels.

    Prints the rows with Predicted_Labels, score and margin (best minus second) as CSV, or writes them to -o.
    """
    from embedstore.labels import LabelSet
    from embedstore.output import output_format

    if options["mapping"] and not options["gold"]:
        raise UsageError("--map says what --gold values stand for: give --gold COL too")
    if against and explain is not None:
        raise UsageError("expected --against or --explain, found both")
    if against or explain is not None:
        asked = {"--gold": options["gold"], "--scores": options["scores"], "--plot": plot}
        if explain is not None:
            asked["-o"] = output
        if found := [name for name, value in asked.items() if value]:
            raise UsageError(f"{found[0]} goes with the tags of all rows: leave --against and --explain out")
    if output:
        output_format(output)
    if plot:
        from embedstore.pictures import Confusion, Panel, Shares, draw, picture_path

        picture_path(plot)
    label_set = label_set_of(labels, label_file)
    options["shares"] = _shares(shares)
    opened = open_named(store)
    if explain is not None:
        _print_explanation(opened.explain(explain, label_set, **options), as_json)
        return
    if against:
        _print_flow(opened.against(label_set, LabelSet.named(against), **options), output, as_json, spreadsheet_safe)
        return
    joined = opened.tagging(label_set, **options)
    show(joined, output, as_json, spreadsheet_safe)
    if plot:
        panels: list[Panel] = [Shares(joined.shares)]
        if joined.report:
            panels.append(Confusion(joined.report.classes, joined.report.confusion))
        if joined.reliability:
            panels.append(joined.reliability)
        named = label_set.name or ", ".join(label_set.names)
        draw(plot, panels, f"{store}: {joined.corpus.name} by {named} ({options['method']})")
        note(f"picture written to {plot}")
    if not as_json:
        warn_of_one_label(joined.shares, best=options["method"] == "best")


def _shares(pairs: tuple[str, ...]) -> dict[str, float] | None:
    found: dict[str, float] = {}
    for pair in pairs:
        name, equals, share = pair.rpartition("=")
        if name in found:
            raise UsageError(f"expected one --share of {name!r}, found another in {pair!r}")
        try:
            found[name] = float(share.removesuffix("%")) / (100 if share.endswith("%") else 1)
        except ValueError:
            equals = ""
        if not equals:
            raise UsageError(f"expected --share LABEL=SHARE with a number such as 0.3 or 30%, found {pair!r}")
    return found or None


def _print_explanation(found: "Explanation", as_json: bool) -> None:
    if as_json:
        click.echo(
            json.dumps(
                {
                    "text": found.text,
                    "label": found.label,
                    "scores": dict(found.scores),
                    "descriptions": found.descriptions,
                    "neighbours": found.neighbours,
                }
            )
        )
        return
    tagged = f"tagged {clean(found.label)}" if found.label else "untagged: less confident than --min-confidence"
    click.echo(f"{clip(found.text, 400) or '(an empty text)'}\n\n{tagged}")
    for name, score in found.scores:
        click.echo(f"  {score:8.4f}  {clip(name, 60)}")
    click.echo("\nnearest descriptions of each label (cosine)")
    for name, text, near in found.descriptions:
        click.echo(f"  {near:8.4f}  {clip(name, 20):<20}  {clip(text, 80)}")
    click.echo("\nnearest rows (cosine)")
    for id_, near, label, text in found.neighbours:
        click.echo(f"  {near:8.4f}  {clip(label, 20):<20}  {clip(id_, 16):<16}  {clip(text, 80) or '(an empty text)'}")


def _print_flow(flow: "Flow", output: Path | None, as_json: bool, spreadsheet_safe: bool) -> None:
    from embedstore import output as out

    count = int(flow.changed.sum())
    tables, schema = flow.rows(), flow.moved.schema
    if spreadsheet_safe:
        tables, schema = out.spreadsheet_safe(tables, schema)
    if output:
        out.write_table(tables, schema, output)
    if as_json:
        click.echo(
            json.dumps(
                {
                    "before": flow.before,
                    "after": flow.after,
                    "counts": flow.counts.tolist(),
                    "rows": len(flow.changed),
                    "moved": count,
                }
            )
        )
        return
    if not output:
        print_tables(tables, schema)
    width = max(8, *(len(clip(name, 24)) for name in (*flow.before, *flow.after))) + 2
    lines = ["before \\ after".ljust(width + 2) + "".join(clip(name, 24).rjust(width) for name in flow.after)]
    lines += [
        clip(name, 24).ljust(width + 2) + "".join(f"{n:,}".rjust(width) for n in row)
        for name, row in zip(flow.before, flow.counts.tolist(), strict=True)
    ]
    for line in lines:
        note(line)
    note(f"{count:,} of {len(flow.changed):,} rows moved" + (f", written to {output}" if output else ""))
