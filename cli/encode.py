"""`encode`: add rows to a store and encode their texts."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource
from embedstore.cli import completion
from embedstore.cli.cluster import cluster_options, executor_of
from embedstore.cli.failures import KEPT
from embedstore.cli.files import add_files, refuse_without_file, row_options
from embedstore.cli.models import encoder_options, model_options
from embedstore.cli.opening import hide_pandas, open_named, settings, store_path
from embedstore.cli.options import computation_options, json_option, no_encode_option, store_argument
from embedstore.cli.printing import print_json
from embedstore.cli.terminal import echo, encode_progress, note

from embedstore.core.counts import counted, form
from embedstore.errors import ClusterError, EmbedstoreError, UsageError

if TYPE_CHECKING:
    from embedstore.corpora import AddReport
    from embedstore.store import EmbeddingStore

__all__ = ["encode"]

_SHOWN = 10  # numbers of segments in a message


@click.command()
@store_argument
@click.argument("files", nargs=-1, metavar="[FILE]...", shell_complete=completion.files)
@row_options
@model_options
@computation_options
@click.option(
    "--shard",
    metavar="I/N",
    help="Encode share I of N and commit nothing; other machines take the other shares (docs/cluster.md).",
)
@click.option("--collect", is_flag=True, help="Commit what shards have finished, without a model.")
@cluster_options
@no_encode_option
@json_option
def encode(store: str, files: tuple[str, ...], as_json: bool, no_encode: bool, **options: Any) -> None:
    """Add tables and encode the texts that have no vector yet.

    FILE is CSV, TSV, JSONL or Parquet, plain or gzip; - is standard input. Run again to resume. Without FILE, the
    texts of STORE, or of --corpus NAME, are encoded.
    """
    from embedstore.store import EmbeddingStore

    _check_together(files, options)
    executor = executor_of(options)
    if options["collect"]:
        collected = open_named(store).collect()
        if as_json:
            print_json(asdict(collected))
        else:
            echo(str(collected), *map(str, collected.spaces))
        return
    chosen: dict[str, Any] = {
        "options": encoder_options(options),
        **{name: options[name] for name in ("revision", "backend", "device", "batch_size", "precision")},
    }
    added = None
    if files:
        hide_pandas()
        opened = EmbeddingStore(store_path(store), settings=settings())
        added = add_files(opened, files, options, first=lambda: opened.check_encoding(options["model"], **chosen))
        if added.rows > added.rows_read > 0:
            note(
                f"corpus {options['corpus']!r} now has {counted(added.rows, 'row')}, "
                f"{added.rows_read:,} of them read now"
            )
    else:
        opened = open_named(store)
    named = click.get_current_context().get_parameter_source("corpus") is not ParameterSource.DEFAULT
    corpus = options["corpus"] if files or named else None
    with _texts_kept(opened), _rows_kept(added), encode_progress() as on_progress:
        report = opened.encode(
            options["model"],
            corpus=corpus,
            **chosen,
            executor=executor,
            shard=options["shard"],
            no_encode=no_encode,
            on_progress=on_progress,
        )
    if as_json:
        print_json(asdict(report))
    else:
        echo(str(report))
    if report.set_aside:
        raise ClusterError(
            f"{counted(len(report.set_aside), 'segment')} could not be encoded ({_numbers(report.set_aside)}), because "
            "worker after worker ended at the same text; all others are done: run without --ray to see why"
        )
    if report.shard and report.encoded and not as_json:
        note(f"nothing is committed yet: `embedstore encode {store} --collect` does that, when you like")


def _check_together(files: tuple[str, ...], options: dict[str, Any]) -> None:
    """Raise a `UsageError` for options that exclude each other."""
    if not files:
        refuse_without_file()
    given = [name for name in ("shard", "collect") if options[name]]
    if given and files:
        raise UsageError(
            f"expected no FILE with --{given[0]}, found {files[0]!r}: add its rows before, with `embedstore add`"
        )
    if len(given) > 1:
        raise UsageError("expected --shard or --collect, found both: collect when shards are done")
    if given and options["address"] is not None:
        raise UsageError(f"expected --{given[0]} or --ray, found both: a cluster shares the work by itself")


def _numbers(segments: tuple[int, ...]) -> str:
    more = ", …" if len(segments) > _SHOWN else ""
    return ", ".join(map(str, segments[:_SHOWN])) + more


@contextmanager
def _texts_kept(store: "EmbeddingStore") -> Iterator[None]:
    """Note how many texts were encoded and kept, for the line of a command that was told to end."""

    def count() -> int:
        return sum(space.vectors.records.rows for space in store.manifest.spaces.values())

    before = count()
    try:
        yield
    except BaseException as error:  # Ctrl-C can come as an error of another type
        with suppress(EmbedstoreError, OSError):
            new = count() - before
            error.add_note(f"{KEPT}{counted(new, 'text')} of this run {form(new, 'is', 'are')} encoded")
        raise


@contextmanager
def _rows_kept(added: "AddReport | None") -> Iterator[None]:
    """Say in the line of an error inside that the rows which were added before it are kept."""
    try:
        yield
    except Exception as error:
        if added and added.rows_read:
            error.add_note(
                f"{counted(added.rows_read, 'row')} read now {form(added.rows_read, 'is', 'are')} kept in the store, "
                "and running again goes on from there"
            )
        raise
