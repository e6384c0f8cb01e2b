"""Finds the links of a text, disguised ones included, and those that a reader of an HTML body can see and follow."""

import re
import unicodedata
from collections.abc import Iterator
from html import unescape

# Endings of hosts; those that are words as well count in small letters only: a space is forgotten more often.
_ENDINGS = (
    r"(?:(?i:com|net|org|info|biz|xyz|top|shop|store|site|online|app|dev|page|link|click|news|blog|tech|cloud|agency|example"
    r"|test|invalid|local|io|co|ai|tv|cc|ly|gl|gg|uk|eu|fr|nl|za|ch|pl|dk|ru|cn|tk|br|ca|nz|jp|kr|zip|mov)"
    r"|live|me|to|be|at|in|it|is|us|de|es|pt|se|no|fi|au|ie)"
)
_HOST = r"(?:[^\W_](?:[\w-]{0,62}[^\W_])?\.){1,8}"
_LINK = re.compile(
    rf"""[A-Za-z][A-Za-z0-9+.-]{{1,15}}:[/\\]{{2}}[^\s<>"'`]+         # https://…, hxxps://…
    | \b(?:mailto|tel|sms|javascript|data|vbscript):[^\s<>"']+
    | (?<![\w@])[^\s<>"'()\[\],;:@]{{1,64}}@{_HOST}[^\W\d_]{{2,24}}           # an address
    | (?<![\w@./-])www\d?\.[^\s<>"']+
    | (?<![\w@./-]){_HOST}(?:{_ENDINGS}|xn--[a-z0-9-]+|\w*[^\W\x00-\x7f]\w*)\b(?:[:/?\#][^\s<>"']*)?
    | (?<![\w.])\d{{1,3}}(?:\.\d{{1,3}}){{3}}(?![\w.])(?:[:/][^\s<>"']*)?""",
    re.VERBOSE,
)
_WORDED = re.compile(
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
_TRAILING = ".,;:!?'\")]}»”’…"  # noqa: RUF001 - what may close a sentence
_DOTS = str.maketrans({"。": ".", "․": ".", "．": ".", "｡": ".", "·": "."})  # noqa: RUF001 - look-alikes are the point


def plain(text: str) -> str:
    """Return the text as a reader's program takes it: wide and joined signs as usual ones, invisible ones gone."""
    visible = "".join(sign for sign in text if unicodedata.category(sign) != "Cf")
    return unicodedata.normalize("NFKC", visible).translate(_DOTS)


def links_in(text: str) -> list[str]:
    """Return all that a mail program or a reader would take for a link or an address, as it stands in the text."""
    return [found[0].rstrip(_TRAILING) for found in _LINK.finditer(plain(text))]


def tricks_in(text: str) -> list[str]:
    """Return links in words (“example dot com”), in markup, and telephone numbers."""
    read = plain(text)
    found = [*_WORDED.finditer(read), *_MARKED_UP.finditer(read)]
    found += [
        one for one in _PHONE.finditer(read) if not _DATE.search(one[0]) and not _THOUSANDS.fullmatch(one[0].strip())
    ]
    return [one[0].strip() for one in found]


def same(one: str, other: str) -> bool:
    """Tell whether two links lead to the same: the case of the host and an empty path make no difference."""
    return _key(one) == _key(other)


def _key(link: str) -> str:
    scheme, parted, rest = link.rpartition("://")
    host, slash, path = rest.partition("/")
    return f"{scheme.lower()}{parted}{host.lower()}{slash + path if path else ''}"


def host_of(link: str) -> str:
    """Return the host of a link or the domain of an address."""
    return re.split(r"[/?#:]", link.rpartition("://")[2].rpartition("@")[2], maxsplit=1)[0].lower()


def holds(text: str, link: str) -> bool:
    """Tell whether a plain text holds exactly this link."""
    return any(same(found, link) for found in links_in(text))


_TAG = re.compile(
    r"<!--.*?(?:-->|\Z)|<(?P<closing>/?)(?P<name>[A-Za-z][\w:-]*)"
    r"(?P<attributes>(?:\"[^\"]*\"|'[^']*'|[^\"'<>])*)>",
    re.DOTALL,
)
_HREF = re.compile(r"(?:^|\s)href\s*=\s*(?:\"([^\"]*)\"|'([^']*)'|([^\s\"'>]+))", re.IGNORECASE)
_HIDING = re.compile(
    r"(?:^|\s)hidden\b(?!\s*=\s*[\"']?until)|display\s*:\s*none|visibility\s*:\s*(?:hidden|collapse)|opacity\s*:\s*0*\.?0+(?![.\d])|"
    r"font-size\s*:\s*0+(?:\.0+)?(?![.\d])|max-height\s*:\s*0+(?![.\d])|mso-hide\s*:\s*all",
    re.IGNORECASE,
)
_VOID = frozenset(
    {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "param", "source", "wbr"}
)
_SILENT = frozenset({"head", "style", "script", "title", "template", "noscript", "textarea", "select"})


def shows(html: str, link: str) -> bool:
    """Tell whether an HTML body shows a link to exactly this address; where its tags are in doubt, it does not."""
    return any(same(address, link) for address in shown_in(html))


def shown_in(html: str) -> Iterator[str]:
    """Give the addresses of an HTML body's links that a reader can see: with something in them, not hidden."""
    open_tags: list[tuple[str, bool]] = []
    address, end = "", 0
    for tag in _TAG.finditer(html):
        hidden = bool(open_tags) and open_tags[-1][1]
        if address and not hidden and (_is_text(html[end : tag.start()]) or (tag["name"] or "").lower() == "img"):
            yield address
            address = ""
        end = tag.end()
        name = (tag["name"] or "").lower()
        if not name:
            continue
        if tag["closing"]:
            _close(open_tags, name)
            address = "" if name == "a" else address
        else:
            hides = hidden or name in _SILENT or _HIDING.search(tag["attributes"]) is not None
            if name not in _VOID and not tag["attributes"].rstrip().endswith("/"):
                open_tags.append((name, hides))
            if name == "a":
                address = "" if hides else _address(tag["attributes"])


def _close(open_tags: list[tuple[str, bool]], name: str) -> None:
    """Take the tag and what was left open in it from the stack; one that was never opened closes nothing."""
    for at in range(len(open_tags) - 1, max(len(open_tags) - 50, 0) - 1, -1):
        if open_tags[at][0] == name:
            del open_tags[at:]
            return


def _is_text(piece: str) -> bool:
    return bool(plain(unescape(piece)).strip())


def _address(attributes: str) -> str:
    found = _HREF.search(attributes)
    return unescape(next((value for value in found.groups() if value is not None), "")).strip() if found else ""
