"""Numbers in messages, with the words that go with them."""

from collections.abc import Sequence

__all__ = ["counted", "form", "listed", "shown_bytes"]

_HISSING = ("s", "x", "ch", "sh")


def counted(count: int, noun: str) -> str:
    """Return a number and a noun in the form that goes with it.

    Parameters
    ----------
    count : int
        The number.
    noun : str
        An English noun in the singular, with any words before it. "corpus" becomes "corpora"; other nouns take -s, -es
        or -ies.

    Examples
    --------
    >>> counted(1, "row"), counted(2000, "distinct text"), counted(0, "class"), counted(3, "query"), counted(2, "key")
    ('1 row', '2,000 distinct texts', '0 classes', '3 queries', '2 keys')
    """
    return f"{count:,} {form(count, noun, _plural(noun))}"


def form(count: int, singular: str, plural: str) -> str:
    """Return `singular` if the number is 1, else `plural`: for verbs and pronouns.

    Examples
    --------
    >>> form(1, "has", "have"), form(0, "has", "have")
    ('has', 'have')
    """
    return singular if count == 1 else plural


def listed(names: Sequence[str], most: int = 10) -> str:
    """Return the first few names in quotes, and the number of the others.

    Examples
    --------
    >>> listed(["a", "b"]), listed(["a", "b", "c"], 2)
    ("'a', 'b'", "'a', 'b' and 1 more")
    """
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return ", ".join(map(repr, names[:most])) + more


def shown_bytes(count: int) -> str:
    """Return a number of bytes with a unit.

    Examples
    --------
    >>> shown_bytes(1), shown_bytes(1_500_000)
    ('1 byte', '1.5 MB')
    """
    power = min(4, (len(str(count)) - 1) // 3)
    return f"{count / 1000**power:.1f} {('kB', 'MB', 'GB', 'TB')[power - 1]}" if power else counted(count, "byte")


def _plural(noun: str) -> str:
    if noun.endswith("corpus"):
        return f"{noun[:-2]}ora"
    if noun.endswith("y") and noun[-2:-1] not in "aeiou":
        return f"{noun[:-1]}ies"
    return f"{noun}es" if noun.endswith(_HISSING) else f"{noun}s"
