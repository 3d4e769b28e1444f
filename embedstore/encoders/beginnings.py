"""Cut long texts before they are tokenised: a megabyte takes a second, and a model reads a few hundred tokens.

A text may be cut at a single space between two words if the tokenizer separates words there, whatever stands around
it: then the tokens of the beginning are the first tokens of the whole text. `cuts_at_spaces` says of which tokenizers
this is known.
"""

import json
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

__all__ = ["Tokens", "cuts_at_spaces", "first_tokens"]

_AT_ONCE = 1 << 20  # characters tokenised at once: tokens beyond the limit take a hundred bytes a character
_CHARACTERS = 8  # for a token, at first; the mean of English texts is 4 to 5
_MORE = 8  # times longer, if that was too little
_WORDS = re.compile(r"(?<=\w) (?=\w)")

# Each separates words at a space between letters or digits; in a sequence the first one does.
_SEPARATING = frozenset({"BertPreTokenizer", "ByteLevel", "Metaspace", "Whitespace", "WhitespaceSplit"})
# Each changes a character by itself and its neighbours in the same word.
_LOCAL = frozenset(
    {
        "BertNormalizer",
        "Lowercase",
        "NFC",
        "NFD",
        "NFKC",
        "NFKD",
        "Nmt",
        "Precompiled",
        "Prepend",
        "Strip",
        "StripAccents",
    }
)
_ONE_SPACE = {"Regex": " {2,}"}  # as XLM-RoBERTa replaces spaces by one


def cuts_at_spaces(tokenizer: Any) -> bool:
    """Return whether the tokens of a text's beginning are the first ones of the text, if it ends between two words.

    Parameters
    ----------
    tokenizer : tokenizers.Tokenizer
        A tokenizer that cuts texts off at their end.
    """
    separating, normal = _parts(tokenizer.pre_tokenizer, "pretokenizers"), _parts(tokenizer.normalizer, "normalizers")
    first = separating[0] if separating else {}
    if first.get("type") not in _SEPARATING or not first.get("use_regex", True) or not first.get("split", True):
        return False
    if not all(part["type"] in _LOCAL or part.get("pattern") == _ONE_SPACE for part in normal):
        return False
    return not any(re.search(r"\s", added.content) for added in tokenizer.get_added_tokens_decoder().values())


def _parts(part: Any, inside: str) -> list[dict[str, Any]]:
    """Return the description of a normalizer or pre-tokenizer, of each one in a sequence."""
    if part is None:
        return []
    described = json.loads(part.__getstate__())
    parts: list[dict[str, Any]] = described[inside] if described["type"] == "Sequence" else [described]
    return parts


class Tokens(NamedTuple):
    """The first tokens of a text: their ids, their types if they are asked for, and whether the text has more."""

    ids: list[int]
    types: list[int]
    cut: bool


def first_tokens(
    texts: Sequence[str],
    tokens: int,
    encode: Callable[[list[str]], Sequence[Any]],
    *,
    prompt: str,
    cuts: bool,
    typed: bool = False,
) -> list[Tokens]:
    """Tokenise texts of which the first tokens are wanted; read no more of a text than that takes.

    Parameters
    ----------
    texts : sequence of str
        The texts.
    tokens : int
        The number of tokens at which a text is cut off.
    encode : callable
        Takes texts and returns their encodings, with what is beyond `tokens` in ``overflowing``.
    prompt : str
        Text put before each text.
    cuts : bool
        Whether a text may be cut before it is tokenised; see `cuts_at_spaces`.
    typed : bool
        Whether to read the types of tokens, which takes as long as reading the ids.

    Returns
    -------
    list of Tokens
        As of the whole texts.
    """
    found: list[Any] = [None] * len(texts)
    left, length = list(range(len(texts))), _CHARACTERS * tokens if cuts else sys.maxsize
    while left:
        again = []
        for rows, parts in _groups(texts, left, length):
            for row, part, encoding in zip(rows, parts, encode([prompt + part for part in parts]), strict=True):
                types = encoding.type_ids if typed else []
                found[row] = Tokens(encoding.ids, types, bool(encoding.overflowing))
                if len(part) < len(texts[row]) and not found[row].cut:
                    again.append(row)
        left, length = again, length * _MORE
    return found


def _groups(texts: Sequence[str], rows: list[int], length: int) -> Iterator[tuple[list[int], list[str]]]:
    """Yield rows and their beginnings, as many as may be tokenised at once."""
    first = size = 0
    parts: list[str] = []
    for place, row in enumerate(rows):
        part = _beginning(texts[row], length)
        if parts and size + len(part) > _AT_ONCE:
            yield rows[first:place], parts
            first, size, parts = place, 0, []
        parts.append(part)
        size += len(part)
    if parts:
        yield rows[first:], parts


def _beginning(text: str, length: int) -> str:
    """Return the text up to the first space between two words from a length on."""
    cut = _WORDS.search(text, length) if len(text) > length else None
    return text[: cut.start()] if cut else text
