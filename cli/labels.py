"""`labels`: list and show the shipped label sets, and make a new one from a column."""

from pathlib import Path
from typing import TYPE_CHECKING

import click
from embedstore.cli.options import blank_option, json_option, open_named, rows_options, store_argument
from embedstore.cli.printing import check_apart, print_data, print_json
from embedstore.cli.terminal import echo, note

from embedstore.core.counts import counted
from embedstore.errors import OutputError

if TYPE_CHECKING:
    from embedstore.core.blank import Blank

__all__ = ["labels"]


@click.group(invoke_without_command=True)
@json_option
@click.pass_context
def labels(context: click.Context, as_json: bool) -> None:
    """List the shipped label sets, show a set, or make a new one."""
    from embedstore.labels import SHIPPED, LabelSet

    if context.invoked_subcommand:
        return
    sets = [LabelSet.shipped(name) for name in SHIPPED]
    if as_json:
        print_json({one.name: dict(zip(one.names, one.texts, strict=True)) for one in sets})
        return
    for one in sets:
        echo(f"{one.name:<10} {one.description}: {', '.join(one.names)}")


@labels.command()
@click.argument("name", metavar="FILE|NAME")
def show(name: str) -> None:
    """Print a label set as YAML, as a start for your own file."""
    from embedstore.labels import LabelSet

    print_data(LabelSet.named(name).to_yaml())


@labels.command()
@store_argument
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--target", required=True, metavar="COL", help="The column (or annotations) whose values are the labels.")
@click.option(
    "-k", "count", type=click.IntRange(1, 100), default=5, show_default=True, help="Examples to take for each label."
)
@click.option("--force", is_flag=True, help="Take the place of a file that is there.")
@rows_options
@blank_option
def init(
    store: str,
    file: Path,
    target: str,
    count: int,
    force: bool,
    corpus: str | None,
    space: str | None,
    blank: "Blank",
) -> None:
    """Make a label set from a column: each value is a label with its most typical texts."""
    if file.suffix.lower() not in (".yaml", ".yml"):
        raise OutputError(f"expected a name that ends in .yaml, found {file}")
    from embedstore.tables.outputs import check_place, published

    check_place(file)
    if file.exists() and not force:
        raise OutputError(f"{file} is there already: choose another name, or give --force")
    check_apart(store, [file])
    label_set = open_named(store).label_set(target, count=count, corpus=corpus, space=space, blank=blank)
    with published(file) as temp:
        temp.write_text(label_set.to_yaml(), encoding="utf-8")
    few, many = (take(map(len, label_set.texts)) for take in (min, max))
    examples = f"{few} to {many}" if few < many else f"{many}"
    note(f"{counted(len(label_set.names), 'label')}, examples of each: {examples}, written to {file}: edit, then tag")
