"""Options for reading tables, and functions that open tables and add their rows to a store."""

import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from embedstore.cli.options import Decorator, one_of, seed_option, together

from embedstore.core.system import explained
from embedstore.errors import InputError, NotFoundError, OutputError, UsageError

if TYPE_CHECKING:
    from embedstore.corpora import AddReport
    from embedstore.store import EmbeddingStore
    from embedstore.tables import ReadOptions, Source

__all__ = ["add_files", "opened", "reading_options", "row_options"]

reading_options: Decorator = together(
    click.option("--format", "format_", type=one_of("embedstore.tables.formats:FORMATS"), help="Format of FILE."),
    click.option("--delimiter", metavar="CHAR", help="Field separator."),
    click.option("--no-quoting", is_flag=True, help='Take " as an ordinary character.'),
    click.option("--columns", metavar="A,B,…", help="Column names of a file without a header line."),
    click.option("--encoding", default="utf-8", show_default=True, metavar="NAME", help="Text encoding of FILE."),
)
row_options: Decorator = together(
    click.option(
        "--text", multiple=True, metavar="COL", help='Text column; several, or a template: "{title}: {text}".'
    ),
    click.option("--template", metavar="TEMPLATE", help="How several text columns become one text."),
    click.option("--id", "id_column", metavar="COL", help="Column of unique ids; by default rows are numbered from 0."),
    click.option("--corpus", default="train", show_default=True, metavar="NAME", help="Corpus that the rows go to."),
    click.option("--limit", type=click.IntRange(min=1), metavar="N", help="Take the first N rows."),
    click.option("--sample", type=click.IntRange(min=1), metavar="N", help="Draw N rows, as pandas' sample does."),
    seed_option("--sample"),
    click.option("--replace", is_flag=True, help="Start the corpus anew."),
    reading_options,
)


@contextmanager
def opened(
    files: Sequence[str], options: dict[str, Any], *, missing: bool = True
) -> "Iterator[tuple[list[Source], ReadOptions]]":
    """Open the tables in `files` ("-" is standard input) with the options of `reading_options`."""
    from embedstore.tables import ReadOptions, file_source

    columns = options["columns"]
    read_options = ReadOptions(
        format=options["format_"],
        delimiter={"\\t": "\t", "tab": "\t"}.get(options["delimiter"], options["delimiter"]),
        quoting=not options["no_quoting"],
        columns=tuple(columns.split(",")) if columns else None,
        encoding=options["encoding"],
        missing=missing,
    )
    if files.count("-") > 1:
        raise UsageError("standard input (-) can be read once, found it twice")
    with tempfile.TemporaryDirectory(prefix="embedstore-") as folder:
        sources = []
        for file in files:
            if file == "-":
                spooled = Path(folder) / "stdin"
                _spool(spooled)
                if not spooled.stat().st_size:
                    raise InputError("standard input is empty: expected a table")
                sources.append(file_source(spooled, read_options, name="standard input", origin=""))
            else:
                path = Path(file)
                sources.append(file_source(path, read_options, name=file, origin=str(path.resolve())))
        yield sources, read_options


def _spool(path: Path) -> None:
    """Copy standard input to a file."""
    try:
        with path.open("wb") as out:
            shutil.copyfileobj(sys.stdin.buffer, out)
    except OSError as error:
        action = "can't keep standard input (TMPDIR says where) in"
        raise OutputError(explained(OSError(error.errno, error.strerror), path.parent.parent, action=action)) from error


def add_files(store: "EmbeddingStore", files: tuple[str, ...], options: dict[str, Any]) -> "AddReport":
    """Add the rows of `files` ("-" is standard input) to a store with the options of `row_options`."""
    with opened(files, options) as (sources, read_options):
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
    return report


def _text(store: "EmbeddingStore", sources: list[Any], options: dict[str, Any]) -> Any:
    if options["text"]:
        return options["text"][0] if len(options["text"]) == 1 else list(options["text"])
    try:
        record = store.corpus(options["corpus"]).record
    except NotFoundError:
        names = ", ".join(sources[0].survey().schema.names)
        raise UsageError(f"expected --text COLUMN to say where the texts are; {sources[0].name} has {names}") from None
    options["id_column"] = options["id_column"] or record.id_column or None
    return record.template
