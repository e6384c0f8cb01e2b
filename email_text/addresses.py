"""Reads the mailboxes in a header by the structure of RFC 5322, before any encoded word is decoded.

So an encoded comma, at-sign or quote in a name never makes another address.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from domain.suppression import MAX_ADDRESS_CHARACTERS, normalise_address
from email_text.headers import ENCODED_WORD, decode_header_text, unfold_header

_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"')
_ANGLE = re.compile(r"<([^<>]*)(?:>|$)")
_TEXT = re.compile(r'[^"(<>),;:=\s]+|\s+|.')
_MARKS = frozenset('"()<>')
_BARE = re.compile(r'(?:"(?:[^"\\]|\\.){0,128}"|(?<![^\s"<>(),;:@])[^\s"<>(),;:@]{1,128})@[^\s"<>(),;:@]+')
_IN_TEXT = re.compile(
    r"(?<![\w.+%=/-])[\w.+%'&*/=?^{|}~!#$-]{1,64}@(?:[\w-]{1,63}\.){1,10}[^\W\d_][\w-]{1,62}(?![\w@-])"
)


@dataclass(frozen=True, slots=True)
class HeaderMailbox:
    """A mailbox in a header: its decoded name, and its address in canonical form."""

    name: str
    address: str
    is_bare: bool
    """Whether the address stands without angle brackets."""


def parse_mailboxes(value: object) -> list[HeaderMailbox]:
    """Return the mailboxes of a raw header in order; time is linear in its length."""
    return list(_Parser(unfold_header(value)).parse())


def find_sender(value: object) -> HeaderMailbox | None:
    """Return the author that a raw From header names, or None.

    Addresses in angle brackets come first, because a bare one beside them is usually part of a name that was decoded
    too early. Only if there is no address at all is the decoded header searched.
    """
    mailboxes = parse_mailboxes(value)
    if mailboxes:
        return next((mailbox for mailbox in mailboxes if not mailbox.is_bare), mailboxes[0])
    addresses = find_addresses(decode_header_text(value))
    return HeaderMailbox("", addresses[-1], is_bare=True) if addresses else None


def find_addresses(text: str) -> list[str]:
    """Return the addresses that a text names, each once, in canonical form and in order."""
    found = (normalise_address(match[0].lstrip("'*/=")) for match in _IN_TEXT.finditer(text))
    return list(dict.fromkeys(address for address in found if _is_address(address)))


@dataclass(slots=True)
class _Segment:
    """What stands between two commas of a header."""

    name: list[str] = field(default_factory=list)
    text: list[str] = field(default_factory=list)
    address: str = ""

    def to_mailbox(self) -> HeaderMailbox | None:
        """Return the mailbox of the segment, or None if it has no address."""
        if self.address:
            return HeaderMailbox(_clean_name(self.name), self.address, is_bare=False)
        bare = [match[0] for match in _BARE.finditer("".join(self.text))]
        address = normalise_address(bare[-1].strip("'")) if bare else ""
        name = _clean_name([part for part in self.name if not bare or part != bare[-1]])
        return HeaderMailbox(name, address, is_bare=True) if _is_address(address) else None


class _Parser:
    """Splits a header into segments; quotes and comments that are never closed are ordinary characters."""

    def __init__(self, line: str) -> None:
        self._line = line
        self._has_quotes = self._has_comments = True

    def parse(self) -> Iterator[HeaderMailbox]:
        """Yield the mailboxes."""
        segment, position = _Segment(), 0
        while position < len(self._line):
            character = self._line[position]
            if character in ",;":
                if mailbox := segment.to_mailbox():
                    yield mailbox
                segment, position = _Segment(), position + 1
            else:
                position = self._read_token(segment, position)
        if mailbox := segment.to_mailbox():
            yield mailbox

    def _read_token(self, segment: _Segment, start: int) -> int:
        """Add the token at a position to the segment, and return the position after it."""
        line, character = self._line, self._line[start]
        if character == "=" and (match := ENCODED_WORD.match(line, start)):
            segment.name.append(match[0])
            segment.text.append(" ")
            return match.end()
        if character == '"' and self._has_quotes:
            if match := _QUOTED.match(line, start):
                # A quoted local part belongs to the address, and every other quoted string is a name.
                is_local = line[match.end() : match.end() + 1] == "@"
                segment.text.append(match[0] if is_local else " ")
                segment.name.append(re.sub(r"\\(.)", r"\1", match[0][1:-1]))
                return match.end()
            self._has_quotes = False
        if character == "(" and self._has_comments:
            if end := _find_comment_end(line, start):
                segment.text.append(" ")
                return end
            self._has_comments = False
        if character == "<" and (match := _ANGLE.match(line, start)):
            address = normalise_address(_clean_angle(match[1]))
            segment.address = address if _is_address(address) else segment.address
            segment.text.append(" ")
            return match.end()
        if character == ":":
            # The name of a group (RFC 5322, section 3.4), or a "mailto:".
            segment.name.clear()
            segment.text.append(" ")
            return start + 1
        match = _TEXT.match(line, start)
        piece = match[0] if match else character
        segment.name.append(piece)
        segment.text.append(" " if piece in _MARKS else piece)
        return start + len(piece)


def _find_comment_end(line: str, start: int) -> int | None:
    """Return the position after the comment that begins at `start`, which may contain others; None if it has no end."""
    depth = 0
    for match in re.compile(r"\\.|[()]").finditer(line, start):
        depth += {"(": 1, ")": -1}.get(match[0], 0)
        if depth == 0:
            return match.end()
    return None


def _clean_angle(content: str) -> str:
    """Return the address in angle brackets, without a route (`@relay:`), a `mailto:` and stray quotes."""
    return content.rpartition(":")[2].strip().strip("'") if '"' not in content else content.strip()


def _clean_name(parts: list[str]) -> str:
    return decode_header_text("".join(parts)).strip(" '\"")


def _is_address(address: str) -> bool:
    local, _, domain = address.rpartition("@")
    is_short = len(address) <= MAX_ADDRESS_CHARACTERS
    has_blanks = any(character.isspace() for character in address) and not local.startswith('"')
    return (
        bool(local and domain) and is_short and not has_blanks and "=?" not in address and "@" not in local.strip('"')
    )
