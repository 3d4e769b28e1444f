"""`annotate`: label rows by hand, one text at a time."""

import os
import re
import select
import shutil
import signal
import sys
import textwrap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import click
from embedstore.cli.interrupts import EndedError, ending_signals
from embedstore.cli.opening import open_named
from embedstore.cli.options import (
    blank_option,
    label_options,
    label_set_of,
    no_encode_option,
    rows_options,
    seed_option,
    store_argument,
)
from embedstore.cli.terminal import echo, note, notes_of, standard_input

from embedstore.core.counts import counted, form
from embedstore.core.values import clean, clip
from embedstore.errors import UsageError

if TYPE_CHECKING:
    from embedstore.annotations import AnnotationSession, Order
    from embedstore.core.blank import Blank

__all__ = ["annotate"]

_COMMANDS = ("m", "q", "s", "u")
_KEYS = "123456789abcdefghijklnoprtvwxyz"  # keys for labels: all but those of _COMMANDS
_LINES = 16  # lines of a text to show at first
_BEGUN = re.compile(rb"\x1b+(\[\[?[0-9;?]*|O)?")  # an unfinished escape sequence
_WAIT, _LONGEST = 0.5, 16  # a key's bytes can arrive in pieces over a network: seconds to wait, and most bytes


@click.command()
@store_argument
@label_options
@rows_options
@click.option(
    "--order",
    type=click.Choice(["typical", "uncertain", "random", "disagreement"]),
    default="typical",
    show_default=True,
    help="What to ask first: typical texts of unlike groups and then uncertain ones; uncertain texts; by chance; or "
    "where answers and labels disagree most.",
)
@click.option("--who", default="", metavar="NAME", help="Who answers; may be left out.")
@click.option("--count", type=click.IntRange(min=1), metavar="N", help="Stop after N answers.")
@click.option("--multi", is_flag=True, help="Give a text all labels that apply: keys choose, Enter confirms.")
@blank_option
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
    multi: bool,
    seed: int,
    blank: "Blank",
    no_encode: bool,
) -> None:
    """Label rows by hand: one text at a time, one key per label.

    The key s skips a text, u undoes the last answer, q quits. Every answer is on disk before the next question.
    Without a terminal, each line of input is an answer. With --multi, a line has keys or labels separated by ;, or is -
    if no label applies.
    """
    label_set = label_set_of(labels, label_file, several=multi)
    if len(label_set.names) > len(_KEYS):
        raise UsageError(f"expected at most {len(_KEYS)} labels, one a key, found {len(label_set.names)}")
    standard_input("answers")
    session = open_named(store).annotations.session(
        label_set,
        corpus=corpus,
        space=space,
        order=order,
        who=who,
        seed=seed,
        blank=blank,
        no_encode=no_encode,
        multi=multi,
    )
    notes_of(session.notes)
    if session.total > len(session):
        note(
            f"note: {len(session):,} of {counted(session.total, 'text')}, drawn by chance, "
            f"{form(len(session), 'is', 'are')} asked about"
        )
    try:
        with ending_signals(), _keys_at_once():
            _ask(session, count)
    finally:
        _say_what_is_kept(session)


def _say_what_is_kept(session: "AnnotationSession") -> None:
    note(f"answers kept: {session.given:,}; texts with a label: {len(session.answers):,}, left: {session.left:,}")
    if advice := session.advice():
        note(str(advice))


@contextmanager
def _keys_at_once() -> Iterator[None]:
    """Make the terminal deliver each key press at once, from before the first question so that no key is lost.

    The terminal is restored when the block ends. After a stop and continue (SIGCONT) the mode is set again.
    """
    if not sys.stdin.isatty():
        yield
        return
    import termios
    import tty

    def go_on(*_: object) -> None:
        with suppress(termios.error):  # the terminal is closed: SIGCONT comes with SIGHUP
            tty.setcbreak(sys.stdin, termios.TCSANOW)

    before = termios.tcgetattr(sys.stdin)
    held = signal.signal(signal.SIGCONT, go_on)
    tty.setcbreak(sys.stdin, termios.TCSANOW)
    try:
        yield
    finally:
        with suppress(termios.error):  # the terminal is closed
            termios.tcsetattr(sys.stdin, termios.TCSANOW, before)
        signal.signal(signal.SIGCONT, held)


def _keys_of(names: Sequence[str]) -> dict[str, str]:
    """Return the label of each key; a label whose name is a key gets this key, any other the first free key.

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


def _ask(session: "AnnotationSession", count: int | None) -> None:
    from embedstore.annotations.multilabel import MultilabelSession

    keys = _keys_of(session.labels.names)
    while count is None or session.given < count:
        question = session.question
        if question is None:
            note("every text has an answer or was skipped")
            break
        _show(question.text, session, keys)
        said = _read_several(keys, question.text) if isinstance(session, MultilabelSession) else None
        if isinstance(session, MultilabelSession) and isinstance(said, tuple):
            session.answer(said)
            echo(f"  {', '.join(said) or 'none of them'}")
            continue
        choice = said if isinstance(said, str) else _read(keys, question.text)
        if choice == "q":
            break
        if choice == "u":
            echo("  taken back" if session.undo() else "  nothing to undo")
        elif choice == "s":
            session.skip()
            echo("  skipped")
        else:
            session.answer(keys[choice])
            echo(f"  {keys[choice]}")


def _width() -> int:
    return max(20, min(80, shutil.get_terminal_size().columns) - 2)


def _lines_of(text: str) -> list[str]:
    return textwrap.wrap(clean(text), _width()) or ["(an empty text)"]


def _show(text: str, session: "AnnotationSession", keys: dict[str, str]) -> None:
    advice = session.advice()
    right = f" · others right: {advice.accuracy:.0%} ({advice.low:.0%} to {advice.high:.0%})" if advice else ""
    outlook = f" · {advice.outlook}" if advice and advice.outlook else ""
    width, lines = _width(), _lines_of(text)
    told = f"── {len(session.answers):,} answered, {session.left:,} left{right}{outlook} "
    *above, last = textwrap.wrap(told, width)
    echo("", *above, f"{last} ".ljust(width, "─"))
    echo(*lines[:_LINES], *(["…"] if len(lines) > _LINES else []))
    choices = [f"[{key}] {clip(name, 60)}" for key, name in keys.items()]
    choices += ["[Enter] those chosen, or none of them"] if session.labels.several else []
    choices += ["[m] more"] if len(lines) > _LINES else []
    choices += ["[s] skip", "[u] undo", "[q] quit"]
    unbroken = "   ".join(choice.replace(" ", "\xa0") for choice in choices)
    echo("", *(line.replace("\xa0", " ") for line in textwrap.wrap(unbroken, width)))


def _read(keys: dict[str, str], text: str) -> str:
    """Return the key of a label, or s, u or q; the end of input counts as q."""
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
            echo(*_lines_of(text)[_LINES:])
            continue
        if len(lower.get(short, ())) == 1:
            return lower[short][0]
        echo(f"  expected one of {' '.join(keys)} or s, u, q, found {clip(said, 20).strip() or 'no label'!r}")


def _read_several(keys: dict[str, str], text: str) -> tuple[str, ...] | str:
    """Return the chosen labels, or s, u or q; the end of input counts as q."""
    on_terminal = sys.stdin.isatty()
    chosen: dict[str, None] = {}
    while True:
        said = _key() if on_terminal else _line()
        if said is None:
            return "q"
        if said.lower() in ("s", "u", "q"):
            return said.lower()
        if said.lower() == "m":
            echo(*_lines_of(text)[_LINES:])
        elif on_terminal and said in ("\n", "\r"):
            return tuple(name for name in keys.values() if name in chosen)
        elif on_terminal and (name := keys.get(said.lower())):
            if name in chosen:
                del chosen[name]
            else:
                chosen[name] = None
            echo("  " + "   ".join(f"[{'x' if one in chosen else ' '}] {clip(one, 60)}" for one in keys.values()))
        elif not on_terminal and (found := _labels_of(keys, said)) is not None:
            return found
        else:
            shown = f"{clip(said, 20).strip() or 'no label'!r}"
            how = "Enter" if on_terminal else "- for none of them (several with ; between them)"
            echo(f"  expected keys of {' '.join(keys)}, {how}, or s, u, q, found {shown}")


def _labels_of(keys: dict[str, str], said: str) -> tuple[str, ...] | None:
    """Return the labels in a line of keys or labels with ``;`` between them, none for ``-``; None if one is unknown."""
    if said in keys.values():
        return (said,)
    parts = [part.strip() for part in said.split(";") if part.strip()]
    names = {name.lower(): name for name in keys.values()} | {name: name for name in keys.values()}
    found = [names.get(part) or keys.get(part.lower()) or names.get(part.lower()) for part in parts]
    if parts == ["-"]:
        return ()
    if not found or None in found:
        return None
    return tuple(name for name in keys.values() if name in found)


def _line() -> str | None:
    line = sys.stdin.readline()
    return line.strip() if line else None


def _key() -> str | None:
    """Return the character of a key press, "a special key" for an escape sequence, or None at the end of input."""
    try:
        said = os.read(sys.stdin.fileno(), 1)
    except OSError as error:  # the terminal is closed
        raise EndedError(signal.SIGHUP) from error
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
