"""Scans the tags of HTML in order, without a tree, in time linear in its length.

The standard library's parser takes quadratic time for unclosed tags, and lxml's closes a link before a table in it.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from html import unescape

# A scan ends at the first `<` outside quotes, so that scans of unclosed tags hardly overlap.
TAG = re.compile(
    r"<!--.*?(?:-->|\Z)|<[!?][^<>]*>|<(?P<closing>/?)(?P<name>[A-Za-z][\w:-]*)"
    r"(?P<attributes>(?:\"[^\"]*\"|'[^']*'|[^\"'<>])*)>",
    re.DOTALL,
)
"""Matches a complete tag, comment or declaration; a comment that is not closed ends with the text."""
INVISIBLE_TAGS = frozenset(
    {"script", "style", "head", "title", "template", "noscript", "noframes", "object", "svg", "select", "textarea"}
)
"""Elements whose content a mail program does not display as text."""
HIDDEN_STYLE = re.compile(
    r"display\s*:\s*none|visibility\s*:\s*(?:hidden|collapse)|mso-hide\s*:\s*all"
    r"|(?<![\w-])(?:font-size|max-height|opacity)\s*:\s*\.?0(?![.\d]*[1-9])",
    re.IGNORECASE,
)
"""Matches a style that hides an element."""

_HREF = re.compile(r"(?:^|\s)href\s*=\s*(?:\"([^\"]*)\"|'([^']*)'|([^\s\"'>]+))", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Tag:
    """A tag, with its name in lower case and its place in the text; a comment or declaration has no name."""

    name: str
    is_closing: bool
    attributes: str
    start: int
    end: int

    @property
    def href(self) -> str:
        """The address of a link."""
        match = _HREF.search(self.attributes)
        return unescape(next((value for value in match.groups() if value is not None), "")).strip() if match else ""


def scan_tags(html: str) -> Iterator[Tag]:
    """Yield the complete tags, comments and declarations; a tag that is not closed is text."""
    for match in TAG.finditer(html):
        yield Tag(
            name=(match["name"] or "").lower(),
            is_closing=bool(match["closing"]),
            attributes=match["attributes"] or "",
            start=match.start(),
            end=match.end(),
        )
