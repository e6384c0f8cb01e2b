"""HTML as a reader sees it, in lines; what is quoted from other messages begins with `> `.

lxml's parser tells of tags as they come, without a tree: time and memory grow with the length alone as long as elements
are not nested without end, so reading stops where they are.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from lxml import etree

from email_text.html_tags import HIDDEN_STYLE, INVISIBLE_TAGS

QUOTE = "> "
DEEPEST = 1000
"""What is nested deeper nobody wrote; an end tag is compared with all that is open."""
PIECE = 2048

_SPACE = re.compile(r"[ \t\r\n\f]+")
_INVISIBLE = re.compile("[\u00ad\u034f\u200b\u200c\ufeff]")
_OUTLOOK_HEADERS = re.compile(r"border:\s*none;\s*border-top:\s*solid\b.*\bpadding:\s*3(?:\.0)?pt", re.IGNORECASE)
"""The box around From, Sent, To and Subject that Outlook puts before the message that is answered."""

_BREAKS = {
    *("address", "article", "aside", "blockquote", "body", "center", "dd", "div", "dl", "dt", "fieldset", "figure"),
    *("footer", "form", "h1", "h2", "h3", "h4", "h5", "h6", "header", "hr", "li", "main", "nav", "ol", "p", "pre"),
    *("section", "table", "tr", "ul"),
}
_APART = {"p", "blockquote", "h1", "h2", "h3", "h4", "h5", "h6", "hr", "table", "ul", "ol"}
_QUOTES = {
    *("gmail_quote", "gmail_attr", "moz-cite-prefix", "moz-forward-container", "protonmail_quote", "tutanota_quote"),
    *("zmail_extra", "mail-editor-reference-message-container", "olk_src_body_section", "isreplycontent"),
    *("isforwardcontent", "_originalcontent"),
}
_REST = {"divrplyfwdmsg", "appendonsend", "outlookmessageheader", "zwchr"}
"""Marks after which all that follows is the message that is answered."""


def extract_text(html: str) -> str:
    """Return what a reader sees of HTML; what was quoted begins with `> `, what is hidden is left out."""
    reader = _Reader()
    # The parser is told the encoding, whatever the HTML says of itself.
    parser = etree.HTMLParser(target=reader, encoding="utf-8", huge_tree=True, no_network=True)
    try:
        for start in range(0, len(html), PIECE):
            parser.feed(html[start : start + PIECE].encode("utf-8", "replace"))
            if reader.is_too_deep:
                break
        parser.close()
    except etree.LxmlError:
        reader.close()  # Nothing in it: what was read until here is what there is.
    return reader.text


@dataclass(slots=True)
class _Element:
    tag: str
    is_quote: bool = False
    is_hidden: bool = False
    holds_quote: bool = False
    """Gmail's box around an attribution and a quote; answers written between quotes stand in it as well."""
    link_from: int | None = None
    """Where in its line the text of a link begins."""


class _Reader:
    """What the parser tells its tags and texts."""

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._line: list[str] = []
        self._open: list[_Element] = []
        self._quotes = self._hidden = self._pre = 0
        self._rest_is_quoted = self._wants_space = False

    @property
    def is_too_deep(self) -> bool:
        """Whether more is nested than is read."""
        return len(self._open) > DEEPEST

    @property
    def text(self) -> str:
        """What was read, its lines without what surrounds them."""
        return re.sub(r"\n{3,}", "\n\n", "\n".join(self._lines)).strip("\n")

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        """Take note of an element that opens."""
        element = _element(tag, attributes)
        if tag in _BREAKS:
            self._end_line(apart=tag in _APART and not attributes.get("class", "").startswith("Mso"))
        elif tag == "br":
            self._end_line(apart=False, always=True)
        elif tag in {"td", "th"}:
            self._wants_space = True
        elif tag == "a" and attributes.get("href", "").lower().startswith("http"):
            element.link_from = len(self._line)
        self._open.append(element)
        self._count(element, 1)
        if not self._rest_is_quoted and _begins_rest(tag, attributes):
            self._end_line()
            self._rest_is_quoted = True

    def end(self, tag: str) -> None:
        """Take note of an element that closes; the parser closes each that it opened."""
        element = self._open.pop()
        if element.link_from is not None:
            self._leave_out_way_out(element.link_from)
        if tag in _BREAKS:
            self._end_line(apart=tag in _APART)
        self._count(element, -1)
        if tag == "blockquote" and self._open and self._open[-1].holds_quote:
            # What stands behind the quote in the same box was written by whoever answers.
            around = self._open[-1]
            self._quotes -= around.is_quote
            around.is_quote = around.holds_quote = False

    def data(self, text: str) -> None:
        """Take note of a text."""
        if self._hidden:
            return
        text = _INVISIBLE.sub("", text)
        if self._pre:
            first, *others = text.split("\n")
            self._put(first)
            for line in others:
                self._end_line(always=True)
                self._put(line)
            return
        words = _SPACE.sub(" ", text)
        if words.startswith(" "):
            self._wants_space = True
        if stripped := words.strip(" "):
            self._put(stripped)
            self._wants_space = words.endswith(" ")

    def close(self) -> None:
        """End the last line; called by the parser."""
        self._end_line()

    def _put(self, text: str) -> None:
        if self._wants_space and self._line:
            self._line.append(" ")
        self._wants_space = False
        if text:
            self._line.append(text.replace("\xa0", " "))

    def _end_line(self, *, apart: bool = False, always: bool = False) -> None:
        """Begin a new line, `apart` by an empty one; an empty line is kept where it was meant (`always`)."""
        line = "".join(self._line).rstrip()
        self._line.clear()
        self._wants_space = False
        if line.strip() or always:
            is_quoted = self._quotes > 0 or self._rest_is_quoted
            self._lines.append(f"{QUOTE}{line}".rstrip() if is_quoted else line)
        if apart and self._lines and self._lines[-1]:
            self._lines.append("")

    def _leave_out_way_out(self, start: int) -> None:
        """Leave out a link that says no more than to unsubscribe: a footer says that, and no person."""
        if "".join(self._line[start:]).strip().casefold() == "unsubscribe":
            del self._line[start:]

    def _count(self, element: _Element, by: int) -> None:
        self._quotes += by * element.is_quote
        self._hidden += by * element.is_hidden
        self._pre += by * (element.tag == "pre")


def _element(tag: str, attributes: Mapping[str, str]) -> _Element:
    names = _names(attributes)
    is_box = tag != "blockquote" and "gmail_quote" in names
    is_quote = tag == "blockquote" or any(name in _QUOTES or name.startswith("yahoo_quoted") for name in names)
    is_hidden = (
        tag in INVISIBLE_TAGS or "hidden" in attributes or HIDDEN_STYLE.search(attributes.get("style", "")) is not None
    )
    return _Element(tag, is_quote, is_hidden, holds_quote=is_box)


def _begins_rest(tag: str, attributes: Mapping[str, str]) -> bool:
    is_box = tag == "div" and _OUTLOOK_HEADERS.search(attributes.get("style", "")) is not None
    return is_box or any(name in _REST for name in _names(attributes))


def _names(attributes: Mapping[str, str]) -> list[str]:
    named = f"{attributes.get('class', '')} {attributes.get('id', '')}"[:1000].lower().split()
    # Outlook puts an x_ before the names in what it shows.
    return [name.removeprefix("x_") for name in named]
