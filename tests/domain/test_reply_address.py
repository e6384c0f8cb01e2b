from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.reply_address import build_reply_address, is_delivered_to, parse_message_ids

MESSAGE = UUID("018f0000-0000-7000-8000-000000000001")


@given(st.uuids())
def test_the_address_contains_the_message_id(message_id: UUID) -> None:
    """The reply address of any message is valid under RFC 5321, and gives back the id even in upper case."""
    address = build_reply_address("replies@acme.example", message_id)
    local, _, domain = address.partition("@")
    assert (len(local) <= 64, domain, local.isascii()) == (True, "acme.example", True)
    assert list(parse_message_ids(f"Ann <{address.upper()}>, x@y.example")) == [message_id]


@pytest.mark.parametrize(
    ("mailbox", "prefix"),
    [
        ("replies@acme.example", "replies+"),
        ("sales+eu@acme.example", "sales+eu+"),
        ("a" * 37 + "@acme.example", "a" * 37 + "+"),
    ],
)
def test_replies_are_delivered_to_the_mailbox(mailbox: str, prefix: str) -> None:
    """The id follows a plus sign, even after an existing one, so that the mail is delivered to the mailbox."""
    address = build_reply_address(mailbox, MESSAGE)
    assert address.startswith(prefix)
    assert is_delivered_to(address, mailbox)
    assert list(parse_message_ids(address)) == [MESSAGE]


def test_an_address_has_at_most_254_characters() -> None:
    """An address of 254 characters contains the message id; one that would have 255 is the mailbox itself."""
    longest, longer = (f"replies@{'a' * length}.example" for length in (211, 212))
    assert len(build_reply_address(longest, MESSAGE)) == 254
    assert build_reply_address(longer, MESSAGE) == longer


@pytest.mark.parametrize("mailbox", ["a" * 38 + "@acme.example", "replies@" + "a" * 240 + ".example"])
def test_a_long_mailbox_gets_no_message_id(mailbox: str) -> None:
    """When the id would make the address too long, replies go to the mailbox itself."""
    assert build_reply_address(mailbox, MESSAGE) == mailbox
    assert list(parse_message_ids(mailbox)) == []


@pytest.mark.parametrize(
    "header", ["replies@acme.example", "replies+spring@acme.example", "replies+" + "1" * 26 + "@acme.example", "+@", ""]
)
def test_other_plus_addresses_give_no_message_id(header: str) -> None:
    """Plus addresses with other tags, and plain addresses, contain no message id."""
    assert list(parse_message_ids(header)) == []


@pytest.mark.parametrize(
    ("address", "is_delivered"),
    [
        ("replies@acme.example", True),
        ("Replies+abc@ACME.example", True),
        ("replies+abc@other.example", False),
        ("replier@acme.example", False),
        ("@acme.example", False),
        ("", False),
    ],
)
def test_which_addresses_a_mailbox_receives(address: str, is_delivered: bool) -> None:
    """A mailbox receives mail to its own address in any case, with or without a plus tag."""
    assert is_delivered_to(address, "replies@acme.example") is is_delivered
