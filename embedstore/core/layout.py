"""Tables and lines in a given width: a table that does not fit becomes one field a line, a long line is folded."""

import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence

from embedstore.core.values import clean

__all__ = ["beside", "cut", "fold", "matrix", "table", "wide"]

_GAP = "  "
_LEAST_TEXT = 20  # characters of a text that is cut to what is left of its line
_COMMAND = re.compile(r"`[^`]+`")
_UNBROKEN = "\x00"  # stands for a space at which no line is broken; `clean` leaves none in a text


def wide(text: str) -> int:
    """Return how many columns of a terminal a text takes.

    Examples
    --------
    >>> wide("tea"), wide("お茶"), wide("cafe\u0301")
    (3, 4, 4)
    """
    if text.isascii():
        return len(text)
    return sum(_columns(one) for one in text)


def _columns(one: str) -> int:
    if unicodedata.category(one) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(one) in ("W", "F") else 1


def cut(text: str, width: int) -> str:
    """Return a text cleaned and cut to `width` columns of a terminal.

    Examples
    --------
    >>> cut("a long sentence", 7), cut("お茶をください", 7)
    ('a long…', 'お茶を…')
    """
    text = clean(text)
    if wide(text) <= width:
        return text
    taken, kept = 1, 0  # the mark at the end takes one
    for one in text:
        taken += _columns(one)
        if taken > width:
            break
        kept += 1
    return text[: max(1, kept)] + "…"


def table(rows: Sequence[Sequence[str]], align: str, *, width: int | None = None, last: bool = False) -> list[str]:
    """Lay out rows of cells under each other, or one field a line where they are wider than `width`.

    Parameters
    ----------
    rows : sequence of sequences of str
        The names of the columns, then the cells of each row.
    align : str
        A character for each column: ``<`` or ``>``.
    width : int, optional
        Columns of the terminal; by default a line is as long as it gets.
    last : bool
        Whether the last column is a text that can be cut to what is left of the line.

    Examples
    --------
    >>> for line in table([("corpus", "rows"), ("train", "332")], "<>"):
    ...     print(line)
    corpus  rows
    train    332
    >>> for line in table([("corpus", "rows", "text"), ("train", "332", "{title}: {review}")], "<><", width=30):
    ...     print(line)
    corpus train
      rows  332
      text  {title}: {review}
    """
    if width is None:
        return _aligned(rows, align, len)
    cleaned = [[clean(cell) for cell in row] for row in rows]
    if last:
        others = [row[:-1] for row in cleaned]
        room = width - sum(max(map(wide, column)) + len(_GAP) for column in zip(*others, strict=True))
        if room >= _LEAST_TEXT:
            cleaned = [[*row[:-1], cut(row[-1], room)] for row in cleaned]
    lines = [line.rstrip() for line in _aligned(cleaned, align, wide)]
    return lines if max(map(wide, lines)) <= width else _fields(cleaned, width, last=last)


def matrix(
    lines: Sequence[str],
    head: str,
    rows: Sequence[str],
    columns: Sequence[str],
    counts: Sequence[Sequence[int]],
    *,
    width: int | None,
) -> list[str]:
    r"""Return the lines of a table of counts, or a line for each count above 0 where they are wider than `width`.

    Examples
    --------
    >>> lines = ["given \\ predicted  cat  dog", "cat                  2    1", "dog                  0    3"]
    >>> for line in matrix(lines, "given \\ predicted", ("cat", "dog"), ("cat", "dog"), [[2, 1], [0, 3]], width=25):
    ...     print(line)
    given  predicted  rows
    cat    cat           2
    cat    dog           1
    dog    dog           3
    """
    if width is None or max(map(wide, lines)) <= width:
        return list(lines)
    found = [
        (row, column, f"{count:,}")
        for row, line in zip(rows, counts, strict=True)
        for column, count in zip(columns, line, strict=True)
        if count
    ]
    first, _, second = head.partition(" \\ ")
    return table([(first, second, "rows"), *found], "<<>", width=width)


def _aligned(rows: Sequence[Sequence[str]], align: str, measure: Callable[[str], int]) -> list[str]:
    """Return a line for each row."""
    widths = [max(map(measure, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        cells = []
        for cell, side, width in zip(row, align, widths, strict=True):
            space = " " * (width - measure(cell))
            cells.append(cell + space if side == "<" else space + cell)
        lines.append(_GAP.join(cells))
    return lines


def _fields(rows: Sequence[Sequence[str]], width: int, *, last: bool) -> list[str]:
    """Return a line for each row, followed by a line for each of its fields that is not empty."""
    (first, *names), *cells = [[cell.strip() for cell in row] for row in rows]
    least = max(map(wide, names), default=0)
    lines = []
    for title, *values in cells:
        lines += fold(f"{first} {title}" if first else title, width)
        for number, (name, value) in enumerate(zip(names, values, strict=True)):
            head = f"{_GAP}{name}{' ' * (least - wide(name))}{_GAP}"
            if last and number == len(names) - 1:
                value = cut(value, max(_LEAST_TEXT, width - wide(head)))
            if not value:
                continue
            room = width - wide(head)
            if wide(value) <= room:
                lines.append(head + value)
            else:
                lines += [head.rstrip(), *(_GAP * 2 + part for part in fold(value, width - 2 * len(_GAP)))]
    return lines


def beside(head: str, text: str, width: int) -> list[str]:
    """Return a text cut to what is left of a line; below its head where little is left.

    Examples
    --------
    >>> beside("0.534  r0103  ", "Arrived broken. Replacement arrived broken.", 36)
    ['0.534  r0103  Arrived broken. Repla…']
    >>> beside("0.534  r0103  ", "Arrived broken. Replacement arrived broken.", 30)
    ['0.534  r0103', '    Arrived broken. Replaceme…']
    """
    if width - wide(head) >= _LEAST_TEXT:
        return [head + cut(text, width - wide(head))]
    return [head.rstrip(), _GAP * 2 + cut(text, width - 2 * len(_GAP))]


def fold(line: str, width: int) -> list[str]:
    """Return a line in parts of at most `width` columns.

    A word or a command in backticks stays whole, so that it can be copied. Parts after the first are indented.

    Examples
    --------
    >>> fold("note: 6 of 332 rows have no text", 20)
    ['note: 6 of 332 rows', '  have no text']
    >>> fold("give `embedstore gc reviews` a try", 16)
    ['give', '  `embedstore gc reviews`', '  a try']
    """
    if wide(line) <= width:
        return [line]
    indent = line[: len(line) - len(line.lstrip(" "))]
    whole = _COMMAND.sub(lambda found: found[0].replace(" ", _UNBROKEN), line.strip(" "))
    parts, part = [], indent
    for space, piece in _pieces(whole):
        if part.strip(" ") and wide(part) + len(space) + wide(piece) > width:
            parts.append(part)
            part = indent + _GAP + piece
        else:
            part += space + piece
    return [one.replace(_UNBROKEN, " ") for one in (*parts, part)]


def _pieces(line: str) -> Iterator[tuple[str, str]]:
    """Yield what is not broken, with the spaces before it: words, and characters that take two columns."""
    for space, word in re.findall(r"( *)([^ ]+)", line):
        if wide(word) == len(word) or _UNBROKEN in word:
            yield space, word
            continue
        for number, one in enumerate(word):
            yield "" if number else space, one
