"""Compiles the phrases of `words/*.toml` to patterns, and normalizes texts for these patterns.

A phrase is a regular expression on folded text in which
- a space matches the separator of two words of a clause, `..3 ` up to three words, and ` … ` up to five words;
- ` & ` requires all parts in one clause, in any order;
- `_` matches a word, and `*` after letters the rest of a word;
- `-` matches a hyphen, a space or nothing, and an apostrophe is optional;
- `<class>` is a class of words from `[words]` of the same file, or `<e-mail>` and `<name>` below.
It begins and ends at a word boundary.
"""

import re
import unicodedata
from collections.abc import Iterable, Mapping
from itertools import permutations

MAX_CHARACTERS = 4_000  # more characters of a text are ignored; a user reviews the rest
MAX_CLASS_DEPTH = 2  # the nesting depth of word classes

_BETWEEN = r"[^\w.,;:!?]{1,4}"
_IN_CLAUSE = r"(?!\w)[^.,;:!?]{1,60}?(?<!\w)"
_TOKEN = re.compile(
    r"""\.\.(?P<most>\d)[ ] | (?P<some>[ ]\u2026[ ]) | (?P<hyphen>(?<=[a-z)])-\??) | (?P<rest>(?<=[a-z])\*)
    | (?P<word>_) | (?P<apostrophe>'\??) | (?P<maybe>[ ]\?) | (?P<space>[ ])""",
    re.VERBOSE,
)
_EXPANSIONS = {
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
_DOT = re.compile(  # in a date or an abbreviation, so not the end of a sentence
    r"(?<=\d)\.(?!\d)|(?<=\b[a-z])\.|(?<=\b(?:mr|ms|dr|hr|fr|st|nr|no|ca|vs))\."
    r"|(?<=\b(?:mrs|mme|mnr|mev|bzw|asb|ggf|svp))\."
)


def fold(text: str) -> str:
    """Return the text in lower case, without accents, with straight apostrophes."""
    decomposed = (
        unicodedata.normalize("NFKD", letter) if letter != "\u2026" else letter
        for letter in text.translate(_LETTERS).casefold()
    )
    return "".join(sign for letters in decomposed for sign in letters if not unicodedata.combining(sign))


def normalize(text: str) -> str:
    """Return the first part of a text in the form that patterns match: folded, with uniform dots and negations."""
    return _NOT.sub(r"\1 not", _DOT.sub(" ", fold(text[:MAX_CHARACTERS])[:MAX_CHARACTERS]))


def compile_phrases(phrases: Iterable[str], words: Mapping[str, str]) -> re.Pattern[str]:
    """Return a pattern that matches any of the phrases; `words` are the word classes that they may use."""
    alternatives = "|".join(_in_any_order(_regex(part, words) for part in phrase.split(" & ")) for phrase in phrases)
    return re.compile(rf"(?<!\w)(?:{alternatives})(?!\w)")


def _in_any_order(parts: Iterable[str]) -> str:
    orders = (_IN_CLAUSE.join(f"(?:{part})" for part in order) for order in permutations(parts))
    return f"(?:{'|'.join(orders)})"


def _regex(phrase: str, words: Mapping[str, str]) -> str:
    for _ in range(MAX_CLASS_DEPTH):
        for name, choice in {**words, **_ANYWHERE}.items():
            phrase = phrase.replace(f"<{name}>", choice)
    # Text in brackets or after a backslash is a regular expression already.
    parts = re.split(r"(\[[^\]]*\]|\\\w|\(\?[!<=:]+)", phrase)
    return "".join(part if index % 2 else _loosen(part) for index, part in enumerate(parts))


def _loosen(words: str) -> str:
    return _TOKEN.sub(_expand_token, _NOT.sub(r"\1 not", fold(words)).replace("n't", "not"))


def _expand_token(token: re.Match[str]) -> str:
    if most := token["most"]:
        return rf"(?:\w+{_BETWEEN}){{0,{most}}}"
    assert token.lastgroup is not None
    return _EXPANSIONS[token.lastgroup]
