"""Converts the HTML of received mails to lines of visible text; quoted lines begin with `> `.

lxml's parser reports tags without building a tree. With the limit on nesting, time and memory are linear in the length.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from lxml import etree

from email_text.html_tags import HIDDEN_STYLE, INVISIBLE_TAGS

QUOTE_MARK = "> "
MAX_DEPTH = 1000
"""How deep elements may nest. The parser compares each end tag with all open elements; real mails nest far less."""
CHUNK_CHARACTERS = 2048
MAX_NAME_CHARACTERS = 1000
"""How many characters of an element's classes and ids are read."""

_SPACE = re.compile(r"[ \t\r\n\f]+")
_INVISIBLE = re.compile("[\u00ad\u034f\u200b\u200c\ufeff]")
_OUTLOOK_HEADERS = re.compile(r"border:\s*none;\s*border-top:\s*solid\b.*\bpadding:\s*3(?:\.0)?pt", re.IGNORECASE)
"""The style of the box with From, Sent, To and Subject that Outlook puts before a quoted message."""

_BLOCKS = {
    *("address", "article", "aside", "blockquote", "body", "center", "dd", "div", "dl", "dt", "fieldset", "figure"),
    *("footer", "form", "h1", "h2", "h3", "h4", "h5", "h6", "header", "hr", "li", "main", "nav", "ol", "p", "pre"),
    *("section", "table", "tr", "ul"),
}
_PARAGRAPHS = {"p", "blockquote", "h1", "h2", "h3", "h4", "h5", "h6", "hr", "table", "ul", "ol"}
"""Blocks with an empty line before and after them."""
_QUOTES = {
    *("gmail_quote", "gmail_attr", "moz-cite-prefix", "moz-forward-container", "protonmail_quote", "tutanota_quote"),
    *("zmail_extra", "mail-editor-reference-message-container", "olk_src_body_section", "isreplycontent"),
    *("isforwardcontent", "_originalcontent"),
}
"""Classes and ids of the elements in which mail programs put a quoted message."""
_REST = {"divrplyfwdmsg", "appendonsend", "outlookmessageheader", "zwchr"}
"""Classes and ids of elements after which everything is quoted."""


def extract_text(html: str) -> str:
    """Return the visible text of HTML; quoted lines begin with `> `, and hidden text is left out."""
    reader = _Reader()
    # The text has been decoded, so a charset that the HTML declares does not count.
    parser = etree.HTMLParser(target=reader, encoding="utf-8", huge_tree=True, no_network=True)
    try:
        for start in range(0, len(html), CHUNK_CHARACTERS):
            parser.feed(html[start : start + CHUNK_CHARACTERS].encode("utf-8", "replace"))
            if reader.is_too_deep:
                break
        parser.close()
    except etree.LxmlError:
        reader.close()  # The HTML is empty; the text that was read until here counts.
    return reader.text


@dataclass(slots=True)
class _Element:
    tag: str
    is_quote: bool = False
    is_hidden: bool = False
    is_quote_box: bool = False
    """Whether it is Gmail's element around an attribution and a quote; answers between quotes stand in it too."""
    link_start: int | None = None
    """Where in its line the text of a link begins."""


class _Reader:
    """Collects lines from the tags and texts that the parser reports."""

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._line: list[str] = []
        self._open: list[_Element] = []
        self._quotes = self._hidden = self._pre = 0
        self._rest_is_quoted = self._needs_space = False

    @property
    def is_too_deep(self) -> bool:
        """Whether elements nest deeper than they are read."""
        return len(self._open) > MAX_DEPTH

    @property
    def text(self) -> str:
        """The lines that were read, with at most one empty line between two others."""
        return re.sub(r"\n{3,}", "\n\n", "\n".join(self._lines)).strip("\n")

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        """Open an element; called by the parser."""
        element = _create_element(tag, attributes)
        if tag in _BLOCKS:
            self._end_line(adds_empty_line=tag in _PARAGRAPHS and not attributes.get("class", "").startswith("Mso"))
        elif tag == "br":
            self._end_line(keeps_empty=True)
        elif tag in {"td", "th"}:
            self._needs_space = True
        elif tag == "a" and attributes.get("href", "").lower().startswith("http"):
            element.link_start = len(self._line)
        self._open.append(element)
        self._count(element, 1)
        if not self._rest_is_quoted and _begins_quoted_rest(tag, attributes):
            self._end_line()
            self._rest_is_quoted = True

    def end(self, tag: str) -> None:
        """Close the innermost element; called by the parser for each element that it opened."""
        element = self._open.pop()
        if element.link_start is not None:
            self._drop_unsubscribe_link(element.link_start)
        if tag in _BLOCKS:
            self._end_line(adds_empty_line=tag in _PARAGRAPHS)
        self._count(element, -1)
        if tag == "blockquote" and self._open and self._open[-1].is_quote_box:
            # The author of the reply wrote what follows the quote in the same box.
            box = self._open[-1]
            self._quotes -= box.is_quote
            box.is_quote = box.is_quote_box = False

    def data(self, text: str) -> None:
        """Add text; called by the parser."""
        if self._hidden:
            return
        text = _INVISIBLE.sub("", text)
        if self._pre:
            first, *others = text.split("\n")
            self._append(first)
            for line in others:
                self._end_line(keeps_empty=True)
                self._append(line)
            return
        words = _SPACE.sub(" ", text)
        if words.startswith(" "):
            self._needs_space = True
        if stripped := words.strip(" "):
            self._append(stripped)
            self._needs_space = words.endswith(" ")

    def close(self) -> None:
        """End the last line; called by the parser."""
        self._end_line()

    def _append(self, text: str) -> None:
        if self._needs_space and self._line:
            self._line.append(" ")
        self._needs_space = False
        if text:
            self._line.append(text.replace("\xa0", " "))

    def _end_line(self, *, adds_empty_line: bool = False, keeps_empty: bool = False) -> None:
        """End the current line; an empty one is dropped unless `keeps_empty`."""
        line = "".join(self._line).rstrip()
        self._line.clear()
        self._needs_space = False
        if line.strip() or keeps_empty:
            is_quoted = self._quotes > 0 or self._rest_is_quoted
            self._lines.append(f"{QUOTE_MARK}{line}".rstrip() if is_quoted else line)
        if adds_empty_line and self._lines and self._lines[-1]:
            self._lines.append("")

    def _drop_unsubscribe_link(self, start: int) -> None:
        """Drop a link whose whole text is "Unsubscribe": it is that of a footer, and the sender did not write it."""
        if "".join(self._line[start:]).strip().casefold() == "unsubscribe":
            del self._line[start:]

    def _count(self, element: _Element, by: int) -> None:
        self._quotes += by * element.is_quote
        self._hidden += by * element.is_hidden
        self._pre += by * (element.tag == "pre")


def _create_element(tag: str, attributes: Mapping[str, str]) -> _Element:
    names = _split_names(attributes)
    is_quote_box = tag != "blockquote" and "gmail_quote" in names
    is_quote = tag == "blockquote" or any(name in _QUOTES or name.startswith("yahoo_quoted") for name in names)
    is_hidden = (
        tag in INVISIBLE_TAGS or "hidden" in attributes or HIDDEN_STYLE.search(attributes.get("style", "")) is not None
    )
    return _Element(tag, is_quote, is_hidden, is_quote_box=is_quote_box)


def _begins_quoted_rest(tag: str, attributes: Mapping[str, str]) -> bool:
    is_header_box = tag == "div" and _OUTLOOK_HEADERS.search(attributes.get("style", "")) is not None
    return is_header_box or any(name in _REST for name in _split_names(attributes))


def _split_names(attributes: Mapping[str, str]) -> list[str]:
    """Return the classes and the id of an element in lower case."""
    names = f"{attributes.get('class', '')} {attributes.get('id', '')}"[:MAX_NAME_CHARACTERS].lower().split()
    # Outlook puts an x_ before the names of messages that it displays.
    return [name.removeprefix("x_") for name in names]
