"""`labels`: list and show the shipped label sets, and make a new one from a column."""

from pathlib import Path
from typing import TYPE_CHECKING

import click
from embedstore.cli import completion
from embedstore.cli.opening import open_named
from embedstore.cli.options import (
    blank_option,
    json_option,
    rows_options,
    seed_option,
    store_argument,
    topic_count_option,
)
from embedstore.cli.printing import check_apart, print_data, print_json
from embedstore.cli.terminal import echo, note

from embedstore.core.counts import counted
from embedstore.errors import OutputError, UsageError

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
@click.argument("name", metavar="FILE|NAME", shell_complete=completion.label_sets)
def show(name: str) -> None:
    """Print a label set as YAML, as a start for your own file."""
    from embedstore.labels import LabelSet

    print_data(LabelSet.named(name).to_yaml())


@labels.command()
@store_argument
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--target",
    metavar="COL",
    shell_complete=completion.targets,
    help="The column (or annotations) whose values are the labels.",
)
@click.option("--topics", "by_topics", is_flag=True, help="Topics are the labels (`embedstore topics`).")
@topic_count_option
@click.option(
    "-k", "count", type=click.IntRange(1, 100), default=5, show_default=True, help="Examples to take for each label."
)
@click.option("--force", is_flag=True, help="Take the place of a file that is there.")
@seed_option("topics")
@rows_options
@blank_option
def init(
    store: str,
    file: Path,
    target: str | None,
    by_topics: bool,
    topic_count: int | None,
    count: int,
    force: bool,
    seed: int,
    corpus: str | None,
    space: str | None,
    blank: "Blank",
) -> None:
    """Make a label set from a column or from topics: each is a label with its most typical texts."""
    if by_topics == (target is not None):
        raise UsageError(
            f"expected --target COL or --topics to take labels from, found {'both' if target else 'neither'}"
        )
    if topic_count and not by_topics:
        raise UsageError("--count is a number of topics: give --topics too")
    if file.suffix.lower() not in (".yaml", ".yml"):
        raise OutputError(f"expected a name that ends in .yaml, found {file}")
    from embedstore.tables.outputs import check_place, published

    check_place(file)
    if file.exists() and not force:
        raise OutputError(f"{file} is there already: choose another name, or give --force")
    check_apart(store, [file])
    opened = open_named(store)
    if target is None:
        found = opened.topics(
            topic_count or "auto", corpus=corpus, space=space, typical=count, random_state=seed, blank=blank
        )
        label_set = found.label_set()
    else:
        label_set = opened.label_set(target, count=count, corpus=corpus, space=space, blank=blank)
    with published(file) as temp:
        temp.write_text(label_set.to_yaml(), encoding="utf-8")
    few, many = (take(map(len, label_set.texts)) for take in (min, max))
    examples = f"{few} to {many}" if few < many else f"{many}"
    note(f"{counted(len(label_set.names), 'label')}, examples of each: {examples}, written to {file}: edit, then tag")
