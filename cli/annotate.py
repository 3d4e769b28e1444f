"""`annotate` and `annotations`: what people say of rows."""

import json
import os
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click
from embedstore.cli.options import (
    corpus_option,
    json_option,
    no_encode_option,
    open_named,
    output_option,
    space_option,
    spreadsheet_safe_option,
    store_argument,
)
from embedstore.cli.tag import label_options, label_set_of
from embedstore.cli.terminal import clean, clip, give_table, note

from embedstore.errors import UsageError

if TYPE_CHECKING:
    from embedstore.labels import LabelSet
    from embedstore.questions import Order, Questions
    from embedstore.store import EmbeddingStore

__all__ = ["annotate", "annotations"]

_KEYS = "123456789abcdefghijklmnoprtvwxyz"  # without s, u and q
_LINES = 16  # of a text that are shown


@click.command()
@store_argument
@label_options
@corpus_option
@space_option
@click.option(
    "--order",
    type=click.Choice(["uncertain", "random", "disagreement"]),
    default="uncertain",
    show_default=True,
    help="What to ask first: uncertain and unlike each other, by chance, or where answers and labels disagree most.",
)
@click.option("--who", default="", metavar="NAME", help="Who answers; may be left out.")
@click.option("--count", type=click.IntRange(min=1), metavar="N", help="Stop after N answers.")
@click.option("--seed", type=int, default=42, show_default=True, help="Seed of sampling and of the random order.")
@no_encode_option
def annotate(
    store: str,
    labels: tuple[str, ...],
    label_file: str | None,
    corpus: str | None,
    who: str,
    count: int | None,
    space: str | None,
    order: "Order",
    seed: int,
    no_encode: bool,
) -> None:
    """Label rows by hand: one text at a time, one key a label; s skips, u undoes, q quits.

    Every answer is on disk before the next question. Without a terminal, answers are read a line each.
    """
    label_set = label_set_of(labels, label_file)
    if len(label_set.names) > len(_KEYS):
        raise UsageError(f"expected at most {len(_KEYS)} labels, one a key, found {len(label_set.names)}")
    opened = open_named(store)
    questions = opened.questions(
        label_set,
        corpus=corpus,
        space=space,
        order=order,
        who=who,
        seed=seed,
        no_encode=no_encode,
    )
    with _keys_at_once():
        done = _ask(opened, questions, label_set, who, corpus, count)
    note(f"{done:,} answers kept; {len(questions.answers):,} texts have a label, {questions.left:,} are left")


@contextmanager
def _keys_at_once() -> Iterator[None]:
    """Have a terminal give each key when it is pressed, from before the first question on: none is lost."""
    if not sys.stdin.isatty():
        yield
        return
    import termios
    import tty

    before = termios.tcgetattr(sys.stdin)
    tty.setcbreak(sys.stdin, termios.TCSANOW)
    try:
        yield
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSANOW, before)


def _ask(
    store: "EmbeddingStore",
    questions: "Questions",
    labels: "LabelSet",
    who: str,
    corpus: str | None,
    count: int | None,
) -> int:
    keys = dict(zip(_KEYS, labels.names, strict=False))
    answered: list[int] = []
    skipped: list[int] = []
    while count is None or len(answered) < count:
        position = questions.next()
        if position is None:
            note("every text has an answer")
            break
        _show(store.text_at(position), questions, keys)
        choice = _read(keys)
        if choice == "q":
            break
        if choice == "u":
            _undo(store, questions, labels, answered, who, corpus)
            continue
        label = "" if choice == "s" else keys[choice]
        store.annotate(position, label, labels, who=who, corpus=corpus)
        questions.answer(position, labels.names.index(label) if label else None)
        (answered if label else skipped).append(position)
        click.echo(f"  {clean(label) or 'skipped'}")
    return len(answered)


def _undo(
    store: "EmbeddingStore",
    questions: "Questions",
    labels: "LabelSet",
    answered: list[int],
    who: str,
    corpus: str | None,
) -> None:
    if not answered:
        click.echo("  nothing to undo")
        return
    position = answered.pop()
    store.take_back(position, labels, who=who, corpus=corpus)
    questions.forget(position)
    click.echo("  taken back")


def _show(text: str, questions: "Questions", keys: dict[str, str]) -> None:
    accuracy = questions.accuracy()
    foretold = f" · accuracy on answers not learnt from {accuracy[0]:.2f}" if accuracy else ""
    lines = textwrap.wrap(clean(text), 78) or ["(an empty text)"]
    click.echo(f"\n{f'── {len(questions.answers):,} answered, {questions.left:,} left{foretold} '.ljust(78, '─')}")
    click.echo("\n".join(lines[:_LINES]) + ("\n…" if len(lines) > _LINES else ""))
    choices = [f"[{key}] {clip(name, 30)}" for key, name in keys.items()] + ["[s] skip", "[u] undo", "[q] quit"]
    unbroken = "   ".join(choice.replace(" ", "\xa0") for choice in choices)
    click.echo("\n" + textwrap.fill(unbroken, 78).replace("\xa0", " "))


def _read(keys: dict[str, str]) -> str:
    """Return a key of a label, or s, u or q; the end of input quits."""
    names = {name.lower(): key for key, name in keys.items()}
    while True:
        if sys.stdin.isatty():
            said = os.read(sys.stdin.fileno(), 1).decode(errors="replace")
            if said in ("", "\x04"):
                return "q"
        else:
            line = sys.stdin.readline()
            if not line:
                return "q"
            said = line.strip()
        said = said.lower()
        if said in keys or said in ("s", "u", "q"):
            return said
        if said in names:
            return names[said]
        click.echo(f"  expected one of {' '.join(keys)} or s, u, q, found {clip(said, 20)!r}")


@click.command()
@store_argument
@click.option("--import", "imported", metavar="FILE", help="Keep the answers in a table with columns id and label.")
@label_options
@corpus_option
@click.option("--who", default="", metavar="NAME", help="Who answered, where the table does not say.")
@click.option("--disagreements", is_flag=True, help="Only texts that were called by different labels.")
@output_option
@spreadsheet_safe_option
@json_option
def annotations(
    store: str,
    imported: str | None,
    labels: tuple[str, ...],
    label_file: str | None,
    corpus: str | None,
    who: str,
    disagreements: bool,
    output: Path | None,
    as_json: bool,
    spreadsheet_safe: bool,
) -> None:
    """Print what people said of rows as CSV, write it to -o, or read it from a table (--import)."""
    from embedstore.output import output_format

    if output:
        output_format(output)
    opened = open_named(store)
    if imported:
        count = opened.import_annotations(imported, label_set_of(labels, label_file), corpus=corpus, who=who)
        click.echo(json.dumps({"imported": count}) if as_json else f"{count:,} annotations imported")
        return
    if labels or label_file:
        raise UsageError("labels say what imported annotations may hold: give --import FILE too")
    table = opened.annotation_table(disagreements=disagreements)
    give_table(table, output, as_json, spreadsheet_safe)
    if as_json:
        split = sum(value == "yes" for value in table.column("disagreement").to_pylist())
        click.echo(json.dumps({"annotations": table.num_rows, "disagreeing": split}))
