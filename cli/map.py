"""`map`: the corpus in two dimensions."""

from pathlib import Path
from typing import TYPE_CHECKING

import click
from embedstore.cli.options import (
    corpus_option,
    no_encode_option,
    open_named,
    seed_option,
    space_option,
    store_argument,
)
from embedstore.cli.tag import label_options, label_set_of
from embedstore.cli.terminal import note

from embedstore.errors import UsageError

if TYPE_CHECKING:
    from embedstore.maps import Projection

__all__ = ["map_"]


@click.command("map")
@store_argument
@click.option(
    "-o", "--output", required=True, type=click.Path(path_type=Path), metavar="FILE", help="A .html, .png or .svg file."
)
@label_options
@click.option("--by", metavar="COL", help="Colour by a column (or annotations) instead of tags.")
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
@corpus_option
@space_option
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
    no_encode: bool,
) -> None:
    """Draw the corpus in two dimensions, coloured by tag or column.

    As .html it is a page that shows the text under the pointer and needs no network.
    """
    from embedstore.pictures import picture_path

    named = bool(labels or label_file)
    if named and by:
        raise UsageError("expected labels to colour by or --by COL, found both")
    picture_path(output)
    drawn = open_named(store).map(
        output,
        labels=label_set_of(labels, label_file) if named else None,
        by=by,
        method=method,
        sample=sample,
        seed=seed,
        corpus=corpus,
        space=space,
        no_encode=no_encode,
    )
    without = f"; {drawn.empty:,} without a text are left out" if drawn.empty else ""
    note(f"{drawn.rows:,} of {drawn.total:,} rows drawn to {output}{without}")
