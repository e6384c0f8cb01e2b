"""Which message is answered: a mailbox's address with the message's id in it, as `replies+<id>@acme.example`."""

import base64
import re
from collections.abc import Iterator
from uuid import UUID

MOST_LOCAL, MOST_ADDRESS = 64, 254
"""How many characters an address may have, before the @ and in all (RFC 5321, section 4.5.3.1)."""

_PADDING = "=" * 6
_TAGGED = re.compile(r"\+([a-z2-7]{26})@", re.IGNORECASE)


def reply_address(mailbox: str, message_id: UUID) -> str:
    """Return the address that answers to a message are sent to, all of which arrive at `mailbox`.

    That is the mailbox itself where the id would make the address longer than one may be. A mailbox that has a `+` is
    given another: servers cut at the first one.
    """
    local, _, domain = mailbox.rpartition("@")
    tag = base64.b32encode(message_id.bytes).decode().rstrip("=").lower()
    address = f"{local}+{tag}@{domain}"
    fits = len(local) + 1 + len(tag) <= MOST_LOCAL and len(address) <= MOST_ADDRESS
    return address if fits else mailbox


def answered_in(recipients: str) -> Iterator[UUID]:
    """Yield the messages that the addresses in a header name, in their order; time is linear in its length."""
    for found in _TAGGED.finditer(recipients):
        yield UUID(bytes=base64.b32decode(found[1].upper() + _PADDING))


def arrives_at(address: str, mailbox: str) -> bool:
    """Say whether mail to an address arrives at a mailbox: it is its address, or that with something after a `+`."""
    local, _, domain = address.casefold().rpartition("@")
    own_local, _, own_domain = mailbox.casefold().rpartition("@")
    return bool(local) and domain == own_domain and (local == own_local or local.startswith(f"{own_local}+"))
