"""Finds names in a model's text that are not in the input: in the greeting, of people, companies and places."""

import re
from collections.abc import Iterator
from functools import cache

from ai.workflows.email_generation.state import Candidate, EmailGenerationInput
from ai.workflows.email_generation.wording import CURLY_APOSTROPHE, fold, load_words

# Latin with accents, Greek and Cyrillic; the standard library's patterns have no class of capital letters.
_CAPITALS = "".join(chr(sign) for sign in range(0x530) if chr(sign).isupper())
_CAPITAL_PATTERN = rf"(?<!\w)[{_CAPITALS}]"

_GREETING = re.compile(
    r"\A\s*(?:hi|hello|hey|dear|good (?:morning|afternoon|evening|day)|hallo|guten (?:tag|morgen|abend)|moin|servus"
    r"|gr(?:ü|ue)(?:ß|ss) gott|sehr geehrte[r]?|liebe[r]?|werte[r]?|bonjour|bonsoir|cher|chère|salut|madame|monsieur"
    r"|geagte|goeie ?(?:dag|m[oô]re|middag|naand)|m[oô]re|beste|dag|hola|estimad[oa]|olá|prezad[oa]|car[oa])[ ]+"
    r"(?P<name>[^,!.:;\n]{1,60}?)[ ]*(?:[,!.:;\n\u2013\u2014-]|\Z)",
    re.IGNORECASE,
)
_TITLED = re.compile(
    r"\b(?:Mr|Mrs|Ms|Mx|Dr|Prof|Herrn?|Frau|Madame|Mme|Mlle|Monsieur|Meneer|Mnr|Mevrou|Mev)\b\.? +"
    rf"(?!(?:Dr|Prof|Frau|Herr)\b)(?P<name>(?:d'|de |van |von |der |du |O')*[{_CAPITALS}][\w'-]*)"
)
_FIRM = re.compile(
    rf"(?P<name>{_CAPITAL_PATTERN}[\w&'.-]*(?: (?:(?:&|and|of|und|et|en) )?[{_CAPITALS}][\w&'.-]*){{0,4}}) "
    r"(?:GmbH|AG|KG|SE|Ltd|Limited|Inc|LLC|plc|PLC|Corp|Corporation|Bpk|Edms|SARL|SAS|S\.A\.|Group|Holdings|Gruppe"
    r"|Groep|Groupe)\b"
)
_CAPITAL = re.compile(rf"{_CAPITAL_PATTERN}[\w&'-]*(?:\.[\w-]+)*")
_BREAK = re.compile(r"[.!?:;…\n«»“”\"(–—•|]\s*$")  # noqa: RUF001 - characters before a new sentence
_VOCATIVE = re.compile(rf"\A\W*(?P<name>[{_CAPITALS}][^\W\d_]+(?:[ -][{_CAPITALS}][^\W\d_]+)?)\s*[,:!]")
_GERMAN_PLACE = re.compile(r"\b(?:bei|von|mit|in|aus|nach|an|für) $")
_GERMAN_NOUN = re.compile(
    r"(?:ung|ungen|heit|heiten|keit|keiten|schaft|schaften|ion|ionen|tät|täten|ment|nis|nisse|ismus|tum|ling|chen|lein|er|ern"
    r"|erin|zeit|zeiten|plan|arbeit|en|e)$"
)
_MIN_TITLE_CASE_SHARE = 0.8
_LOOKBEHIND_CHARACTERS = 8
"""The number of characters before a word that show whether it begins a sentence."""


@cache
def _load_name_words(name: str) -> frozenset[str]:
    return frozenset(load_words("names")[name])


def find_wrong_greeting(candidate: Candidate, request: EmailGenerationInput) -> Iterator[str]:
    """Yield a problem when the text greets another person than the lead."""
    greeting = _GREETING.match(candidate.text)
    if not greeting:
        return
    # A name in the greeting of the template is allowed.
    template_greeting = re.sub(r"\{[{%].*?[}%]\}", " ", request.body_template).strip().split("\n", 1)[0]
    lead = request.lead
    known = _split_name(f"{lead.first_name} {lead.last_name} {lead.company} {template_greeting}")
    unknown = [
        word for word in greeting["name"].split() if not _split_name(word) <= known | _load_name_words("greetings")
    ]
    if unknown:
        yield f"The greeting names {greeting['name']}, which is not the lead's name."


def find_unknown_names(part: str, text: str, known: frozenset[str], language: str) -> Iterator[str]:
    """Yield the names in a part of a text (`subject` or `body`) that contain an unknown word."""
    text = text.replace(CURLY_APOSTROPHE, "'")
    names = [match["name"] for pattern in (_TITLED, _FIRM) for match in pattern.finditer(text)]
    if part == "subject" and (match := _VOCATIVE.match(text)) and not _is_opener(match["name"], language):
        names.append(match["name"])
    if language == "de":
        names += _find_german_names(text)
    elif not (part == "subject" and language == "en" and _is_headline(text)):
        names += _find_capitalized_names(text)
    for name in dict.fromkeys(names):
        if not _split_name(name) <= known | _load_name_words("ordinary") | _load_name_words("greetings"):
            yield name


def _is_opener(name: str, language: str) -> bool:
    word = fold(name)
    return (
        word in _load_name_words("openers") | _load_name_words("ordinary")
        or word.endswith(("ly", "ing"))
        or (language == "de" and (" " in name or bool(_GERMAN_NOUN.search(name))))
    )


def _is_headline(text: str) -> bool:
    words = re.findall(r"[^\W\d_]{4,}", text)
    capitalized = sum(word[0].isupper() for word in words)
    return len(words) > 2 and capitalized > _MIN_TITLE_CASE_SHARE * len(words)  # noqa: PLR2004 - needs three words


def _find_capitalized_names(text: str) -> Iterator[str]:
    """Yield capitalized names, without the first words of sentences."""
    for run in _find_capitalized_runs(text):
        first = run[0]
        before = text[max(first.start() - _LOOKBEHIND_CHARACTERS, 0) : first.start()]
        is_first = before.strip() in {"", "'n"} or _BREAK.search(before) is not None
        if is_first and not first[0].endswith("'s"):
            run = run[1:]  # noqa: PLW2901 - a sentence begins with a capital
        if run:
            yield " ".join(word[0] for word in run)


def _find_german_names(text: str) -> Iterator[str]:
    """Yield the names of a German text, in which all nouns are capitalized: words in the position of a name."""
    for match in _CAPITAL.finditer(text):
        is_common = _GERMAN_NOUN.search(match[0]) or fold(match[0]) in _load_name_words("german_phrases")
        if not is_common and _GERMAN_PLACE.search(text[max(match.start() - _LOOKBEHIND_CHARACTERS, 0) : match.start()]):
            yield match[0]


def _find_capitalized_runs(text: str) -> Iterator[list[re.Match[str]]]:
    """Yield runs of adjacent capitalized words."""
    run: list[re.Match[str]] = []
    for match in _CAPITAL.finditer(text):
        if run and text[run[-1].end() : match.start()] != " ":
            yield run
            run = []
        run.append(match)
    if run:
        yield run


def _split_name(name: str) -> frozenset[str]:
    """Return the words of a name for comparison: folded, without possessives and dots."""
    words = re.split(r"[\s/,()]+", fold(name))
    bare = [re.sub(r"'s$|s'$|[.']+$|^[dlo]'(?=\w)", "", word) for word in words]
    return frozenset(piece for word in bare for piece in {word, *word.split("-")} if piece)


def is_ordinary(word: str) -> bool:
    """Return whether a word is capitalized without being a name."""
    return fold(word) in _load_name_words("ordinary")


def collect_known_words(text: str) -> frozenset[str]:
    """Return the words of the input for comparison with names, also without and with a genitive s."""
    parts = _split_name(re.sub(r"[^\w\s&'’.@/,()-]", " ", text))  # noqa: RUF001 - an apostrophe in a name
    return parts | {f"{part}s" for part in parts} | {part.removesuffix("s") for part in parts if len(part) > 3}  # noqa: PLR2004 - not for short words such as `is`
