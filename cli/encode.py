"""`encode` and `index`."""

import json
import shutil
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
from embedstore.cli.options import (
    backend_option,
    batch_size_option,
    device_option,
    json_option,
    max_seq_length_option,
    no_encode_option,
    open_named,
    space_option,
    store_argument,
    store_path,
)
from embedstore.cli.terminal import encode_progress, note

from embedstore.errors import InputError, NotFoundError, UsageError

__all__ = ["encode", "index"]


@click.command()
@store_argument
@click.argument("files", nargs=-1, metavar="[FILE]...")
@click.option("--text", multiple=True, metavar="COL", help='Text column; several, or a template: "{title}: {text}".')
@click.option("--template", metavar="TEMPLATE", help="How several text columns become one text.")
@click.option("--id", "id_column", metavar="COL", help="Column of unique ids; by default rows are numbered from 0.")
@click.option("--corpus", default="train", show_default=True, metavar="NAME", help="Corpus that the rows go to.")
@click.option("-m", "--model", metavar="MODEL", help="Folder or Hugging Face name; by default all-MiniLM-L6-v2.")
@click.option("--revision", metavar="REV", help="Branch, tag or commit of a hub model.")
@click.option("--prompt", metavar="TEXT", help="Put before every text; by default the model's document prompt.")
@click.option("--query-prompt", metavar="TEXT", help="Put before a search; by default the model's query prompt.")
@click.option(
    "--pooling",
    type=click.Choice(["mean", "cls", "max", "mean-padded"]),
    help="How a transformer's last hidden state becomes a vector; by default as the model says, or else mean.",
)
@max_seq_length_option
@click.option("--truncate-dim", type=click.IntRange(min=1), metavar="N", help="Keep the first N dimensions.")
@click.option(
    "--normalize/--no-normalize",
    default=None,
    help="Make vectors of unit length, or not; by default only those of sentence-transformers models.",
)
@click.option("--dtype", type=click.Choice(["float32", "float16"]), default="float32", help="How vectors are stored.")
@backend_option
@device_option
@batch_size_option
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="Take the first N rows.")
@click.option("--sample", type=click.IntRange(min=1), metavar="N", help="Draw N rows, as pandas' sample does.")
@click.option("--seed", type=int, default=42, show_default=True, metavar="S", help="Seed of --sample.")
@click.option("--replace", is_flag=True, help="Start the corpus anew.")
@click.option("--format", "format_", type=click.Choice(["csv", "tsv", "jsonl", "parquet"]), help="Format of FILE.")
@click.option("--delimiter", metavar="CHAR", help="Field separator.")
@click.option("--no-quoting", is_flag=True, help='Take " as an ordinary character.')
@click.option("--columns", metavar="A,B,…", help="Column names of a file without a header line.")
@click.option("--encoding", default="utf-8", show_default=True, metavar="NAME", help="Text encoding of FILE.")
@no_encode_option
@json_option
def encode(store: str, files: tuple[str, ...], as_json: bool, no_encode: bool, **options: Any) -> None:
    """Read tables, keep them, and encode the texts that have no vector yet.

    FILE is CSV, TSV, JSONL or Parquet, gzip or not; - is standard input. Run again to resume. Without FILE,
    what is missing in the store is encoded.
    """
    from embedstore.store import EmbeddingStore

    if files:
        opened = EmbeddingStore(store_path(store))
        _add(opened, files, options)
    else:
        opened = open_named(store)
    corpus = options["corpus"] if files else None
    with encode_progress() as on_progress:
        report = opened.encode(
            options["model"],
            corpus=corpus,
            options=_encoder_options(options),
            revision=options["revision"],
            backend=options["backend"],
            device=options["device"],
            batch_size=options["batch_size"],
            no_encode=no_encode,
            on_progress=on_progress,
        )
    click.echo(json.dumps(asdict(report)) if as_json else str(report))


def _encoder_options(options: dict[str, Any]) -> Any:
    from embedstore.encoders import EncoderOptions

    return EncoderOptions(
        prompt=options["prompt"],
        query_prompt=options["query_prompt"],
        max_seq_length=options["max_seq_length"],
        truncate_dim=options["truncate_dim"],
        normalize=options["normalize"],
        dtype=options["dtype"],
        pooling=options["pooling"],
    )


def _add(store: Any, files: tuple[str, ...], options: dict[str, Any]) -> None:
    from embedstore.tables import ReadOptions, file_source

    columns = options["columns"]
    read_options = ReadOptions(
        format=options["format_"],
        delimiter={"\\t": "\t", "tab": "\t"}.get(options["delimiter"], options["delimiter"]),
        quoting=not options["no_quoting"],
        columns=tuple(columns.split(",")) if columns else None,
        encoding=options["encoding"],
    )
    if files.count("-") > 1:
        raise UsageError("standard input (-) can be read once, found it twice")
    with tempfile.TemporaryDirectory(prefix="embedstore-") as folder:
        sources = []
        for file in files:
            if file == "-":
                spooled = Path(folder) / "stdin"
                with spooled.open("wb") as out:
                    shutil.copyfileobj(sys.stdin.buffer, out)
                if not spooled.stat().st_size:
                    raise InputError("standard input is empty: expected a table")
                sources.append(file_source(spooled, read_options, name="standard input", origin=""))
            else:
                path = Path(file)
                sources.append(file_source(path, read_options, name=file, origin=str(path.resolve())))
        text = _text(store, sources, options)
        report = store.add(
            sources,
            text=text,
            corpus=options["corpus"],
            id=options["id_column"],
            template=options["template"],
            limit=options["limit"],
            sample=options["sample"],
            seed=options["seed"],
            replace=options["replace"],
            read_options=read_options,
        )
    if report.rows > report.rows_read > 0:
        note(f"corpus {options['corpus']!r} now has {report.rows:,} rows, {report.rows_read:,} of them read now")


def _text(store: Any, sources: list[Any], options: dict[str, Any]) -> Any:
    if options["text"]:
        return options["text"][0] if len(options["text"]) == 1 else list(options["text"])
    try:
        record = store.corpus(options["corpus"]).record
    except NotFoundError:
        names = ", ".join(sources[0].survey().schema.names)
        raise UsageError(f"expected --text COLUMN to say where the texts are; {sources[0].name} has {names}") from None
    options["id_column"] = options["id_column"] or record.id_column or None
    return record.template


@click.command()
@store_argument
@click.option("--kind", type=click.Choice(["auto", "flat", "hnsw", "ivf"]), default="auto", show_default=True)
@space_option
@json_option
def index(store: str, kind: Any, space: str | None, as_json: bool) -> None:
    """Build the FAISS index of a space."""
    record = open_named(store).index(kind, space=space)
    summary = {"kind": record.kind, "texts": record.count, "bytes": record.file.size}
    click.echo(
        json.dumps(summary)
        if as_json
        else f"{record.kind} index over {record.count:,} texts, {record.file.size:,} bytes"
    )
