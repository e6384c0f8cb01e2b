"""Chooses the body parts of a message and decodes them: plain text, else HTML, and no attachments."""

import re
import unicodedata
from collections.abc import Iterator
from email.message import Message

from domain.storable_text import remove_unstorable
from email_text.charsets import decode_text, find_codec, find_declared_charset
from email_text.html_text import extract_text

MAX_TEXT_CHARACTERS = 200_000
"""How many characters of a text are kept; no person writes as many."""
MAX_HTML_CHARACTERS = 5 * MAX_TEXT_CHARACTERS
"""How many characters of HTML are read, in all parts of a message together."""

MAX_STUB_CHARACTERS = 500
"""How long a text may be that only asks for a program that displays HTML."""

_BYTES_PER_CHARACTER = 4
_BLANKS = frozenset("\u115f\u1160\u3164\uffa0\u2800")
_STUB = re.compile(
    r"(?<![a-z])html(?![a-z]).{0,120}?(?:support|display|view|enabl|compatib|capable|anzeig|darstell|unterst|affich"
    r"|pris en charge|weerge|ondersteun|visualiz|soporta|compatível|suporta|visning|stöd|understøt|støtt|näyt|wyświetl"
    r"|obsług|zobraz|podpor|megjelen|görüntül|поддерж|отобра|показ|表示|対応|显示|支持|표시|지원)"
    r"|(?:support|display|view|anzeig|darstell|unterst|affich|weerge|ondersteun|visualiz|wyświetl|obsług|zobraz|podpor"
    r"|поддерж|отобра).{0,120}?(?<![a-z])html(?![a-z])"
    r"|(?:view|read|open) (?:it|this (?:e-?mail|message)) in (?:a|your) (?:web )?browser"
    r"|^\W*html (?:e-?mail|message)\W*$",
    re.IGNORECASE | re.DOTALL,
)
"""Matches the plain text that some programs write instead of the message: your program does not show HTML."""


def extract_message_text(message: Message) -> str:
    """Return the text of a message: quoted lines begin with `>`, and folded lines (format=flowed) are joined."""
    return _BodyReader().read(message)


def extract_html_text(html: str) -> str:
    """Return the visible text of an HTML body."""
    return extract_text(remove_unstorable(html[:MAX_HTML_CHARACTERS]))[:MAX_TEXT_CHARACTERS]


class _BodyReader:
    """Reads the parts of one message, within the limit of HTML for all of them."""

    def __init__(self) -> None:
        self._html_left = MAX_HTML_CHARACTERS

    def read(self, message: Message) -> str:
        """Return the texts of all parts in order."""
        texts: list[str] = []
        size = 0
        for text in self._read_part(message):
            if has_words(text):
                texts.append(text)
                size += len(text)
            if size >= MAX_TEXT_CHARACTERS:
                break
        return "\n\n".join(texts)[:MAX_TEXT_CHARACTERS]

    def _read_part(self, part: Message) -> Iterator[str]:
        if part.is_multipart():
            yield from self._read_parts(part)
        elif part.get_content_type() == "text/plain" and not _is_attachment(part):
            yield _read_plain(part)
        elif part.get_content_type() == "text/html" and not _is_attachment(part):
            html = _decode_content(part, MAX_HTML_CHARACTERS)[: self._html_left]
            self._html_left -= len(html)
            yield extract_text(remove_unstorable(html))

    def _read_parts(self, part: Message) -> Iterator[str]:
        # An attached message has another author.
        if part.get_content_maintype() != "multipart":
            return
        children = [child for child in part.get_payload() if isinstance(child, Message)]
        if part.get_content_type() != "multipart/alternative":
            for child in children:
                yield from self._read_part(child)
            return
        # Alternatives have the same content: the first one with a text counts, and plain text comes first.
        stubs: list[str] = []
        for child in sorted(children, key=lambda child: child.get_content_type() != "text/plain"):
            texts = [text for text in self._read_part(child) if has_words(text)]
            if any(not _is_stub(text) for text in texts):
                yield from texts
                return
            stubs = stubs or texts
        yield from stubs


def has_words(text: str) -> bool:
    """Return whether a text has visible characters."""
    return any(_is_visible(character) for character in text)


def _is_visible(character: str) -> bool:
    # Hangul fillers and the braille blank are letters and symbols by their category, but show nothing.
    return unicodedata.category(character)[0] not in {"C", "Z", "M"} and character not in _BLANKS


def _is_stub(text: str) -> bool:
    """Return whether a short text only says that the message has to be read as HTML."""
    return len(text) <= MAX_STUB_CHARACTERS and _STUB.search(text) is not None


def _is_attachment(part: Message) -> bool:
    disposition = str(part.get("Content-Disposition", "")).partition(";")[0].strip().lower()
    return disposition == "attachment" or (disposition == "inline" and part.get_filename() is not None)


def _read_plain(part: Message) -> str:
    text = remove_unstorable(_decode_content(part, MAX_TEXT_CHARACTERS)).replace("\r\n", "\n").replace("\r", "\n")
    if _get_parameter(part, "format") == "flowed":
        return _join_folded_lines(text, deletes_space=_get_parameter(part, "delsp") == "yes")
    return text


def _decode_content(part: Message, limit: int) -> str:
    payload = part.get_payload(decode=True)
    raw = payload if isinstance(payload, bytes) else b""
    try:
        charset = part.get_content_charset()
    except (LookupError, ValueError, TypeError):
        charset = None
    if part.get_content_type() == "text/html" and (charset is None or find_codec(charset) is None):
        charset = find_declared_charset(raw)
    return decode_text(raw[: limit * _BYTES_PER_CHARACTER], charset)[:limit]


def _get_parameter(part: Message, name: str) -> str:
    return str(part.get_param(name, "")).strip().lower()


def _join_folded_lines(text: str, *, deletes_space: bool) -> str:
    """Return flowed text (RFC 3676) with each paragraph on one line again."""
    lines: list[str] = []
    paragraph: list[str] = []
    depth = 0
    for line in text.split("\n"):
        unquoted = line.lstrip(">")
        marks = len(line) - len(unquoted)
        words = unquoted.removeprefix(" ")
        is_signature = words == "-- "
        if paragraph and (marks != depth or is_signature):
            lines.append(_add_quote_marks("".join(paragraph), depth))
            paragraph.clear()
        depth = marks
        if words.endswith(" ") and not is_signature:
            paragraph.append(words[:-1] if deletes_space else words)
        else:
            lines.append(_add_quote_marks("".join((*paragraph, words)), depth))
            paragraph.clear()
    if paragraph:
        lines.append(_add_quote_marks("".join(paragraph), depth))
    return "\n".join(lines)


def _add_quote_marks(words: str, depth: int) -> str:
    return f"{'>' * depth} {words}" if depth else words
