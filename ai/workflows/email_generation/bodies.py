"""Makes the HTML of a plain text and the plain text of an HTML body."""

import re
from html import escape, unescape

_LINK = re.compile(r"https?://[^\s<>\"')]+[^\s<>\"').,;:!?]")
_TAG = re.compile(r"<(?P<closing>/?)(?P<name>[A-Za-z][A-Za-z0-9]*)(?P<attributes>[^<>]*)>|<!(?P<comment>[^<>]*)>")
_HREF = re.compile(r"\bhref\s*=\s*(?:\"(https?://[^\"]*)\"|'(https?://[^']*)')", re.IGNORECASE)
_BLOCKS = frozenset(
    {"p", "div", "br", "tr", "li", "ul", "ol", "table", "h1", "h2", "h3", "h4", "h5", "h6", "blockquote"}
)
_SILENT = frozenset({"style", "script", "head", "title"})


def html_of(text: str) -> str:
    """Return paragraphs of escaped text; web addresses become links."""
    paragraphs = re.split(r"\n[ \t]*\n+", text.strip())
    return "\n".join(f"<p>{_linked(paragraph)}</p>" for paragraph in paragraphs if paragraph.strip())


def text_of(html: str) -> str:
    """Return what a person reads of an HTML body: blocks as lines, links with their addresses."""
    # A scanner of our own: the standard library's parser takes quadratic time over unclosed tags.
    pieces: list[str] = []
    silent, address, end = "", "", 0
    for tag in _TAG.finditer(html):
        if not silent:
            pieces.append(_read(html[end : tag.start()]))
        end = tag.end()
        name, closing = (tag["name"] or "").lower(), bool(tag["closing"])
        if name in _SILENT:
            silent = "" if closing else silent or name
        elif name in _BLOCKS:
            pieces.append("\n\n" if closing and name == "p" else "\n")
        elif name == "a" and not closing:
            address = _address_in(tag["attributes"])
        elif name == "a" and address:
            if pieces[-1].strip() != address:
                pieces.append(f" ({address})")
            address = ""
    if not silent:
        pieces.append(_read(html[end:]))
    lines = [" ".join(line.split()) for line in "".join(pieces).split("\n")]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()


def escaped(address: str) -> str:
    """Return a web address as it stands in an attribute."""
    return escape(address)


def _read(text: str) -> str:
    return unescape(text.replace("\n", " "))


def _address_in(attributes: str) -> str:
    found = _HREF.search(attributes)
    return unescape(found[1] or found[2]) if found else ""


def _linked(paragraph: str) -> str:
    pieces, end = [], 0
    for link in _LINK.finditer(paragraph):
        address = escape(link[0])
        pieces += [escape(paragraph[end : link.start()], quote=False), f'<a href="{address}">{address}</a>']
        end = link.end()
    pieces.append(escape(paragraph[end:], quote=False))
    return "".join(pieces).replace("\n", "<br>\n")
