"""What a message's parts say to a reader: plain text, or HTML in its place, and nothing that is attached."""

from collections.abc import Iterator
from email.message import Message

from domain.storable_text import remove_unstorable
from email_text.charsets import decode_text
from email_text.html_text import extract_text

MOST_TEXT = 200_000
"""How many characters of a text are kept: more than anybody writes."""
MOST_HTML = 5 * MOST_TEXT
"""How many characters of HTML are read, in all parts of a message together."""

_BYTES_PER_CHARACTER = 4


def extract_message_text(message: Message) -> str:
    """Return what a message says: quoted lines begin with `>`, lines that were only folded are whole again."""
    return _Words().of(message)


def extract_html_text(html: str) -> str:
    """Return what a reader sees of HTML alone."""
    return extract_text(remove_unstorable(html[:MOST_HTML]))[:MOST_TEXT]


class _Words:
    """Reads the parts of one message, as much HTML as is read of all of them."""

    def __init__(self) -> None:
        self._html_left = MOST_HTML

    def of(self, message: Message) -> str:
        """Return the words of all parts, in their order."""
        found: list[str] = []
        size = 0
        for words in self._read(message):
            if words.strip():
                found.append(words)
                size += len(words)
            if size >= MOST_TEXT:
                break
        return "\n\n".join(found)[:MOST_TEXT]

    def _read(self, part: Message) -> Iterator[str]:
        if part.is_multipart():
            yield from self._read_parts(part)
        elif part.get_content_type() == "text/plain" and not _is_attached(part):
            yield _plain(part)
        elif part.get_content_type() == "text/html" and not _is_attached(part):
            html = _content(part, MOST_HTML)[: self._html_left]
            self._html_left -= len(html)
            yield extract_text(remove_unstorable(html))

    def _read_parts(self, part: Message) -> Iterator[str]:
        # A message within a message is what somebody else wrote.
        if part.get_content_maintype() != "multipart":
            return
        children = [child for child in part.get_payload() if isinstance(child, Message)]
        if part.get_content_type() != "multipart/alternative":
            for child in children:
                yield from self._read(child)
            return
        # The same in several forms: the first that says anything, plain text before others.
        for child in sorted(children, key=lambda one: one.get_content_type() != "text/plain"):
            words = [one for one in self._read(child) if one.strip()]
            if words:
                yield from words
                return


def _is_attached(part: Message) -> bool:
    disposition = str(part.get("Content-Disposition", "")).partition(";")[0].strip().lower()
    return disposition == "attachment" or (disposition == "inline" and part.get_filename() is not None)


def _plain(part: Message) -> str:
    text = remove_unstorable(_content(part, MOST_TEXT)).replace("\r\n", "\n").replace("\r", "\n")
    if _parameter(part, "format") == "flowed":
        return _unfolded(text, deletes_space=_parameter(part, "delsp") == "yes")
    return text


def _content(part: Message, most: int) -> str:
    payload = part.get_payload(decode=True)
    raw = payload if isinstance(payload, bytes) else b""
    try:
        charset = part.get_content_charset()
    except (LookupError, ValueError, TypeError):
        charset = None
    return decode_text(raw[: most * _BYTES_PER_CHARACTER], charset)[:most]


def _parameter(part: Message, name: str) -> str:
    return str(part.get_param(name, "")).strip().lower()


def _unfolded(text: str, *, deletes_space: bool) -> str:
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
            lines.append(_quoted("".join(paragraph), depth))
            paragraph.clear()
        depth = marks
        if words.endswith(" ") and not is_signature:
            paragraph.append(words[:-1] if deletes_space else words)
        else:
            lines.append(_quoted("".join((*paragraph, words)), depth))
            paragraph.clear()
    if paragraph:
        lines.append(_quoted("".join(paragraph), depth))
    return "\n".join(lines)


def _quoted(words: str, depth: int) -> str:
    return f"{'>' * depth} {words}" if depth else words
