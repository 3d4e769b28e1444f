"""What becomes of rows whose text says nothing: the choice, and the note about them.

`embedstore.core.values.is_blank` says which texts these are.
"""

from typing import Literal, get_args

from embedstore.core.counts import counted, form
from embedstore.errors import InputError, UsageError

__all__ = ["Blank", "blank_notes", "check_blank", "no_text"]

Blank = Literal["skip", "answer"]
"""What a question does with rows that have a blank text: give them no answer, or answer them like other rows."""


def check_blank(blank: str) -> None:
    """Raise a `UsageError` unless `blank` is one of the choices of `Blank`."""
    if blank not in get_args(Blank):
        raise UsageError(f"expected blank to be {' or '.join(get_args(Blank))}, found {blank!r}")


def blank_notes(
    blank_rows: int, rows: int, *, given: Literal["", "label", "topic"] = "", corpus: str = ""
) -> tuple[str, ...]:
    """Return a note about the rows that have a blank text; no note if there are none.

    Parameters
    ----------
    blank_rows, rows : int
        Number of rows with a blank text, and of all rows.
    given : {"", "label", "topic"}
        What the question gives to each row; "" for a question that leaves rows out.
    corpus : str
        Name of the corpus, where a question has two.

    Examples
    --------
    >>> blank_notes(1, 200)
    ('1 of 200 rows has no text and is left out (--blank answer takes it in)',)
    >>> blank_notes(40, 200, given="label")
    ('40 of 200 rows have no text and get no label (--blank answer labels them)',)
    """
    if not blank_rows:
        return ()
    them, get = form(blank_rows, "it", "them"), form(blank_rows, "gets", "get")
    fate = {
        "": f"{form(blank_rows, 'is', 'are')} left out (--blank answer takes {them} in)",
        "label": f"{get} no label (--blank answer labels {them})",
        "topic": f"{get} no topic (--blank answer gives {them} one)",
    }[given]
    of = f" of corpus {corpus!r}" if corpus else ""
    return (f"{blank_rows:,} of {counted(rows, 'row')}{of} {form(blank_rows, 'has', 'have')} no text and {fate}",)


def no_text(corpus: str, rows: int) -> InputError:
    """Return the error of a question that needs a text, about a corpus whose texts are all blank."""
    return InputError(
        f"expected rows with a text in corpus {corpus!r}, found none in {counted(rows, 'row')}: add rows, or "
        "take rows without a text in with --blank answer"
    )
