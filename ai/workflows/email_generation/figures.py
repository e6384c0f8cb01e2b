"""Finds the numbers of a text, in digits with any grouping and in words of en, af, de and fr."""

import re

from ai.workflows.email_generation.wording import fold

LINK = re.compile(r"\S{1,20}://\S+|[^\s@]{1,64}@\S+")
"""Matches URLs and email addresses; numbers in them are no claims."""

_NUMBER = re.compile(r"\d+(?:[.,' ]\d{3})*(?:[.,]\d+)?")
_WORD = re.compile(r"[^\W\d_]+")


def _number_words(*words: str) -> dict[str, str]:
    """Return number words with their numbers; the words are in ascending order from 2."""
    return {form: str(number) for number, forms in enumerate(words, 2) for form in forms.split("/") if form}


_NUMBER_WORDS = {
    **_number_words(
        "two/zwei/twee/deux", "three/drei/drie/trois", "four/vier/quatre", "five/funf/vyf/cinq", "six/sechs/ses",
        "seven/sieben/sewe/sept", "eight/acht/agt/huit", "nine/neun/nege", "ten/zehn/tien/dix", "eleven/elf/onze",
        "twelve/zwolf/twaalf/douze", "thirteen/dreizehn/dertien/treize", "fourteen/vierzehn/veertien/quatorze",
        "fifteen/funfzehn/vyftien/quinze", "sixteen/sechzehn/sestien/seize", "seventeen/siebzehn/sewentien",
        "eighteen/achtzehn/agtien", "nineteen/neunzehn/negentien", "twenty/zwanzig/twintig/vingt",
    ),
    "thirty": "30", "dreissig": "30", "dertig": "30", "trente": "30", "forty": "40", "vierzig": "40", "veertig": "40",
    "quarante": "40", "fifty": "50", "funfzig": "50", "vyftig": "50", "cinquante": "50", "sixty": "60", "sechzig": "60",
    "seventy": "70", "eighty": "80", "ninety": "90", "hundred": "100", "hundreds": "100", "hundert": "100",
    "hunderte": "100", "honderd": "100", "honderde": "100", "centaines": "100", "thousand": "1000", "thousands": "1000",
    "tausend": "1000", "tausende": "1000", "duisend": "1000", "duisende": "1000", "mille": "1000", "milliers": "1000",
    "million": "1000000", "millions": "1000000", "millionen": "1000000", "miljoen": "1000000", "dozen": "12",
    "dozens": "12", "dutzende": "12", "dutzend": "12", "dosyn": "12", "dosyne": "12", "douzaine": "12",
    "douzaines": "12", }  # fmt: skip
_NUMBER_PHRASES = (
    (re.compile(r"half an hour|half[ -]hour|halbe[rn]? stunde|demi-heure|halfuur|halbstund\w*"), " 30 "),
    (re.compile(r"quarter of an hour|viertelstunde|quart d'heure|kwartier"), " 15 "),
    (re.compile(r"\b(?:half|halb|halfte|halbier\w*|moitie|helfte|halve|halveer)\b"), " 50 "),
    (re.compile(r"\b(?:double|twice|doppelt\w*|dubbel|tweemal|zweimal)\b"), " 2 "),
)


def find_figures(text: str) -> set[str]:
    """Return the numbers of a text as digits without separators."""
    words = fold(LINK.sub(" ", text))
    for phrase, figure in _NUMBER_PHRASES:
        words = phrase.sub(figure, words)
    numbers = {re.sub(r"\D", "", number[0]) for number in _NUMBER.finditer(words)}
    return numbers | {_NUMBER_WORDS[word] for word in _WORD.findall(words) if word in _NUMBER_WORDS}
