"""Finds who wrote a message that a group, a list or a helpdesk passed on under its own address."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from domain.suppression import normalise_address
from email_text.addresses import HeaderMailbox, find_sender, parse_mailboxes

MAX_AUTHORS = 20

_VIA = re.compile(r"\bvia\b\s+\S|\(via\b", re.IGNORECASE)
_ORIGINAL = ("x-original-from", "x-original-sender", "x-google-original-from", "x-original-reply-to")
_FALLBACKS = ("from", "sender", "x-original-from", "x-original-sender", "reply-to", "return-path")
"""Headers that name a sender, in the order in which they are asked for one."""
_LIST_HEADERS = ("list-id", "list-post", "mailing-list", "x-beenthere", "x-mailing-list", "x-spam-checked-in-group")
_LIST_ADDRESS = re.compile(r"(?:list|mailto:)\s*<?([^\s<>;,@?]{1,64}@[^\s<>;,@?]{1,255})", re.IGNORECASE)
_LIST_ID = re.compile(r"<?([\w+-]{1,64})\.((?:[\w-]{1,63}\.){1,10}[\w-]{1,63})>?\s*$")
_ENCODED_ADDRESS = re.compile(r"^(.{1,64})=([^=@]{1,255}\.[^=@]{1,63})@")

RawHeaders = Sequence[tuple[str, str]]
"""Names and values of headers, before encoded words are decoded."""


@dataclass(frozen=True, slots=True)
class Sender:
    """The address in From, and those of possible authors if a group or list passed the message on."""

    address: str
    authors: tuple[str, ...] = ()
    """Addresses that may be the author's, the most reliable first."""
    is_rewritten: bool = False
    """Whether the headers show that From was replaced by the address of a group or a list."""

    def find_author(self, is_own: Callable[[str], bool]) -> str:
        """Return the author's address; the one in From if it was not replaced, or no other is known.

        An own address in From is no author as long as another one is named: groups replace From by their own address.
        """
        if not (self.is_rewritten or is_own(self.address)):
            return self.address
        return next((author for author in self.authors if not is_own(author)), self.address)


def read_sender(headers: RawHeaders) -> Sender | None:
    """Return the sender by the headers of a message, or None if none has an address."""
    values: dict[str, list[str]] = {}
    for name, value in headers:
        values.setdefault(name.strip().lower(), []).append(value)
    sender = next(
        (found for name in _FALLBACKS for value in values.get(name, []) if (found := find_sender(value))), None
    )
    if sender is None:
        return None
    lists = _find_list_addresses(values)
    has_original = any(name in values for name in _ORIGINAL)
    named = [
        mailbox.address
        for name in (*_ORIGINAL, "reply-to")
        for value in values.get(name, [])
        for mailbox in parse_mailboxes(value)
    ]
    if match := _ENCODED_ADDRESS.match(sender.address):
        named.append(normalise_address(f"{match[1]}@{match[2]}"))
    authors = [address for address in dict.fromkeys(named) if address not in {sender.address, *lists}]
    is_rewritten = bool(authors) and _is_rewritten(sender, lists, values, has_original=has_original)
    return Sender(sender.address, tuple(authors[:MAX_AUTHORS]), is_rewritten)


def _is_rewritten(sender: HeaderMailbox, lists: set[str], values: dict[str, list[str]], *, has_original: bool) -> bool:
    if sender.address in lists or "x-original-from" in values:
        return True
    is_passed_on = has_original or bool(lists) or "reply-to" in values
    return is_passed_on and _VIA.search(sender.name) is not None


def _find_list_addresses(values: dict[str, list[str]]) -> set[str]:
    """Return the addresses of the list that a message came through; an id `a.b.example` stands for `a@b.example`."""
    found = set()
    for name in _LIST_HEADERS:
        for value in values.get(name, []):
            text = value[:1000]
            found |= {normalise_address(match[1]) for match in _LIST_ADDRESS.finditer(text)}
            found |= {mailbox.address for mailbox in parse_mailboxes(text)}
            if name == "list-id" and (match := _LIST_ID.search(text)):
                found.add(normalise_address(f"{match[1]}@{match[2]}"))
    return found
