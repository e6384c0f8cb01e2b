from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.reply_address import answered_in, arrives_at, reply_address

MESSAGE = UUID("018f0000-0000-7000-8000-000000000001")


@given(st.uuids())
def test_the_address_names_its_message(message_id: UUID) -> None:
    """Whatever the message, its address is one that RFC 5321 allows, and tells which it is, in any case."""
    address = reply_address("replies@acme.example", message_id)
    local, _, domain = address.partition("@")
    assert (len(local) <= 64, domain, local.isascii()) == (True, "acme.example", True)
    assert list(answered_in(f"Ann <{address.upper()}>, x@y.example")) == [message_id]


@pytest.mark.parametrize(
    ("mailbox", "begins"),
    [
        ("replies@acme.example", "replies+"),
        ("sales+eu@acme.example", "sales+eu+"),
        ("a" * 37 + "@acme.example", "a" * 37 + "+"),
    ],
)
def test_a_mailbox_takes_all_its_answers(mailbox: str, begins: str) -> None:
    """What is added stands after a plus, also behind one that is there, so that all arrives at the mailbox."""
    address = reply_address(mailbox, MESSAGE)
    assert address.startswith(begins)
    assert arrives_at(address, mailbox)
    assert list(answered_in(address)) == [MESSAGE]


def test_an_address_has_at_most_254_characters() -> None:
    """An address of 254 characters has its message's id; one that would have 255 is the mailbox itself."""
    longest, longer = (f"replies@{'a' * length}.example" for length in (211, 212))
    assert len(reply_address(longest, MESSAGE)) == 254
    assert reply_address(longer, MESSAGE) == longer


@pytest.mark.parametrize("mailbox", ["a" * 38 + "@acme.example", "replies@" + "a" * 240 + ".example"])
def test_an_address_that_would_be_too_long(mailbox: str) -> None:
    """Where there is no room for the id, answers go to the mailbox itself."""
    assert reply_address(mailbox, MESSAGE) == mailbox
    assert list(answered_in(mailbox)) == []


@pytest.mark.parametrize(
    "header", ["replies@acme.example", "replies+spring@acme.example", "replies+" + "1" * 26 + "@acme.example", "+@", ""]
)
def test_what_names_no_message(header: str) -> None:
    """Other people's plus addresses are left alone."""
    assert list(answered_in(header)) == []


@pytest.mark.parametrize(
    ("address", "arrives"),
    [
        ("replies@acme.example", True),
        ("Replies+abc@ACME.example", True),
        ("replies+abc@other.example", False),
        ("replier@acme.example", False),
        ("@acme.example", False),
        ("", False),
    ],
)
def test_where_mail_arrives(address: str, arrives: bool) -> None:
    """An address is a mailbox's when it is that, in any case, or that with something after a plus."""
    assert arrives_at(address, "replies@acme.example") is arrives
