"""Cut long texts before they are tokenised: a megabyte takes a second, and a model reads a few hundred tokens.

A text may be cut at a single space between two words if the tokenizer separates words there, whatever stands around
it: then the tokens of the beginning are the first tokens of the whole text. `cuts_at_spaces` says of which tokenizers
this is known.
"""

import json
import re
from collections.abc import Callable, Sequence
from typing import Any

__all__ = ["cuts_at_spaces", "first_tokens"]

_CHARACTERS = 16  # for a token, at first; the mean of English texts is 4 to 5
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


def first_tokens(texts: Sequence[str], tokens: int, encode: Callable[[list[str]], Sequence[Any]]) -> list[Any]:
    """Tokenise texts of which the first tokens are wanted; read no more of a text than that takes.

    Parameters
    ----------
    texts : sequence of str
        The texts.
    tokens : int
        The number of tokens at which a text is cut off.
    encode : callable
        Takes texts and returns their encodings, with what is beyond `tokens` in ``overflowing``. See `cuts_at_spaces`.

    Returns
    -------
    list of tokenizers.Encoding
        As of the whole texts: the same tokens, and something in ``overflowing`` if a text has more of them.
    """
    found: list[Any] = [None] * len(texts)
    left, length = list(range(len(texts))), _CHARACTERS * tokens
    while left:
        parts = [_beginning(texts[number], length) for number in left]
        again = []
        for number, part, encoding in zip(left, parts, encode(parts), strict=True):
            found[number] = encoding
            if len(part) < len(texts[number]) and not encoding.overflowing:
                again.append(number)
        left, length = again, length * _MORE
    return found


def _beginning(text: str, length: int) -> str:
    """Return the text up to the first space between two words from a length on."""
    cut = _WORDS.search(text, length) if len(text) > length else None
    return text[: cut.start()] if cut else text
