"""Converts plain text to HTML and HTML to plain text."""

import re
from html import escape, unescape

from email_text.html_tags import INVISIBLE_TAGS, scan_tags

_LINK = re.compile(r"https?://[^\s<>\"')]+[^\s<>\"').,;:!?]")
_WEB_URL = re.compile(r"https?://", re.IGNORECASE)
_BLOCKS = frozenset(
    {"p", "div", "br", "tr", "li", "ul", "ol", "table", "h1", "h2", "h3", "h4", "h5", "h6", "blockquote"}
)


def to_html(text: str) -> str:
    """Return the text as escaped HTML paragraphs; URLs become links."""
    paragraphs = re.split(r"\n[ \t]*\n+", text.strip())
    return "\n".join(f"<p>{_add_links(paragraph)}</p>" for paragraph in paragraphs if paragraph.strip())


def to_text(html: str) -> str:
    """Return the visible text of an HTML body: blocks as lines, links with their URLs."""
    pieces: list[str] = []
    invisible_tag, url, end = "", "", 0
    for tag in scan_tags(html):
        if not invisible_tag:
            pieces.append(_unescape(html[end : tag.start]))
        end = tag.end
        if tag.name in INVISIBLE_TAGS:
            invisible_tag = "" if tag.is_closing else invisible_tag or tag.name
        elif tag.name in _BLOCKS:
            pieces.append("\n\n" if tag.is_closing and tag.name == "p" else "\n")
        elif tag.name == "a" and not tag.is_closing:
            url = tag.href if _WEB_URL.match(tag.href) else ""
        elif tag.name == "a" and url:
            if pieces[-1].strip() != url:
                pieces.append(f" ({url})")
            url = ""
    if not invisible_tag:
        pieces.append(_unescape(html[end:]))
    lines = [" ".join(line.split()) for line in "".join(pieces).split("\n")]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()


def _unescape(text: str) -> str:
    return unescape(text.replace("\n", " "))


def _add_links(paragraph: str) -> str:
    pieces, end = [], 0
    for link in _LINK.finditer(paragraph):
        url = escape(link[0])
        pieces += [escape(paragraph[end : link.start()], quote=False), f'<a href="{url}">{url}</a>']
        end = link.end()
    pieces.append(escape(paragraph[end:], quote=False))
    return "".join(pieces).replace("\n", "<br>\n")
