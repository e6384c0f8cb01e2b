"""The footer of a sent mail: who sends it, and an unsubscribe link unless the part already shows it."""

import html
import re

from email_text.html_tags import TAG
from email_text.links import contains_link, shows_link
from email_text.styles import STYLE_SHEET

_TAG_START = re.compile(r"<[a-zA-Z/!?]")
_RAW_TEXT = re.compile(r"<(?:plaintext|xmp|iframe|noembed|noframes)\b", re.IGNORECASE)
"""Elements that turn everything after them into text; the first can never be closed."""
_CLOSING_TAGS = re.compile(r"(?<!\s)(?:\s*+</(?:body|html)\s*+>)++\s*+", re.IGNORECASE)
"""Matches a whole run of closing tags at once, so that none is read again from its middle."""


def add_text_footer(text: str, footer: str, unsubscribe_url: str) -> str:
    """Append the footer as a signature, with the unsubscribe link unless the text contains it."""
    unsubscribe_line = "" if contains_link(text, unsubscribe_url) else f"Unsubscribe: {unsubscribe_url}\n"
    return f"{text}\n\n-- \n{footer}\n{unsubscribe_line}"


def add_html_footer(document: str, footer: str, unsubscribe_url: str) -> str:
    """Insert the footer before the closing tags of a document, or first where an open construct would hide it."""
    lines = html.escape(footer).replace("\n", "<br>")
    link = f'<br><a href="{html.escape(unsubscribe_url)}">Unsubscribe</a>'
    if not _is_ambiguous(document):
        unsubscribe_line = "" if shows_link(document, unsubscribe_url) else link
        end = next(
            (tags.start() for tags in _CLOSING_TAGS.finditer(document) if tags.end() == len(document)), len(document)
        )
        complete = f"{document[:end]}<hr><p><small>{lines}{unsubscribe_line}</small></p>{document[end:]}"
        if shows_link(complete, unsubscribe_url):
            return complete
    return f"<p><small>{lines}{link}</small></p><hr>{document}"


def _is_ambiguous(document: str) -> bool:
    """Return whether a mail program may read the tags of a document in another way than this module."""
    rest = TAG.sub("", STYLE_SHEET.sub("", document))
    return _TAG_START.search(rest) is not None or _RAW_TEXT.search(document) is not None
