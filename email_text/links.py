"""Finds the links of a text, also disguised ones, and the visible links of an HTML body."""

import re
import unicodedata
from collections.abc import Iterator
from html import escape, unescape

from email_text.html_tags import HIDDEN_STYLE, INVISIBLE_TAGS, Tag, scan_tags

# Top-level domains; those that are also words count only in lower case, because a missing space is more likely.
_ENDINGS = (
    r"(?:(?i:com|net|org|info|biz|xyz|top|shop|store|site|online|app|dev|page|link|click|news|blog|tech|cloud|agency|example"
    r"|test|invalid|local|io|co|ai|tv|cc|ly|gl|gg|uk|eu|fr|nl|za|ch|pl|dk|ru|cn|tk|br|ca|nz|jp|kr|zip|mov)"
    r"|live|me|to|be|at|in|it|is|us|de|es|pt|se|no|fi|au|ie)"
)
_HOST = r"(?:[^\W_](?:[\w-]{0,62}[^\W_])?\.){1,8}"
_LINK = re.compile(
    rf"""[A-Za-z][A-Za-z0-9+.-]{{1,15}}:[/\\]{{2}}[^\s<>"'`]+         # https://…, hxxps://…
    | \b(?:mailto|tel|sms|javascript|data|vbscript):[^\s<>"']+
    | (?<![\w@])[^\s<>"'()\[\],;:@]{{1,64}}@{_HOST}[^\W\d_]{{2,24}}           # an email address
    | (?<![\w@./-])www\d?\.[^\s<>"']+
    | (?<![\w@./-]){_HOST}(?:{_ENDINGS}|xn--[a-z0-9-]+|\w*[^\W\x00-\x7f]\w*)\b(?:[:/?\#][^\s<>"']*)?
    | (?<![\w.])\d{{1,3}}(?:\.\d{{1,3}}){{3}}(?![\w.])(?:[:/][^\s<>"']*)?""",
    re.VERBOSE,
)
_SPELLED_OUT = re.compile(
    r"\b[\w-]{1,63} (?:dot|punkt|point|punt) (?:com|net|org|info|io|co|app|dev|shop|example|test|invalid)\b"
    r"|\b[\w-]{1,63}\s?[(\[{]\s?(?:dot|punkt|point|punt|at|\.)\s?[)\]}]",
    re.IGNORECASE,
)
_MARKED_UP = re.compile(
    r"\[[^\]\n]{0,200}\]\s?\([^)\s]*\)|\[[^\]\n]{1,200}\]\[\w*\]|<\s*(?:a|img|iframe|form|button|area)\b", re.IGNORECASE
)
_PHONE = re.compile(r"(?<![\w./?=&-])(?:\+|00|0|\()?\d(?:[ \u00a0()/.\-]{0,3}\d){7,14}(?![\w%])")
_DATE = re.compile(r"\d{4}[-./]\d{1,2}[-./]\d{1,2}|\d{1,2}[-./ ]\d{1,2}[-./ ]\d{4}")
_THOUSANDS = re.compile(r"\d{1,3}(?:[ \u00a0.,]\d{3})+")
_UNSUBSCRIBE_WORDS = re.compile(
    r"unsubscri|opt[-_]?out|abmeld|abbestell|austrag|desinscri|désinscri|desabonn|désabonn|afmeld|teken[-_]?af|uitskryf|uitschrijf|cancelar[-_]?suscrip",
    re.IGNORECASE,
)
_TRAILING = ".,;:!?'\")]}»”’…"  # noqa: RUF001 - characters that end a sentence
_DOTS = str.maketrans({"。": ".", "․": ".", "．": ".", "｡": ".", "·": "."})  # noqa: RUF001 - look-alikes on purpose


def normalize(text: str) -> str:
    """Return the text as mail programs read it: with normalized characters and without invisible ones."""
    visible = "".join(sign for sign in text if unicodedata.category(sign) != "Cf")
    return unicodedata.normalize("NFKC", visible).translate(_DOTS)


def find_links(text: str) -> list[str]:
    """Return everything that a mail program or a reader would take for a link or an address."""
    return [match[0].rstrip(_TRAILING) for match in _LINK.finditer(normalize(text))]


def find_disguised_links(text: str) -> list[str]:
    """Return spelled-out links (“example dot com”), links in markup, and telephone numbers."""
    normalized = normalize(text)
    matches = [*_SPELLED_OUT.finditer(normalized), *_MARKED_UP.finditer(normalized)]
    matches += [
        phone
        for phone in _PHONE.finditer(normalized)
        if not _DATE.search(phone[0]) and not _THOUSANDS.fullmatch(phone[0].strip())
    ]
    return [match[0].strip() for match in matches]


def is_same_link(link: str, other: str) -> bool:
    """Return whether two links are equal, ignoring the case of the host and an empty path."""
    return _normalize_link(link) == _normalize_link(other)


def _normalize_link(link: str) -> str:
    scheme, separator, rest = link.rpartition("://")
    host, slash, path = rest.partition("/")
    return f"{scheme.lower()}{separator}{host.lower()}{slash + path if path else ''}"


def get_host(link: str) -> str:
    """Return the host of a link or the domain of an address."""
    return re.split(r"[/?#:]", link.rpartition("://")[2].rpartition("@")[2], maxsplit=1)[0].lower()


def contains_link(text: str, link: str) -> bool:
    """Return whether a plain text contains exactly this link."""
    return any(is_same_link(other, link) for other in find_links(text))


_HIDDEN_ATTRIBUTE = re.compile(r"(?:^|\s)hidden\b(?!\s*=\s*[\"']?until)", re.IGNORECASE)
_VOID = frozenset(
    {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "param", "source", "wbr"}
)


def shows_link(html: str, link: str) -> bool:
    """Return whether an HTML body shows exactly this link; with ambiguous tags the result is false."""
    return any(is_same_link(address, link) for address in find_visible_links(html))


def hides_link(html: str, link: str) -> bool:
    """Return whether an HTML body contains a link and does not show it."""
    return (escape(link) in html or link in html) and not shows_link(html, link)


def is_unsubscribe_link(link: str) -> bool:
    """Return whether a link contains a word for unsubscribing."""
    return _UNSUBSCRIBE_WORDS.search(link) is not None


def find_visible_links(html: str) -> Iterator[str]:
    """Yield the URLs of the visible links of an HTML body: not hidden, and with a content."""
    open_tags: list[tuple[str, bool]] = []
    url, end = "", 0
    for tag in scan_tags(html):
        hidden = bool(open_tags) and open_tags[-1][1]
        if url and not hidden and (_is_text(html[end : tag.start]) or tag.name == "img"):
            yield url
            url = ""
        end = tag.end
        if not tag.name:
            continue
        if tag.is_closing:
            _close_tag(open_tags, tag.name)
            url = "" if tag.name == "a" else url
        else:
            is_hidden = hidden or _hides(tag)
            if tag.name not in _VOID and not tag.attributes.rstrip().endswith("/"):
                open_tags.append((tag.name, is_hidden))
            if tag.name == "a":
                url = "" if is_hidden else tag.href


def _hides(tag: Tag) -> bool:
    return (
        tag.name in INVISIBLE_TAGS
        or _HIDDEN_ATTRIBUTE.search(tag.attributes) is not None
        or HIDDEN_STYLE.search(tag.attributes) is not None
    )


def _close_tag(open_tags: list[tuple[str, bool]], name: str) -> None:
    """Remove the tag and all tags inside it from the stack; does nothing for a tag that was not opened."""
    for at in range(len(open_tags) - 1, max(len(open_tags) - 50, 0) - 1, -1):
        if open_tags[at][0] == name:
            del open_tags[at:]
            return


def _is_text(piece: str) -> bool:
    return bool(normalize(unescape(piece)).strip())
