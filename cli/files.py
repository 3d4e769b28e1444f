"""Options for reading tables, and functions that open tables and add their rows to a store."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource
from embedstore.cli import completion
from embedstore.cli.options import Decorator, one_of, seed_option, together
from embedstore.cli.terminal import standard_input

from embedstore.errors import NotFoundError, UsageError

if TYPE_CHECKING:
    from embedstore.corpora import AddReport
    from embedstore.store import EmbeddingStore
    from embedstore.tables import ReadOptions, Source

__all__ = ["add_files", "opened", "reading_options", "refuse_without_file", "row_arguments", "row_options", "text_of"]

# The limits of `ReadOptions` as they are there: to import that takes longer than to show the help.
_CAPS = {
    "cell": ("Most characters of a cell.", 64_000_000),
    "row": ("Most characters of a row; a value of JSON counts 64 more.", 128_000_000),
    "columns": ("Most columns, or keys of JSON.", 20_000),
    "depth": ("Most lists and objects of JSON inside one another.", 100),
    "expansion": ("How many times larger a compressed FILE may become, beyond 1 GB.", 200),
}
reading_options: Decorator = together(
    click.option("--format", "format_", type=one_of("embedstore.tables.formats:FORMATS"), help="Format of FILE."),
    click.option("--delimiter", metavar="CHAR", help="Field separator."),
    click.option("--no-quoting", is_flag=True, help='Take " as an ordinary character.'),
    click.option("--escape", metavar="CHAR", help="Character before a quote that is part of a field, such as \\."),
    click.option("--columns", metavar="A,B,…", help="Column names of a file without a header line."),
    click.option("--encoding", default="utf-8", show_default=True, metavar="NAME", help="Text encoding of FILE."),
    click.option(
        "--missing", "words", multiple=True, metavar="WORD", help="A cell that means no value; else as in pandas."
    ),
    click.option("--keep-missing-words", is_flag=True, help="Take NA, None, null and so on as values."),
    click.option("--sheet", metavar="NAME", help="Sheet of an Excel file; by default the first."),
    *(
        click.option(f"--max-{cap}", type=click.IntRange(min=1), metavar="N", help=f"{what} [default: {usual:,}]")
        for cap, (what, usual) in _CAPS.items()
    ),
)
row_options: Decorator = together(
    click.option(
        "--text",
        multiple=True,
        metavar="COL",
        shell_complete=completion.table_columns,
        help='Text column; several, or a template: "{title}: {text}".',
    ),
    click.option("--template", metavar="TEMPLATE", help="How several text columns become one text."),
    click.option(
        "--id",
        "id_column",
        metavar="COL",
        shell_complete=completion.table_columns,
        help="Column of unique ids; by default rows are numbered from 0.",
    ),
    click.option(
        "--corpus",
        default="train",
        show_default=True,
        metavar="NAME",
        shell_complete=completion.corpora,
        help="Corpus that the rows go to.",
    ),
    click.option("--limit", type=click.IntRange(min=1), metavar="N", help="Take the first N rows."),
    click.option("--sample", type=click.IntRange(min=1), metavar="N", help="Draw N rows, as pandas' sample does."),
    seed_option("--sample"),
    click.option("--replace", is_flag=True, help="Start the corpus anew."),
    reading_options,
)


def refuse_without_file() -> None:
    """Raise a `UsageError` if the command line has an option about the rows of a FILE; --corpus has another meaning."""
    context = click.get_current_context()
    for option in getattr(row_options(lambda: None), "__click_params__"):  # noqa: B009  click adds it
        given = context.get_parameter_source(option.name) not in (None, ParameterSource.DEFAULT)
        if given and option.name != "corpus":
            raise UsageError(f"expected a FILE for {option.opts[0]}, found none: give the table, or leave it out")


def opened(
    files: Sequence[str], options: dict[str, Any], *, missing: tuple[str, ...] | None = None
) -> "tuple[list[Source], ReadOptions]":
    """Open the tables in `files` ("-" is standard input) with the options of `reading_options`.

    `missing` has the words that mean a missing value, if the user names none; None is the words of pandas.
    """
    from embedstore.tables import ReadOptions, file_source, piped_source

    columns, words = options["columns"], options["words"]
    if words and options["keep_missing_words"]:
        raise UsageError("expected --missing WORD or --keep-missing-words, found both")
    read_options = ReadOptions(
        format=options["format_"],
        delimiter={"\\t": "\t", "tab": "\t"}.get(options["delimiter"], options["delimiter"]),
        quoting=not options["no_quoting"],
        escape=options["escape"],
        columns=tuple(columns.split(",")) if columns else None,
        encoding=options["encoding"],
        missing=() if options["keep_missing_words"] else words or missing,
        sheet=options["sheet"],
        **{f"max_{cap}": options[f"max_{cap}"] for cap in _CAPS if options[f"max_{cap}"] is not None},
    )
    if files.count("-") > 1:
        raise UsageError("standard input (-) can be read once, found it twice")
    sources = []
    for file in files:
        if file == "-":
            sources.append(piped_source(standard_input("a table").buffer, read_options, name="standard input"))
        else:
            path = Path(file)
            sources.append(file_source(path, read_options, name=file, origin=str(path.resolve())))
    return sources, read_options


def add_files(
    store: "EmbeddingStore",
    files: tuple[str, ...],
    options: dict[str, Any],
    *,
    first: Callable[[], object] = lambda: None,
) -> "AddReport":
    """Add the rows of `files` ("-" is standard input) to a store with the options of `row_options`.

    `first` is called when the files are open, before anything is written.
    """
    sources, read_options = opened(files, options)
    text = text_of(store, sources, options)
    first()
    return store.add(sources, text=text, read_options=read_options, **row_arguments(options))


def row_arguments(options: dict[str, Any]) -> dict[str, Any]:
    """Return what `row_options` say of rows, as arguments of `store.add`; call it after `text_of`."""
    names = ("corpus", "template", "limit", "sample", "seed", "replace")
    return {"id": options["id_column"], **{name: options[name] for name in names}}


def text_of(store: "EmbeddingStore", sources: "list[Source]", options: dict[str, Any]) -> Any:
    """Return what --text says, or else what the corpus says; its id column is then put into `options`."""
    if options["text"]:
        return options["text"][0] if len(options["text"]) == 1 else list(options["text"])
    try:
        record = store.corpus(options["corpus"]).record
    except NotFoundError:
        names = ", ".join(sources[0].survey().schema.names)
        raise UsageError(f"expected --text COLUMN to say where the texts are; {sources[0].name} has {names}") from None
    options["id_column"] = options["id_column"] or record.id_column or None
    return record.template
