"""Decides whether the value of a lead's field is plausible for its kind."""

import re
import unicodedata
from typing import Literal

from ai.cleaning import one_line, remove_control_characters
from ai.workflows.email_generation.placeholders import UNFILLED
from ai.workflows.email_generation.prompt_injection import is_prompt_injection

MAX_LABEL_CHARACTERS = 80
MAX_NOTE_CHARACTERS = 2_000

Kind = Literal["person", "label", "note"]
"""A person's name; another name (company, role, segment); a custom field with any text."""

# `<Retail>` in a company's name and `a < b` only look like markup; they are escaped.
_MARKUP = re.compile(
    r"</?(?:a|abbr|b|base|blockquote|body|br|button|center|code|div|em|embed|font|form|frame|h[1-6]|head|hr|html|i|iframe"
    r"|img|input|li|link|math|meta|object|ol|p|pre|script|select|span|strong|style|svg|table|tbody|td|textarea|th|title|tr"
    r"|u|ul|video)(?:[\s/>]|$)|<[!?]|```|\]\s*\(",
    re.IGNORECASE,
)
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


def explain_implausible(value: str, kind: Kind) -> str | None:
    """Return why a field's value is implausible, as the end of a sentence, or None if it is plausible.

    Names in any script and with any signs are plausible; only content that no name has is not.
    """
    line = remove_control_characters(value).strip()
    if not line:
        return None
    return _check_any(line, value) or (
        _check_note(line) if kind == "note" else _check_name(value.strip(), one_line(line), kind)
    )


def _check_any(line: str, value: str) -> str | None:
    if _TEMPLATE.search(line):
        return "it contains template syntax"
    if UNFILLED.search(line):
        return "it contains a placeholder"
    if _MARKUP.search(line):
        return "it contains markup"
    if _has_disguised_letters(line):
        return "it mixes letters of different scripts in one word"
    if is_prompt_injection(value):  # with invisible characters, which may contain text
        return "it looks like an instruction"
    return None


def _check_note(line: str) -> str | None:
    if len(line) > MAX_NOTE_CHARACTERS:
        return f"it is longer than {MAX_NOTE_CHARACTERS} characters"
    if _SCHEME.search(line) and not _WHOLE_LINK.fullmatch(line):
        return "it contains a link and other words"
    return None


def _check_name(value: str, line: str, kind: Kind) -> str | None:
    breaks = re.search(r"[\n\r\v\f\u2028\u2029]", value) is not None
    for is_implausible, reason in (
        (len(line) > MAX_LABEL_CHARACTERS, f"it is longer than {MAX_LABEL_CHARACTERS} characters"),
        (breaks, "it contains a line break"),
        (_SCHEME.search(line) or _is_web_address(line, kind), "it contains a link"),
        (_ADDRESS.search(line), "it contains an email address"),
        (_PHONE.search(line), "it contains a telephone number"),
    ):
        if is_implausible:
            return reason
    return None


def _is_web_address(line: str, kind: Kind) -> bool:
    """Return whether a name is a URL; a company may be called Booking.com, but not like a page of a site."""
    for match in _DOMAIN.finditer(unicodedata.normalize("NFKC", line)):
        ending = match[0].partition("/")[0].rpartition(".")[2].casefold()
        if ending in _WEB_ENDINGS and (kind == "person" or (match["path"] or "").strip("/?#")):
            return True
    return False


def _has_disguised_letters(line: str) -> bool:
    """Return whether a word mixes similar letters of several scripts, or has stacked accents or variation selectors."""
    if line.isascii():
        return False
    if re.search(r"[\ufe00-\ufe0f\U000e0100-\U000e01ef]{2}", line) or _has_stacked_accents(line):
        return True
    for word in re.findall(r"[^\W\d_]{2,}", line):
        scripts = {unicodedata.name(letter, "?").split(" ", 1)[0] for letter in word}
        if "CYRILLIC" in scripts and scripts & {"LATIN", "GREEK"}:
            return True
        if {"LATIN", "GREEK"} <= scripts and any(letter in "ΑΒΕΖΗΙΚΜΝΟΡΤΥΧαορν" for letter in word):  # noqa: RUF001 - look-alikes
            return True
    return False


def _has_stacked_accents(line: str) -> bool:
    marks = 0
    for sign in unicodedata.normalize("NFD", line):
        marks = marks + 1 if unicodedata.category(sign) in {"Mn", "Me"} else 0
        if marks > 4:  # noqa: PLR2004 - Vietnamese has up to two per letter, pointed Hebrew three
            return True
    return False
