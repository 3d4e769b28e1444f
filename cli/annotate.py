"""`annotate` and `annotations`: what people say of rows."""

import json
import os
import re
import select
import shutil
import signal
import sys
import textwrap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from embedstore.cli.options import (
    corpus_option,
    json_option,
    no_encode_option,
    open_named,
    output_option,
    seed_option,
    space_option,
    spreadsheet_safe_option,
    store_argument,
)
from embedstore.cli.rows import opened, reading_options
from embedstore.cli.tag import label_options, label_set_of
from embedstore.cli.terminal import clean, clip, give_table, note

from embedstore.errors import UsageError

if TYPE_CHECKING:
    from embedstore.labels import LabelSet
    from embedstore.questions import Order, Questions
    from embedstore.store import EmbeddingStore

__all__ = ["annotate", "annotations"]

_COMMANDS = ("m", "q", "s", "u")
_KEYS = "123456789abcdefghijklnoprtvwxyz"  # without these
_LINES = 16  # of a text that are shown
_BEGUN = re.compile(rb"\x1b+(\[\[?[0-9;?]*|O)?")  # an escape sequence that goes on
_WAIT, _LONGEST = 0.5, 16  # seconds for the rest of what a key sends, which comes in pieces from afar; bytes of it


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
@seed_option("sampling and of the random order")
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
    if sys.stdin is None:
        raise UsageError("expected answers on standard input, found it closed")
    kept = open_named(store)
    questions = kept.questions(
        label_set,
        corpus=corpus,
        space=space,
        order=order,
        who=who,
        seed=seed,
        no_encode=no_encode,
    )
    if questions.total > len(questions):
        note(f"note: {len(questions):,} of {questions.total:,} texts, drawn by chance, are asked about")
    with _keys_at_once():
        done = _ask(kept, questions, label_set, who, corpus, count)
    note(f"answers kept: {done:,}; texts with a label: {len(questions.answers):,}, left: {questions.left:,}")


@contextmanager
def _keys_at_once() -> Iterator[None]:
    """Have a terminal give each key when it is pressed, from before the first question on: none is lost.

    The terminal is as it was when the command ends, by a signal too; when it goes on after a stop, keys come at once
    again.
    """
    if not sys.stdin.isatty():
        yield
        return
    import termios
    import tty

    def leave(number: int, _: object) -> None:
        raise SystemExit(128 + number)

    def go_on(*_: object) -> None:
        tty.setcbreak(sys.stdin, termios.TCSANOW)

    before = termios.tcgetattr(sys.stdin)
    handlers = dict.fromkeys((signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT), leave) | {signal.SIGCONT: go_on}
    held = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    tty.setcbreak(sys.stdin, termios.TCSANOW)
    try:
        yield
    finally:
        with suppress(termios.error):  # it has gone
            termios.tcsetattr(sys.stdin, termios.TCSANOW, before)
        for number, handler in held.items():
            signal.signal(number, handler)


def _keys_of(names: Sequence[str]) -> dict[str, str]:
    """Return a key for each label: its own name where that is a key, or else the first that is free.

    Examples
    --------
    >>> _keys_of(["Bad", "Good"])
    {'1': 'Bad', '2': 'Good'}
    >>> _keys_of(["0", "1", "many"])
    {'0': '0', '1': '1', '2': 'many'}
    """
    own = [name for name in names if len(name) == 1 and name in f"0{_KEYS}"]
    free = iter([key for key in _KEYS if key not in own])
    return {name if name in own else next(free): name for name in names}


def _ask(
    store: "EmbeddingStore",
    questions: "Questions",
    labels: "LabelSet",
    who: str,
    corpus: str | None,
    count: int | None,
) -> int:
    keys = _keys_of(labels.names)
    given: list[bool] = []  # in this session: whether a label, or a skip
    while count is None or sum(given) < count:
        position = questions.next()
        if position is None:
            note("every text has an answer or was skipped")
            break
        text = store.text_at(position)
        _show(text, questions, keys)
        choice = _read(keys, text)
        if choice == "q":
            break
        if choice == "u":
            if (last := questions.last()) is None:
                click.echo("  nothing to undo")
                continue
            store.take_back(last, labels, who=who, corpus=corpus)
            questions.forget()
            del given[-1:]
            click.echo("  taken back")
            continue
        label = "" if choice == "s" else keys[choice]
        store.annotate(position, label, labels, who=who, corpus=corpus)
        questions.answer(position, labels.names.index(label) if label else None)
        given.append(bool(label))
        click.echo(f"  {clean(label) or 'skipped'}")
    return sum(given)


def _width() -> int:
    return max(20, min(80, shutil.get_terminal_size().columns) - 2)


def _lines_of(text: str) -> list[str]:
    return textwrap.wrap(clean(text), _width()) or ["(an empty text)"]


def _show(text: str, questions: "Questions", keys: dict[str, str]) -> None:
    accuracy = questions.accuracy()
    foretold = f" · accuracy on answers not learnt from {accuracy[0]:.2f}" if accuracy else ""
    width, lines = _width(), _lines_of(text)
    told = f"── {len(questions.answers):,} answered, {questions.left:,} left{foretold} "
    *above, last = textwrap.wrap(told, width)
    click.echo("\n" + "\n".join([*above, f"{last} ".ljust(width, "─")]))
    click.echo("\n".join(lines[:_LINES]) + ("\n…" if len(lines) > _LINES else ""))
    choices = [f"[{key}] {clip(name, 60)}" for key, name in keys.items()]
    choices += ["[m] more"] if len(lines) > _LINES else []
    choices += ["[s] skip", "[u] undo", "[q] quit"]
    unbroken = "   ".join(choice.replace(" ", "\xa0") for choice in choices)
    click.echo("\n" + textwrap.fill(unbroken, width).replace("\xa0", " "))


def _read(keys: dict[str, str], text: str) -> str:
    """Return a key of a label, or s, u or q; the end of input quits."""
    lower: dict[str, list[str]] = {}
    for key, name in keys.items():
        lower.setdefault(name.lower(), []).append(key)
    exact = {name: key for key, name in keys.items()}
    while True:
        said = _key() if sys.stdin.isatty() else _line()
        if said is None:
            return "q"
        if said in exact and said not in _COMMANDS:
            return exact[said]
        short = said.lower()
        if short in keys or short in ("s", "u", "q"):
            return short
        if short == "m":
            click.echo("\n".join(_lines_of(text)[_LINES:]))
            continue
        if len(lower.get(short, ())) == 1:
            return lower[short][0]
        click.echo(f"  expected one of {' '.join(keys)} or s, u, q, found {clip(said, 20).strip() or 'no label'!r}")


def _line() -> str | None:
    line = sys.stdin.readline()
    return line.strip() if line else None


def _key() -> str | None:
    """Return what a key sends, whole: a character, or an escape sequence, which is no answer; None at the end."""
    said = os.read(sys.stdin.fileno(), 1)
    if said in (b"", b"\x04"):
        return None
    while (_BEGUN.fullmatch(said) or not _is_text(said)) and select.select([sys.stdin], [], [], _WAIT)[0]:
        said += os.read(sys.stdin.fileno(), 1)
        if len(said) > _LONGEST:
            break
    return "a special key" if said[0] == 0x1B else said.decode(errors="replace")


def _is_text(said: bytes) -> bool:
    try:
        return bool(said.decode())
    except UnicodeDecodeError:
        return False


@click.command()
@store_argument
@click.option("--import", "imported", metavar="FILE", help="Keep the answers in a table with columns id and label.")
@label_options
@corpus_option
@click.option(
    "--who",
    default="",
    metavar="NAME",
    help="Answers of this person; with --import, who answered where the table does not say.",
)
@click.option("--disagreements", is_flag=True, help="Only texts that were called by different labels.")
@reading_options
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
    **reading: Any,
) -> None:
    """Print what people said of rows as CSV, write it to -o, or read it from a table (--import).

    --corpus and --who keep the answers of one corpus or person.
    """
    from embedstore.output import output_format

    if output:
        output_format(output)
    kept = open_named(store)
    if imported:
        asked = {"-o": output, "--disagreements": disagreements, "--spreadsheet-safe": spreadsheet_safe}
        if found := [name for name, value in asked.items() if value]:
            raise UsageError(f"--import reads answers, {found[0]} is for those that are there: leave one of them out")
        label_set = label_set_of(labels, label_file) if labels or label_file else None
        with opened([imported], reading, missing=False) as (sources, _):
            count = kept.import_annotations(sources, label_set, corpus=corpus, who=who)
        click.echo(json.dumps({"imported": count}) if as_json else f"annotations imported: {count:,}")
        return
    if labels or label_file:
        raise UsageError("labels say what imported annotations may hold: give --import FILE too")
    table = kept.annotation_table(corpus=corpus, who=who or None, disagreements=disagreements)
    give_table(table, output, as_json, spreadsheet_safe)
    if as_json:
        split = sum(value == "yes" for value in table.column("disagreement").to_pylist())
        click.echo(json.dumps({"annotations": table.num_rows, "disagreeing": split}))
