"""Plus addresses that identify the message being answered, such as `replies+<id>@acme.example`."""

import base64
import re
from collections.abc import Iterator
from uuid import UUID

from domain.suppression import normalise_address

MAX_LOCAL_LENGTH, MAX_ADDRESS_LENGTH = 64, 254
"""How many characters the local part and the whole address may have (RFC 5321, section 4.5.3.1)."""

_PADDING = "=" * 6
_TAGGED = re.compile(r"\+([a-z2-7]{26})@", re.IGNORECASE)


def build_reply_address(mailbox: str, message_id: UUID) -> str:
    """Return the reply address of a message; mail to it is delivered to `mailbox`.

    It is the mailbox itself when the id would make the address too long. A mailbox with a `+` gets a second `+`,
    because mail servers cut the local part at the first one.
    """
    local, _, domain = mailbox.rpartition("@")
    tag = base64.b32encode(message_id.bytes).decode().rstrip("=").lower()
    address = f"{local}+{tag}@{domain}"
    fits = len(local) + 1 + len(tag) <= MAX_LOCAL_LENGTH and len(address) <= MAX_ADDRESS_LENGTH
    return address if fits else mailbox


def parse_message_ids(recipients: str) -> Iterator[UUID]:
    """Yield the message ids in the addresses of a header, in order; time is linear in the header's length."""
    for match in _TAGGED.finditer(recipients):
        yield UUID(bytes=base64.b32decode(match[1].upper() + _PADDING))


def is_delivered_to(address: str, mailbox: str) -> bool:
    """Return whether mail to `address` is delivered to `mailbox`: the same address, with or without a plus tag."""
    local, _, domain = normalise_address(address).rpartition("@")
    own_local, _, own_domain = normalise_address(mailbox).rpartition("@")
    return bool(local) and domain == own_domain and (local == own_local or local.startswith(f"{own_local}+"))
