"""Checks whom and what a written text names: the greeting, people, companies and places that nothing given holds."""

import re
from collections.abc import Iterator
from functools import cache

from ai.workflows.email_generation.state import Candidate, EmailGenerationInput
from ai.workflows.email_generation.wording import CURLY_APOSTROPHE, folded, words

# The standard library's patterns know no class of capital letters: Latin with accents, Greek, Cyrillic.
_CAPITALS = "".join(chr(sign) for sign in range(0x530) if chr(sign).isupper())
_A_CAPITAL = rf"(?<!\w)[{_CAPITALS}]"

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
    rf"(?P<name>{_A_CAPITAL}[\w&'.-]*(?: (?:(?:&|and|of|und|et|en) )?[{_CAPITALS}][\w&'.-]*){{0,4}}) "
    r"(?:GmbH|AG|KG|SE|Ltd|Limited|Inc|LLC|plc|PLC|Corp|Corporation|Bpk|Edms|SARL|SAS|S\.A\.|Group|Holdings|Gruppe"
    r"|Groep|Groupe)\b"
)
_CAPITAL = re.compile(rf"{_A_CAPITAL}[\w&'-]*(?:\.[\w-]+)*")
_BREAK = re.compile(r"[.!?:;…\n«»“”\"(–—•|]\s*$")  # noqa: RUF001 - what a sentence may begin after
_VOCATIVE = re.compile(rf"\A\W*(?P<name>[{_CAPITALS}][^\W\d_]+(?:[ -][{_CAPITALS}][^\W\d_]+)?)\s*[,:!]")
_GERMAN_PLACE = re.compile(r"\b(?:bei|von|mit|in|aus|nach|an|für) $")
_GERMAN_NOUN = re.compile(
    r"(?:ung|ungen|heit|heiten|keit|keiten|schaft|schaften|ion|ionen|tät|täten|ment|nis|nisse|ismus|tum|ling|chen|lein|er|ern"
    r"|erin|zeit|zeiten|plan|arbeit|en|e)$"
)
_MOST_TITLE_CASE = 0.8
_MOST_BETWEEN = 8
"""Signs between two words that are looked at to see whether the second begins a sentence."""


@cache
def _words(name: str) -> frozenset[str]:
    return frozenset(words("names")[name])


def wrong_greeting(candidate: Candidate, request: EmailGenerationInput) -> Iterator[str]:
    """Give a problem where the text greets somebody else than the lead."""
    greeting = _GREETING.match(candidate.text)
    if not greeting:
        return
    # A greeting that the step's author wrote out is the author's own.
    author = re.sub(r"\{[{%].*?[}%]\}", " ", request.body_template).strip().split("\n", 1)[0]
    lead = request.lead
    own = _parts(f"{lead.first_name} {lead.last_name} {lead.company} {author}")
    strange = [word for word in greeting["name"].split() if not _parts(word) <= own | _words("nobody")]
    if strange:
        yield f"The greeting names {greeting['name']}, which is not this lead's name."


def strange_names(part: str, text: str, known: frozenset[str], language: str) -> Iterator[str]:
    """Give the names in a part of a text (`subject`, `body`) that have a word which is not among the known ones."""
    text = text.replace(CURLY_APOSTROPHE, "'")
    named = [found["name"] for pattern in (_TITLED, _FIRM) for found in pattern.finditer(text)]
    if part == "subject" and (found := _VOCATIVE.match(text)) and not _is_opener(found["name"], language):
        named.append(found["name"])
    if language == "de":
        named += _german(text)
    elif not (part == "subject" and language == "en" and _is_headline(text)):
        named += _capitalised(text)
    for name in dict.fromkeys(named):
        if not _parts(name) <= known | _words("ordinary") | _words("nobody"):
            yield name


def _is_opener(name: str, language: str) -> bool:
    word = folded(name)
    return (
        word in _words("openers") | _words("ordinary")
        or word.endswith(("ly", "ing"))
        or (language == "de" and (" " in name or bool(_GERMAN_NOUN.search(name))))
    )


def _is_headline(text: str) -> bool:
    words = re.findall(r"[^\W\d_]{4,}", text)
    return len(words) > 2 and sum(word[0].isupper() for word in words) > _MOST_TITLE_CASE * len(words)  # noqa: PLR2004 - too few to tell


def _capitalised(text: str) -> Iterator[str]:
    """Give the names of a text in which only names have capitals, first words left out."""
    for run in _runs(text):
        first = run[0]
        before = text[max(first.start() - _MOST_BETWEEN, 0) : first.start()]
        begins = before.strip() in {"", "'n"} or _BREAK.search(before) is not None
        if begins and not first[0].endswith("'s"):
            run = run[1:]  # noqa: PLW2901 - a sentence begins with a capital, name or not
        if run:
            yield " ".join(one[0] for one in run)


def _german(text: str) -> Iterator[str]:
    """Give the names of a German text, where all nouns have capitals: what stands where names do and is none."""
    for found in _CAPITAL.finditer(text):
        is_common = _GERMAN_NOUN.search(found[0]) or folded(found[0]) in _words("german_phrases")
        if not is_common and _GERMAN_PLACE.search(text[max(found.start() - _MOST_BETWEEN, 0) : found.start()]):
            yield found[0]


def _runs(text: str) -> Iterator[list[re.Match[str]]]:
    """Give the words with capitals, those that stand side by side together."""
    run: list[re.Match[str]] = []
    for found in _CAPITAL.finditer(text):
        if run and text[run[-1].end() : found.start()] != " ":
            yield run
            run = []
        run.append(found)
    if run:
        yield run


def _parts(name: str) -> frozenset[str]:
    """Return the words of a name as they are compared: folded, without possessives and titles' points."""
    words = re.split(r"[\s/,()]+", folded(name))
    bare = [re.sub(r"'s$|s'$|[.']+$|^[dlo]'(?=\w)", "", word) for word in words]
    return frozenset(piece for word in bare for piece in {word, *word.split("-")} if piece)


def is_ordinary(word: str) -> bool:
    """Tell whether a word has a capital without being a name."""
    return folded(word) in _words("ordinary")


def known_words(text: str) -> frozenset[str]:
    """Return the words of what was given, to be compared with names; a German or Dutch genitive is the same name."""
    parts = _parts(re.sub(r"[^\w\s&'’.@/,()-]", " ", text))  # noqa: RUF001 - a name's own apostrophe
    return parts | {f"{part}s" for part in parts} | {part.removesuffix("s") for part in parts if len(part) > 3}  # noqa: PLR2004 - not of `is`
