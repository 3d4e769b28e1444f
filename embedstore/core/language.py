"""Tell texts that are mostly not English, by their letters and most frequent words.

The rules prefer silence: titles, codes, names and short notes have few function words, and nothing is said of them.
"""

import re
import unicodedata
from collections.abc import Iterable
from functools import lru_cache

__all__ = ["other_language"]


def _words(lines: str) -> frozenset[str]:
    """Return the words of some lines; those that begin with # are comments."""
    return frozenset(word for line in lines.splitlines() if not line.strip().startswith("#") for word in line.split())


_ENGLISH = _words("""
    the and of to is it this that was for with not are but have you my they from or i were would there been has which
    when very so if just can about out all what because than them too your we he she its will no as at be on in
""")
# Words that hold sentences together. Particles of names (de, la, van, der, di) and words of English are left out.
_OTHER = _words("""
    # German, Dutch
    und ist nicht ich ein eine einen einem einer auf für sich auch wie aber sehr wir sind habe wurde nach bei zum
    zur oder noch nur het een niet dat zijn voor maar ook heb wel deze mijn naar bij uit werd geen
    # French
    est une que qui pas pour dans avec mais très il elle nous vous sont cette être avait trop c'est j'ai n'est
    # Spanish, Portuguese
    una por para pero muy más como este esta todo fue hay porque cuando está não um uma mais muito foi isso ele
    ela são também meu
    # Italian, Romanian
    che non sono molto gli è più anche questo questa della dei alla stato nel și în cu sunt mai din
    # Polish, Czech
    się nie jest że jak bardzo po tak tylko było był przez jsem jsme není být
    # Turkish, Hungarian
    bir ve bu çok için ile ama değil gibi daha kadar sonra olarak az és hogy nem egy
    # Swedish, Danish, Norwegian, Finnish
    och det som är på inte jag för av til og ikke jeg meget ei se että oli mutta myös
    # Indonesian, Vietnamese
    yang ini itu untuk dengan tidak saya và của là không có được
""")
_WORD = re.compile(r"[^\W\d_]+(?:'[^\W\d_]+)?")
_FEWEST_WORDS = 30  # words below which nothing is said
_OTHER_SHARE, _LEAD = 0.05, 2.0  # least share of the words of other languages, and their lead over English ones
_ACCENTED, _ENGLISH_SHARE = 0.06, 0.05  # share of letters with marks that English words lack; share of English words


def other_language(texts: Iterable[str]) -> str:
    """Return how texts, taken together, are other than English; "" if they are not, or if that can't be told.

    Parameters
    ----------
    texts : iterable of str
        A sample; some hundred texts are enough.

    Examples
    --------
    >>> other_language(["Очень хороший чайник, рекомендую всем."] * 10)
    'not in Latin letters'
    >>> other_language(["Der Kessel ist sehr gut und nicht zu laut, ich bin zufrieden."] * 10)
    'not in English'
    >>> other_language(["The kettle is very good, and not too loud."] * 10)
    ''
    """
    letters = foreign = accented = words = english = other = 0
    for text in texts:
        for letter in filter(str.isalpha, text):
            letters += 1
            if letter > "\x7f":
                latin = _is_latin(letter)
                foreign += not latin
                accented += latin
        found = _WORD.findall(text.lower().replace("\u2019", "'"))
        words += len(found)
        english += sum(word in _ENGLISH for word in found)
        other += sum(word in _OTHER for word in found)
    if letters >= _FEWEST_WORDS and foreign > letters / 2:
        return "not in Latin letters"
    if words < _FEWEST_WORDS:
        return ""
    by_words = other > _OTHER_SHARE * words and other > _LEAD * english
    by_letters = accented > _ACCENTED * letters and english < _ENGLISH_SHARE * words
    return "not in English" if by_words or by_letters else ""


@lru_cache(maxsize=4096)
def _is_latin(letter: str) -> bool:
    return unicodedata.name(letter, "LATIN").startswith(("LATIN", "MODIFIER", "FEMININE", "MASCULINE", "MATHEMATICAL"))
