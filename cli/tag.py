"""`tag`: label every row, compare two label sets, or explain a tag."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from embedstore.cli import completion
from embedstore.cli.multilabel import multi_options, separator_option
from embedstore.cli.opening import check_gold, open_named
from embedstore.cli.options import (
    blank_option,
    gold_options,
    json_option,
    label_options,
    label_set_of,
    method_option,
    no_encode_option,
    output_options,
    plot_option,
    rows_options,
    scores_option,
    store_argument,
)
from embedstore.cli.printing import (
    check_outputs,
    print_json,
    print_matrix,
    print_predictions,
    warn_of_one_label,
    write_rows,
)
from embedstore.cli.terminal import echo, note, notes_of, terminal_width

from embedstore.core.counts import counted
from embedstore.core.layout import beside
from embedstore.core.values import clip
from embedstore.errors import UsageError

if TYPE_CHECKING:
    from embedstore.tagging import Explanation, Flow

__all__ = ["tag"]


@click.command()
@store_argument
@label_options
@rows_options
@method_option(
    "cosine: the nearest label; best: refined by the whole corpus, as topics or as a scale (docs/labels.md)."
)
@click.option(
    "--share", "shares", multiple=True, metavar="LABEL=SHARE", help="Known share of a label; not for --method cosine."
)
@click.option("--examples", is_flag=True, help="Blend in what people said of some rows (`embedstore annotate`).")
@scores_option
@click.option("--confidence", is_flag=True, help="Add the probability of each tag.")
@click.option("--min-confidence", type=float, metavar="P", help="Leave rows below this confidence untagged.")
@multi_options
@gold_options
@separator_option
@click.option(
    "--against",
    metavar="FILE|NAME",
    shell_complete=completion.label_sets,
    help="Show what changes from these labels to another label set.",
)
@click.option("--explain", metavar="ID", help="Show the descriptions and the neighbours behind the tag of a row.")
@blank_option
@plot_option
@output_options
@no_encode_option
@json_option
def tag(
    store: str,
    labels: tuple[str, ...],
    label_file: str | None,
    shares: tuple[str, ...],
    scores: bool,
    gold: str | None,
    mapping: tuple[str, ...],
    multi: bool,
    threshold: float | None,
    separator: str | None,
    against: str | None,
    explain: str | None,
    plot: Path | None,
    output: Path | None,
    as_json: bool,
    spreadsheet_safe: bool,
    **options: Any,
) -> None:
    """Label every row by cosine similarity to the labels.

    Prints the rows with Predicted_Labels, score and margin (best minus second) as CSV, or writes them to -o. With
    --multi, Predicted_Labels is a list, and a column for each label says whether a row has it.
    """
    from embedstore.labels import LabelSet

    if mapping and not gold:
        raise UsageError("--map says what --gold values stand for: give --gold COL too")
    if separator is not None and not gold:
        raise UsageError("--separator says what stands between labels of --gold: give --gold COL too")
    if against and explain is not None:
        raise UsageError("expected --against or --explain, found both")
    if against or explain is not None:
        asked = {"--gold": gold, "--scores": scores, "--plot": plot, "--multi": multi, "--threshold": threshold}
        if explain is not None:
            asked["-o"] = output
        if found := [name for name, value in asked.items() if value]:
            raise UsageError(f"{found[0]} goes with the tags of all rows: leave --against and --explain out")
    check_outputs(store, output, plot, label_files=[label_file, against])
    label_set = label_set_of(labels, label_file, several=multi)
    options["shares"] = _shares(shares)
    opened = open_named(store)
    check_gold(opened, options["corpus"], gold)
    if explain is not None:
        _print_explanation(opened.explain(explain, label_set, **options), as_json=as_json)
        return
    if against:
        flow = opened.against(label_set, LabelSet.named(against), **options)
        write_rows(flow, output, as_json=as_json, spreadsheet_safe=spreadsheet_safe)
        _print_flow(flow, output, as_json=as_json)
        return
    several: dict[str, Any] = {"multi": multi, "threshold": threshold, "separator": separator}
    tagged = opened.tag(label_set, scores=scores, gold=gold, mapping=mapping, **several, **options)
    print_predictions(tagged, output, as_json=as_json, spreadsheet_safe=spreadsheet_safe)
    if plot:
        tagged.plot(plot)
        note(f"picture written to {plot}")
    if not as_json and not multi:
        best = options["method"] == "best"
        warn_of_one_label(tagged.shares, label_set, best=best, shares_known=bool(shares or label_set.shares))


def _shares(pairs: tuple[str, ...]) -> dict[str, float] | None:
    from embedstore.labels.shares import written_share

    found: dict[str, float] = {}
    for pair in pairs:
        name, equals, share = pair.rpartition("=")
        if name in found:
            raise UsageError(f"expected one --share of {name!r}, found another in {pair!r}")
        try:
            found[name] = written_share(share)
        except ValueError:
            equals = ""
        if not equals:
            raise UsageError(f"expected --share LABEL=SHARE with a number such as 0.3 or 30%, found {pair!r}")
    return found or None


def _print_explanation(found: "Explanation", *, as_json: bool) -> None:
    if as_json:
        print_json(found.summary())
        return
    tagged = f"tagged {found.label}" if found.label else "untagged: less confident than --min-confidence"
    echo(clip(found.text, 400) or "(an empty text)", "", tagged)
    for name, score in found.scores:
        echo(f"  {score:8.4f}  {clip(name, 60)}")
    width = terminal_width()
    echo("", "nearest descriptions of each label (cosine)")
    for one in found.descriptions:
        _echo_beside(f"  {one.score:8.4f}  {clip(one.label, 20):<20}  ", clip(one.text, 80), width)
    echo("", "nearest rows (cosine)")
    for row in found.neighbours:
        head = f"  {row.score:8.4f}  {clip(row.label, 20):<20}  {clip(row.id, 16):<16}  "
        _echo_beside(head, clip(row.text, 80) or "(an empty text)", width)


def _echo_beside(head: str, text: str, width: int | None) -> None:
    """Print a text beside its head; on a terminal, cut to what is left of the line, or below the head."""
    echo(*(beside(head, text, width) if width else [head + text]))


def _print_flow(flow: "Flow", output: Path | None, *, as_json: bool) -> None:
    if as_json:
        print_json(flow.summary())
        return
    notes_of(flow.notes)
    print_matrix("before \\ after", flow.before, flow.after, flow.counts.tolist())
    moved = f"{len(flow):,} of {counted(int(flow.counts.sum()), 'row')} moved"
    note(moved + (f", written to {output}" if output else ""))
