"""`map`: draw a corpus in two dimensions."""

from pathlib import Path
from typing import TYPE_CHECKING

import click
from embedstore.cli import completion
from embedstore.cli.opening import open_named
from embedstore.cli.options import (
    blank_option,
    label_options,
    no_encode_option,
    optional_label_set,
    rows_options,
    seed_option,
    store_argument,
)
from embedstore.cli.printing import check_outputs
from embedstore.cli.terminal import note, notes_of

from embedstore.core.counts import counted
from embedstore.errors import UsageError

if TYPE_CHECKING:
    from embedstore.core.blank import Blank
    from embedstore.maps import Projection

__all__ = ["map_"]


@click.command("map")
@store_argument
@click.option(
    "-o", "--output", required=True, type=click.Path(path_type=Path), metavar="FILE", help="A .html, .png or .svg file."
)
@label_options
@click.option(
    "--by",
    metavar="COL",
    shell_complete=completion.targets,
    help="Colour by a column, annotations, topics or topics:N instead of tags.",
)
@click.option(
    "--method",
    type=click.Choice(["pca", "tsne", "umap"]),
    default="pca",
    show_default=True,
    help="Principal components; t-SNE; UMAP, if umap-learn is installed.",
)
@click.option(
    "--sample", type=click.IntRange(min=3), default=20_000, show_default=True, metavar="N", help="Rows to draw at most."
)
@seed_option("the sample and of t-SNE and UMAP")
@rows_options
@blank_option
@no_encode_option
def map_(
    store: str,
    output: Path,
    labels: tuple[str, ...],
    label_file: str | None,
    by: str | None,
    method: "Projection",
    sample: int,
    seed: int,
    corpus: str | None,
    space: str | None,
    blank: "Blank",
    no_encode: bool,
) -> None:
    """Draw a corpus in two dimensions, coloured by tag or column.

    An .html file shows the text under the pointer and needs no network.
    """
    if (labels or label_file) and by:
        raise UsageError("expected labels to colour by or --by COL, found both")
    label_set = optional_label_set(labels, label_file)
    check_outputs(store, plot=output, label_files=[label_file])
    found = open_named(store).map(
        labels=label_set,
        by=by,
        method=method,
        sample=sample,
        seed=seed,
        corpus=corpus,
        space=space,
        blank=blank,
        no_encode=no_encode,
    )
    found.plot(output)
    notes_of(found.notes)
    note(f"{len(found):,} of {counted(found.total, 'row')} drawn to {output}")
