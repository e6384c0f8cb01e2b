import time

import pytest

from email_text.addresses import find_addresses, find_sender, parse_mailboxes


@pytest.mark.parametrize(
    ("header", "name", "address"),
    [
        ("=?utf-8?Q?Weber=2C_J=C3=B6rg?= <joerg@n.example>", "Weber, Jörg", "joerg@n.example"),
        ("=?utf-8?Q?J=C3=B6rg_=40_N?= <joerg@n.example>", "Jörg @ N", "joerg@n.example"),
        ("=?utf-8?Q?J=C3=B6rg_=22Jo?= <joerg@n.example>", 'Jörg "Jo', "joerg@n.example"),
        ("=?utf-8?Q?victim=40lead=2Eexample=2C?= <a@evil.example>", "victim@lead.example,", "a@evil.example"),
        ("=?utf-8?Q?=3Cvictim=40lead=2Eexample=3E=2C?= <a@evil.example>", "<victim@lead.example>,", "a@evil.example"),
        ("=?utf-8?Q?victim@lead.example,?= <a@evil.example>", "victim@lead.example,", "a@evil.example"),
        ("victim@lead.example, <a@evil.example>", "", "a@evil.example"),
        ('"victim@lead.example" <a@evil.example>', "victim@lead.example", "a@evil.example"),
        ('Jörg "Jo Weber <joerg@n.example>', 'Jörg "Jo Weber', "joerg@n.example"),
        ("J\udcc3\udcb6rg <joerg@n.example>", "Jörg", "joerg@n.example"),
        ("J\udcf6rg <joerg@n.example>", "Jörg", "joerg@n.example"),
        ("team: ann@x.example, bob@x.example;", "", "ann@x.example"),
        ('"john doe"@x.example', "john doe@x.example", '"john doe"@x.example'),
        ("<@relay.example:ann@x.example>", "", "ann@x.example"),
        ("ann@x.example (comment (bob@x.example))", "", "ann@x.example"),
        ('"anna@x.example"', "", "anna@x.example"),
        ("=?utf-8?Q?Anna_<anna@x.example>?=", "", "anna@x.example"),
        ("Ute <ute@xn--bcher-kva.example>", "Ute", "ute@bücher.example"),
    ],
)
def test_the_sender_of_a_header(header: str, name: str, address: str) -> None:
    """The structure gives the address, and the name is decoded afterwards and never becomes an address."""
    sender = find_sender(header)
    assert sender is not None
    assert (sender.name, sender.address) == (name, address)


@pytest.mark.parametrize("header", ["", "MAILER-DAEMON", "Ann", "<>", "a@", "@b", "x" * 400 + "@lead.example"])
def test_headers_without_an_address(header: str) -> None:
    """A header without an address names no sender."""
    assert find_sender(header) is None


def test_several_mailboxes() -> None:
    """Each mailbox of a header is read with its own name."""
    header = '"Lee, Ann" <ann@x.example>, bob@x.example, =?utf-8?Q?C=2C?= <c@x.example>'
    assert [(box.name, box.address) for box in parse_mailboxes(header)] == [
        ("Lee, Ann", "ann@x.example"),
        ("", "bob@x.example"),
        ("C,", "c@x.example"),
    ]


def test_addresses_in_a_text() -> None:
    """Addresses that a text names are found once, without the punctuation around them."""
    text = "Stop <Ann@x.example>, mailto:bob@x.example. Also 'c@x.example' and ann@x.example; not a@b or @x.example"
    assert find_addresses(text) == ["ann@x.example", "bob@x.example", "c@x.example"]


@pytest.mark.parametrize(
    "piece", ['"', '"\\', "(", "<", "=?a?q?", "@", "a@", '"@', ":", "a@b,", "\\(", "=?utf-8?q?a?= ", "x"]
)
def test_hostile_headers(piece: str) -> None:
    """A hostile header is read in a time that is linear in its length."""
    started = time.perf_counter()
    find_sender(piece * 10_000)
    find_addresses(piece * 20_000)
    assert time.perf_counter() - started < 2
