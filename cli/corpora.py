"""`corpora`, `rename` and `drop-corpus`: list, rename and remove the corpora of a store."""

from dataclasses import asdict

import click
from embedstore.cli import completion
from embedstore.cli.opening import open_named
from embedstore.cli.options import json_option, store_argument
from embedstore.cli.printing import print_json, print_table
from embedstore.cli.terminal import agreed, echo, note

__all__ = ["corpora", "drop_corpus", "rename"]


@click.command()
@store_argument
@json_option
def corpora(store: str, as_json: bool) -> None:
    """List the corpora of a store.

    Shows the name of each, its rows, its text, its id column, and the files that its rows were read from.
    """
    records = open_named(store).manifest.corpora
    found = [
        {
            "name": name,
            "rows": record.rows,
            "text": record.template,
            "id": record.id_column or None,
            "files": [part.origin for part in record.parts if part.origin],
        }
        for name, record in records.items()
    ]
    if as_json:
        print_json(found)
        return
    if not found:
        note("no corpus yet: `embedstore add STORE FILE --text COLUMN` makes one")
        return
    rows: list[tuple[str, ...]] = [("corpus", "rows", "text", "id", "read from")]
    for name, record in records.items():
        origins = [part.origin or "standard input or Python" for part in record.parts]
        rows.append((name, f"{record.rows:,}", record.template, record.id_column or "row number", ", ".join(origins)))
    print_table(rows, "<<<<<")


@click.command()
@store_argument
@click.argument("old", shell_complete=completion.corpora)
@click.argument("new")
def rename(store: str, old: str, new: str) -> None:
    """Give the corpus OLD the name NEW.

    Its rows, maps and answers stay as they are, and nothing is encoded.
    """
    open_named(store).rename_corpus(old, new)
    echo(f"corpus {old!r} is now {new!r}")


@click.command("drop-corpus")
@store_argument
@click.argument("name", shell_complete=completion.corpora)
@click.option(
    "--yes", is_flag=True, help="Do not ask. Off a terminal, as in a script, nobody can be asked: it is needed there."
)
@click.option("--dry-run", is_flag=True, help="Only say what would go.")
@json_option
def drop_corpus(store: str, name: str, yes: bool, dry_run: bool, as_json: bool) -> None:
    """Take the corpus NAME out of a store: its rows, columns and maps.

    Its texts stay with their vectors, so to add the same table again encodes nothing. Answers stay too, and count again
    for rows with these texts. Files that are no longer needed go with `embedstore gc`.
    """
    opened = open_named(store)
    report = opened.drop_corpus(name, dry_run=True)
    if not dry_run:
        if not (yes or agreed(f"drop {report}?", otherwise="give --yes to drop it without a question")):
            note("nothing was dropped")
            return
        report = opened.drop_corpus(name)
    if as_json:
        print_json(asdict(report))
        return
    echo(f"{report} {'would go' if dry_run else 'dropped'}")
    if not dry_run:
        note(f"note: the texts stay with their vectors; `embedstore gc {store}` removes the files of the rows")
