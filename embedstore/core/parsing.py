"""Errors of parsers: which of them the data caused, and what they say on one line."""

__all__ = ["caused_by_data", "first_line"]


def caused_by_data(error: BaseException) -> bool:
    """Return whether an error can come from a parser; those that end the process on purpose can't.

    A panic of a parser written in Rust is no `Exception`, so that nobody swallows it by mistake.
    """
    return isinstance(error, Exception) or type(error).__name__ == "PanicException"


def first_line(error: BaseException) -> str:
    r"""Return the first line of an error's message that is not blank, or the name of its type.

    Examples
    --------
    >>> first_line(ValueError("bad value\nat 3")), first_line(KeyError())
    ('bad value', 'KeyError')
    """
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__
