"""Converts plain text to HTML and HTML to plain text."""

import re
from html import escape, unescape

_LINK = re.compile(r"https?://[^\s<>\"')]+[^\s<>\"').,;:!?]")
_TAG = re.compile(r"<(?P<closing>/?)(?P<name>[A-Za-z][A-Za-z0-9]*)(?P<attributes>[^<>]*)>|<!(?P<comment>[^<>]*)>")
_HREF = re.compile(r"\bhref\s*=\s*(?:\"(https?://[^\"]*)\"|'(https?://[^']*)')", re.IGNORECASE)
_BLOCKS = frozenset(
    {"p", "div", "br", "tr", "li", "ul", "ol", "table", "h1", "h2", "h3", "h4", "h5", "h6", "blockquote"}
)
_INVISIBLE_TAGS = frozenset({"style", "script", "head", "title"})


def to_html(text: str) -> str:
    """Return the text as escaped HTML paragraphs; URLs become links."""
    paragraphs = re.split(r"\n[ \t]*\n+", text.strip())
    return "\n".join(f"<p>{_add_links(paragraph)}</p>" for paragraph in paragraphs if paragraph.strip())


def to_text(html: str) -> str:
    """Return the visible text of an HTML body: blocks as lines, links with their URLs."""
    # A custom scanner, because the standard library's parser takes quadratic time for unclosed tags.
    pieces: list[str] = []
    invisible_tag, url, end = "", "", 0
    for tag in _TAG.finditer(html):
        if not invisible_tag:
            pieces.append(_unescape(html[end : tag.start()]))
        end = tag.end()
        name, closing = (tag["name"] or "").lower(), bool(tag["closing"])
        if name in _INVISIBLE_TAGS:
            invisible_tag = "" if closing else invisible_tag or name
        elif name in _BLOCKS:
            pieces.append("\n\n" if closing and name == "p" else "\n")
        elif name == "a" and not closing:
            url = _find_address(tag["attributes"])
        elif name == "a" and url:
            if pieces[-1].strip() != url:
                pieces.append(f" ({url})")
            url = ""
    if not invisible_tag:
        pieces.append(_unescape(html[end:]))
    lines = [" ".join(line.split()) for line in "".join(pieces).split("\n")]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()


def _unescape(text: str) -> str:
    return unescape(text.replace("\n", " "))


def _find_address(attributes: str) -> str:
    match = _HREF.search(attributes)
    return unescape(match[1] or match[2]) if match else ""


def _add_links(paragraph: str) -> str:
    pieces, end = [], 0
    for link in _LINK.finditer(paragraph):
        url = escape(link[0])
        pieces += [escape(paragraph[end : link.start()], quote=False), f'<a href="{url}">{url}</a>']
        end = link.end()
    pieces.append(escape(paragraph[end:], quote=False))
    return "".join(pieces).replace("\n", "<br>\n")
