"""Judges whether a lead's field can be what its name says, or holds something else put there."""

import re
import unicodedata
from typing import Literal

from ai.cleaning import one_line, printable
from ai.workflows.email_generation.orders import speaks_to_a_model
from ai.workflows.email_generation.placeholders import UNFILLED

MOST_LABEL_CHARACTERS = 80
MOST_NOTE_CHARACTERS = 2_000

Kind = Literal["person", "label", "note"]
"""A person's name; a name of another thing (company, role, segment); a custom field, which may say anything."""

_MARKUP = re.compile(r"<[A-Za-z/!?]|&lt;\s*/?[a-z]|```|\]\s*\(")
_TEMPLATE = re.compile(r"\{\{|\}\}|\{%|%\}|\$\{|<%|\{\s*[\"']|\*\|")
_SCHEME = re.compile(
    r"\b(?:[a-z][a-z0-9+.-]{1,12}://|www\d?\.|hxxps?:|(?:javascript|data|vbscript|mailto|tel|sms):\S)", re.IGNORECASE
)
_DOMAIN = re.compile(r"(?<![\w.@-])(?:[\w-]+\.)+[a-z]{2,24}\b(?P<path>[/?#]\S*)?", re.IGNORECASE)
_ADDRESS = re.compile(r"[^\s@]@[^\s@]+\.[^\s@]")
_PHONE = re.compile(r"\+?\d(?:[ ()/.-]{0,2}\d){8,}")
_WEB_ENDINGS = frozenset(
    {
        "com",
        "net",
        "org",
        "info",
        "biz",
        "xyz",
        "top",
        "shop",
        "site",
        "online",
        "app",
        "dev",
        "click",
        "link",
        "io",
        "co",
    }
    | {"example", "test", "invalid", "ru", "cn", "tk", "zip"}
)
_WHOLE_LINK = re.compile(r"(?:https?://|www\.)[^\s<>\"'{}|\\^`\[\]]{3,300}", re.IGNORECASE)


def why_implausible(value: str, kind: Kind) -> str | None:
    """Return what a field's value holds that it cannot, as an end of a sentence; None where it may be believed.

    Names of people and companies in any script are believed, whatever signs they carry; only what none has is not.
    """
    line = printable(value).strip()
    if not line:
        return None
    return _of_any(line, value) or (_of_note(line) if kind == "note" else _of_name(value.strip(), one_line(line), kind))


def _of_any(line: str, value: str) -> str | None:
    if _TEMPLATE.search(line):
        return "it holds template syntax"
    if UNFILLED.search(line):
        return "it holds a placeholder"
    if _MARKUP.search(line):
        return "it holds markup"
    if _has_disguised_letters(line):
        return "it mixes letters of different scripts in one word"
    if speaks_to_a_model(value):  # with its invisible signs, which may spell something
        return "it reads like an instruction"
    return None


def _of_note(line: str) -> str | None:
    if len(line) > MOST_NOTE_CHARACTERS:
        return f"it is longer than {MOST_NOTE_CHARACTERS} characters"
    if _SCHEME.search(line) and not _WHOLE_LINK.fullmatch(line):
        return "it holds a link among other words"
    return None


def _of_name(value: str, line: str, kind: Kind) -> str | None:
    breaks = re.search(r"[\n\r\v\f\u2028\u2029]", value) is not None
    for holds, what in (
        (len(line) > MOST_LABEL_CHARACTERS, f"it is longer than {MOST_LABEL_CHARACTERS} characters"),
        (breaks, "it holds a line break"),
        (_SCHEME.search(line) or _is_web_address(line, kind), "it holds a link"),
        (_ADDRESS.search(line), "it holds an email address"),
        (_PHONE.search(line), "it holds a telephone number"),
    ):
        if holds:
            return what
    return None


def _is_web_address(line: str, kind: Kind) -> bool:
    """Companies are called Booking.com, people are not; nobody is called like a page of a site."""
    for found in _DOMAIN.finditer(unicodedata.normalize("NFKC", line)):
        ending = found[0].partition("/")[0].rpartition(".")[2].casefold()
        if ending in _WEB_ENDINGS and (kind == "person" or (found["path"] or "").strip("/?#")):
            return True
    return False


def _has_disguised_letters(line: str) -> bool:
    """Look for a word of letters from several alphabets that look alike, for piled accents and hidden selectors."""
    if line.isascii():
        return False
    if re.search(r"[\ufe00-\ufe0f\U000e0100-\U000e01ef]{2}", line) or _is_piled(line):
        return True
    for word in re.findall(r"[^\W\d_]{2,}", line):
        scripts = {unicodedata.name(letter, "?").split(" ", 1)[0] for letter in word}
        if "CYRILLIC" in scripts and scripts & {"LATIN", "GREEK"}:
            return True
        if {"LATIN", "GREEK"} <= scripts and any(letter in "ΑΒΕΖΗΙΚΜΝΟΡΤΥΧαορν" for letter in word):  # noqa: RUF001 - look-alikes
            return True
    return False


def _is_piled(line: str) -> bool:
    marks = 0
    for sign in unicodedata.normalize("NFD", line):
        marks = marks + 1 if unicodedata.category(sign) in {"Mn", "Me"} else 0
        if marks > 4:  # noqa: PLR2004 - Vietnamese has two on a letter, pointed Hebrew three
            return True
    return False
