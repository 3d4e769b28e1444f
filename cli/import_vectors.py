"""`import`: add rows with vectors that were made elsewhere."""

from dataclasses import asdict
from typing import Any

import click
from embedstore.cli.files import opened, row_arguments, row_options, text_of
from embedstore.cli.models import encoder_options, model_option, vector_options
from embedstore.cli.opening import hide_pandas, settings, store_path
from embedstore.cli.options import computation_options, json_option, store_argument
from embedstore.cli.printing import print_json
from embedstore.cli.terminal import echo, encode_progress, note, notes_of

from embedstore.errors import UsageError

__all__ = ["import_vectors"]


@click.command("import")
@store_argument
@click.argument("file", metavar="FILE")
@click.option("--vector", metavar="COL", help="The column of FILE that has the vectors, as lists of floats.")
@click.option("--rows", metavar="TABLE", help="The rows of the vectors in FILE: in the same order, or found by --ids.")
@click.option(
    "--ids",
    metavar="IDS",
    help="The ids of the vectors in FILE, to find the rows by --id; by default what `export` wrote beside FILE.",
)
@row_options
@model_option("always needed here")
@vector_options
@computation_options
@click.option("--no-encode", is_flag=True, help="Load no model, and keep the vectors apart as unproven.")
@json_option
def import_vectors(
    store: str,
    file: str,
    vector: str | None,
    rows: str | None,
    ids: str | None,
    as_json: bool,
    no_encode: bool,
    **options: Any,
) -> None:
    """Add rows with vectors that --model made elsewhere.

    FILE is a Parquet file or a Lance dataset with a column of vectors (--vector), or a .npy file or a flat FAISS index
    beside a table (--rows). Always name the --model: it encodes 16 texts again and must agree. If it can't be found, or
    with --no-encode, the vectors are unproven: what needs no new vector works. Run again to resume.
    """
    from embedstore.store import EmbeddingStore

    if options["model"] is None:
        raise UsageError("expected --model NAME, the model that made the vectors: there is no default here")
    if (vector is None) == (rows is None):
        raise UsageError(
            "expected --vector COL for vectors in a column of FILE, or --rows TABLE for the rows of FILE, found "
            + ("neither" if rows is None else "both")
        )
    hide_pandas()
    found = EmbeddingStore(store_path(store), settings=settings())
    sources, read_options = opened((rows or file,), options)
    text = text_of(found, sources, options)
    with encode_progress() as on_progress:
        report = found.import_vectors(
            sources,
            text=text,
            model=options["model"],
            vector=vector,
            vectors=file if rows else None,
            ids=ids,
            read_options=read_options,
            **row_arguments(options),
            options=encoder_options(options),
            **{name: options[name] for name in ("revision", "backend", "device", "batch_size", "precision")},
            no_encode=no_encode,
            on_progress=on_progress,
        )
    if as_json:
        print_json(asdict(report))
    else:
        notes_of(report.notes)
        echo(str(report))
    if not report.proven:
        note(
            f"{report.model}: search --row, train, predict, duplicates, topics, doubts, map, index and export work; "
            "new labels and queries need the model"
        )
