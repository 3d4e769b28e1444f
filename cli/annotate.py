"""`annotate`: label rows by hand, one text at a time."""

import shutil
import sys
import textwrap
from collections.abc import Sequence
from enum import StrEnum
from typing import TYPE_CHECKING

import click
from embedstore.cli.interrupts import ending_signals
from embedstore.cli.keyboard import keys_at_once, read_key, read_line
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

_KEYS = "123456789abcdefghijklnoprtvwxyz"  # keys for labels: all but those of _Command
_LINES = 16  # lines of a text to show at first


class _Command(StrEnum):
    """What can be typed beside labels."""

    SKIP = "s"
    UNDO = "u"
    QUIT = "q"
    MORE = "m"


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
@click.option("--about", metavar="LABEL", help="Ask about texts that get this label, the least certain first.")
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
    about: str | None,
    multi: bool,
    seed: int,
    blank: "Blank",
    no_encode: bool,
) -> None:
    """Label rows by hand: one text at a time, one key per label.

    The key s skips a text, u undoes the last answer, q quits; S, U and Q do so if the small letter is a label. Every
    answer is on disk before the next question. Without a terminal, each line of input is an answer: a key or a label.
    With --multi, a line has keys or labels separated by ;, or is - if no label applies.
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
        about=about,
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
        with ending_signals(), keys_at_once():
            _ask(session, count)
    finally:
        _say_what_is_kept(session)


def _say_what_is_kept(session: "AnnotationSession") -> None:
    note(f"answers kept: {session.given:,}; texts with a label: {len(session.answers):,}, left: {session.left:,}")
    if advice := session.advice():
        note(str(advice))


def _keys_of(names: Sequence[str]) -> dict[str, str]:
    """Return the label of each key; a label that is a digit or a small letter is its own key, others get free keys.

    Examples
    --------
    >>> _keys_of(["Bad", "Good"])
    {'1': 'Bad', '2': 'Good'}
    >>> _keys_of(["0", "1", "many", "s"])
    {'0': '0', '1': '1', '2': 'many', 's': 's'}
    """
    own = [name for name in names if len(name) == 1 and name in f"0{_KEYS}{''.join(_Command)}"]
    free = iter([key for key in _KEYS if key not in own])
    return {name if name in own else next(free): name for name in names}


def _command_in(said: str | None, keys: dict[str, str]) -> _Command | None:
    """Return the command that was typed, None if there is none; the end of input is to quit.

    A letter that is a label's key or name is that label. The other one of s and S then still skips.

    Examples
    --------
    >>> [_command_in(said, {"s": "s", "1": "Tea"}) for said in ("s", "S", "q", "1")]
    [None, <_Command.SKIP: 's'>, <_Command.QUIT: 'q'>, None]
    """
    if said is None:
        return _Command.QUIT
    if said in keys or said in keys.values() or said.lower() not in list(_Command):
        return None
    return _Command(said.lower())


def _typed(keys: dict[str, str]) -> dict[_Command, str]:
    """Return the letter of each command: the capital one if the small one is a label; none if both are."""
    letters = [(one, letter) for one in _Command for letter in (one.value.upper(), one.value)]
    return {one: letter for one, letter in letters if _command_in(letter, keys)}


def _ask(session: "AnnotationSession", count: int | None) -> None:
    from embedstore.annotations.multilabel import MultilabelSession

    keys = _keys_of(session.labels.names)
    read = _read_several if isinstance(session, MultilabelSession) else _read
    while count is None or session.given < count:
        question = session.question
        if question is None:
            note("every text has an answer or was skipped")
            break
        _show(question.text, session, keys)
        said = read(keys, question.text)
        if said is _Command.QUIT:
            break
        if said is _Command.UNDO:
            _undo(session)
        elif said is _Command.SKIP:
            session.skip()
            echo("  skipped")
        else:
            session.answer(said)  # type: ignore[arg-type]
            echo(f"  {_shown(said)}")


def _undo(session: "AnnotationSession") -> None:
    """Take back the last answer or skip, and say which."""
    before = session.answers
    if not session.undo():
        echo("  nothing to undo")
        return
    gone = [said for position, said in before.items() if position not in session.answers]
    echo(f"  taken back: {_shown(gone[0]) if gone else 'a skip'}")


def _shown(said: str | tuple[str, ...]) -> str:
    return said if isinstance(said, str) else ", ".join(said) or "none of them"


def _width() -> int:
    return max(20, min(80, shutil.get_terminal_size().columns) - 2)


def _lines_of(text: str) -> list[str]:
    return textwrap.wrap(clean(text), _width()) or ["(an empty text)"]


def _show(text: str, session: "AnnotationSession", keys: dict[str, str]) -> None:
    advice = session.advice()
    right = f" · of the texts without an answer {advice.share_right}" if advice else ""
    outlook = f" · {advice.outlook}" if advice and advice.outlook else ""
    width, lines = _width(), _lines_of(text)
    told = f"── {len(session.answers):,} answered, {session.left:,} left{right}{outlook} "
    *above, last = textwrap.wrap(told, width)
    echo("", *above, f"{last} ".ljust(width, "─"))
    echo(*lines[:_LINES], *(["…"] if len(lines) > _LINES else []))
    choices = [f"[{key}] {clip(name, 60)}" for key, name in keys.items()]
    choices += _choices_of_several(keys) if session.labels.several else []
    done = {_Command.MORE: "more", _Command.SKIP: "skip", _Command.UNDO: "undo", _Command.QUIT: "quit"}
    typed = {one: letter for one, letter in _typed(keys).items() if one is not _Command.MORE or len(lines) > _LINES}
    choices += [f"[{typed[one]}] {what}" for one, what in done.items() if one in typed]
    unbroken = "   ".join(choice.replace(" ", "\xa0") for choice in choices)
    echo("", *(line.replace("\xa0", " ") for line in textwrap.wrap(unbroken, width)))


def _choices_of_several(keys: dict[str, str]) -> list[str]:
    """Return how to give several labels or none: with keys in a terminal, else in a line."""
    if sys.stdin.isatty():
        return ["[Enter] those chosen, or none of them"]
    several = [f"[{';'.join(list(keys)[:2])}] keys or labels, ; between them"] if len(keys) > 1 else []
    return [*several, "[-] none of them"]


def _read(keys: dict[str, str], text: str) -> str | _Command:
    """Return a label or a command."""
    while True:
        said = read_key() if sys.stdin.isatty() else read_line()
        command = _command_in(said, keys)
        if command is _Command.MORE:
            echo(*_lines_of(text)[_LINES:])
        elif command:
            return command
        elif label := _label_of(keys, said or ""):
            return label
        else:
            shown = clip(said or "", 20).strip() or "no label"
            echo(f"  expected one of {' '.join(keys)} or {_ways_on(keys)}, found {shown!r}")


def _ways_on(keys: dict[str, str]) -> str:
    return ", ".join(letter for command, letter in _typed(keys).items() if command is not _Command.MORE)


def _label_of(keys: dict[str, str], said: str) -> str | None:
    """Return the label of a key, or of a name that is written as it is or is the only one but for its capitals."""
    if said in keys.values():
        return said
    if said.lower() in keys:
        return keys[said.lower()]
    alike = [name for name in keys.values() if name.lower() == said.lower()]
    return alike[0] if len(alike) == 1 else None


def _read_several(keys: dict[str, str], text: str) -> tuple[str, ...] | _Command:
    """Return the chosen labels or a command; to undo takes back choices first."""
    on_terminal = sys.stdin.isatty()
    chosen: set[str] = set()
    while True:
        said = read_key() if on_terminal else read_line()
        command = _command_in(said, keys)
        if command is _Command.MORE:
            echo(*_lines_of(text)[_LINES:])
        elif command is _Command.UNDO and chosen:
            chosen.clear()
            echo("  choices of this text taken back", _marks(keys, chosen))
        elif command:
            return command
        elif on_terminal and said in ("\n", "\r"):
            return tuple(name for name in keys.values() if name in chosen)
        elif on_terminal and (name := _label_of(keys, said or "")):
            chosen ^= {name}
            echo(_marks(keys, chosen))
        elif not on_terminal and (found := _labels_of(keys, said or "")) is not None:
            return found
        else:
            shown = repr(clip(said, 20)) if said and said.strip() else "an empty line"
            how = "and Enter" if on_terminal else "or labels, with ; between them, - for none of them"
            echo(f"  expected keys of {' '.join(keys)} {how}, or {_ways_on(keys)}, found {shown}")


def _marks(keys: dict[str, str], chosen: set[str]) -> str:
    return "  " + "   ".join(f"[{'x' if name in chosen else ' '}] {clip(name, 60)}" for name in keys.values())


def _labels_of(keys: dict[str, str], said: str) -> tuple[str, ...] | None:
    """Return the labels in a line of keys or labels with ``;`` between them, none for ``-``; None if one is unknown."""
    if said in keys.values():
        return (said,)
    parts = [part.strip() for part in said.split(";") if part.strip()]
    if parts == ["-"]:
        return ()
    found = [_label_of(keys, part) for part in parts]
    return None if not found or None in found else tuple(name for name in keys.values() if name in found)
