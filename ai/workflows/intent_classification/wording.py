"""Makes patterns of phrases as `words/*.toml` write them, and texts fit for these patterns.

A phrase is a regular expression over folded text in which
- a space is what may stand between two words of a clause, `..3 ` is up to three words, and ` … ` up to five;
- ` & ` asks for all its parts in one clause, in any order;
- `_` is a word, and `*` after letters the rest of one;
- `-` is a hyphen, a space or nothing, and an apostrophe may be missing;
- `<class>` is a class of words, from `[words]` of the same file, or `<e-mail>` and `<name>` below.
It begins and ends at the edge of a word.
"""

import re
import unicodedata
from collections.abc import Iterable, Mapping
from itertools import permutations

MAX_READ = 4_000  # characters of a text; who has not said it by then is read by a person
DEEPEST = 2  # classes of words in classes of words

_BETWEEN = r"[^\w.,;:!?]{1,4}"
_IN_CLAUSE = r"(?!\w)[^.,;:!?]{1,60}?(?<!\w)"
_TOKEN = re.compile(
    r"""\.\.(?P<most>\d)[ ] | (?P<some>[ ]\u2026[ ]) | (?P<hyphen>(?<=[a-z)])-\??) | (?P<rest>(?<=[a-z])\*)
    | (?P<word>_) | (?P<apostrophe>'\??) | (?P<maybe>[ ]\?) | (?P<space>[ ])""",
    re.VERBOSE,
)
_MEANT = {
    "some": rf"(?:{_BETWEEN}[\w@]+){{0,5}}?{_BETWEEN}",
    "hyphen": "[- ]?",
    "rest": r"\w*",
    "word": r"\w+",
    "apostrophe": rf"'?(?:{_BETWEEN})?",
    "maybe": f"(?:{_BETWEEN})?",
    "space": _BETWEEN,
}
_NO_NAMES = (
    "me|us|you|it|this|that|these|those|again|them|him|her|to|an?|the|my|our|your|his|has|have|had|is|are|was|were|will|can"
    "|would|could|should|may|do|does|did|who|how|what|where|when|why|which|if|in|on|at|for|with|by|about|of|from|and|or|but"
    "|not|no|so|as|once|then|only|directly|anyone|somebody|someone|something|nobody|everyone|more|any|all|we|they|he|she"
    "|via|through|before|after|until|because|people|customers|clients|form|support|details"
)
_ANYWHERE = {"e-mail": r"[\w.+-]{1,64}@[\w-]*", "name": rf"(?!(?:{_NO_NAMES})\b)[a-z]{{2,20}}"}
_LETTERS = str.maketrans({"\N{RIGHT SINGLE QUOTATION MARK}": "'", "\N{LEFT SINGLE QUOTATION MARK}": "'", "ŉ": "'n"})
_NOT = re.compile(r"\b(do|does|did|is|are|was|were|have|has|had|wo|ca|sha|would|could|should|ai|need|must)n ?'?t\b")
_DOT = re.compile(  # of a date or an abbreviation: no end of a sentence
    r"(?<=\d)\.(?!\d)|(?<=\b[a-z])\.|(?<=\b(?:mr|ms|dr|hr|fr|st|nr|no|ca|vs))\."
    r"|(?<=\b(?:mrs|mme|mnr|mev|bzw|asb|ggf|svp))\."
)


def folded(text: str) -> str:
    """Return the text in lower case, without accents, with straight apostrophes."""
    apart = (
        unicodedata.normalize("NFKD", one) if one != "\u2026" else one for one in text.translate(_LETTERS).casefold()
    )
    return "".join(one for letters in apart for one in letters if not unicodedata.combining(one))


def words_of(text: str) -> str:
    """Return the first part of a text as patterns read it: folded, its dots and negations plain."""
    return _NOT.sub(r"\1 not", _DOT.sub(" ", folded(text[:MAX_READ])[:MAX_READ]))


def compiled(phrases: Iterable[str], words: Mapping[str, str]) -> re.Pattern[str]:
    """Return one pattern for all phrases, which may use these classes of words."""
    every = "|".join(_in_any_order(_regex(part, words) for part in phrase.split(" & ")) for phrase in phrases)
    return re.compile(rf"(?<!\w)(?:{every})(?!\w)")


def _in_any_order(parts: Iterable[str]) -> str:
    orders = (_IN_CLAUSE.join(f"(?:{part})" for part in order) for order in permutations(parts))
    return f"(?:{'|'.join(orders)})"


def _regex(phrase: str, words: Mapping[str, str]) -> str:
    for _ in range(DEEPEST):
        for name, choice in {**words, **_ANYWHERE}.items():
            phrase = phrase.replace(f"<{name}>", choice)
    # What stands in brackets or after a backslash is a regular expression already.
    parts = re.split(r"(\[[^\]]*\]|\\\w|\(\?[!<=:]+)", phrase)
    return "".join(part if index % 2 else _loosened(part) for index, part in enumerate(parts))


def _loosened(words: str) -> str:
    return _TOKEN.sub(_meaning, _NOT.sub(r"\1 not", folded(words)).replace("n't", "not"))


def _meaning(token: re.Match[str]) -> str:
    if most := token["most"]:
        return rf"(?:\w+{_BETWEEN}){{0,{most}}}"
    assert token.lastgroup is not None
    return _MEANT[token.lastgroup]
